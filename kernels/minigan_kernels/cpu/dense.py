"""Biases: added to every pixel of channels-last images or to every row of a table, and their gradient."""

import numpy as np

from ..reference import dense as reference
from .activation import leak, leak_backward, switch
from .columns import BLOCK, add_rows, chunk_of, chunks_of, clear, fold, repeat, strip_of
from .compiling import helper
from .threads import parallel, parts_of

DTYPES = np.dtype(np.float32), np.dtype(np.float64)
SMALL = 4096  # entries, below which NumPy is faster
LIGHT = 4  # entries of such a pass are as much work as one that `parts_of` has in mind


def add_bias(y, b, slope=None):
    """y[n, c, ...] += b[c], in place: y (N, C, ...), b (C,). slope: that of a `leaky_relu` after it.

    Here y is (N, C) or (N, C, H, W); the rest is left to `reference`.
    """
    flat = _flat(y)
    if flat is None or not flat.flags.writeable or b.dtype != y.dtype:
        reference.add_bias(y, b, slope)
    else:
        _add_bias(flat, np.array(b), *switch(slope), parts_of(y.size // LIGHT))


def channel_sums(y):
    """Σ over all axes but the second, the gradient of a bias: y (N, C, ...) -> (C,).

    Here y is (N, C) or (N, C, H, W); the rest is left to `reference`. Sums over blocks of rows are added
    in float64.
    """
    flat = _flat(y)
    if flat is None:
        return reference.channel_sums(y)
    sums, parts = _room(y)
    _leak_and_sum(flat, flat, *switch(None), np.empty(0, y.dtype), sums, parts)
    return sums.sum(axis=0).astype(y.dtype)


def bias_leaky_relu_backward(gy, y, slope):
    """g = `leaky_relu_backward`(gy, y), and its `channel_sums`: the gradients of y = leaky_relu(x + b),
    of shape (N, C, ...), in x and in b.

    The gradient is in the memory order of gy.
    """
    flat, flat_y = _flat(gy), _flat(y)
    if flat is None or flat_y is None:
        return reference.bias_leaky_relu_backward(gy, y, slope)
    g, (sums, parts) = np.empty_like(gy), _room(y)
    _leak_and_sum(flat, flat_y, *switch(slope), _flat(g), sums, parts)
    return g, sums.sum(axis=0).astype(y.dtype)


def _room(y):
    """Memory for the sums of each chunk of rows of y, and the number of parts."""
    C = y.shape[1]
    sums = np.empty((chunks_of(y.size // C, y.size), C))
    return sums, min(len(sums), parts_of(y.size // LIGHT))


def _flat(y):
    """y in the order of memory if its channels come last there; else None, and for small y."""
    rows = y.transpose(0, 2, 3, 1) if y.ndim == 4 else y
    if y.size < SMALL or y.ndim not in (2, 4) or not rows.flags.carray or y.dtype not in DTYPES:
        return None
    return rows.reshape(-1)


@parallel
def _add_bias(y, b, slope, activate, part, parts):
    slope = y.dtype.type(slope)
    C = len(b)
    W, rows = strip_of(C), len(y) // C
    strips = np.empty((1, W), y.dtype)
    strip = strips[0]
    for c in range(C):
        strip[c] = b[c]
    repeat(strips, C)
    end = (part + 1) * rows // parts * C
    for at in range(part * rows // parts * C, end, W):
        row = y[at : min(end, at + W)]
        for c in range(len(row)):
            row[c] += strip[c]
        if activate:
            leak(row, slope)


@helper
def _add_block(x, total, found):
    """found[c] += Σ of column c of some rows; `total` is room for a strip."""
    clear(total)
    add_rows(x, total)
    column = fold(total, len(found))
    for c in range(len(found)):
        found[c] += column[c]


@parallel
def _leak_and_sum(gy, y, slope, activate, g, sums, part, parts):
    """sums[chunk] = the sum of each column of gy; with `activate` of g instead, the gradient before the
    activation, which is written here."""
    slope = y.dtype.type(slope)
    C = sums.shape[1]
    W, rows, chunks = strip_of(C), len(gy) // C, len(sums)
    step = max(1, BLOCK // W) * W
    total = np.empty(W, y.dtype)
    for chunk in range(part * chunks // parts, (part + 1) * chunks // parts):
        found = sums[chunk]
        clear(found)
        start, end = chunk_of(chunk, chunks, rows, C)
        for at in range(start, end, step):
            last = min(end, at + step)
            if activate:
                leak_backward(gy[at:last], y[at:last], slope, g[at:last])
                _add_block(g[at:last], total, found)
            else:
                _add_block(gy[at:last], total, found)
