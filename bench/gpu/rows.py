"""What is measured on a GPU: kernels one by one, with what each must move and compute; and whole steps.

Kernels that memory holds up work on 256 MB, far more than a card's cache, so that every pass over an array
is one over memory; a few do on 64 MB too, where that is said. A row counts the bytes that the kernel cannot
avoid: each input read and each output written, twice where a statistic of all of an array stands between
two looks at it.
"""

import math
from dataclasses import replace
from functools import partial

import numpy as np

from bench.layers import Layer, layers_of
from bench.layers_minigan import arguments_of, kernel_of
from bench.rows import Call, Row
from minigan.speed.steps import CRITIC, DCGAN_32, DCGAN_64, MLP, POINTS, Step

from . import timing

IMAGES = 256, 64, 64, 64  # 2**26 numbers, channels-last
NUMBERS = 2**26
LINES, CLASSES = 2**16, 2**10  # of a table, of logits say
PRODUCTS = 256, 512, 1024, 2048, 4096, 8192
PRECISIONS = "fp32", "tf32", "bf16"


def memory(name, passes, make, *changes, numbers=NUMBERS):
    """A row of the kernel that the name begins with."""
    return Row("memory", Call(name, name.partition(",")[0], make, int(4 * numbers * passes), changes=changes))


def images(a):
    return a.normal(IMAGES)


def table(a):
    return a.normal((LINES, CLASSES))


def pairs(a):
    """Two sets of 256 times 512 rows of 5 numbers, as minibatch discrimination has them: 2**26 pairs."""
    return a.normal((256, 512, 5)), a.normal((256, 512, 5))


def norm(a, axes, shape=None):
    """Arguments of a normalisation with weight and bias, by channels."""
    weights = (1, IMAGES[1], 1, 1)
    return a.normal(shape or IMAGES), a.normal(weights), a.normal(weights), axes, 1e-5


def norm_backward(a, axes):
    x, weight, bias, axes, eps = norm(a, axes)
    shape = tuple(1 if i in axes else n for i, n in enumerate(IMAGES))
    return images(a), x, weight, bias, a.zeros(shape), a.ones(shape), axes, eps


def double_backward(a, axes):
    gy, x, weight, _, mean, var, axes, eps = norm_backward(a, axes)
    return images(a), gy, x, weight, mean, var, axes, eps


BATCH, INSTANCE = (0, 2, 3), (2, 3)
WINDOW = (2, 2), (2, 2), (0, 0)  # kernel size, stride, padding
HALF = 256, 64, 32, 32


def weights(a):
    return a.normal((1, CLASSES)), a.normal((1, CLASSES))


def numbers(a, times, n=None):
    return [a.normal(n or NUMBERS) for _ in range(times)]


def adam(a, n):
    return *numbers(a, 3, n), a.ones(n), 9, 1e-3, 0.5, 0.999, 1e-8, 0.0


MEMORY = [
    memory("leaky_relu", 2, lambda a: (images(a), 0.2)),
    memory("leaky_relu_backward", 3, lambda a: (images(a), images(a), 0.2)),
    memory("sigmoid", 2, lambda a: (images(a),)),
    memory("tanh_backward", 3, lambda a: (images(a), images(a))),
    memory("add_bias", 2, lambda a: (images(a), a.normal(IMAGES[1])), 0),
    memory("add_bias, activated", 2, lambda a: (images(a), a.normal(IMAGES[1]), 0.2), 0),
    memory("bias_leaky_relu_backward", 3, lambda a: (images(a), images(a), 0.2)),
    memory("channel_sums", 1, lambda a: (images(a),)),
    memory("bce_with_logits", 1, lambda a: (a.normal((NUMBERS, 1)), 1.0, 1 / NUMBERS)),
    memory("bce_with_logits_backward", 2, lambda a: (a.ones(()), a.normal((NUMBERS, 1)), 1.0, 1 / NUMBERS)),
    memory("normalize, batch", 3, lambda a: norm(a, BATCH)),
    memory("normalize, batch, activated", 3, lambda a: (*norm(a, BATCH), 0.2)),
    memory("normalize, instance", 3, lambda a: norm(a, INSTANCE)),
    memory("normalize, layer", 2, lambda a: (table(a), *weights(a), (1,), 1e-5)),  # a row fits in a block
    memory("normalize_backward, batch", 5, lambda a: norm_backward(a, BATCH)),
    memory("normalize_backward, batch, activated", 5, lambda a: (*norm_backward(a, BATCH), 0.2)),
    memory("normalize_backward, instance", 5, lambda a: norm_backward(a, INSTANCE)),
    memory("normalize_double_backward, batch", 8, lambda a: double_backward(a, BATCH)),
    memory("normalize_double_backward, instance", 8, lambda a: double_backward(a, INSTANCE)),
    memory("move_statistics", 6, lambda a: (*numbers(a, 4), 0.1, 1.0), 0, 1),
    memory("max_pool2d", 1 + 3 / 4, lambda a: (images(a), *WINDOW)),  # positions have 8 bytes
    memory("avg_pool2d", 1 + 1 / 4, lambda a: (images(a), *WINDOW)),
    memory("avg_pool2d_input", 1 + 1 / 4, lambda a: (a.normal(HALF), IMAGES[2:], *WINDOW)),
    memory("pixels_gather", 1, lambda a: (images(a), a.positions(HALF, IMAGES))),
    memory("pixels_scatter", 1 + 3 / 4, lambda a: (a.normal(HALF), a.positions(HALF, IMAGES), IMAGES[2:])),
    memory("upsample2d", 1 + 1 / 4, lambda a: (a.normal(HALF), (2, 2))),
    memory("upsample2d_input", 1 + 1 / 4, lambda a: (images(a), (2, 2))),
    memory("sums", 1, lambda a: (table(a), (0,))),
    memory("row_norms", 1, lambda a: (table(a), 1e-12)),
    memory("row_norms_backward", 2, lambda a: (a.normal(LINES), table(a), a.ones(LINES))),
    memory("embedding_weight", 1, lambda a: (table(a), a.labels(LINES, CLASSES), CLASSES)),
    memory("softmax", 2, lambda a: (table(a), 1)),
    memory("softmax_backward", 3, lambda a: (table(a), table(a), 1)),
    memory("log_softmax", 2, lambda a: (table(a), 1)),
    memory("log_softmax_backward", 3, lambda a: (table(a), table(a), 1)),
    memory("l1_distances", 1, pairs),
    memory("l1_distances_backward", 1, lambda a: (a.normal((256, 512, 512)), *pairs(a))),
    memory("l1_distances_along", 1, lambda a: (a.normal((256, 512, 5)), *pairs(a))),
    memory("cross_entropy", 1, lambda a: (table(a), a.labels(LINES, CLASSES))),
    memory("cross_entropy_backward", 2, lambda a: (a.normal(LINES), table(a), a.labels(LINES, CLASSES))),
    memory("philox", 1, lambda a: (1, 0, NUMBERS, a.xp)),
    memory("uniform", 1, lambda a: (1, 0, NUMBERS, np.float32, a.xp)),
    memory("normal", 1, lambda a: (1, 0, NUMBERS, np.float32, a.xp)),
    memory("sgd", 5, lambda a: (*numbers(a, 3), 1e-3, 0.9, 0.0, 0.0, False, False), 0, 2),
    memory("rmsprop", 5, lambda a: (*numbers(a, 2), a.ones(NUMBERS), 1e-3, 0.99, 1e-8, 0.0), 0, 2),
    memory("adam", 7, lambda a: adam(a, NUMBERS), 0, 2, 3),
]

