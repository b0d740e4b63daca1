"""The CPU engine: kernels compiled by Numba, on one pool of threads."""

from .activation import leaky_relu, leaky_relu_backward, tanh_backward
from .conv import conv2d, conv2d_input, conv2d_weight
from .dense import add_bias, bias_leaky_relu_backward, channel_sums
from .gemm import linear, matmul
from .norm import normalize, normalize_backward, normalize_double_backward
from .optim import adam, rmsprop, sgd
from .pairs import l1_distances, l1_distances_along, l1_distances_backward
from .philox import normal
from .pool import (
    avg_pool2d,
    avg_pool2d_input,
    max_pool2d,
    pixels_gather,
    pixels_scatter,
    upsample2d_input,
)
