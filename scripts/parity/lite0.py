"""What the reference EfficientNet-Lite0 makes of images with its real weights.

    pip install torch==2.11.0 efficientnet_lite_pytorch safetensors numpy pillow
    python scripts/parity/lite0.py .deps/weights/efficientnet_lite0.safetensors crates/train/tests/lite0.jpg

Prints what crates/train/tests/lite0.rs expects: the sums of 160 pooled features each, of a closed-form
image and of a JPEG that Pillow decodes and resizes. The JPEG is written when it is not there.
"""

import os
import sys

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from safetensors.torch import load_file

SIDE = 224


def closed_form():
    y, x, c = np.meshgrid(np.arange(SIDE), np.arange(SIDE), np.arange(3), indexing="ij")
    return (7 * x + 13 * y + 29 * c + (x * y) // 5) % 256


def drawing(width, height):
    """Discs of strong colours on a fading ground: edges for the chroma, slopes for the rounding."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    ground = 60 + (x + 2 * y) * (3 + c) / 9 % 190
    discs = (x % 67 - 33) ** 2 + (y % 59 - 29) ** 2 < 500 + 90 * (x // 67) - 60 * (y // 59)
    inks = (53 * (x // 67) + 89 * (y // 59) + 101 * c) % 256
    return np.where(discs, inks, ground).astype(np.uint8)


def photograph(path):
    if not os.path.exists(path):
        Image.fromarray(drawing(341, 256)).save(path, quality=85, subsampling=2)
    return np.asarray(Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def reference(weights):
    model = EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(load_file(weights))
    return model.eval()


def pooled(model, pixels):
    # TensorFlow's scaling for EfficientNet-Lite, which the weights were trained with.
    batch = torch.from_numpy((pixels.astype(np.float32) - 127) / 128).permute(2, 0, 1)[None]
    with torch.no_grad():
        return model.extract_features(batch).mean(dim=(2, 3))[0]


def sums(model, pixels):
    return [float(f"{value:.7g}") for value in pooled(model, pixels).reshape(8, 160).sum(dim=1)]


def main():
    model = reference(sys.argv[1])
    print("closed form", sums(model, closed_form()))
    print("photograph", sums(model, photograph(sys.argv[2])))


if __name__ == "__main__":
    main()
