"""Normalisation, its gradient, and the gradient of that, for batch, layer and instance norm: see `columns.py`
for the cases.

One launch each where a block sees whole columns, else two; the gradient of weights takes one more for
instance norm, and one or two for layer norm. Weights that vary along some of the axes that are reduced but
not along all of them, or along two sets of axes for weight and bias, are left to `reference`.
"""

from functools import lru_cache
from math import prod

import numpy as np

from ..arrays import array_module
from ..reference import norm as reference
from .activation import leaky_relu_backward
from .columns import columns_of, grid
from .grids import THREADS, blocks_for
from .launch import Source
from .layout import in_order, inverse, order_of
from .reduce import add_up

NORM = Source("norm.cu")
SOURCES = [NORM]


def normalize(x, weight, bias, axes, eps, slope=None):
    """y = (x - mean) / √(var + eps) · weight + bias, with the mean and variance of x over `axes`.

    y is in the memory order of x.
    """
    columns, weights = _plan(x, weight, bias, axes)
    if columns is None:
        return reference.normalize(x, weight, bias, axes, eps, slope)
    cut, memory = columns.grid(chunked=True), columns.memory(x)
    y, mean, var = columns.new(x), columns.new_statistic(x), columns.new_statistic(x)
    partial = None
    if cut.chunks > 1:
        partial = array_module(x).empty((cut.chunks, columns.S, columns.C, 2), np.float32)
        NORM.launch("column_moments", cut.blocks, cut.threads, memory, partial, *columns.sizes, *cut.cut)
    given = weights.memory(weight), weights.memory(bias), weights.period
    NORM.launch(
        "normalize",
        cut.blocks,
        cut.threads,
        *(memory, *given, partial, y, mean, var, *columns.sizes, *cut.cut, np.float32(eps)),
        np.float32(1 if slope is None else slope),
    )
    return y, mean, var


