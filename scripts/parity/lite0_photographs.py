"""Holds `sweep features` of photographs to what the reference EfficientNet-Lite0 makes of them.

    pip install torch==2.11.0 efficientnet_lite_pytorch safetensors numpy pillow==13.0.0
    sweep features --backbone efficientnet_lite0 photographs/*.jpg > features.json
    python scripts/parity/lite0_photographs.py .deps/weights/efficientnet_lite0.safetensors features.json

Prints the relative distance (L2) of each image's features, the largest last.
"""

import json
import sys

import torch

from lite0 import photograph, pooled, reference


def main():
    model = reference(sys.argv[1])
    with open(sys.argv[2]) as file:
        images = json.load(file)["images"]
    far = []
    for image in images:
        expected = pooled(model, photograph(image["image"]))
        distance = torch.linalg.norm(torch.tensor(image["features"]) - expected) / torch.linalg.norm(expected)
        far.append((float(distance), image["image"]))
    for distance, name in sorted(far):
        print(f"{distance:.2e} {name}")
    print(f"{len(far)} images, at most {max(far)[0]:.2e}")


if __name__ == "__main__":
    main()
