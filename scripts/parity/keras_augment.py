"""What Keras's ImageDataGenerator makes of a closed-form image under given transformations.

    pip install keras tensorflow-cpu scipy pillow numpy
    python scripts/parity/keras_augment.py > crates/train/tests/parity/keras_augment.json

The image is 9 x 12, pixel `(y, x, c)` is `(7 x + 13 y + 29 c + 3 x y) mod 256`. The transformations are
given, not drawn: which ones a seed draws is each generator's own affair.
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras.src.legacy.preprocessing.image import ImageDataGenerator

HEIGHT, WIDTH = 9, 12

TRANSFORMS = [
    {"theta": 30.0},
    {"theta": -77.5},
    {"tx": 2.0, "ty": -1.5},
    {"shear": 20.0},
    {"zx": 0.7, "zy": 0.7},
    {"zx": 1.3, "zy": 0.9},
    {"theta": 15.0, "tx": 1.0, "ty": 0.5, "shear": -10.0, "zx": 1.1, "zy": 0.8},
    {"flip_horizontal": True},
    {"flip_vertical": True},
    {"flip_horizontal": True, "theta": 45.0},
    {"channel_shift_intensity": 40.0},
    {"channel_shift_intensity": -25.5},
    {"brightness": 0.5},
    {"brightness": 1.4},
    {"theta": 10.0, "flip_vertical": True, "brightness": 0.8, "channel_shift_intensity": 10.0},
]


def main():
    y, x, c = np.meshgrid(np.arange(HEIGHT), np.arange(WIDTH), np.arange(3), indexing="ij")
    image = ((7 * x + 13 * y + 29 * c + 3 * x * y) % 256).astype(np.float32)
    cases = []
    for number, transform in enumerate(TRANSFORMS):
        # The affine ones under every fill mode, the others under one: they do not fill.
        affine = {"theta", "tx", "ty", "shear", "zx", "zy"} & transform.keys()
        for fill_mode in ["nearest", "constant", "reflect", "wrap"] if affine else ["nearest"]:
            generator = ImageDataGenerator(fill_mode=fill_mode, cval=12.0)
            pixels = generator.apply_transform(image.copy(), transform)
            cases.append({
                "transform": transform, "fill_mode": fill_mode, "cval": 12.0,
                "pixels": [round(float(v), 3) for v in np.asarray(pixels).ravel()],
            })
    json.dump({"keras": keras.__version__, "cases": cases}, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
