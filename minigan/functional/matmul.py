"""Matrix products. Bilinear, and each one's gradients are matrix products again: exact to every order."""

import math
import string

import numpy as np

import minigan_kernels as kernels
from minigan.autograd import Function, Tensor
from minigan.checks import shown

from .leaky import Activated, slope_of
from .reduce import channel_sums


def matmul(a: Tensor | np.ndarray, b: Tensor | np.ndarray) -> Tensor:
    """a @ b: (..., M, K) @ (..., K, N) -> (..., M, N), broadcasting the leading axes.

    A vector stands for a row on the left, a column on the right. ValueError if K differs.
    """
    if not (getattr(a, "ndim", 0) and getattr(b, "ndim", 0)):
        name, x = ("b", b) if getattr(a, "ndim", 0) else ("a", a)
        raise ValueError(f"matmul: {name} must be a Tensor or an array of at least one axis, got {shown(x)}")
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ValueError(f"matmul: the inner sizes of {a.shape} and {b.shape} differ")
    if a.ndim == 1 and b.ndim == 1:
        return (a * b).sum()
    if a.ndim == 1:
        return MatMul()(a.reshape(1, -1), b).squeeze(-2)
    if b.ndim == 1:
        return MatMul()(a, b.reshape(-1, 1)).squeeze(-1)
    return MatMul()(a, b)


def linear(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, negative_slope: float | None = None
) -> Tensor:
    """x Wᵀ + b: x (..., in), weight (out, in), bias (out,) -> (..., out).

    negative_slope: that of a `leaky_relu` of it, in the same pass over memory; None for none.
    """
    if weight.ndim != 2 or x.ndim < 1:
        raise ValueError(f"linear: x has shape {x.shape}, the weight {weight.shape}, expected (out, in)")
    if x.shape[-1] != weight.shape[1]:
        raise ValueError(f"linear: x has {x.shape[-1]} features, the weight expects {weight.shape[1]}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"linear: the bias has shape {bias.shape}, expected ({weight.shape[0]},)")
    return Linear(slope_of("linear", negative_slope))(x, weight, bias)


def einsum(equation: str, *operands: Tensor) -> Tensor:
    """Sums of products named by letters, as "bij,bjk->bik". No ellipsis, no letter twice in one term.

    One operand at a time is joined to the product so far: broadcast, multiplied, summed.
    """
    left, _, out = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if "->" not in equation or len(terms) != len(operands) or "." in equation:
        raise ValueError(
            f"einsum: the equation {equation!r} does not name {len(operands)} operands and an output"
        )
    for term, x in zip(terms, operands, strict=True):
        if len(term) != x.ndim or len(set(term)) != len(term) or not set(term) <= set(string.ascii_letters):
            raise ValueError(f"einsum: {term!r} does not name the {x.ndim} axes of an operand, each once")
    if not set(out) <= set("".join(terms)) or len(set(out)) != len(out):
        raise ValueError(f"einsum: the output {out!r} needs letters of the operands, each once")

    term, y = terms[0], operands[0]
    for i, (other, x) in enumerate(zip(terms[1:], operands[1:], strict=True), start=1):
        later = set("".join([out, *terms[i + 1 :]]))
        term, y = _contract(term, y, other, x, later)
    return y.sum(tuple(term.index(c) for c in term if c not in out)).permute(
        [[c for c in term if c in out].index(c) for c in out]
    )


def _contract(ta, a, tb, b, later):
    """The product of two terms as one batched matrix product, summed over the letters not seen later."""
    batch = [c for c in ta if c in tb and c in later]
    inner = [c for c in ta if c in tb and c not in later]
    left = [c for c in ta if c not in tb]
    right = [c for c in tb if c not in ta]
    size = dict(zip(ta, a.shape, strict=True))
    for c, n in zip(tb, b.shape, strict=True):
        if size.setdefault(c, n) != n:
            raise ValueError(f"einsum: the letter {c!r} stands for sizes {size[c]} and {n}")

    def arranged(x, term, *groups):
        x = x.permute([term.index(c) for group in groups for c in group])
        shape = [size[c] for c in batch]
        for group in groups[1:]:
            n = 1
            for c in group:
                n *= size[c]
            shape.append(n)
        return x.reshape(*shape)

    y = matmul(arranged(a, ta, batch, left, inner), arranged(b, tb, batch, inner, right))
    letters = batch + left + right
    return "".join(letters), y.reshape(*(size[c] for c in letters))


class MatMul(Function):
    """a @ b, either of them transposed in its last two axes where that is set."""

    def __init__(self, a_transposed=False, b_transposed=False):
        self.transposed = a_transposed, b_transposed

    def forward(self, a, b):
        ta, tb = self.transposed
        return kernels.matmul(a.swapaxes(-1, -2) if ta else a, b.swapaxes(-1, -2) if tb else b)

    def backward(self, gy):
        a, b = (x if isinstance(x, Tensor) else Tensor(x) for x in self.inputs)
        ta, tb = self.transposed
        ga = gb = None
        if self.wanted[0]:  # of the left factor: gy @ rightᵀ
            ga = MatMul(tb, True)(b, gy) if ta else MatMul(False, not tb)(gy, b)
        if self.wanted[1]:  # of the right factor: leftᵀ @ gy
            gb = MatMul(True, ta)(gy, a) if tb else MatMul(not ta, False)(a, gy)
        return ga, gb


class Linear(Activated):
    def forward(self, x, w, b):
        y = kernels.linear(_rows(x), w, b, self.slope)
        return y if x.ndim == 2 else y.reshape(*x.shape[:-1], w.shape[0])

    def backward(self, gy):
        x, w, _ = (t if t is None or isinstance(t, Tensor) else Tensor(t) for t in self.inputs)
        g, gx, gw, gb = _rows(self.before(gy)), None, None, None
        if self.wanted[0]:
            gx = MatMul()(g, w)
            gx = gx if x.ndim == 2 else gx.reshape(x.shape)
        if self.wanted[1]:
            gw = MatMul(True, False)(g, _rows(x))
        if self.wanted[2]:
            gb = channel_sums(g)
        return gx, gw, gb

    def first_order(self, gy, x, w, b, y=None):
        g, gb = self.arrays_before(_rows(gy), None if y is None else _rows(y))
        gx = gw = None
        if self.wanted[0]:
            gx = kernels.matmul(g, w)
            gx = gx if x.ndim == 2 else gx.reshape(x.shape)
        if self.wanted[1]:
            gw = kernels.matmul(g.T, _rows(x))
        return gx, gw, gb


def _rows(x):
    """x (..., n) as a matrix of rows of n."""
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
