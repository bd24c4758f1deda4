"""The closed-form rule that fills networks and images, the same in Python and in Rust.

Element `i` (in the tensor's own memory order) of the tensor called `name` is

    u = mix(fnv1a(name) + i * 0x9E3779B1) / 2**31 - 1          in [-1, 1)

scaled by what the tensor is: `u * sqrt(6 / fan_in)` for kernels (He uniform: activations keep their
size), `1 + u / 10` for scales, `1 + u / 5` for variances, `u / 10` for everything else. All integer
arithmetic is modulo 2**32, so the rule has one answer in every language.
"""

import numpy as np


def mix(x):
    """The finaliser of MurmurHash3 (public domain, Austin Appleby), on uint32 arrays."""
    x = x.astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> np.uint32(13)
    x *= np.uint32(0xC2B2AE35)
    x ^= x >> np.uint32(16)
    return x


def fnv1a(text):
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def uniform(name, count):
    index = np.arange(count, dtype=np.uint64)
    x = (index * 0x9E3779B1 + fnv1a(name)) & 0xFFFFFFFF
    return (mix(x).astype(np.float64) / 2**31 - 1).astype(np.float32)


def fill(name, shape, kind, fan_in=None):
    u = uniform(name, int(np.prod(shape))).reshape(shape)
    if kind == "kernel":
        return (u * np.float32(np.sqrt(6 / fan_in))).astype(np.float32)
    if kind == "scale":
        return (1 + u / np.float32(10)).astype(np.float32)
    if kind == "variance":
        return (1 + u / np.float32(5)).astype(np.float32)
    return (u / np.float32(10)).astype(np.float32)


def images(count, side):
    """NHWC float32 in [-1, 1]: what a network sees after preprocessing."""
    n, y, x, c = np.meshgrid(np.arange(count), np.arange(side), np.arange(side), np.arange(3), indexing="ij")
    return (((7 * x + 13 * y + 29 * c + 101 * n + (x * y) // 5) % 256) / 127.5 - 1).astype(np.float32)


def summary(values):
    """Eight elements spread over the tensor, and its Euclidean norm."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    at = [(k * (flat.size - 1)) // 7 for k in range(8)]
    return {"at": [float(flat[i]) for i in at], "norm": float(np.linalg.norm(flat)), "size": int(flat.size)}
