"""Differentiable ops, one family a file. Usually imported as `F`.

Every op takes and gives Tensors, in float32 or float64, on arrays in any stride order, and has
derivatives of every order. Names and argument orders are PyTorch's; axes are called `axis`. Settings, such as
a slope or an axis, are constants: a tensor that requires a gradient is refused there, with TypeError.
"""

from minigan.arguments import CLASSES as _CLASSES
from minigan.arguments import FLOATS as _FLOATS
from minigan.arguments import INTEGERS as _INTEGERS
from minigan.arguments import NUMBER as _NUMBER
from minigan.arguments import OPERAND as _OPERAND
from minigan.arguments import Kind as _Kind
from minigan.arguments import explained as _explained
from minigan.arguments import integer as _integer
from minigan.arguments import one_of as _one_of
from minigan.arguments import window as _window
from minigan.checks import is_integer as _is_integer
from minigan.checks import is_number as _is_number

from . import methods as _methods  # noqa: F401  (gives Tensor its operators)
from . import numpy_calls as _numpy_calls  # noqa: F401  (and NumPy's functions)
from .activation import (
    dropout,
    dropout2d,
    elu,
    gelu,
    glu,
    leaky_relu,
    log_softmax,
    logsigmoid,
    maxout,
    prelu,
    relu,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from .border import pad
from .choices import gumbel_softmax, straight_through
from .clips import avg_pool3d, conv3d, conv3d_weight, conv_transpose3d, max_pool3d
from .conv import conv2d, conv2d_weight, conv_transpose2d
from .elementwise import (
    abs,
    add,
    cast,
    clip,
    cos,
    div,
    erf,
    exp,
    log,
    masked_fill,
    maximum,
    minimum,
    mul,
    neg,
    pow,
    sin,
    sqrt,
    square,
    sub,
    where,
)
from .filters import upfirdn2d
from .index import (
    argmax,
    argmin,
    argsort,
    embedding,
    gather,
    index,
    index_select,
    one_hot,
    sort,
    topk,
    tril,
    triu,
)
from .loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    hinge_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
from .matmul import einsum, linear, matmul
from .modulated import modulated_conv2d
from .norm import batch_norm, cosine_similarity, group_norm, instance_norm, layer_norm, normalize
from .pairs import cdist
from .pool import adaptive_avg_pool1d, adaptive_avg_pool2d, avg_pool2d, max_pool2d, min_pool2d
from .reduce import cumsum, expand, logsumexp, max, mean, min, norm, row_norms, std, sum, sum_to, var
from .resample import interpolate, pixel_shuffle, pixel_unshuffle
from .sequences import avg_pool1d, conv1d, conv1d_weight, conv_transpose1d, max_pool1d
from .settings import refusal as _refusal
from .shape import (
    chunk,
    clone,
    concat,
    flatten,
    flip,
    narrow,
    permute,
    repeat,
    repeat_interleave,
    reshape,
    roll,
    split,
    squeeze,
    stack,
    tile,
    transpose,
    unbind,
    unflatten,
    unsqueeze,
)

__all__ = [
    "abs",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "add",
    "argmax",
    "argmin",
    "argsort",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cast",
    "cdist",
    "chunk",
    "clip",
    "clone",
    "concat",
    "conv1d",
    "conv1d_weight",
    "conv2d",
    "conv2d_weight",
    "conv3d",
    "conv3d_weight",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cos",
    "cosine_similarity",
    "cross_entropy",
    "cumsum",
    "div",
    "dropout",
    "dropout2d",
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
    "glu",
    "group_norm",
    "gumbel_softmax",
    "hinge_loss",
    "index",
    "index_select",
    "instance_norm",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log",
    "log_softmax",
    "logsigmoid",
    "logsumexp",
    "masked_fill",
    "matmul",
    "max",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "maximum",
    "maxout",
    "mean",
    "min",
    "min_pool2d",
    "minimum",
    "modulated_conv2d",
    "mse_loss",
    "mul",
    "narrow",
    "neg",
    "nll_loss",
    "norm",
    "normalize",
    "one_hot",
    "pad",
    "permute",
    "pixel_shuffle",
    "pixel_unshuffle",
    "pow",
    "prelu",
    "relu",
    "repeat",
    "repeat_interleave",
    "reshape",
    "roll",
    "row_norms",
    "selu",
    "sigmoid",
    "silu",
    "sin",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "sort",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "straight_through",
    "sub",
    "sum",
    "sum_to",
    "tanh",
    "tile",
    "topk",
    "transpose",
    "tril",
    "triu",
    "unbind",
    "unflatten",
    "unsqueeze",
    "upfirdn2d",
    "var",
    "where",
]


def _is_padding(value):
    return _is_integer(value) or (
        isinstance(value, (tuple, list)) and len(value) == 4 and all(map(_is_integer, value))
    )


_BINARY = ("add", "sub", "mul", "div", "pow", "maximum", "minimum", "where", "matmul")
_OWN = {  # arguments whose names mean something else here than in other ops
    **{name: {"b": _OPERAND} for name in _BINARY},
    "embedding": {"input": _INTEGERS},
    **{
        name: _window(1)
        for name in ("conv1d", "conv1d_weight", "conv_transpose1d", "max_pool1d", "avg_pool1d")
    },
    **{
        name: _window(3)
        for name in ("conv3d", "conv3d_weight", "conv_transpose3d", "max_pool3d", "avg_pool3d")
    },
    "cdist": {"p": _Kind("1, the only norm there is", _is_number, lambda value: value == 1)},
    "adaptive_avg_pool1d": {"output_size": _integer(1)},
    "pad": {"mode": _one_of("constant", "reflect", "replicate")},
    "cross_entropy": {"target": _CLASSES},
    "nll_loss": {"target": _CLASSES},
    "kl_div": {"reduction": _one_of("mean", "sum", "none", "batchmean")},
    "straight_through": {"hard": _FLOATS},
    "modulated_conv2d": {"gain": _NUMBER},
    "upfirdn2d": {
        "padding": _Kind("an integer, or (left, right, top, bottom)", _is_padding),
        "gain": _NUMBER,
    },
}
for _name in __all__:
    _op = globals()[_name]
    _op = _explained(_op, *_refusal(_op), **_OWN.get(_name, {}))
    _op.__module__ = __name__  # where it is found, to pickle it by its name
    globals()[_name] = _op
