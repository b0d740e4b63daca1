"""The CPU engine: kernels compiled by Numba, on one pool of threads, and matrix products by BLAS."""

from .conv import conv2d, conv2d_input, conv2d_weight

__all__ = ["conv2d", "conv2d_input", "conv2d_weight"]
