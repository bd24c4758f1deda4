"""What Pillow's resize makes of a closed-form image.

    pip install pillow numpy
    python scripts/parity/pillow_resize.py > crates/train/tests/parity/pillow_resize.json

Pixel `(y, x, c)` of an image is `(7 x + 13 y + 29 c + x y / 5) mod 256`, in integers. The sizes are those
between which Pillow changes the order of its passes, and those that need one pass or none.
"""

import json
import sys

import numpy as np
import PIL
from PIL import Image

# Width, height, side.
SIZES = [(53, 37, 16), (37, 53, 16), (13, 9, 20), (15, 20, 10), (15, 21, 10), (7, 11, 10), (7, 10, 8), (10, 19, 10),
         (19, 10, 10), (9, 9, 9), (1, 1, 8)]
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def main():
    cases = []
    for width, height, side in SIZES:
        y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
        image = Image.fromarray(((7 * x + 13 * y + 29 * c + (x * y) // 5) % 256).astype(np.uint8))
        for name, resample in FILTERS.items():
            pixels = np.asarray(image.resize((side, side), resample))
            cases.append({"size": [width, height], "filter": name, "side": side, "pixels": pixels.ravel().tolist()})
    json.dump({"pillow": PIL.__version__, "cases": cases}, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
