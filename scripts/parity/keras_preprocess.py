"""What Keras's preprocess_input makes of pixels in each of its modes.

    pip install keras tensorflow-cpu numpy
    python scripts/parity/keras_preprocess.py > crates/train/tests/parity/keras_preprocess.json
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

PIXELS = [[[0, 1, 2], [253, 254, 255]], [[10, 128, 200], [127, 0, 255]], [[64, 32, 16], [255, 255, 255]]]


def main():
    pixels = np.array([PIXELS], dtype="float32")
    modes = {}
    for mode in ["caffe", "tf", "torch"]:
        made = keras.applications.imagenet_utils.preprocess_input(
            pixels.copy(), data_format="channels_last", mode=mode
        )
        modes[mode] = [float(f"{value:.8g}") for value in np.asarray(made).reshape(-1)]
    json.dump({"keras": keras.__version__, "pixels": PIXELS, "modes": modes}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
