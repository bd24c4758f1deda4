#!/usr/bin/env python3
"""Transfer learning as the study did it by hand: a pretrained network, frozen, with a dense layer on top.

Everything that the study changed by hand is a setting here; `sweep` says what each is in this run."""

import csv
import json
import math
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import keras  # noqa: E402
import numpy as np  # noqa: E402

NETWORKS = {
    "inception_resnet_v2": (keras.applications.InceptionResNetV2, keras.applications.inception_resnet_v2),
    "resnet50_keras": (keras.applications.ResNet50, keras.applications.resnet50),
}


class Epochs(keras.callbacks.Callback):
    """Tells `sweep` what each epoch measured: a JSON object a line."""

    def on_epoch_end(self, epoch, logs=None):
        logs = {name: float(value) for name, value in logs.items()}
        print(json.dumps({"epoch": epoch + 1, **logs}), flush=True)


def build(settings, size, classes):
    make, module = NETWORKS[settings["backbone"]]
    weights = None if settings["weights"] == "none" else settings["weights"]
    base = make(include_top=False, weights=weights, input_shape=(size, size, 3))
    base.trainable = settings["freeze"] != "all"
    images = keras.Input((size, size, 3))
    features = base(module.preprocess_input(images), training=False)
    pooling = {"gap": keras.layers.GlobalAveragePooling2D, "flatten": keras.layers.Flatten}
    features = pooling[settings["pooling"]]()(features)
    return keras.Model(images, keras.layers.Dense(classes, activation="softmax")(features))


def callbacks(config):
    yield Epochs()
    if stop := config.get("early_stopping"):
        yield keras.callbacks.EarlyStopping(
            monitor=stop["monitor"],
            patience=stop["patience"],
            restore_best_weights=stop["restore_best_weights"],
        )
    if reduce := config.get("reduce_lr_on_plateau"):
        yield keras.callbacks.ReduceLROnPlateau(
            monitor=reduce["monitor"],
            factor=reduce["factor"],
            patience=reduce["patience"],
            min_lr=reduce["min_lr"],
        )


def main():
    config = json.loads(Path(os.environ["SWEEP_CONFIG"]).read_text())
    data, train = config["data"], config["train"]
    keras.utils.set_random_seed(config["seed"])

    def images(folder, **more):
        size = (data["image_size"],) * 2
        return keras.utils.image_dataset_from_directory(
            folder, image_size=size, batch_size=train["batch_size"], seed=config["seed"], **more
        )

    training, validation = images(
        data["train"], validation_split=data["validation"], subset="both"
    )
    test = images(data["test"], shuffle=False)
    names = training.class_names
    steps = train.get("steps_per_epoch") or math.ceil(training.cardinality().numpy())

    model = build(config["model"], data["image_size"], len(names))
    model.compile(
        keras.optimizers.Adam(train["learning_rate"]),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(
        training.repeat(),
        validation_data=validation,
        epochs=train["epochs"],
        steps_per_epoch=steps,
        callbacks=list(callbacks(config)),
        verbose=0,
    )

    # The score is the share of test images that are right; image by image, small differences are seen.
    labels = np.concatenate([batch.numpy() for _, batch in test])
    with open(os.environ["SWEEP_PREDICTIONS"], "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "label", "predicted", *(f"p_{name}" for name in names)])
        for path, label, row in zip(test.file_paths, labels, model.predict(test, verbose=0)):
            image = Path(path).relative_to(data["test"]).as_posix()
            table.writerow([image, names[label], names[row.argmax()], *row.tolist()])


main()
