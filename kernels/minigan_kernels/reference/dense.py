"""Matrix products, and what a layer adds to one: a bias, and the sums that are its gradient."""

import operator

from ..arrays import in_runs, total
from .activation import leaky_relu, leaky_relu_backward


def matmul(a, b):
    """a @ b, as NumPy has it: (..., M, K) @ (..., K, N), broadcasting the leading axes; any dtypes."""
    if a.shape[-1] == 1:
        return a * b  # BLAS takes five times as long for an outer product
    return in_runs(operator.matmul, a, b)


def linear(x, w, b, slope=None):
    """x wᵀ + b: x (N, in), w (out, in), b (out,) or None -> (N, out). slope: that of a `leaky_relu` of it."""
    y = in_runs(operator.matmul, x, w.T)
    y = y if b is None else y + b
    return y if slope is None else leaky_relu(y, slope)


def add_bias(y, b, slope=None):
    """y[n, c, ...] += b[c], in place: y (N, C, ...), b (C,). slope: that of a `leaky_relu` after it."""
    y += b.reshape(-1, *(1,) * (y.ndim - 2))
    if slope is not None:
        y[:] = leaky_relu(y, slope)


def channel_sums(y):
    """Σ over all axes but the second, the gradient of a bias: y (N, C, ...) -> (C,)."""
    return total(y, (0, *range(2, y.ndim)))


def bias_leaky_relu_backward(gy, y, slope):
    """g = `leaky_relu_backward`(gy, y), and its `channel_sums`: the gradients of y = leaky_relu(x + b),
    of shape (N, C, ...), in x and in b."""
    g = leaky_relu_backward(gy, y, slope)
    return g, channel_sums(g)
