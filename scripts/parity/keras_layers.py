"""The layers that Keras's summary lists for the source document's models, and how many parameters train.

    pip install keras tensorflow-cpu
    python scripts/parity/keras_layers.py > crates/train/tests/parity/keras_layers.json
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

APPLICATIONS = {
    "resnet50_keras": keras.applications.ResNet50,
    "inception_resnet_v2": keras.applications.InceptionResNetV2,
}


def model(order):
    """A base model and a head, as the document builds them."""
    keras.backend.clear_session()
    settings, side = order["model"], order["image_size"]
    base = APPLICATIONS[settings["backbone"]](weights=None, include_top=False, input_shape=(side, side, 3))
    freeze = settings["freeze"]
    for layer in base.layers:
        layer.trainable = freeze == "none"
    if isinstance(freeze, dict):
        for layer in base.layers[-freeze["unfreeze_last"] :]:
            layer.trainable = True
    pooling = settings["pooling"]
    x = keras.layers.GlobalAveragePooling2D()(base.output) if pooling == "gap" else keras.layers.Flatten()(base.output)
    dropout = settings.get("dropout", 0.0)
    if dropout and not settings.get("hidden"):
        x = keras.layers.Dropout(dropout)(x)
    for units in settings.get("hidden", []):
        x = keras.layers.Dense(units, activation="relu")(x)
        if dropout:
            x = keras.layers.Dropout(dropout)(x)
    units = 1 if order["classes"] == 2 else order["classes"]
    x = keras.layers.Dense(units)(x)
    return keras.Model(base.input, x)


def count(weights):
    return int(sum(np.prod(weight.shape) for weight in weights))


def case(classes, image_size, listed=False, **settings):
    """A model's totals and, if `listed`, its layers: name, class, output, parameters that train or not."""
    order = {"model": settings, "image_size": image_size, "classes": classes}
    built = model(order)
    rows = []
    for layer in built.layers:
        output = layer.output.shape[1:]
        sizes = [int(size) for size in output]
        counts = [count(layer.trainable_weights), count(layer.non_trainable_weights)]
        rows.append([layer.name, type(layer).__name__, sizes, *counts])
    return {
        "order": order,
        "count": len(rows),
        "layers": rows if listed else [],
        "trainable": count(built.trainable_weights),
        "non_trainable": count(built.non_trainable_weights),
    }


def main():
    cases = [
        case(2, 224, backbone="resnet50_keras", freeze="all", pooling="gap"),
        case(2, 224, backbone="resnet50_keras", freeze={"unfreeze_last": 10}, pooling="gap", listed=True),
        case(2, 224, backbone="resnet50_keras", freeze="none", pooling="gap"),
        case(3, 97, backbone="resnet50_keras", freeze="all", pooling="flatten", hidden=[256, 64], dropout=0.5, listed=True),
        case(2, 299, backbone="inception_resnet_v2", freeze="all", pooling="flatten"),
        case(2, 299, backbone="inception_resnet_v2", freeze="none", pooling="flatten", dropout=0.2, listed=True),
        case(2, 75, backbone="inception_resnet_v2", freeze={"unfreeze_last": 10}, pooling="gap"),
    ]
    json.dump({"keras": keras.__version__, "cases": cases}, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
