"""Matrix products, and what a layer adds to one: a bias, and the sums that are its gradient."""

import operator

from ..arrays import in_runs, total
from .activation import leaky_relu, leaky_relu_backward


def matmul(a, b):
    if a.shape[-1] == 1:
        return a * b  # BLAS takes five times as long for an outer product
    return in_runs(operator.matmul, a, b)


def linear(x, w, b, slope=None):
    y = in_runs(operator.matmul, x, w.T)
    y = y if b is None else y + b
    return y if slope is None else leaky_relu(y, slope)


def add_bias(y, b, slope=None):
    y += b.reshape(-1, *(1,) * (y.ndim - 2))
    if slope is not None:
        y[:] = leaky_relu(y, slope)


def channel_sums(y):
    return total(y, (0, *range(2, y.ndim)))


def bias_leaky_relu_backward(gy, y, slope):
    g = leaky_relu_backward(gy, y, slope)
    return g, channel_sums(g)
