"""Softmax and its logarithm along an axis, their gradients, and cross entropy: one launch each."""

import numpy as np

from ..arrays import array_module
from ..reference import softmax as reference
from .columns import columns_of, grid
from .launch import Source
from .layout import in_order

SOFTMAX = Source("softmax.cu")
SOURCES = [SOFTMAX]


def softmax(x, axis):
    """eˣ / Σ eˣ along `axis`, without overflow.

    The result is in the memory order of x.
    """
    return _along("softmax", axis, x)


def softmax_backward(gy, y, axis):
    """y·(gy - Σ gy·y), y = `softmax` x.

    The result is in the memory order of y.
    """
    return _along("softmax_backward", axis, y, gy)


def log_softmax(x, axis):
    """x - log Σ eˣ along `axis`, without overflow.

    The result is in the memory order of x.
    """
    return _along("log_softmax", axis, x)


def log_softmax_backward(gy, y, axis):
    """gy - eʸ·Σ gy, y = `log_softmax` x.

    The result is in the memory order of y.
    """
    return _along("log_softmax_backward", axis, y, gy)


def _along(kernel, axis, x, *gy):
    if not x.size:
        return getattr(reference, kernel)(*gy, x, axis)
    columns = columns_of(x, (axis,))
    cut, result = columns.grid(), columns.new(x)
    memory = [columns.memory(a) for a in (*gy, x)]
    SOFTMAX.launch(kernel, cut.blocks, cut.threads, *memory, result, *columns.sizes, cut.wide, cut.deep)
    return result


def cross_entropy(x, labels):
    """-log softmax(x[n])[labels[n]]: logits (N, C), integers in [0, C) (N,) -> (N,).

    A label out of range gives NaN: an error would have to wait for the GPU.
    """
    N, xp = len(x), array_module(x)
    y = xp.empty(N, np.float32)
    _rows("cross_entropy", x.shape, in_order(x, (0, 1)), _labels(labels, N), y)
    return y


def cross_entropy_backward(gy, x, labels):
    """gy[n]·(softmax(x[n]) - (1 at the label)): the gradient of `cross_entropy` in x.

    A label out of range gives NaN.
    """
    (N, C), xp = x.shape, array_module(x)
    gx = xp.empty((N, C), np.float32)
    _rows(
        "cross_entropy_backward",
        x.shape,
        in_order(gy, (0,)),
        in_order(x, (0, 1)),
        _labels(labels, N),
        gx,
    )
    return gx


def _rows(kernel, shape, *arrays):
    S, R = shape
    cut = grid(S, R, 1, False)
    SOFTMAX.launch(kernel, cut.blocks, cut.threads, *arrays, np.int64(S), np.int64(R), cut.wide, cut.deep)


def _labels(labels, N):
    if labels.shape != (N,):
        raise ValueError(f"cross_entropy: {N} rows of logits, but labels of shape {labels.shape}")
    return array_module(labels).ascontiguousarray(labels, np.int64)
