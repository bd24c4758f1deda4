"""What users of Keras would run in place of this project; `timing` says what is printed.

Weights are random and images are noise: neither changes how long the arithmetic takes.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras  # noqa: E402
import numpy  # noqa: E402
import tensorflow as tf  # noqa: E402
from timing import repeat, say  # noqa: E402

BATCH = 32


def backbone(name: str, side: int) -> keras.Model:
    made = {
        "resnet50": keras.applications.ResNet50,
        "inception": keras.applications.InceptionResNetV2,
    }[name]
    return made(weights=None, include_top=False, input_shape=(side, side, 3))


def compiled(arguments: argparse.Namespace, unfrozen: int = 0) -> keras.Model:
    """A frozen backbone, its last layers unfrozen, and a head."""
    base = backbone(arguments.network, arguments.side)
    base.trainable = unfrozen > 0
    for layer in base.layers[: len(base.layers) - unfrozen]:
        layer.trainable = False
    pooled = keras.layers.GlobalAveragePooling2D()(base.output)
    model = keras.Model(base.input, keras.layers.Dense(1, activation="sigmoid")(pooled))
    model.compile(keras.optimizers.Adam(1e-4), "binary_crossentropy", metrics=["accuracy"])
    return model


def noise(side: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    images = numpy.random.default_rng(0).random((BATCH, side, side, 3), dtype=numpy.float32)
    return images, (numpy.arange(BATCH) % 2).astype(numpy.float32)


def run_pass(arguments: argparse.Namespace) -> None:
    """A frozen backbone on images in memory."""
    if arguments.bf16:
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = backbone(arguments.network, arguments.side)
    images = tf.constant(noise(arguments.side)[0])
    forward = tf.function(lambda batch: model(batch, training=False))
    repeat(lambda: forward(images).numpy(), BATCH, arguments.repetitions)


def run_decode(arguments: argparse.Namespace) -> None:
    files = sorted(map(str, Path(arguments.folder).rglob("*.jpg")))

    def one(path: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.image.resize(image, (arguments.side, arguments.side))

    def work() -> None:
        read = tf.data.Dataset.from_tensor_slices(files)
        for _ in read.map(one, num_parallel_calls=arguments.threads).batch(BATCH):
            pass

    repeat(work, len(files), arguments.repetitions)


def run_block(arguments: argparse.Namespace) -> None:
    """Training steps of the last ten layers: the rest is computed in each of them."""
    steps(compiled(arguments, unfrozen=10), arguments)


def steps(model: keras.Model, arguments: argparse.Namespace) -> None:
    images, labels = noise(arguments.side)
    repeat(lambda: model.train_on_batch(images, labels), 1, arguments.repetitions)


def run_study(arguments: argparse.Namespace) -> None:
    """How long the study would take: the steps that our runs took, at the price of one of its own."""
    images = json.loads(Path(arguments.steps).read_text())["images"]
    model = compiled(arguments)
    shown = noise(arguments.side)
    model.train_on_batch(*shown)
    for _ in range(arguments.repetitions):
        begun, used = time.perf_counter(), time.process_time()
        model.train_on_batch(*shown)
        factor = images / BATCH
        say(1, factor * (time.perf_counter() - begun), factor * (time.process_time() - used))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    work = {"pass": run_pass, "decode": run_decode, "block": run_block, "study": run_study}
    parser.add_argument("work", choices=work)
    parser.add_argument("network", nargs="?", default="resnet50")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--folder")
    parser.add_argument("--steps", help="a file that says how many images ours trained on")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)
    work[arguments.work](arguments)


if __name__ == "__main__":
    main()
