"""The clear tier."""

from .adam import adam
from .conv import conv2d, conv2d_input, conv2d_weight
from .matmul import linear, matmul
from .norm import normalize, normalize_backward
from .pointwise import add_bias, leaky_relu, leaky_relu_backward
from .reduce import channel_sums

__all__ = [
    "adam",
    "add_bias",
    "channel_sums",
    "conv2d",
    "conv2d_input",
    "conv2d_weight",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "matmul",
    "normalize",
    "normalize_backward",
]
