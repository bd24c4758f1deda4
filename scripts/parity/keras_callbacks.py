"""Runs Keras's own EarlyStopping and ReduceLROnPlateau over many histories and records what they do.

    pip install keras tensorflow-cpu
    python scripts/parity/keras_callbacks.py > crates/train/tests/parity/keras_callbacks.json

The model has one weight, set to the epoch's number before each epoch's end: after training it tells
which epoch's weights were restored.
"""

import json
import os
import random
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np


# What is watched, and how it is said which way is better. Keras takes `auto` of an accuracy for `max`.
WATCHED = [
    ("val_loss", "auto"),
    ("val_accuracy", "max"),
    ("val_loss", "min"),
    ("val_accuracy", "auto"),
    ("val_loss", "max"),
    ("accuracy", "auto"),
    ("loss", "auto"),
    ("val_accuracy", "min"),
]


def tiny_model(learning_rate):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(optimizer=keras.optimizers.SGD(learning_rate), loss="mse", metrics=["accuracy"])
    # `mode="auto"` asks the model's metrics for their direction, and they are only there once it was used.
    model.evaluate(np.zeros((1, 1)), np.zeros((1, 1)), verbose=0)
    return model


def history(rng, kind, epochs):
    """One value of the monitored quantity for each epoch, rounded so that JSON keeps it exactly."""
    value, values = 1.0, []
    for _ in range(epochs):
        if kind == "falling":
            value *= rng.uniform(0.9, 1.02)
        elif kind == "plateau":
            value = max(0.3, value * 0.8) + rng.choice([0.0, 0.0, 0.001, -0.0005])
        elif kind == "noisy":
            value = rng.uniform(0.2, 1.0)
        elif kind == "rising":
            value *= rng.uniform(0.99, 1.1)
        values.append(round(value, 4))
    return values


def early_stopping(values, settings):
    model = tiny_model(0.1)
    callback = keras.callbacks.EarlyStopping(**settings)
    callback.set_model(model)
    model.stop_training = False
    callback.on_train_begin()
    trained = 0
    for epoch, value in enumerate(values):
        callback.on_epoch_begin(epoch)
        model.set_weights([np.full((1, 1), epoch + 1, dtype="float32")])
        callback.on_epoch_end(epoch, {settings["monitor"]: value})
        trained = epoch + 1
        if model.stop_training:
            break
    callback.on_train_end()
    return {
        "epochs": trained,
        "stopped": bool(model.stop_training),
        "weights_of_epoch": int(model.get_weights()[0][0, 0]),
    }


def reduce_lr(values, settings, learning_rate):
    model = tiny_model(learning_rate)
    callback = keras.callbacks.ReduceLROnPlateau(**settings)
    callback.set_model(model)
    callback.on_train_begin()
    rates = []
    for epoch, value in enumerate(values):
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {settings["monitor"]: value})
        rates.append(float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)))
    return {"learning_rates_after": rates}


def main():
    rng = random.Random(20)
    stopping, reducing = [], []
    for case in range(80):
        kind = rng.choice(["falling", "plateau", "noisy", "rising"])
        values = history(rng, kind, rng.randint(3, 30))
        monitor, mode = WATCHED[case % len(WATCHED)]
        settings = {
            "monitor": monitor,
            "min_delta": rng.choice([0.0, 0.0, 0.001, 0.05]),
            "patience": rng.choice([0, 1, 2, 3, 5, 10]),
            "mode": mode,
            "baseline": rng.choice([None, None, 0.5, 0.9]),
            "start_from_epoch": rng.choice([0, 0, 0, 3]),
            "restore_best_weights": rng.choice([True, True, False]),
        }
        stopping.append({"values": values, "settings": settings, "expected": early_stopping(values, settings)})
    for case in range(80):
        kind = rng.choice(["falling", "plateau", "noisy", "rising"])
        values = history(rng, kind, rng.randint(3, 30))
        monitor, mode = WATCHED[case % len(WATCHED)]
        settings = {
            "monitor": monitor,
            "factor": rng.choice([0.5, 0.1, 0.9]),
            "patience": rng.choice([0, 1, 2, 3, 5]),
            "mode": mode,
            "min_delta": rng.choice([0.0, 0.0001, 0.01]),
            "cooldown": rng.choice([0, 0, 1, 3]),
            "min_lr": rng.choice([0.0, 1e-6, 2e-5]),
        }
        rate = rng.choice([1e-4, 5e-3])
        reducing.append(
            {"values": values, "settings": settings, "learning_rate": rate, "expected": reduce_lr(values, settings, rate)}
        )
    json.dump({"keras": keras.__version__, "early_stopping": stopping, "reduce_lr_on_plateau": reducing}, sys.stdout, indent=None)
    print()


if __name__ == "__main__":
    main()
