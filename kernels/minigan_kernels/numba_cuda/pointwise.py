"""Kernels in which each entry of the result needs a few entries of the arguments, and no other thread.

All are bound by memory: 4 bytes for each entry read or written, and one or two operations. A thread
takes an entry, then the one a whole grid further on, until there are none: so the grid may have any
size, and at each moment neighbouring threads read neighbouring entries.
"""

import numpy as np
from numba import cuda

from ..arrays import array_module
from ..reference import dense as reference
from .launch import THREADS, blocks_for, launch
from .places import channels_last, place


@cuda.jit
def leaky_relu_entries(x, slope, y):
    """y = x where it is positive, else slope·x: 8 bytes an entry."""
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        low = slope * x[i] if slope else slope  # 0 · ∞ would be NaN
        y[i] = low if x[i] <= 0 else x[i]  # a NaN is not ≤ 0, and goes through


@cuda.jit
def leaky_relu_backward_entries(gy, y, slope, gx):
    """gx = gy where the value y is positive, else slope·gy: 12 bytes an entry.

    The threads of a warp run in step. Where they differ on a condition both ways are taken one after the
    other, so here all multiply, and choose only by what.
    """
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        gx[i] = gy[i] * (np.float32(1) if y[i] > 0 else slope)


@cuda.jit
def add_bias_entries(y, b, slope):
    """y[n, h, w, c] += b[c], in place, and then LeakyReLU, which is none for a slope of 1: 8 bytes an entry,
    as the few of b stay in the caches."""
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        n, h, w, c = place(i, y.shape)
        v = y[n, h, w, c] + b[c]
        low = slope * v if slope else slope
        y[n, h, w, c] = low if v <= 0 else v


def leaky_relu(x, slope):
    """x where it is positive, else slope·x; for a slope of 0 exactly 0 there, whatever x.

    Images come out channels-last.
    """
    (x,), y, back = _flat(x)
    launch(leaky_relu_entries, blocks_for(x.size), (THREADS,), x, np.float32(slope), y)
    return back(y)


def leaky_relu_backward(gy, y, slope):
    """gy where the value y of `leaky_relu` is positive, else slope·gy.

    Images come out channels-last.
    """
    (gy, y), gx, back = _flat(gy, y)
    launch(leaky_relu_backward_entries, blocks_for(y.size), (THREADS,), gy, y, np.float32(slope), gx)
    return back(gx)


def add_bias(y, b, slope=None):
    """y[n, c, ...] += b[c], in place: y (N, C, ...), b (C,). slope: that of a `leaky_relu` after it.

    Here y has up to four axes; more are left to `reference`.
    """
    if y.ndim > 4:
        reference.add_bias(y, b, slope)
    else:
        slope = np.float32(1 if slope is None else slope)
        launch(add_bias_entries, blocks_for(y.size), (THREADS,), channels_last(y), b, slope)


def _flat(*arrays):
    """The arrays as rows of entries in one order, memory for the result, and the way back from it.

    Images that are channels-last, and other arrays that are contiguous, are not copied.
    """
    if arrays[0].ndim == 4:
        arrays = [a.transpose(0, 2, 3, 1) for a in arrays]
    result = array_module(arrays[0]).empty(arrays[0].size, arrays[0].dtype)

    def back(flat):
        shaped = flat.reshape(arrays[0].shape)
        return shaped.transpose(0, 3, 1, 2) if shaped.ndim == 4 else shaped

    return [a.reshape(-1) for a in arrays], result, back
