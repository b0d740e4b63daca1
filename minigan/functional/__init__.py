"""Differentiable ops, one family a file. Usually imported as `F`.

Every op takes and gives Tensors, in float32 or float64, on arrays in any stride order, and has
derivatives of every order. Names and argument orders are PyTorch's; axes are called `axis`. Settings, such as
a slope or an axis, are constants: a tensor that requires a gradient is refused there, with TypeError.
"""

from minigan.arguments import INTEGERS as _INTEGERS
from minigan.arguments import OPERAND as _OPERAND
from minigan.arguments import explained as _explained

from . import methods as _methods  # noqa: F401  (gives Tensor its operators)
from . import numpy_calls as _numpy_calls  # noqa: F401  (and NumPy's functions)
from .activation import (
    dropout,
    elu,
    gelu,
    leaky_relu,
    log_softmax,
    maxout,
    relu,
    selu,
    sigmoid,
    softmax,
    softplus,
    tanh,
)
from .conv import conv2d, conv2d_weight, conv_transpose2d
from .elementwise import (
    abs,
    add,
    cast,
    clip,
    div,
    erf,
    exp,
    log,
    maximum,
    minimum,
    mul,
    neg,
    pow,
    sqrt,
    sub,
    where,
)
from .index import embedding, gather, index, one_hot
from .loss import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    hinge_loss,
    l1_loss,
    mse_loss,
)
from .matmul import einsum, linear, matmul
from .norm import batch_norm, group_norm, instance_norm, layer_norm
from .pool import avg_pool2d, max_pool2d
from .reduce import expand, logsumexp, max, mean, min, norm, row_norms, sum, sum_to, var
from .resample import interpolate, pixel_shuffle
from .settings import refusal as _refusal
from .shape import concat, flatten, flip, pad, permute, reshape, squeeze, stack, transpose, unsqueeze

__all__ = [
    "abs",
    "add",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy_with_logits",
    "cast",
    "clip",
    "concat",
    "conv2d",
    "conv2d_weight",
    "conv_transpose2d",
    "cross_entropy",
    "div",
    "dropout",
    "einsum",
    "elu",
    "embedding",
    "erf",
    "exp",
    "expand",
    "flatten",
    "flip",
    "gather",
    "gelu",
    "group_norm",
    "hinge_loss",
    "index",
    "instance_norm",
    "interpolate",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log",
    "log_softmax",
    "logsumexp",
    "matmul",
    "max",
    "max_pool2d",
    "maximum",
    "maxout",
    "mean",
    "min",
    "minimum",
    "mse_loss",
    "mul",
    "neg",
    "norm",
    "one_hot",
    "pad",
    "permute",
    "pixel_shuffle",
    "pow",
    "relu",
    "reshape",
    "row_norms",
    "selu",
    "sigmoid",
    "softmax",
    "softplus",
    "sqrt",
    "squeeze",
    "stack",
    "sub",
    "sum",
    "sum_to",
    "tanh",
    "transpose",
    "unsqueeze",
    "var",
    "where",
]

_BINARY = ("add", "sub", "mul", "div", "pow", "maximum", "minimum", "where", "matmul")
_OWN = {  # arguments whose names mean something else here than in other ops
    **{name: {"b": _OPERAND} for name in _BINARY},
    "embedding": {"input": _INTEGERS},
    "cross_entropy": {"target": _INTEGERS},
}
for _name in __all__:
    _op = globals()[_name]
    _op = _explained(_op, *_refusal(_op), **_OWN.get(_name, {}))
    _op.__module__ = __name__  # where it is found, to pickle it by its name
    globals()[_name] = _op
