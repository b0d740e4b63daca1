"""The CUDA engine: kernels in CUDA C++, on a GPU for CuPy arrays, in the emulator for NumPy arrays.

A LeakyReLU behind a bias or a norm, and so their gradients, are made in the launch that writes those: for
`linear` with its bias in the epilogue of the product. Biases of convolutions are a launch after them.
"""

from . import activation as _activation
from . import conv as _conv
from . import embedding as _embedding
from . import gemm as _gemm
from . import loss as _loss
from . import norm as _norm
from . import optim as _optim
from . import pairs as _pairs
from . import philox as _philox
from . import pool as _pool
from . import reduce as _reduce
from . import softmax as _softmax
from .activation import add_bias, leaky_relu, leaky_relu_backward, sigmoid, tanh_backward
from .conv import conv2d, conv2d_input, conv2d_weight
from .embedding import embedding_weight
from .gemm import linear, matmul
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
from .reduce import bias_leaky_relu_backward, channel_sums, row_norms, row_norms_backward, sums
from .softmax import (
    cross_entropy,
    cross_entropy_backward,
    log_softmax,
    log_softmax_backward,
    softmax,
    softmax_backward,
)

SOURCES = [  # every Source in every instantiation
    *_activation.SOURCES,
    *_conv.SOURCES,
    *_embedding.SOURCES,
    *_gemm.SOURCES,
    *_loss.SOURCES,
    *_norm.SOURCES,
    *_optim.SOURCES,
    *_pairs.SOURCES,
    *_philox.SOURCES,
    *_pool.SOURCES,
    *_reduce.SOURCES,
    *_softmax.SOURCES,
]
