"""What the kernels need to know about arrays, whichever module made them; and long sums of them.

A sum of n numbers, added one after the other, is off by up to n/2 roundings: of 20 million float32 ones it
is 16,777,216. NumPy adds pairwise along the axis that is quickest in memory, and one after the other along
all others; so long sums are made here, and nowhere by `sum` or `add.at` alone.
"""

import functools
import math
import sys

import numpy as np

FEW = 64  # numbers that are added one after the other in their own dtype: at most 1e-6 of their sum is lost
BLOCK = 32  # of many: the sums of so many are added in float64
LANES = 512  # threads among which CuPy shares a sum
MANY = 8192  # float64 numbers added one after the other in `scatter`: about 1e-13 is lost
DOUBLE = np.dtype(np.float64)


def array_module(array):
    """numpy or cupy: the module that `array` belongs to. Never imports cupy by itself."""
    if isinstance(array, np.ndarray):
        return np
    cupy = sys.modules.get("cupy")
    if cupy is not None and isinstance(array, cupy.ndarray):
        return cupy
    raise TypeError(f"expected a NumPy or CuPy array, got {type(array).__name__}")


def total(x, axes=None, keepdims=False):
    """Σ x over `axes`, or over all: as `x.sum`, but with a relative error of at most 1e-6 for float32 and
    1e-12 for float64, however many numbers there are and however they lie in memory."""
    if x.size <= FEW or (type(x) is np.ndarray and x.flags.forc and (axes is None or len(axes) == x.ndim)):
        return x.sum(axis=None if axes is None else tuple(axes), keepdims=keepdims)  # the usual case, quickly
    axes = tuple(range(x.ndim) if axes is None else axes)
    fits = x.dtype.kind == "f" and x.dtype.itemsize <= DOUBLE.itemsize
    plan = _plan(x.shape, x.strides, axes, isinstance(x, np.ndarray)) if fits else None
    if plan is None:
        return x.sum(axis=axes, keepdims=keepdims)
    order, merged, pairwise, reduced = plan
    y = x.transpose(order).reshape(merged)
    y = y.sum(axis=-1) if pairwise else y
    for axis in reduced:  # the longest first; the others then are those of a small array
        y = _add_along(y, axis)
    kept = [axis for axis in order if axis not in {axis % x.ndim for axis in axes}]
    y = y.astype(x.dtype, copy=False).reshape([x.shape[axis] for axis in kept]).transpose(np.argsort(kept))
    return (y.reshape([n if axis in kept else 1 for axis, n in enumerate(x.shape)]) if keepdims else y)[()]


def average(x, axes, keepdims=False):
    """The mean over `axes`, with the error of `total`."""
    return total(x, axes, keepdims) / math.prod(x.shape[axis] for axis in axes)


@functools.lru_cache(1024)
def _plan(shape, strides, axes, by_numpy):
    """How to add up an array: None where one `sum` is right, else

    (its axes in the order of memory, the sizes of those that are not 1, with neighbours that are one run of
    memory put together, whether NumPy adds pairwise along the last, and the others that are reduced).
    """
    axes = {axis % len(shape) for axis in axes}
    order = sorted(range(len(shape)), key=lambda axis: -abs(strides[axis]))
    runs = []  # [size, stride, whether it is reduced]
    for axis in order:
        size, stride = shape[axis], strides[axis]
        if size == 0:
            return None
        if size == 1:
            continue
        if runs and runs[-1][1:] == [size * stride, axis in axes]:
            runs[-1] = [runs[-1][0] * size, stride, axis in axes]
        else:
            runs.append([size, stride, axis in axes])
    last = runs[-1] if runs else [1, 0, False]
    pairwise = (
        by_numpy and last[2] and last[1] != 0 and [abs(run[1]) for run in runs].count(abs(last[1])) == 1
    )
    rest = runs[:-1] if pairwise else runs
    terms = math.prod(run[0] for run in rest if run[2])
    if terms <= (FEW if by_numpy else FEW * LANES):
        return None
    reduced = sorted((i for i, run in enumerate(rest) if run[2]), key=lambda i: -rest[i][0])
    reduced = [axis - sum(before < axis for before in reduced[:i]) for i, axis in enumerate(reduced)]
    return tuple(order), tuple(run[0] for run in runs), pairwise, tuple(reduced)


def _add_along(y, axis):
    """Σ y along an axis, in float64 but for the first numbers that are added."""
    while (n := y.shape[axis]) > FEW:
        before, after, blocks = y.shape[:axis], y.shape[axis + 1 :], n // BLOCK
        ahead = (slice(None),) * axis
        whole, rest = y[*ahead, : blocks * BLOCK], y[*ahead, blocks * BLOCK :]
        sums = whole.reshape(*before, blocks, BLOCK, *after).sum(axis=axis + 1)
        if n % BLOCK:
            tail = rest.sum(axis=axis, keepdims=True)
            sums = array_module(y).concatenate([sums, tail], axis=axis)
        y = sums.astype(DOUBLE, copy=False)
    return y.sum(axis=axis).astype(DOUBLE, copy=False)


def scatter(values, index, n):
    """(n, D), whose row v is Σ values[i] over the i with index[i] = v: values (m, D), index (m,).

    Equal ones add up by runs of them, those in float64. IndexError from NumPy for an index of no row.
    """
    xp, m = array_module(values), len(index)
    table = xp.zeros((n, *values.shape[1:]), values.dtype if m <= FEW else DOUBLE)
    run = max(MANY, n)
    if m <= run:
        xp.add.at(table, index, values.astype(table.dtype, copy=False))
    else:
        for i in range(0, m, run):
            table += scatter(values[i : i + run].astype(DOUBLE, copy=False), index[i : i + run], n)
    return table.astype(values.dtype, copy=False)


def in_runs(matmul, a, b, run=1 << 15):
    """matmul(a, b) for a sum over many terms: by runs of them."""
    K = a.shape[-1]
    if run >= K:
        return matmul(a, b)
    runs = [slice(k, k + run) for k in range(0, K, run)]
    return total(np.stack([matmul(a[..., run], b[..., run, :]) for run in runs]), (0,))


def wide(dtype, terms):
    """The dtype in which to add up so many terms one after the other: float64 for more than a few."""
    return dtype if terms <= FEW else DOUBLE


def sum_to(array, shape):
    """Sum `array` down to `shape`, over the axes along which `shape` broadcasts to it."""
    if array.shape == shape:
        return array
    return total(array, stretched_axes(array.shape, shape), keepdims=True).reshape(shape)


def stretched_axes(to, shape):
    """The axes of an array of shape `to` along which one of `shape` broadcasts to it."""
    lead = len(to) - len(shape)
    return (*range(lead), *(i + lead for i, n in enumerate(shape) if n == 1 and to[i + lead] != 1))
