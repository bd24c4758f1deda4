"""What the reference EfficientNet-Lite0 makes of a closed-form image with its real weights.

    pip install torch==2.11.0 efficientnet_lite_pytorch safetensors numpy
    python scripts/parity/lite0.py .deps/weights/efficientnet_lite0.safetensors

Prints what crates/train/tests/lite0.rs expects: the sums of 160 pooled features each.
"""

import sys

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from safetensors.torch import load_file

SIDE = 224


def main():
    model = EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(load_file(sys.argv[1]))
    model.eval()
    y, x, c = np.meshgrid(np.arange(SIDE), np.arange(SIDE), np.arange(3), indexing="ij")
    pixels = (7 * x + 13 * y + 29 * c + (x * y) // 5) % 256
    # TensorFlow's scaling for EfficientNet-Lite, which the weights were trained with.
    batch = torch.from_numpy((pixels.astype(np.float32) - 127) / 128).permute(2, 0, 1)[None]
    with torch.no_grad():
        pooled = model.extract_features(batch).mean(dim=(2, 3))[0]
    print([float(f"{value:.7g}") for value in pooled.reshape(8, 160).sum(dim=1)])


if __name__ == "__main__":
    main()
