"""The CPU engine: kernels compiled by Numba, on one pool of threads, and matrix products by BLAS."""

from .conv import conv2d, conv2d_input, conv2d_weight
from .norm import normalize, normalize_backward
from .optim import adam, rmsprop, sgd
from .pool import avg_pool2d, avg_pool2d_input, max_pool2d, pixels_gather, pixels_scatter

__all__ = [
    "adam",
    "avg_pool2d",
    "avg_pool2d_input",
    "conv2d",
    "conv2d_input",
    "conv2d_weight",
    "max_pool2d",
    "normalize",
    "normalize_backward",
    "pixels_gather",
    "pixels_scatter",
    "rmsprop",
    "sgd",
]
