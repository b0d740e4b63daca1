"""Ops as methods and operators of Tensor: `x.exp()` is `exp(x)`, `a + b` is `add(a, b)`.

The engine itself relies on three of them: +, `sum_to` and `to`.
"""

import operator

import numpy as np

from minigan import backend
from minigan.autograd import Tensor, is_grad_enabled

from . import activation, elementwise, index, matmul, reduce, shape
from .elementwise import add, compare, div, mul, neg, pow, sub, to
from .settings import with_settings

METHODS = {
    activation: "log_softmax relu sigmoid softmax tanh",
    elementwise: "abs add clip cos div exp log masked_fill maximum minimum mul neg pow sin sqrt square sub",
    index: "argmax argmin argsort gather index_select sort topk tril triu",
    matmul: "matmul",
    reduce: "cumsum expand logsumexp max mean min norm std sum sum_to var",
    shape: "chunk clone flatten flip narrow permute repeat repeat_interleave reshape roll split squeeze tile "
    "transpose unbind unflatten unsqueeze",
}
for _family, _names in METHODS.items():
    for _name in _names.split():
        setattr(Tensor, _name, with_settings(getattr(_family, _name)))

# PyTorch's other names.
Tensor.view, Tensor.clamp = Tensor.reshape, Tensor.clip
Tensor.size = lambda x, axis=None: x.shape if axis is None else x.shape[axis]
Tensor.dim = lambda x: x.ndim
Tensor.cpu = lambda x: to(x, "cpu")
Tensor.float, Tensor.double = (lambda x: to(x, "float32")), (lambda x: to(x, "float64"))
Tensor.long = lambda x: to(x, "int64")
Tensor.contiguous = lambda x: x  # any order in memory is as good

Tensor.to = to
Tensor.T = property(lambda x: shape.permute(x, *range(x.ndim)[::-1]))

Tensor.__add__ = Tensor.__radd__ = add
Tensor.__mul__ = Tensor.__rmul__ = mul
Tensor.__sub__ = sub
Tensor.__rsub__ = lambda x, other: sub(other, x)
Tensor.__truediv__ = div
Tensor.__rtruediv__ = lambda x, other: div(other, x)
Tensor.__pow__ = pow
Tensor.__rpow__ = lambda x, base: pow(base, x)
Tensor.__neg__ = neg
Tensor.__abs__ = elementwise.abs
Tensor.__matmul__ = matmul.matmul
Tensor.__rmatmul__ = lambda x, other: matmul.matmul(other, x)
Tensor.__getitem__ = index.index

# Comparisons and masks: constants, without a gradient.


def _comparison(op):
    return lambda x, other: compare(op, x, other)


for _name in ("eq", "ne", "lt", "le", "gt", "ge", "and", "or", "xor"):
    setattr(Tensor, f"__{_name}__", _comparison(getattr(operator, f"__{_name}__")))


def _reduced(name):
    def method(x, axis=None, keepdims=False):
        with backend.beside(x.data):
            return Tensor(getattr(x.data, name)(axis=axis, keepdims=keepdims))

    return method


def _step(function):
    """The method for a function whose slope is 0 wherever it has one: a constant, as comparisons give."""

    def method(x):
        with backend.beside(x.data):
            return Tensor(function(x.data))

    return method


def _inverted(x):
    with backend.beside(x.data):
        return Tensor(~x.data)


Tensor.__invert__ = _inverted
for _name in ("any", "all"):
    setattr(Tensor, _name, _reduced(_name))
Tensor.sign, Tensor.round, Tensor.floor, Tensor.ceil = map(_step, (np.sign, np.rint, np.floor, np.ceil))
Tensor.isnan, Tensor.isinf, Tensor.isfinite = map(_step, (np.isnan, np.isinf, np.isfinite))


def _in_place(op):
    """`x += y` and the like: into the memory of x under no_grad(), else the same as x = x + y."""

    def method(x, other):
        if not is_grad_enabled():
            return x.copy_(op(x, other))
        if x.is_leaf and x.requires_grad:
            raise RuntimeError("a leaf that requires a gradient can be changed in place only under no_grad()")
        return NotImplemented

    return method


def _add_(x, other, alpha=1):
    """x += alpha · other, under no_grad() or on a constant."""
    return x.copy_(add(x, other if alpha == 1 else mul(other, alpha)))


Tensor.add_ = _add_
Tensor.sub_ = lambda x, other, alpha=1: x.add_(other, -alpha)
Tensor.mul_ = lambda x, other: x.copy_(mul(x, other))
Tensor.div_ = lambda x, other: x.copy_(div(x, other))
Tensor.clamp_ = lambda x, min=None, max=None: x.copy_(elementwise.clip(x, min, max))

Tensor.__iadd__, Tensor.__isub__ = _in_place(add), _in_place(sub)
Tensor.__imul__, Tensor.__itruediv__ = _in_place(mul), _in_place(div)
