"""Sums over axes, and the norms of rows."""

import numpy as np

from ..arrays import array_module
from ..reference import dense as reference_dense
from ..reference import reduce as reference
from .columns import columns_of, grid
from .launch import Source
from .layout import in_order

REDUCE = Source("reduce.cu")
SOURCES = [REDUCE]


def sums(x, axes, scale=None):
    """Σ x over `axes`, or scale·Σ x, a mean; the axes stay, with size 1.

    In one launch or two.
    """
    if not x.size:
        return reference.sums(x, axes, scale)
    columns = columns_of(x, axes)
    y = columns.new_statistic(x)
    add_up(columns.memory(x), y, columns.S, columns.R, columns.C, 1.0 if scale is None else scale)
    return y


def channel_sums(y):
    """Σ over all axes but the second, the gradient of a bias: y (N, C, ...) -> (C,)."""
    return sums(y, (0, *range(2, y.ndim))).reshape(-1)


def add_up(x, y, S, R, C, scale=1.0):
    """y (S, C) = scale · Σ x (S, R, C) over R, both contiguous."""
    plan = grid(S, R, C, True)
    if plan.chunks == 1:
        _sum_columns(x, y, S, R, C, plan, scale)
        return
    parts = array_module(x).empty((plan.chunks, S * C), np.float32)
    _sum_columns(x, parts, S, R, C, plan)
    _sum_chunks(parts, y, scale)


def _sum_chunks(parts, y, scale=1.0):
    chunks, columns = parts.shape
    _sum_columns(parts, y, 1, chunks, columns, grid(1, chunks, columns, False), scale)


def _sum_columns(x, y, S, R, C, plan, scale=1.0):
    sizes = np.int64(S), np.int64(R), np.int64(C)
    REDUCE.launch("sum_columns", plan.blocks, plan.threads, x, y, *sizes, *plan.cut, np.float32(scale))


def bias_leaky_relu_backward(gy, y, slope):
    """g = `leaky_relu_backward`(gy, y), and its `channel_sums`: the gradients of y = leaky_relu(x + b),
    of shape (N, C, ...), in x and in b.

    In one launch or two; the gradient is in the memory order of y.
    """
    if not y.size:
        return reference_dense.bias_leaky_relu_backward(gy, y, slope)
    columns = columns_of(y, (0, *range(2, y.ndim)))
    g, sums, plan = columns.new(y), columns.new_statistic(y), columns.grid(chunked=True)
    parts = sums
    if plan.chunks > 1:
        parts = array_module(y).empty((plan.chunks, columns.S * columns.C), np.float32)
    arrays = columns.memory(gy), columns.memory(y), g, parts
    REDUCE.launch(
        "bias_leaky_relu_backward",
        plan.blocks,
        plan.threads,
        *(*arrays, *columns.sizes, *plan.cut, np.float32(slope)),
    )
    if plan.chunks > 1:
        _sum_chunks(parts, sums)
    return g, sums.reshape(-1)


def row_norms(x, eps):
    """√(Σ x[n]² + eps) of each entry x[n] of the first axis: x (N, ...) -> (N,)."""
    if not x.size:
        return reference.row_norms(x, eps)
    rows = _rows(x)
    y, plan = array_module(x).empty(len(x), np.float32), grid(rows.S, rows.R, 1, False)
    sizes = rows.sizes[:2]
    REDUCE.launch(
        "row_norms",
        plan.blocks,
        plan.threads,
        rows.memory(x),
        y,
        *sizes,
        plan.wide,
        plan.deep,
        np.float32(eps),
    )
    return y


def row_norms_backward(gy, x, y):
    """gy[n] / y[n] · x[n]: the gradient of y = `row_norms` in x.

    The result is in the memory order of x.
    """
    if not x.size:
        return reference.row_norms_backward(gy, x, y)
    rows = _rows(x)
    gx, plan = rows.new(x), grid(rows.S, rows.R, 1, True)
    gy, y = in_order(gy, (0,)), in_order(y, (0,))
    REDUCE.launch(
        "row_norms_backward", plan.blocks, plan.threads, gy, rows.memory(x), y, gx, *rows.sizes[:2], *plan.cut
    )
    return gx


def _rows(x):
    return columns_of(x, range(1, x.ndim), lambda columns: columns.C == 1)
