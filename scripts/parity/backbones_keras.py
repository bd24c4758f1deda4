"""What Keras's ResNet50 and InceptionResNetV2 compute from closed-form weights, and their layers.

    pip install keras tensorflow-cpu numpy
    python scripts/parity/backbones_keras.py > crates/train/tests/parity/backbones_keras.json

In training also the moving statistics of some normalisations after one step of gradient descent
(`LEARNING_RATE`) on the first batch, and after five on five. All in 64-bit numbers: rounding is amplified
on its way back through a network.

A tensor is called `<layer>/<variable>` (`conv1_conv/kernel`) and filled in Keras's own memory order.
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from closed_form import fill, images, summary

BATCH, STEPS, LEARNING_RATE = 2, 5, 1e-4

keras.config.set_floatx("float64")


def fill_network(model):
    for layer in model.layers:
        for variable in layer.variables:
            name, shape = f"{layer.name}/{variable.name}", tuple(variable.shape)
            if variable.name == "kernel":
                kind, fan_in = "kernel", int(np.prod(shape[:-1]))
            elif variable.name == "gamma":
                kind, fan_in = "scale", None
            elif variable.name == "moving_variance":
                kind, fan_in = "variance", None
            else:
                kind, fan_in = "other", None
            variable.assign(fill(name, shape, kind, fan_in))


def measure(build, side, pool_layer, gradient_of):
    result = {"side": side}
    keras.backend.clear_session()
    top = build(weights=None, classifier_activation=None, input_shape=(side, side, 3))
    batches = tf.split(tf.constant(images(BATCH * STEPS, side), tf.float64), STEPS)
    split = keras.Model(top.input, [top.get_layer(pool_layer).output, top.output])
    for mode in ["inference", "training"]:
        fill_network(top)
        variables = {f"{l.name}/{v.name}": v for l in top.layers for v in l.variables}
        with tf.GradientTape() as tape:
            pooled, logits = split(batches[0], training=mode == "training")
            loss = tf.reduce_mean(pooled**2)
        gradients = tape.gradient(loss, [variables[name].value for name in gradient_of])
        result[mode] = {
            "pooled": summary(pooled.numpy()),
            "logits": summary(logits.numpy()),
            "gradients": {n: summary(g.numpy()) for n, g in zip(gradient_of, gradients)},
        }
    fill_network(top)
    result["training"]["running"] = running(top, split, batches)
    keras.backend.clear_session()
    notop = build(weights=None, include_top=False, input_shape=(side, side, 3))
    result["layers"] = [
        [layer.name, type(layer).__name__, int(sum(np.prod(v.shape) for v in layer.variables))] for layer in notop.layers
    ]
    result["parameters"] = int(notop.count_params())
    return result


def running(top, split, batches):
    """Moving statistics by number of steps, of the first normalisation and the last two."""
    norms = [layer for layer in top.layers if isinstance(layer, keras.layers.BatchNormalization)]
    watched = {f"{n.name}/{v.name}": v for n in [norms[0], *norms[-2:]] for v in n.non_trainable_variables}
    after = {}
    for step, batch in enumerate(batches, 1):
        with tf.GradientTape() as tape:
            pooled, _ = split(batch, training=True)
            loss = tf.reduce_mean(pooled**2)
        for variable, gradient in zip(top.trainable_variables, tape.gradient(loss, [v.value for v in top.trainable_variables])):
            if gradient is not None:
                variable.assign_sub(LEARNING_RATE * gradient)
        if step in (1, STEPS):
            after[step] = {name: summary(variable.numpy()) for name, variable in watched.items()}
    return after


def main():
    networks = {
        "resnet50": measure(
            keras.applications.ResNet50, 96, "avg_pool",
            ["conv5_block3_3_conv/kernel", "conv5_block3_3_bn/gamma", "conv5_block3_3_bn/beta", "conv5_block3_2_conv/kernel"],
        ),
        "inception_resnet_v2": measure(
            keras.applications.InceptionResNetV2, 139, "avg_pool",
            ["conv_7b/kernel", "conv_7b_bn/beta", "block8_10_conv/kernel"],
        ),
    }
    json.dump({"keras": keras.__version__, "networks": networks}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
