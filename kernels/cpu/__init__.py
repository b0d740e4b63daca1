"""The CPU engine: kernels compiled by Numba, on one pool of threads, and matrix products by BLAS."""

from .conv import conv2d, conv2d_input, conv2d_weight
from .norm import normalize, normalize_backward
from .optim import adam, rmsprop, sgd

__all__ = [
    "adam",
    "conv2d",
    "conv2d_input",
    "conv2d_weight",
    "normalize",
    "normalize_backward",
    "rmsprop",
    "sgd",
]
