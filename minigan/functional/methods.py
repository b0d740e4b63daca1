"""Ops as methods and operators of Tensor: `x.exp()` is `exp(x)`, `a + b` is `add(a, b)`.

The engine itself relies on three of them: +, `sum_to` and `to`.
"""

import operator

from minigan import backend
from minigan.autograd import Tensor, is_grad_enabled

from . import activation, elementwise, index, matmul, reduce, shape
from .elementwise import add, compare, div, mul, neg, pow, sub, to
from .settings import with_settings

METHODS = {
    activation: "log_softmax relu sigmoid softmax tanh",
    elementwise: "abs clip exp log pow sqrt",
    index: "gather",
    matmul: "matmul",
    reduce: "expand logsumexp max mean min norm sum sum_to var",
    shape: "flatten flip permute reshape squeeze transpose unsqueeze",
}
for _family, _names in METHODS.items():
    for _name in _names.split():
        setattr(Tensor, _name, with_settings(getattr(_family, _name)))

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
for _name in ("eq", "ne", "lt", "le", "gt", "ge", "and", "or", "xor"):
    _compare = getattr(operator, f"__{_name}__")
    setattr(Tensor, f"__{_name}__", lambda x, other, op=_compare: compare(op, x, other))


def _reduced(name):
    def method(x, axis=None, keepdims=False):
        with backend.beside(x.data):
            return Tensor(getattr(x.data, name)(axis=axis, keepdims=keepdims))

    return method


def _inverted(x):
    with backend.beside(x.data):
        return Tensor(~x.data)


Tensor.__invert__ = _inverted
Tensor.any, Tensor.all, Tensor.argmax = map(_reduced, ("any", "all", "argmax"))


def _in_place(op):
    """`x += y` and the like: into the memory of x under no_grad(), else the same as x = x + y."""

    def method(x, other):
        if not is_grad_enabled():
            return x.copy_(op(x, other))
        if x.is_leaf and x.requires_grad:
            raise RuntimeError("a leaf that requires a gradient can be changed in place only under no_grad()")
        return NotImplemented

    return method


Tensor.__iadd__, Tensor.__isub__ = _in_place(add), _in_place(sub)
Tensor.__imul__, Tensor.__itruediv__ = _in_place(mul), _in_place(div)