SMALLER = 2**24  # numbers of HALF, 64 MB
MEMORY += [
    memory("leaky_relu, 64 MB", 2, lambda a: (a.normal(HALF), 0.2), numbers=SMALLER),
    memory("normalize, batch, 64 MB", 3, lambda a: norm(a, BATCH, HALF), numbers=SMALLER),
    memory("adam, 64 MB", 7, lambda a: adam(a, NUMBERS // 4), 0, 2, 3, numbers=SMALLER),
]


def products() -> list[Row]:
    """Square matrix products, in each precision."""
    return squares("product", "matmul", lambda n, precision: lambda a: (a.normal((n, n)), a.normal((n, n))))


def ceilings() -> list[Row]:
    """What the card does at most: a copy within its memory, and cuBLAS."""
    copy = Row("ceiling", Call("a copy", "copy", timing.copy, 2 * timing.COPIED))
    return [copy, *squares("ceiling", "cuBLAS", lambda n, precision: partial(timing.cublas, n, precision))]


def squares(group, kernel, make) -> list[Row]:
    sizes = [(n, p) for n in PRODUCTS for p in PRECISIONS]
    return [Row(group, Call(f"{n}³", kernel, make(n, p), 12 * n * n, 2 * n**3), p) for n, p in sizes]


def convolutions(step: Step) -> list[Row]:
    """Every convolution of a DCGAN, in every direction and precision."""
    calls = [call_of(layer) for layer in layers_of(step)]
    return [Row("convolution", call, p) for call in calls for p in PRECISIONS]


def call_of(layer: Layer) -> Call:
    kernel, shapes = kernel_of(layer.transposed, layer.direction), (layer.x, layer.w, layer.y)

    def make(a):
        arrays = [a.normal(shape) for shape in shapes]
        return arguments_of(kernel, *arrays, layer.transposed, layer.stride, layer.padding)

    name = f"{layer.network} {layer.label} {layer.direction}"
    return Call(name, kernel, make, 4 * sum(map(math.prod, shapes)), layer.flop)


LARGE = replace(DCGAN_64, batch_size=128)


def kernel_rows() -> list[Row]:
    """In the order in which they are measured: should the time be over, the least telling are missing."""
    return [*ceilings(), *MEMORY, *convolutions(LARGE), *products(), *convolutions(DCGAN_32)]


# How many steps are taken between two waits, and what is to be reached of PyTorch eager and graphed.
STEPS = {
    LARGE: (20, (1.5, 0.9)),
    DCGAN_32: (40, (3.0, 1.1)),
    MLP: (100, (5.0, 1.2)),
    POINTS: (200, (5.0, 1.2)),
    CRITIC: (40, (3.0, 1.1)),
}


def step_rows() -> list[Row]:
    """Whole training steps, in each precision."""
    return [Row("step", step, p, *how) for step, how in STEPS.items() for p in PRECISIONS]
