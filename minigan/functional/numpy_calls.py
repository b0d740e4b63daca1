"""NumPy's own functions, called with Tensors.

Ufuncs that have an op here give what that gives, a Tensor: `array * tensor` and `np.exp(tensor)` are
recorded. All others see the arrays of Tensors, and give arrays. Of a tensor that requires a gradient that
would be a constant, so it is refused, and the op to call is named; not so where nothing is recorded.
"""

import operator

import numpy as np

from minigan.autograd import Tensor, is_grad_enabled, no_grad

from .activation import tanh
from .elementwise import (
    abs,
    add,
    compare,
    cos,
    div,
    exp,
    log,
    maximum,
    minimum,
    mul,
    neg,
    pow,
    sin,
    sqrt,
    square,
    sub,
)
from .matmul import matmul

UFUNCS = {np.add: add, np.subtract: sub, np.multiply: mul, np.divide: div, np.power: pow, np.matmul: matmul}
UFUNCS |= {np.negative: neg, np.absolute: abs, np.exp: exp, np.log: log, np.sqrt: sqrt, np.tanh: tanh}
UFUNCS |= {np.maximum: maximum, np.minimum: minimum, np.square: square, np.sin: sin, np.cos: cos}


# The op to call in the place of a function, where it has another name.
NAMES = {ufunc.__name__: op.__name__ for ufunc, op in UFUNCS.items()}
NAMES |= {
    "amax": "max",
    "amin": "min",
    "broadcast_to": "expand",
    "concatenate": "concat",
    "dot": "matmul",
    "expand_dims": "unsqueeze",
    "hstack": "concat",
    "inner": "einsum",
    "outer": "einsum",
    "ravel": "flatten",
    "repeat": "repeat_interleave",
    "swapaxes": "transpose",
    "take": "index",
    "tensordot": "einsum",
    "transpose": "permute",
    "vdot": "einsum",
    "vstack": "concat",
}


def _comparison(op):
    return lambda a, b: compare(op, a, b)


for _ufunc, _op in (
    (np.equal, operator.eq),
    (np.not_equal, operator.ne),
    (np.less, operator.lt),
    (np.less_equal, operator.le),
    (np.greater, operator.gt),
    (np.greater_equal, operator.ge),
    (np.bitwise_and, operator.and_),
    (np.bitwise_or, operator.or_),
    (np.bitwise_xor, operator.xor),
):
    UFUNCS[_ufunc] = _comparison(_op)

# Functions whose results have no gradient.
QUESTIONS = {"ndim", "result_type", "shape", "size", "may_share_memory", "shares_memory"}
QUESTIONS |= {"allclose", "array_equal", "isclose", "isfinite", "isinf", "isnan", "sign"}
QUESTIONS |= {"argmax", "argmin", "argsort", "count_nonzero", "nonzero"}
QUESTIONS |= {"empty_like", "ones_like", "zeros_like"}
QUESTIONS |= {"array2string", "array_repr", "array_str", "save", "savetxt", "savez", "savez_compressed"}


def array_ufunc(self, ufunc, method, *inputs, **settings):
    """What NumPy calls for a ufunc that is given a Tensor."""
    if method == "__call__" and not settings and ufunc in UFUNCS:
        return UFUNCS[ufunc](*inputs)
    name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
    out = settings.get("out", ())
    if any(isinstance(array, Tensor) for array in out):
        raise TypeError(f"np.{name}: out must be an array, got a Tensor; write it under no_grad(), by copy_")
    return _on_arrays(getattr(ufunc, method), f"np.{name}", name, inputs, settings)


def array_function(self, function, types, args, settings):
    """What NumPy calls for one of its other functions."""
    full = f"{function.__module__.replace('numpy', 'np', 1)}.{function.__name__}"
    return _on_arrays(function, full, function.__name__, args, settings)


def _on_arrays(function, full, name, args, settings):
    if is_grad_enabled() and name not in QUESTIONS and _requires_grad((args, settings)):
        raise TypeError(f"{full} of a tensor that requires a gradient would lose it: {_advice(name)}")
    with no_grad():
        return function(*_as_arrays(args), **_as_arrays(settings))


def _advice(name):
    from minigan import functional

    name = NAMES.get(name, name)
    values = "or give it tensor.detach() for the values alone"
    if name not in functional.__all__:
        return f"write it in ops of minigan.functional, {values}"
    return f"call minigan.functional.{name}, {values}"


def _requires_grad(value):
    if isinstance(value, (tuple, list)):
        return any(map(_requires_grad, value))
    if isinstance(value, dict):
        return any(map(_requires_grad, value.values()))
    return isinstance(value, Tensor) and value.requires_grad


def _as_arrays(value):
    """`value` with arrays in the place of Tensors."""
    if isinstance(value, (tuple, list)):
        return type(value)(map(_as_arrays, value))
    if isinstance(value, dict):
        return {name: _as_arrays(part) for name, part in value.items()}
    return np.asarray(value) if isinstance(value, Tensor) else value


class _ForNumPy:
    """`__array_ufunc__`, which NumPy looks up in the class: there it is `array_ufunc`. CuPy looks it up in a
    Tensor: there it is None, at which CuPy leaves `array * tensor` to the Tensor."""

    def __get__(self, tensor, kind):
        return array_ufunc if tensor is None else None


Tensor.__array_ufunc__ = _ForNumPy()
Tensor.__array_function__ = array_function
