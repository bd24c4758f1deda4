"""Makes the tiny checkpoints that the tests of `sweep weights convert` read.

    pip install torch          # then: python scripts/weights_fixtures.py torch
    pip install keras tensorflow-cpu h5py  # then: python scripts/weights_fixtures.py keras

Element i of a tensor is i / 4 plus the length of the tensor's name, in row-major order.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
FOLDER = Path(__file__).parent.parent / "crates/weights/tests/fixtures"


def make_torch():
    import torch

    def numbers(name, *shape, dtype=torch.float32):
        count = torch.Size(shape).numel()
        return (torch.arange(count, dtype=torch.float64) / 4 + len(name)).to(dtype).reshape(shape)

    state = {
        "conv.weight": numbers("conv.weight", 2, 3, 2, 2).contiguous(memory_format=torch.channels_last),
        "conv.bias": torch.nn.Parameter(numbers("conv.bias", 2)),
        "turned": numbers("turned", 2, 3).t().contiguous().t(),
        "every_other": torch.stack([numbers("every_other", 3), torch.zeros(3)], dim=1)[:, 0],
        "half": numbers("half", 3, dtype=torch.float16),
        "double": numbers("double", 3, dtype=torch.float64),
        "bn.num_batches_tracked": torch.tensor(len("bn.num_batches_tracked")),
        "nothing": torch.empty(0, 3),
    }
    torch.save(state, FOLDER / "zip.pth")
    torch.save(state, FOLDER / "protocol4.pth", pickle_protocol=4)
    torch.save(state, FOLDER / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save({"state_dict": state, "epoch": 3}, FOLDER / "wrapped.pth")
    torch.save(torch.nn.Linear(1, 1), FOLDER / "whole_model.pth")


def make_keras():
    import h5py
    import keras
    import numpy as np
    from keras.src.legacy.saving import legacy_h5_format

    def inner():
        return keras.Sequential(
            [keras.Input((4, 4, 2)), keras.layers.Conv2D(2, 2, name="inner_conv", use_bias=False)], name="inner"
        )

    def fill(layers):
        for layer in layers:
            if isinstance(layer, keras.Model):
                fill(layer.layers)
                continue
            for variable in layer.variables:
                count, length = int(np.prod(variable.shape)), len(f"{layer.name}/{variable.name}")
                variable.assign(np.reshape(np.arange(count) / 4 + length, variable.shape))

    model = keras.Sequential(
        [
            keras.Input((5, 5, 1)),
            keras.layers.Conv2D(2, 2, name="conv1_conv"),
            keras.layers.BatchNormalization(name="conv1_bn"),
            keras.layers.BatchNormalization(name="plain_bn", scale=False),
            inner(),
            keras.layers.GlobalAveragePooling2D(name="pool"),
            keras.layers.Dense(1, name="predictions"),
        ],
        name="tiny",
    )
    fill(model.layers)
    model.save_weights(FOLDER / "keras3.weights.h5")
    model.save(FOLDER / "keras3.keras")
    model.save(FOLDER / "whole_model.h5")
    with h5py.File(FOLDER / "applications.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    {"torch": make_torch, "keras": make_keras}[sys.argv[1]]()
