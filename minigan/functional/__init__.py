"""Differentiable ops, one family a file. Usually imported as `F`.

Every op takes and gives Tensors, in float32 or float64, on arrays in any stride order, and has
derivatives of every order. Names and argument orders are PyTorch's; axes are called `axis`.
"""

import operator

from minigan.autograd import Tensor

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
    compare,
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
from .norm import batch_norm, instance_norm, layer_norm
from .pool import avg_pool2d, max_pool2d
from .reduce import expand, logsumexp, max, mean, min, norm, sum, sum_to, var
from .resample import interpolate, pixel_shuffle
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

# Ops as methods: `x.exp()` is `exp(x)`. The engine itself relies on +, sum_to and to.
for _op in (
    abs,
    clip,
    exp,
    expand,
    flatten,
    flip,
    gather,
    log,
    logsumexp,
    matmul,
    max,
    mean,
    min,
    norm,
    permute,
    relu,
    reshape,
    sigmoid,
    softmax,
    sqrt,
    squeeze,
    sum,
    sum_to,
    tanh,
    transpose,
    unsqueeze,
    var,
):
    setattr(Tensor, _op.__name__, _op)

Tensor.to = cast
Tensor.T = property(lambda x: permute(x, *range(x.ndim)[::-1]))

# Ops as operators.
Tensor.__add__ = Tensor.__radd__ = add
Tensor.__mul__ = Tensor.__rmul__ = mul
Tensor.__sub__ = sub
Tensor.__rsub__ = lambda x, other: sub(other, x)
Tensor.__truediv__ = div
Tensor.__rtruediv__ = lambda x, other: div(other, x)
Tensor.__pow__ = pow
Tensor.__rpow__ = lambda x, base: pow(base, x)
Tensor.__neg__ = neg
Tensor.__abs__ = abs
Tensor.__matmul__ = matmul
Tensor.__rmatmul__ = lambda x, other: matmul(other, x)
Tensor.__getitem__ = index

for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    _compare = getattr(operator, f"__{_name}__")
    setattr(Tensor, f"__{_name}__", lambda x, other, op=_compare: compare(op, x, other))
