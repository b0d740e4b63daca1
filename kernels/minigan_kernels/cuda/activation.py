"""Activations, their gradients, and biases: one launch each, over memory in whatever order it lies."""

import numpy as np

from .grids import THREADS, blocks_for
from .launch import Source
from .layout import in_order, inverse, new_in_order, order_of

POINTWISE = Source("pointwise.cu")
SOURCES = [POINTWISE]


def leaky_relu(x, slope):
    """x where it is positive, else slope·x; for a slope of 0 exactly 0 there, whatever x.

    The result is in the memory order of x.
    """
    return _map("leaky_relu", [x], np.float32(slope))


def leaky_relu_backward(gy, y, slope):
    """gy where the value y of `leaky_relu` is positive, else slope·gy.

    The result is in the memory order of gy, or of y where gy is not dense.
    """
    return _map("leaky_relu_backward", [gy, y], np.float32(slope))


def sigmoid(x):
    """1 / (1 + e⁻ˣ), for any x.

    The result is in the memory order of x.
    """
    return _map("sigmoid", [x])


def tanh_backward(gy, y):
    """gy·(1 - y²), y = tanh x.

    The result is in the memory order of gy, or of y where gy is not dense.
    """
    return _map("tanh_backward", [gy, y])


def _map(kernel, inputs, *numbers):
    first = inputs[0]
    if any(x.shape != first.shape for x in inputs):
        raise ValueError(f"{kernel}: shapes {' and '.join(str(x.shape) for x in inputs)} differ")
    order = order_of(*inputs)
    y = new_in_order(first, first.shape, order)
    memory = [in_order(x, order) for x in inputs]
    grid = blocks_for(first.size, 4)
    POINTWISE.launch(kernel, grid, THREADS, *memory, y, np.int64(first.size), *numbers)
    return y


def add_bias(y, b, slope=None):
    """y[n, c, ...] += b[c], in place: y (N, C, ...), b (C,). slope: that of a `leaky_relu` after it."""
    if y.ndim < 2 or b.shape != y.shape[1:2]:
        raise ValueError(f"add_bias: b has shape {b.shape}, y {y.shape}")
    order = order_of(y)
    memory = in_order(y, order)
    after = memory.shape[order.index(1) + 1 :]  # the axes inside the channels' in memory
    C, P = y.shape[1], int(np.prod(after))
    if C * P >= 2**31:
        raise ValueError(f"add_bias: images of {y.shape[1:]} are too large")
    b = in_order(b, (0,))
    grid = blocks_for(y.size, 4)
    sizes = np.int64(y.size), np.int32(C), np.int32(P)
    slope = np.float32(1 if slope is None else slope)
    POINTWISE.launch("add_bias", grid, THREADS, memory, b, *sizes, slope)
    if not y.transpose(order).flags.c_contiguous:  # then what was changed is a copy
        y[...] = memory.transpose(inverse(order))
