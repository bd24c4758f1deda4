"""Twenty steps of head training by Keras's own losses and optimisers, from closed-form starts.

    pip install keras tensorflow-cpu numpy
    python scripts/parity/keras_head.py > crates/train/tests/parity/keras_head.json

The features are 40 x 12 (`uniform("features")`), image `i` has class `i % classes`. Step `s` trains on
the eight images from `8 * s % 40` on. Each layer `k` starts with `uniform("dense<k>/kernel") / 2` and
`uniform("dense<k>/bias") / 10`. The loss of a step is that before its update.
Where a case says `halved_at`, the learning rate is halved from that step on.
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from closed_form import summary, uniform

STEPS, IMAGES, FEATURES, BATCH = 20, 40, 12, 8

OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.01),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.004),
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "sgd momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "sgd nesterov": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01),
}

CASES = [
    {"optimizer": name, "classes": 2, "units": [1], "loss": "binary_crossentropy", "label_smoothing": 0.0}
    for name in OPTIMIZERS
] + [
    {"optimizer": "adam", "classes": 2, "units": [1], "loss": "binary_crossentropy", "label_smoothing": 0.1},
    {"optimizer": "adam", "classes": 2, "units": [2], "loss": "categorical_crossentropy", "label_smoothing": 0.0},
    {"optimizer": "adam", "classes": 3, "units": [3], "loss": "categorical_crossentropy", "label_smoothing": 0.1},
    {"optimizer": "adam", "classes": 2, "units": [7, 1], "loss": "binary_crossentropy", "label_smoothing": 0.0},
    {"optimizer": "sgd momentum", "classes": 3, "units": [5, 4, 3], "loss": "categorical_crossentropy", "label_smoothing": 0.0},
    {"optimizer": "adam", "classes": 2, "units": [1], "loss": "binary_crossentropy", "label_smoothing": 0.0, "class_weight": [1.0, 3.0]},
]


CASES += [
    {"optimizer": name, "classes": 2, "units": [1], "loss": "binary_crossentropy", "label_smoothing": 0.0, "halved_at": 10}
    for name in ["sgd momentum", "sgd nesterov"]
]


def run(case):
    keras.backend.clear_session()
    binary = case["loss"] == "binary_crossentropy"
    layers = [keras.Input((FEATURES,))]
    for k, units in enumerate(case["units"]):
        last = k == len(case["units"]) - 1
        activation = ("sigmoid" if binary else "softmax") if last else "relu"
        layers.append(keras.layers.Dense(units, activation=activation))
    model = keras.Sequential(layers)
    for k, layer in enumerate(model.layers):
        for variable in layer.variables:
            u = uniform(f"dense{k}/{variable.name}", int(np.prod(variable.shape))).reshape(variable.shape)
            variable.assign(u / (2 if variable.name == "kernel" else 10))
    kind = keras.losses.BinaryCrossentropy if binary else keras.losses.CategoricalCrossentropy
    loss_of = kind(label_smoothing=case["label_smoothing"])
    optimizer = OPTIMIZERS[case["optimizer"]]()
    x = uniform("features", IMAGES * FEATURES).reshape(IMAGES, FEATURES)
    label = np.arange(IMAGES) % case["classes"]
    y = label[:, None].astype("float32") if binary else np.eye(case["classes"], dtype="float32")[label]
    losses = []
    for step in range(STEPS):
        if step == case.get("halved_at"):
            optimizer.learning_rate = float(optimizer.learning_rate) / 2
        at = slice(BATCH * step % IMAGES, BATCH * step % IMAGES + BATCH)
        weight = np.array(case["class_weight"], dtype="float32")[label[at]] if "class_weight" in case else None
        with tf.GradientTape() as tape:
            loss = loss_of(y[at], model(x[at], training=True), sample_weight=weight)
        gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
        optimizer.apply(gradients, model.trainable_variables)
        losses.append(float(loss))
    final = {f"dense{k}/{v.name}": summary(v.numpy()) for k, layer in enumerate(model.layers) for v in layer.variables}
    return {**case, "losses": losses, "final": final}


def main():
    json.dump({"keras": keras.__version__, "cases": [run(case) for case in CASES]}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
