"""Every kernel in plain array code, for NumPy and CuPy: the definition that other engines are held to."""

from .conv import conv2d, conv2d_input, conv2d_weight
from .norm import normalize, normalize_backward
from .optim import adam, rmsprop, sgd
from .philox import normal, philox, uniform
from .pool import avg_pool2d, avg_pool2d_input, max_pool2d, pixels_gather, pixels_scatter

__all__ = [
    "adam",
    "avg_pool2d",
    "avg_pool2d_input",
    "conv2d",
    "conv2d_input",
    "conv2d_weight",
    "max_pool2d",
    "normal",
    "normalize",
    "normalize_backward",
    "philox",
    "pixels_gather",
    "pixels_scatter",
    "rmsprop",
    "sgd",
    "uniform",
]
