"""Sums over axes, and the norms of rows: what losses and penalties are made of."""

from ..arrays import array_module, total


def sums(x, axes, scale=None):
    """Σ x over `axes`, or scale·Σ x, a mean; the axes stay, with size 1."""
    y = total(x, axes, keepdims=True)
    return y if scale is None else y * scale


def row_norms(x, eps):
    """√(Σ x[n]² + eps) of each entry x[n] of the first axis: x (N, ...) -> (N,)."""
    return array_module(x).sqrt(total(x * x, range(1, x.ndim)) + eps)


def row_norms_backward(gy, x, y):
    """gy[n] / y[n] · x[n]: the gradient of y = `row_norms` in x."""
    return (gy / y).reshape(-1, *(1,) * (x.ndim - 1)) * x
