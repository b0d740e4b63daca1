"""Sums, means, extrema and norms over axes; and `expand`, the adjoint of a sum.

`axis` is an integer, a tuple of them, or None for all; negative counts from the end. With
`keepdims` the reduced axes stay, with size 1. All ops have derivatives of every order.
"""

import math
from collections.abc import Sequence

import numpy as np

import minigan_kernels as kernels
from minigan import backend
from minigan.autograd import Function, Tensor
from minigan.checks import integer
from minigan_kernels.arrays import wide

from .axes import axes_of, flat


def sum(x: Tensor, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
    """Σ x over `axis`."""
    return Sum(axes_of(axis, x.ndim), keepdims)(x)


def mean(x: Tensor, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
    """The mean of x over `axis`. ValueError if there is nothing to average."""
    return Sum(axes_of(axis, x.ndim), keepdims, 1 / count(x, axis, "mean"))(x)


def var(
    x: Tensor, axis: int | tuple[int, ...] | None = None, keepdims: bool = False, correction: int = 1
) -> Tensor:
    """The variance of x over `axis`: squared deviations over n - correction, as in PyTorch."""
    n = count(x, axis, "var") - integer("var", "correction", correction, 0)
    if n <= 0:
        raise ValueError(f"var: {n + correction} values are too few for correction={correction}")
    deviation = x - mean(x, axis, keepdims=True)
    return Sum(axes_of(axis, x.ndim), keepdims, 1 / n)(deviation * deviation)


def std(
    x: Tensor, axis: int | tuple[int, ...] | None = None, keepdims: bool = False, correction: int = 1
) -> Tensor:
    """The square root of `var`. Where that is 0, its gradient is infinite."""
    n = count(x, axis, "std") - integer("std", "correction", correction, 0)
    if n <= 0:
        raise ValueError(f"std: {n + correction} values are too few for correction={correction}")
    return var(x, axis, keepdims, correction).sqrt()


def cumsum(x: Tensor, axis: int) -> Tensor:
    """The sums of the first entries along an axis: y[i] = x[0] + ... + x[i]."""
    (axis,) = axes_of(axis, x.ndim)
    return CumSum(axis)(x)


def max(x: Tensor, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
    """The largest value over `axis`; equal ones share the gradient, as in PyTorch's `amax`."""
    count(x, axis, "max")
    return Extreme("max", axes_of(axis, x.ndim), keepdims)(x)


def min(x: Tensor, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
    """The smallest value over `axis`; equal ones share the gradient."""
    count(x, axis, "min")
    return Extreme("min", axes_of(axis, x.ndim), keepdims)(x)


def logsumexp(x: Tensor, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
    """log Σ exp x over `axis`, without overflow. Of nothing but -∞ it is -∞."""
    count(x, axis, "logsumexp")
    axes = axes_of(axis, x.ndim)
    with backend.beside(x.data):
        peak = x.data.max(axis=axes, keepdims=True)
        peak = np.where(np.isfinite(peak), peak, 0).astype(x.dtype)  # a constant: any shift is right
    y = (x - peak).exp().sum(axes, keepdims=True).log() + peak
    return y if keepdims else y.reshape(_dropped(x.shape, axes))


def norm(x: Tensor, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
    """The Euclidean norm √Σx² over `axis`, with gradient 0 where it is 0.

    Where all x are 0 the norm has no derivative. There Σx² is replaced by the constant 1 + Σx², and
    1 taken off again: the value is 0, and all derivatives are finite.
    """
    squares = sum(x * x, axis, keepdims)
    with backend.beside(squares.data):
        zero = squares.data == 0
    if squares.device == backend.CPU and not zero.any():  # to ask a GPU would be to wait for it
        return squares.sqrt()
    return (squares + zero).sqrt() - zero


def row_norms(x: Tensor, eps: float = 0.0) -> Tensor:
    """√(Σ x[n]² + eps) of each entry x[n] of the first axis: x (N, ...) -> (N,).

    The norm in a gradient penalty: with an eps above 0 it has finite derivatives also where x[n] is 0.
    ValueError for an x without axes, or an eps below 0.
    """
    if x.ndim < 1 or not 0 <= eps < math.inf:
        raise ValueError(f"row_norms: needs shape (N, ...) and eps of at least 0, got {x.shape} and {eps}")
    return RowNorms(float(eps))(x)


def expand(x: Tensor, *shape: int | Sequence[int]) -> Tensor:
    """x broadcast to a shape, where -1 keeps an axis as it is. ValueError where that cannot be."""
    shape = flat(shape)
    lead = len(shape) - x.ndim
    shape = tuple(x.shape[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(shape))
    return Expand(shape)(x)


def sum_to(x: Tensor, shape: int | Sequence[int]) -> Tensor:
    """x summed down to `shape`: the adjoint of `expand`."""
    return SumTo(flat((shape,)))(x)


def channel_sums(x: Tensor) -> Tensor:
    """Σ x over all axes but the second: x (N, C, ...) -> (C,), the gradient of a bias."""
    return ChannelSums()(x)


def count(x, axis, name):
    n = math.prod(x.shape[a] for a in axes_of(axis, x.ndim))
    if n == 0:
        raise ValueError(f"{name}: no values to reduce in a tensor of shape {x.shape} over axis {axis}")
    return n


def _kept(shape, axes):
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def _dropped(shape, axes):
    return tuple(n for i, n in enumerate(shape) if i not in axes)


class Sum(Function):
    """Σ x, or scale · Σ x: a mean."""

    saves = ""

    def __init__(self, axes, keepdims, scale=None):
        self.axes, self.keepdims, self.scale = axes, keepdims, scale

    def forward(self, x):
        y = kernels.sums(x, self.axes, self.scale)
        return y if self.keepdims else y.reshape(_dropped(x.shape, self.axes))

    def backward(self, gy):
        shape = self.shapes[0]
        gy = gy if self.scale is None else gy * self.scale
        gy = gy if gy.ndim in (0, len(shape)) else gy.reshape(_kept(shape, self.axes))
        return Expand(shape)(gy)


class CumSum(Function):
    """Sums from the front; or, its adjoint, from the end."""

    saves = ""

    def __init__(self, axis, from_end=False):
        self.axis, self.from_end = axis, from_end

    def forward(self, x):
        turned = (*(slice(None),) * self.axis, slice(None, None, -1))
        x = x[turned] if self.from_end else x
        y = x.cumsum(axis=self.axis, dtype=wide(x.dtype, x.shape[self.axis])).astype(x.dtype, copy=False)
        return y[turned] if self.from_end else y

    def backward(self, gy):
        return CumSum(self.axis, not self.from_end)(gy)


class ChannelSums(Function):
    saves = ""

    def forward(self, x):
        return kernels.channel_sums(x)

    def backward(self, gy):
        shape = self.shapes[0]
        return Expand(shape)(gy.reshape(-1, *(1,) * (len(shape) - 2)))


class RowNorms(Function):
    def __init__(self, eps):
        self.eps = eps

    def forward(self, x):
        self.norms = kernels.row_norms(x, self.eps)
        return self.norms

    def backward(self, gy):
        (x,) = self.inputs
        return (gy / row_norms(x, self.eps)).reshape(-1, *(1,) * (x.ndim - 1)) * x

    def first_order(self, gy, x):
        return kernels.row_norms_backward(gy, x, self.norms)


class Extreme(Function):
    def __init__(self, kind, axes, keepdims):
        self.kind, self.axes, self.keepdims = kind, axes, keepdims

    def forward(self, x):
        return getattr(x, self.kind)(axis=self.axes, keepdims=self.keepdims)

    def backward(self, gy):
        x = self.inputs[0].data
        extreme = x == getattr(x, self.kind)(axis=self.axes, keepdims=True)
        equal = extreme.sum(axis=self.axes, keepdims=True).astype(x.dtype)  # counted in integers
        share = extreme / equal
        return gy.reshape(_kept(x.shape, self.axes)) * share


class Expand(Function):
    saves = ""

    def __init__(self, shape):
        self.shape = shape

    def forward(self, x):
        return np.broadcast_to(x, self.shape)

    def backward(self, gy):
        return gy  # the engine sums it down


class SumTo(Function):
    saves = ""

    def __init__(self, shape):
        self.shape = shape

    def forward(self, x):
        return kernels.sum_to(x, self.shape)

    def backward(self, gy):
        return gy.expand(self.shapes[0])
