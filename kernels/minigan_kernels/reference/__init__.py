"""Every kernel in plain array code, for NumPy and CuPy: the definition that other engines are held to."""

from .activation import leaky_relu, leaky_relu_backward, sigmoid, tanh_backward
from .conv import conv2d, conv2d_input, conv2d_weight
from .dense import add_bias, bias_leaky_relu_backward, channel_sums, linear, matmul
from .embedding import embedding_weight
from .loss import bce_with_logits, bce_with_logits_backward
from .norm import move_statistics, normalize, normalize_backward, normalize_double_backward
from .optim import adam, rmsprop, sgd
from .pairs import l1_distances, l1_distances_along, l1_distances_backward
from .philox import normal, philox, uniform
from .pool import (
    avg_pool2d,
    avg_pool2d_input,
    max_pool2d,
    pixels_gather,
    pixels_scatter,
    upsample2d,
    upsample2d_input,
)
from .reduce import row_norms, row_norms_backward, sums
from .softmax import (
    cross_entropy,
    cross_entropy_backward,
    log_softmax,
    log_softmax_backward,
    softmax,
    softmax_backward,
)
