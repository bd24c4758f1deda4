"""Learning rates, epoch by epoch, of Keras's own schedules set by its own LearningRateScheduler.

    pip install keras tensorflow-cpu
    python scripts/parity/keras_schedules.py > crates/spec/tests/parity/keras_schedules.json

Keras has no schedule of epochs that falls in steps: its `ExponentialDecay` with `staircase` is that.
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

RATE = 0.1

CASES = [
    ({"name": "step", "factor": 0.5, "every": 2}, 7),
    ({"name": "step", "factor": 0.1, "every": 3}, 8),
    ({"name": "cosine"}, 10),
    ({"name": "cosine", "alpha": 0.1, "decay_epochs": 4}, 7),
    ({"name": "cosine", "warmup_epochs": 2, "initial_learning_rate": 0.02, "decay_epochs": 4}, 8),
    ({"name": "cosine", "warmup_epochs": 3, "initial_learning_rate": 0.0, "alpha": 0.05}, 12),
]


def schedule(settings, epochs):
    """Keras's, with its own settings for ours."""
    kinds = keras.optimizers.schedules
    if settings["name"] == "step":
        return kinds.ExponentialDecay(RATE, settings["every"], settings["factor"], staircase=True)
    warmup = settings.get("warmup_epochs", 0)
    return kinds.CosineDecay(
        initial_learning_rate=settings["initial_learning_rate"] if warmup else RATE,
        decay_steps=settings.get("decay_epochs", epochs - warmup),
        alpha=settings.get("alpha", 0.0),
        warmup_target=RATE if warmup else None,
        warmup_steps=warmup,
    )


def rates(settings, epochs):
    """The rate of each epoch of a real `fit`, read from the optimiser while it trains."""
    of_epoch = schedule(settings, epochs)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(RATE), loss="mse")
    seen = []
    look = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: seen.append(
            float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
        )
    )
    follow = keras.callbacks.LearningRateScheduler(lambda epoch: float(of_epoch(epoch)))
    one = np.zeros((1, 1), dtype="float32")
    model.fit(one, one, epochs=epochs, verbose=0, callbacks=[follow, look])
    return seen


def main():
    cases = [{"schedule": settings, "epochs": epochs, "rates": rates(settings, epochs)} for settings, epochs in CASES]
    json.dump({"keras": keras.__version__, "learning_rate": RATE, "cases": cases}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
