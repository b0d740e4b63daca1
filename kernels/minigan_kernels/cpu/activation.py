"""Activations in one pass over memory, where NumPy makes one for each operation.

A pass runs over flat memory, so the arrays must be dense and in one order: rows first, or channels-last.
Others are left to `reference`, and so are small ones, where a call costs more than the passes.
"""

import numpy as np

from ..reference import activation as reference
from .compiling import helper
from .threads import parallel, parts_of

DTYPES = np.dtype(np.float32), np.dtype(np.float64)
SMALL = 4096  # entries, below which NumPy is faster
LIGHT = 4  # entries of such a pass are as much work as one that `parts_of` has in mind


def leaky_relu(x, slope):
    """x where it is positive, else slope·x; for a slope of 0 exactly 0 there, whatever x.

    The result is in the memory order of x.
    """
    if x.size < SMALL or (flat := _flat(x, y := np.empty_like(x))) is None:
        return reference.leaky_relu(x, slope)
    _leaky_relu(*flat, float(slope), parts_of(x.size // LIGHT))
    return y


def leaky_relu_backward(gy, y, slope):
    """gy where the value y of `leaky_relu` is positive, else slope·gy.

    The result is in the memory order of gy.
    """
    if gy.size < SMALL or (flat := _flat(gy, y, gx := np.empty_like(gy))) is None:
        return reference.leaky_relu_backward(gy, y, slope)
    _leaky_relu_backward(*flat, float(slope), parts_of(gy.size // LIGHT))
    return gx


def tanh_backward(gy, y):
    """gy·(1 - y²), y = tanh x.

    The result is in the memory order of gy.
    """
    if gy.size < SMALL or (flat := _flat(gy, y, gx := np.empty_like(gy))) is None:
        return reference.tanh_backward(gy, y)
    _tanh_backward(*flat, parts_of(gy.size // LIGHT))
    return gx


def switch(slope):
    """The slope of an activation that may follow, as two numbers whose types stay the same: the slope, and
    whether there is one."""
    return (0.0, False) if slope is None else (float(slope), True)


@helper
def leak(x, slope):
    """`leaky_relu` in place, of a slope of the dtype of x."""
    for k in range(len(x)):
        low = slope * x[k] if slope else slope  # 0 · ∞ would be NaN
        x[k] = low if x[k] <= 0 else x[k]


@helper
def leak_backward(gy, y, slope, gx):
    """gx = `leaky_relu_backward` of gy and y, of a slope of their dtype."""
    one = y.dtype.type(1)
    for k in range(len(y)):
        gx[k] = gy[k] * (one if y[k] > 0 else slope)


def _flat(*arrays):
    """The arrays as one dimension each, entry by entry the same ones; None where that takes a copy."""
    first = arrays[0]
    if not first.flags.c_contiguous and first.ndim == 4:
        arrays = [a.transpose(0, 2, 3, 1) for a in arrays if a.ndim == 4]
    for a in arrays:
        if not a.flags.carray or a.size != first.size or a.dtype != first.dtype:
            return None
    return [a.reshape(-1) for a in arrays] if first.dtype in DTYPES else None


@parallel
def _leaky_relu(x, y, slope, part, parts):
    slope = x.dtype.type(slope)
    first, last = part * len(x) // parts, (part + 1) * len(x) // parts
    x_, y_ = x[first:last], y[first:last]
    for k in range(len(x_)):
        low = slope * x_[k] if slope else slope  # 0 · ∞ would be NaN
        y_[k] = low if x_[k] <= 0 else x_[k]


@parallel
def _leaky_relu_backward(gy, y, gx, slope, part, parts):
    slope = y.dtype.type(slope)
    first, last = part * len(y) // parts, (part + 1) * len(y) // parts
    leak_backward(gy[first:last], y[first:last], slope, gx[first:last])


@parallel
def _tanh_backward(gy, y, gx, part, parts):
    one = y.dtype.type(1)
    first, last = part * len(y) // parts, (part + 1) * len(y) // parts
    g_, y_, gx_ = gy[first:last], y[first:last], gx[first:last]
    for k in range(len(y_)):
        gx_[k] = g_[k] * (one - y_[k] * y_[k])
