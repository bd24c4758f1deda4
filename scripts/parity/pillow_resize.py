"""What Pillow's resize makes of a closed-form image.

    pip install pillow numpy
    python scripts/parity/pillow_resize.py > crates/train/tests/parity/pillow_resize.json

Pixel `(y, x, c)` of the 37 x 53 image is `(7 x + 13 y + 29 c + x y / 5) mod 256`, in integers.
"""

import json
import sys

import numpy as np
import PIL
from PIL import Image

HEIGHT, WIDTH = 37, 53
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def main():
    y, x, c = np.meshgrid(np.arange(HEIGHT), np.arange(WIDTH), np.arange(3), indexing="ij")
    image = Image.fromarray(((7 * x + 13 * y + 29 * c + (x * y) // 5) % 256).astype(np.uint8))
    cases = []
    for side in (16, 40):
        for name, resample in FILTERS.items():
            pixels = np.asarray(image.resize((side, side), resample))
            cases.append({"filter": name, "side": side, "pixels": pixels.ravel().tolist()})
    json.dump({"pillow": PIL.__version__, "cases": cases}, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
