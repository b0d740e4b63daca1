"""Normalisation: one pass over x for the statistics, one that writes the result; two for the gradient.

In the order of memory, with its axes of size 1 left out, x is

    (S, R, C), statistics over R      columns: batch norm (S = 1), and instance norm of channels-last images
    (S, R), statistics over R         rows: layer norm

The kernels are in `norm_columns.py`, `norm_second.py` and `norm_rows.py`. Everything else, be it of another
layout or with other weights, is left to `reference`, and so are the second derivative of rows, and rows
with an activation.
"""

from functools import lru_cache
from math import prod

import numpy as np

from ..reference import norm as reference
from .activation import switch
from .columns import chunks_of
from .layout import CHANNELS_LAST, in_order
from .norm_columns import column_moments, column_products, write_columns, write_gradient
from .norm_rows import normalize_rows, rows_backward
from .norm_second import second_products, write_second
from .threads import parts_of

DTYPES = np.dtype(np.float32), np.dtype(np.float64)


def normalize(x, weight, bias, axes, eps, slope=None):
    """y = (x - mean) / √(var + eps) · weight + bias, with the mean and variance of x over `axes`.

    y is in the memory order of x. The variance of float32 numbers has a relative error of about 1e-6,
    whatever their mean.
    """
    plan = _plan_for(x, weight, bias, axes)
    if plan is None or not (plan.by_columns or slope is None):
        return reference.normalize(x, weight, bias, axes, eps, slope)
    flat, weight, bias = plan.flat(x), plan.vector(weight, x), plan.vector(bias, x)
    y, mean, var = np.empty_like(flat), np.empty(plan.groups, x.dtype), np.empty(plan.groups, x.dtype)
    if plan.by_columns:
        parts, sums = plan.columns(x, 2)
        column_moments(flat, sums, plan.R, parts)
        write_columns(flat, sums, plan.R, weight, bias, float(eps), *switch(slope), y, mean, var, parts)
    else:
        parts = min(plan.S, parts_of(x.size // 2))
        normalize_rows(flat, plan.R, weight, bias, float(eps), y, mean, var, parts)
    return plan.array(y), plan.statistic(mean), plan.statistic(var)


def normalize_backward(gy, x, weight, bias, mean, var, axes, eps, slope=None):
    """The gradients of `normalize` in x, weight and bias (None where that is None).

    gx is in the memory order of x.
    """
    plan = _plan_for(x, weight, bias, axes)
    if plan is None or not (plan.by_columns or slope is None):
        return reference.normalize_backward(gy, x, weight, bias, mean, var, axes, eps, slope)
    flat, flat_gy, w, b = plan.flat(x), plan.flat(gy), plan.vector(weight, x), plan.vector(bias, x)
    gx, mean, var = np.empty_like(flat), plan.vector(mean, x), plan.vector(var, x)
    if plan.by_columns:
        parts, sums = plan.columns(x, 2)
        gweight, gbias = np.empty((2, plan.weights), x.dtype)
        settings = w, b, mean, var, float(eps), *switch(slope)
        column_products(flat_gy, flat, sums, plan.R, *settings, parts)
        write_gradient(flat_gy, flat, sums, plan.R, *settings, gx, gweight, gbias, parts)
    else:
        sums = np.empty((chunks_of(plan.S, x.size, least=4), 2, plan.R), np.float64)
        parts = min(len(sums), parts_of(x.size // 2))
        rows_backward(flat_gy, flat, plan.R, w, mean, var, float(eps), gx, sums, parts)
        gweight, gbias = sums.sum(axis=0).astype(x.dtype, copy=False)
    gweight, gbias = (None if t is None else plan.like(g, t) for g, t in ((gweight, weight), (gbias, bias)))
    return plan.array(gx), gweight, gbias


def normalize_double_backward(ggx, gy, x, weight, mean, var, axes, eps):
    """The gradients of Σ ggx·gx, gx as of `normalize_backward`, in gy, x and weight (None where that is).

    The first two are in the memory order of x.
    """
    plan = _plan_for(x, weight, None, axes)
    if plan is None or not plan.by_columns:
        return reference.normalize_double_backward(ggx, gy, x, weight, mean, var, axes, eps)
    arrays = [plan.flat(a) for a in (ggx, gy, x)]
    w, mean, var = (plan.vector(a, x) for a in (weight, mean, var))
    ggy, gx, gweight = np.empty_like(arrays[2]), np.empty_like(arrays[2]), np.empty(plan.weights, x.dtype)
    parts, sums = plan.columns(x, 5)
    second_products(*arrays, sums, plan.R, mean, var, float(eps), parts)
    write_second(*arrays, sums, plan.R, w, mean, var, float(eps), ggy, gx, gweight, parts)
    return plan.array(ggy), plan.array(gx), None if weight is None else plan.like(gweight, weight)


# Which case it is.


class _Plan:
    """x of `shape` as (S, R, C) in the memory order `order` of its axes."""

    def __init__(self, shape, order, axes, by_columns, S, R, C):
        self.order, self.by_columns = order, by_columns
        self.S, self.R, self.C = S, R, C
        self.groups, self.weights = S * C, C if by_columns else R
        self.back = tuple(np.argsort(order).tolist())
        self.memory = tuple(shape[i] for i in order)
        self.kept = tuple(1 if i in axes else shape[i] for i in order)

    def flat(self, x):
        return in_order(x, self.order).reshape(-1)

    def array(self, flat):
        return flat.reshape(self.memory).transpose(self.back)

    def statistic(self, flat):
        return flat.reshape(self.kept).transpose(self.back)

    def vector(self, weight, x):
        """weight in the memory order of x; none as an array of no entries, so that types stay the same."""
        if weight is None:
            return np.empty(0, x.dtype)
        if weight.size in weight.shape:  # along one axis: no order to mind
            return np.array(weight.reshape(-1))
        weight = weight.reshape((1,) * (x.ndim - weight.ndim) + weight.shape)
        return np.array(weight.transpose(self.order), order="C").reshape(-1)

    def like(self, flat, weight):
        """The inverse of `vector`."""
        if flat.size in weight.shape:
            return flat.reshape(weight.shape)
        shape = (1,) * (len(self.order) - weight.ndim) + weight.shape
        return flat.reshape([shape[i] for i in self.order]).transpose(self.back).reshape(weight.shape)

    def columns(self, x, n):
        """The number of parts, and memory for n sums of each column of each chunk of rows."""
        chunks = -(-chunks_of(self.R, x.size) // self.S)
        parts = min(self.S * chunks, parts_of(x.size // 2))
        return parts, np.empty((self.S, chunks, n, self.C), np.float64)


def _plan_for(x, weight, bias, axes):
    if x.dtype not in DTYPES or not x.size:
        return None
    if x.flags.c_contiguous:
        order = tuple(range(x.ndim))
    elif x.ndim == 4 and x.transpose(CHANNELS_LAST).flags.c_contiguous:
        order = CHANNELS_LAST
    else:
        return None
    return _plan(x.shape, order, axes, *(None if t is None else t.shape for t in (weight, bias)))


@lru_cache(1024)
def _plan(shape, order, axes, weight, bias):
    """The `_Plan`, or None where there is none."""
    axes = {axis % len(shape) for axis in axes}
    runs = []  # of neighbours in memory that are all kept, or all reduced
    for i in order:
        if shape[i] > 1:
            if runs and runs[-1][0] == (i in axes):
                runs[-1][1].append(i)
            else:
                runs.append((i in axes, [i]))
    if runs and runs[0][0]:
        runs.insert(0, (False, []))
    if len(runs) not in (2, 3):
        return None
    S, R, C = (prod(shape[i] for i in run) for _, run in [*runs, (False, [])][:3])
    kept = runs[2][1] if len(runs) == 3 else []
    given = [w for w in (weight, bias) if w is not None]
    for by_columns, along in ((False, runs[1][1]), (True, kept)):
        if by_columns or (C == 1 and S > 1):
            expected = [n if i in along else 1 for i, n in enumerate(shape)]
            if all([1] * (len(shape) - len(w)) + list(w) == expected for w in given):
                return _Plan(shape, order, axes, by_columns, S, R, C)
    return None
