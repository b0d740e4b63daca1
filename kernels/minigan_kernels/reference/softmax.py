"""Softmax, its logarithm, and cross entropy; gradients as functions of the values where that is shorter."""

import numpy as np

from ..arrays import array_module, total


def softmax(x, axis):
    """eˣ / Σ eˣ along `axis`, without overflow."""
    e = np.exp(x - x.max(axis=axis, keepdims=True))  # no exponent is positive
    return e / total(e, (axis,), keepdims=True)


def softmax_backward(gy, y, axis):
    """y·(gy - Σ gy·y), y = `softmax` x."""
    return y * (gy - total(gy * y, (axis,), keepdims=True))


def log_softmax(x, axis):
    """x - log Σ eˣ along `axis`, without overflow."""
    x = x - x.max(axis=axis, keepdims=True)
    return x - np.log(total(np.exp(x), (axis,), keepdims=True))


def log_softmax_backward(gy, y, axis):
    """gy - eʸ·Σ gy, y = `log_softmax` x."""
    return gy - np.exp(y) * total(gy, (axis,), keepdims=True)


def cross_entropy(x, labels):
    """-log softmax(x[n])[labels[n]]: logits (N, C), integers in [0, C) (N,) -> (N,)."""
    return -log_softmax(x, 1)[array_module(x).arange(len(x)), labels]


def cross_entropy_backward(gy, x, labels):
    """gy[n]·(softmax(x[n]) - (1 at the label)): the gradient of `cross_entropy` in x."""
    gx = softmax(x, 1)
    gx[array_module(x).arange(len(x)), labels] -= 1
    return gx * gy[:, None]