def normalize_backward(gy, x, weight, bias, mean, var, axes, eps, slope=None):
    """The gradients of `normalize` in x, weight and bias (None where that is None).

    gx is in the memory order of x.
    """
    columns, weights = _plan(x, weight, bias, axes)
    if columns is None:
        return reference.normalize_backward(gy, x, weight, bias, mean, var, axes, eps, slope)
    if slope is not None and not weights.period:
        gy, slope = leaky_relu_backward(gy, normalize(x, weight, bias, axes, eps)[0], slope), None
    xp, cut = array_module(x), columns.grid(chunked=True)
    gx, eps, slope = columns.new(x), np.float32(eps), np.float32(1 if slope is None else slope)
    gy, x, mean, var = _memory("normalize_backward", columns, gy, x, mean, var)
    given = gy, x, weights.memory(weight), weights.memory(bias), weights.period, mean, var
    partial = sums = None
    if cut.chunks > 1:
        partial = xp.empty((cut.chunks, columns.S, columns.C, 2), np.float32)
        NORM.launch(
            "column_products", cut.blocks, cut.threads, *given, partial, *columns.sizes, *cut.cut, eps, slope
        )
    if weights.wanted and weights.period:
        sums = xp.empty((columns.S // int(weights.period), 2, weights.n), np.float32)
    NORM.launch(
        "normalize_backward",
        cut.blocks,
        cut.threads,
        *(*given, partial, gx, sums, *columns.sizes, *cut.cut, eps, slope),
    )
    if not weights.wanted:
        return gx, None, None
    if sums is None:
        sums = _row_weight_sums("row_weight_products", (2,), (gy, x, mean, var), columns, eps)
    found = zip(_total(sums), (weight, bias), strict=True)
    return gx, *(None if w is None else weights.like(g, w) for g, w in found)


def normalize_double_backward(ggx, gy, x, weight, mean, var, axes, eps):
    """The gradients of Σ ggx·gx, gx as of `normalize_backward`, in gy, x and weight (None where that is).

    The first two are in the memory order of x.
    """
    columns, weights = _plan(x, weight, None, axes)
    if columns is None:
        return reference.normalize_double_backward(ggx, gy, x, weight, mean, var, axes, eps)
    xp, cut = array_module(x), columns.grid(chunked=True)
    ggy, gx, eps = columns.new(x), columns.new(x), np.float32(eps)
    ggx, gy, x, mean, var = _memory("normalize_double_backward", columns, ggx, gy, x, mean, var)
    given = ggx, gy, x, weights.memory(weight), weights.period, mean, var
    partial = gweight = u_means = None
    if cut.chunks > 1:
        partial = xp.empty((cut.chunks, columns.S, columns.C, 5), np.float32)
        NORM.launch("column_fives", cut.blocks, cut.threads, *given, partial, *columns.sizes, *cut.cut, eps)
    if weights.wanted and weights.period:
        gweight = xp.empty((columns.S // int(weights.period), weights.n), np.float32)
    elif weights.wanted:
        u_means = xp.empty((columns.S, 2), np.float32)
    NORM.launch(
        "normalize_double_backward",
        cut.blocks,
        cut.threads,
        *(*given, partial, ggy, gx, gweight, u_means, *columns.sizes, *cut.cut, eps),
    )
    if not weights.wanted:
        return ggy, gx, None
    if gweight is None:
        gweight = _row_weight_sums("row_weight_seconds", (), (ggx, gy, x, mean, var, u_means), columns, eps)
    return ggy, gx, weights.like(_total(gweight), weight)


def move_statistics(running_mean, running_var, mean, var, momentum, correction):
    """Move running statistics (C,) by `momentum` towards those of `normalize`, in place; the variance is
    multiplied by `correction`.

    In one launch. ValueError unless what is changed is contiguous.
    """
    n = running_mean.size
    for a in (running_mean, running_var):
        if a.dtype != np.float32 or a.size != n or not a.flags.c_contiguous:
            raise ValueError("move_statistics: the statistics must be contiguous, float32 and of one size")
    mean, var = (a.astype(np.float32, copy=False) for a in (mean, var))
    mean, var = (in_order(a, order_of(a)).reshape(n) for a in (mean, var))
    numbers = (np.float32(v) for v in (1 - momentum, momentum, correction))
    blocks = blocks_for(n)
    NORM.launch(
        "move_statistics", blocks, THREADS, running_mean, running_var, mean, var, np.int64(n), *numbers
    )


def _row_weight_sums(kernel, each, given, columns, eps):
    """What a kernel sums over a chunk of s, (chunks, *each, R): gradients of weights of the rows."""
    S, R, cut = columns.S, columns.R, grid(1, columns.S, columns.R, True)
    sums = array_module(given[0]).empty((cut.chunks, *each, R), np.float32)
    NORM.launch(kernel, cut.blocks, cut.threads, *given, sums, np.int64(S), np.int64(R), *cut.cut, eps)
    return sums


def _total(parts):
    """The sum over the first axis of a contiguous array."""
    if len(parts) == 1:
        return parts[0]
    total = array_module(parts).empty(parts.shape[1:], np.float32)
    add_up(parts, total, 1, len(parts), total.size)
    return total


def _memory(name, columns, *arrays):
    """Arrays of the shape of x, and its mean and var at the end, in the order of memory. ValueError for
    other shapes."""
    for i, a in enumerate(arrays):
        expected = columns.kept if i >= len(arrays) - 2 else columns.shape
        if a.shape != expected:
            raise ValueError(f"{name}: an array of shape {a.shape} where {expected} is expected")
    return [columns.memory(a) for a in arrays]


class _Weights:
    """How weights of `shape` belong to the entries of (S, R, C).

    period: entry (s, r, c) has weight (s % period) · C + c, or for a period of 0 weight r.
    n: how many there are. wanted: whether there are any.
    """

    def __init__(self, columns, shape, period, n):
        self.order, self.wanted = columns.order, shape is not None
        self.period, self.n = np.int64(period), n

    def memory(self, weight):
        """The weights in the order of memory, None for none."""
        return None if weight is None else in_order(weight.reshape(self._padded(weight.shape)), self.order)

    def like(self, flat, weight):
        """The inverse of `memory`: of the shape of `weight`."""
        shape = self._padded(weight.shape)
        memory = flat.reshape(tuple(shape[i] for i in self.order))
        return memory.transpose(inverse(self.order)).reshape(weight.shape)

    def _padded(self, shape):
        return (1,) * (len(self.order) - len(shape)) + shape


def _plan(x, weight, bias, axes):
    """The `Columns` and the `_Weights`, or None and None where `reference` has to do it."""
    shapes = {w.shape for w in (weight, bias) if w is not None}
    if len(shapes) > 1 or not x.size or any(w is not None and w.dtype != x.dtype for w in (weight, bias)):
        return None, None
    shape = shapes.pop() if shapes else None
    columns = columns_of(x, axes, lambda columns: _weights(columns, shape) is not None)
    return (None, None) if columns is None else (columns, _weights(columns, shape))


@lru_cache(1024)
def _weights(columns, shape):
    """The `_Weights`, None where they are along other axes."""
    if shape is None:
        return _Weights(columns, None, 1, columns.C)
    padded = (1,) * (len(columns.shape) - len(shape)) + shape
    along = {axis for axis, n in enumerate(padded) if n > 1}
    if any(padded[axis] != columns.shape[axis] for axis in along):
        return None
    S, R, C = columns.runs
    if R and along == set(R) and not C:
        return _Weights(columns, shape, 0, columns.R)
    outer = S[len(S) - len(along) + len(C) :] if len(along) >= len(C) else []
    if along != {*outer, *C}:
        return None
    period = prod(columns.shape[axis] for axis in outer)
    return _Weights(columns, shape, period, period * columns.C)
