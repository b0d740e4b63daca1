"""What kernels are tried on: for each, a strategy of (arrays, the other arguments, a measure of rounding).

The measure is a function of the arrays and the other arguments, in float64, that gives for each result
how many roundings are on the way to it, and the size of what was rounded.

Every strategy takes `Sizes`: an emulated thread is slow, a vector unit wants more than its width.
"""

from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

import minigan_kernels as kernels
from minigan_kernels import reference


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@dataclass(frozen=True)
class Sizes:
    """How large things may be: sides of images and matrices, channels, entries of a flat array or a row."""

    side: int
    channels: int
    matrix: int
    flat: int
    row: int

    def channel_counts(self):  # often few: short of, at, and past the length of a vector
        return st.one_of(st.integers(1, 5), st.integers(1, self.channels))

    def lengths(self):
        return st.one_of(st.integers(0, 70), st.just(self.flat))

    def shapes(self):
        """Of arrays (N, C, ...), some of more than a part, or a block."""
        return st.one_of(
            st.tuples(st.integers(0, 9), self.channel_counts()),
            st.tuples(st.integers(self.matrix - 10, self.matrix), st.integers(self.matrix - 10, self.matrix)),
            st.tuples(batches, self.channel_counts(), *[st.integers(1, self.side + 7)] * 2),
        )

    def rows(self):
        """Of arrays that are reduced along rows, some of which are more than a block has threads."""
        return st.one_of(st.tuples(st.integers(1, 5), st.integers(1, self.row)), self.shapes())


LARGE = Sizes(side=13, channels=70, matrix=70, flat=20011, row=700)
SMALL = Sizes(side=7, channels=20, matrix=40, flat=1103, row=300)  # for the emulator
TINY = Sizes(side=4, channels=5, matrix=12, flat=83, row=20)  # for Numba's simulator

batches = st.sampled_from([1, 1, 2, 3, 0])
seeds = st.integers(0, 2**32 - 1)
slopes = st.sampled_from([None, 0.0, 0.2])  # of an activation in the same pass, if there is one


def normals(draw, *shapes):
    rng = np.random.default_rng(draw(seeds))
    return [rng.standard_normal(shape) for shape in shapes]


def products(name, terms):
    """As many roundings as a product has terms, each of at most the sum of their absolute values."""

    def size(arrays, rest):
        positive = [None if a is None else np.abs(a) for a in arrays]
        return [(terms + 4, getattr(reference, name)(*positive, *rest))]

    return size


def exact(results):
    return lambda arrays, rest: [(0, 0.0)] * results


# Convolution


@st.composite
def convolutions(draw, sizes, square=False):
    """The shapes of x, w and y, and the geometry; `square` if Winograd's algorithm is to make it."""
    N, channels = draw(batches), sizes.channel_counts()
    size = draw(pairs(1, sizes.side))
    if square:
        S, p = draw(st.integers(1, 3)), draw(st.integers(0, 4))
        k = draw(st.integers(S + 1, 3 * S))
        kernel, window, groups = (k, k), ((S, S), (p, p), (1, 1)), 1
    else:
        kernel, window = draw(pairs(1, 5)), (draw(pairs(1, 3)), draw(pairs(0, 4)), draw(pairs(1, 3)))
        groups = draw(st.integers(1, 3))
    out = kernels.out_size(size, kernel, *window)
    assume(min(out) >= 1)
    CG, OG = (-(-draw(channels) // groups) for _ in range(2))
    return (N, CG * groups, *size), (OG * groups, CG, *kernel), (N, OG * groups, *out), (*window, groups)


@st.composite
def conv2d(draw, sizes, square=False):
    x, w, _, geometry = draw(convolutions(sizes, square))
    return normals(draw, x, w), geometry, products("conv2d", w[1] * w[2] * w[3])


@st.composite
def conv2d_input(draw, sizes, square=False):
    x, w, y, geometry = draw(convolutions(sizes, square))
    return normals(draw, y, w), (x[2:], *geometry), products("conv2d_input", w[0] * w[2] * w[3])


@st.composite
def conv2d_weight(draw, sizes, square=False):
    x, w, y, geometry = draw(convolutions(sizes, square))
    return normals(draw, x, y), (w[2:], *geometry), products("conv2d_weight", y[0] * y[2] * y[3])


# Pooling


@st.composite
def poolings(draw, sizes, batches=batches):
    size, kernel = draw(pairs(1, sizes.side)), draw(pairs(1, 5))
    window = kernel, draw(pairs(1, 3)), tuple(draw(st.integers(0, k // 2)) for k in kernel)
    out = kernels.out_size(size, *window)
    assume(min(out) >= 1)
    N, C = draw(batches), draw(sizes.channel_counts())
    return (N, C, *size), (N, C, *out), window


@st.composite
def max_pool2d(draw, sizes):
    x, _, window = draw(poolings(sizes))
    (x,) = normals(draw, x)
    return [x.round(1)], window, exact(2)  # with ties


@st.composite
def avg_pool2d(draw, sizes):
    x, _, window = draw(poolings(sizes))
    return normals(draw, x), window, products("avg_pool2d", np.prod(window[0]))


@st.composite
def avg_pool2d_input(draw, sizes):
    x, y, window = draw(poolings(sizes))
    return normals(draw, y), (x[2:], *window), products("avg_pool2d_input", np.prod(window[0]))


@st.composite
def pixels_gather(draw, sizes):
    x, y, _ = draw(poolings(sizes, st.integers(1, 3)))
    index = np.random.default_rng(draw(seeds)).integers(0, x[2] * x[3], y)
    return [*normals(draw, x), index], (), exact(1)


@st.composite
def pixels_scatter(draw, sizes):
    """Onto any pixels, or onto those that a max_pool2d picked, which the kernel is told."""
    x, y, window = draw(poolings(sizes, st.integers(1, 3)))
    index, rest = np.random.default_rng(draw(seeds)).integers(0, x[2] * x[3], y), (x[2:],)
    if draw(st.booleans()):
        index, rest = reference.max_pool2d(*normals(draw, x), *window)[1], (x[2:], window)

    def size(arrays, rest):
        y, index = arrays
        return [(y.shape[2] * y.shape[3], reference.pixels_scatter(np.abs(y), index, *rest))]

    return [*normals(draw, y), index], rest, size


@st.composite
def upsample2d(draw, sizes):
    x, _, _ = draw(poolings(sizes))
    return normals(draw, x), (draw(pairs(1, 3)),), exact(1)


@st.composite
def upsample2d_input(draw, sizes):
    (N, C, H, W), _, _ = draw(poolings(sizes))
    FH, FW = draw(pairs(1, 3))
    return normals(draw, (N, C, H * FH, W * FW)), ((FH, FW),), products("upsample2d_input", FH * FW)


# Normalisation

AXES = {  # of x, and of the weights
    "table": ((0,), (1,)),
    "batch": ((0, 2, 3), (1,)),
    "instance": ((2, 3), (1,)),
    "layer, last": ((3,), (3,)),
    "layer, image": ((1, 2, 3), (1, 2, 3)),
    "by place": ((0,), (1, 2, 3)),
    "odd": ((0, 2), (3,)),
}


@st.composite
def norms(draw, sizes):
    """x, a weight and a bias (or None), axes and eps."""
    axes, weights = AXES[draw(st.sampled_from(sorted(AXES)))]
    N, C = draw(st.integers(1, 5)), draw(sizes.channel_counts())
    shape = (N, C, *draw(pairs(1, min(sizes.side, 9))))
    if (axes, weights) == AXES["table"]:
        shape = (sizes.matrix // 2 * N, C)
    x, scale = normals(draw, shape, ())
    w = [1 if i not in weights else n for i, n in enumerate(shape)]
    weight, bias = (a if draw(st.booleans()) else None for a in normals(draw, w, w))
    return x + draw(st.sampled_from([0.0, 100.0])) * scale, weight, bias, axes, 1e-5


def measures(x, mean, var, axes, eps):
    """Terms of a sum, and bounds of |x|, of 1/√(var + eps) and of the normalised x."""
    terms, largest = x.size // max(mean.size, 1), np.abs(x).max()
    rstd = 1 / np.sqrt(var + eps)
    return terms + 8, largest, rstd, np.abs(x - mean) * rstd


@st.composite
def normalize(draw, sizes):
    x, weight, bias, axes, eps = draw(norms(sizes))

    def size(arrays, rest):
        x, weight, bias = arrays
        _, mean, var = reference.normalize(*arrays, *rest)
        n, largest, rstd, y = measures(x, mean, var, axes, eps)
        # A mean that is off by n roundings moves x - mean by as much, and the root of var too.
        w = 1 if weight is None else np.abs(weight)
        b = 0 if bias is None else np.abs(bias)
        return [(n, (1 + y) * largest * rstd * w + b), (n, largest), (n, largest**2)]

    return [x, weight, bias], (axes, eps, draw(slopes)), size


@st.composite
def normalize_backward(draw, sizes):
    x, weight, bias, axes, eps = draw(norms(sizes))
    (gy,) = normals(draw, x.shape)
    y, mean, var = reference.normalize(x, weight, bias, axes, eps)
    slope = draw(slopes)
    if slope is not None:
        gy[np.abs(y) < 0.01] = 0  # where roundings decide on which side of the kink y is

    def size(arrays, rest):
        gy, x, weight, bias, mean, var = arrays
        n, largest, rstd, y = measures(x, mean, var, axes, eps)
        g, rstd, y = np.abs(gy).max(), rstd.max(), 1 + y.max()
        w = 1 if weight is None else np.abs(weight).max()
        off = y * (1 + largest * rstd)  # of y, in roundings, as above
        terms = 1 if weight is None else gy.size // weight.size
        sums = 1 if bias is None else gy.size // bias.size
        return [(n, 3 * w * rstd * g * y * off), (n + terms, terms * g * off), (n + sums, sums * g)]

    return [gy, x, weight, bias, mean, var], (axes, eps, slope), size


@st.composite
def normalize_double_backward(draw, sizes):
    x, weight, _, axes, eps = draw(norms(sizes))
    ggx, gy = normals(draw, x.shape, x.shape)
    _, mean, var = reference.normalize(x, weight, None, axes, eps)

    def size(arrays, rest):
        ggx, gy, x, weight, mean, var = arrays
        n, largest, rstd, y = measures(x, mean, var, *rest)
        u, g, rstd, y = np.abs(ggx).max(), np.abs(gy).max(), rstd.max(), 1 + y.max()
        w = 1 if weight is None else np.abs(weight).max()
        off = y**2 * (1 + largest * rstd)  # of y, in roundings, as above
        terms = 1 if weight is None else gy.size // weight.size
        second = 12 * w * rstd**2 * u * g * y * off
        return [(n, 3 * w * rstd * u * y * off), (n, second), (n + terms, 3 * terms * rstd * u * g * off)]

    return [ggx, gy, x, weight, mean, var], (axes, eps), size


@st.composite
def move_statistics(draw, sizes):
    n = draw(sizes.lengths())
    arrays = normals(draw, n, n, (1, n, 1, 1), (1, n, 1, 1))

    def size(arrays, rest):
        return [
            (6, np.abs(running) + 2 * np.abs(value).ravel())
            for running, value in zip(arrays[:2], arrays[2:], strict=True)
        ]

    return arrays, (draw(st.sampled_from([0.1, 1.0])), 1.25), size


# Optimisers

rates = st.sampled_from([0.0, 0.1])


@st.composite
def sgd(draw, sizes):
    n, momentum, nesterov = draw(sizes.lengths()), draw(st.sampled_from([0.0, 0.9])), draw(st.booleans())
    rest = (0.1, momentum, 0.3, draw(rates), nesterov and bool(momentum), draw(st.booleans()))
    p, g, buf = normals(draw, n, n, n)

    def size(arrays, rest):
        p, g, buf = arrays
        d = np.abs(g) + np.abs(p)
        sizes = [(8, np.abs(p) + 2 * d + (0 if buf is None else np.abs(buf)))] * 2
        return sizes if buf is not None else sizes[:1]

    return [p, g, buf if momentum else None], rest, size


@st.composite
def rmsprop(draw, sizes):
    n = draw(sizes.lengths())
    p, g, square = normals(draw, n, n, n)

    def size(arrays, rest):
        p, g, square = arrays
        d = np.abs(g) + np.abs(p)
        s = 0.99 * square + 0.01 * g * g
        return [(16, np.abs(p) + d / (np.sqrt(s) + 1e-8)), (16, square + d * d)]

    return [p, g, square**2 + 0.1], (0.1, 0.99, 1e-8, draw(rates)), size


@st.composite
def adam(draw, sizes):
    n = draw(sizes.lengths())
    p, g, mean, square = normals(draw, n, n, n, n)

    def size(arrays, rest):
        p, g, mean, square = arrays
        d = np.abs(g) + np.abs(p) + np.abs(mean)
        return [(16, np.abs(p) + d / np.sqrt(square)), (8, d), (8, square + d * d)]

    rest = (draw(st.sampled_from([1, 2, 10])), 0.1, 0.5, 0.999, 1e-8, draw(rates))
    return [p, g, mean, square**2 + 0.1], rest, size


# Entry by entry, and sums


@st.composite
def entrywise(draw, sizes, n, *rest):
    shape = draw(sizes.shapes())
    size = 1 + sum(map(abs, rest))
    return (
        normals(draw, *[shape] * n),
        rest,
        lambda arrays, rest: [(4, size * np.prod([1 + np.abs(a) for a in arrays] * 2, axis=0))],
    )


@st.composite
def add_bias(draw, sizes):
    shape = draw(sizes.shapes())
    y, b = normals(draw, shape, shape[1])
    largest = np.abs(y).max(initial=0) + np.abs(b).max(initial=0)
    return [y, b], (draw(slopes),), lambda arrays, rest: [(2, largest)]


@st.composite
def bias_leaky_relu_backward(draw, sizes):
    shape = draw(sizes.shapes())

    def size(arrays, rest):
        (gy, _), terms = np.abs(arrays), prod(shape) // shape[1]
        return [(1, gy), (terms + 4, reference.channel_sums(gy))]

    return normals(draw, shape, shape), (draw(st.sampled_from([0.0, 0.2])),), size


@st.composite
def channel_sums(draw, sizes):
    shape = draw(sizes.shapes())
    return normals(draw, shape), (), products("channel_sums", prod(shape) // shape[1])


@st.composite
def sums(draw, sizes):
    shape = draw(sizes.shapes())
    axes = tuple(sorted(draw(st.sets(st.integers(0, len(shape) - 1)))))
    scale = draw(st.sampled_from([None, 0.3]))
    return normals(draw, shape), (axes, scale), products("sums", prod(shape[axis] for axis in axes))


@st.composite
def row_norms(draw, sizes):
    shape = draw(sizes.rows())
    return (
        normals(draw, shape),
        (draw(st.sampled_from([1e-12, 1.0])),),
        products("row_norms", prod(shape[1:])),
    )


@st.composite
def row_norms_backward(draw, sizes):
    shape = draw(sizes.rows())
    x, gy, y = normals(draw, shape, shape[0], shape[0])
    return [gy, x, np.abs(y) + 0.5], (), products("row_norms_backward", 4)


@st.composite
def embedding_weight(draw, sizes):
    index_shape, width, rows = draw(pairs(0, 9)), draw(sizes.channel_counts()), draw(st.integers(1, 9))
    index = np.random.default_rng(draw(seeds)).integers(0, rows, index_shape)

    def size(arrays, rest):
        gy, index = arrays
        return [(index.size, reference.embedding_weight(np.abs(gy), index, *rest))]

    return [*normals(draw, (*index_shape, width)), index], (rows,), size


# All pairs of two sets of points


@st.composite
def all_pairs(draw, sizes, name):
    """Sets x and y of points, some coordinates equal; and a gradient, or a direction, in front of them."""
    B, (N, M) = draw(batches), draw(pairs(0, min(sizes.matrix, 40)))
    C = draw(st.one_of(st.integers(0, 5), st.integers(0, sizes.row // 4)))
    x, y, gy, u = normals(draw, (B, N, C), (B, M, C), (B, N, M), (B, N, C))
    given = {"l1_distances_backward": [gy], "l1_distances_along": [u]}.get(name, [])

    def size(arrays, rest):
        if not given:
            return [(C + 4, reference.l1_distances(*map(np.abs, (x, -y))) + 4 * C)]
        sums = np.abs(arrays[0]).sum(2, keepdims=True)  # of as many terms as there are at most
        return [(max(M, C) + 4, sums + np.zeros((B, N, C if name.endswith("backward") else M)))]

    return [*given, x.round(1), y.round(1)], (), size


# Matrix products


@st.composite
def matmul(draw, sizes):
    lead, (M, N) = draw(st.sampled_from([(), (), (2,)])), draw(pairs(0, sizes.matrix))
    K = draw(st.integers(0, sizes.matrix))
    return normals(draw, (*lead, M, K), (*lead, K, N)), (), products("matmul", K)


@st.composite
def linear(draw, sizes):
    (N, O), K = draw(pairs(0, sizes.matrix)), draw(st.integers(0, sizes.matrix))
    x, w, b = normals(draw, (N, K), (O, K), O)
    return [x, w, b if draw(st.booleans()) else None], (draw(slopes),), products("linear", K)


# Losses


@st.composite
def bce_with_logits(draw, sizes, backward=False):
    """The target an array or a number."""
    x, target, gy = normals(draw, shape := draw(sizes.shapes()), shape, ())
    number, scale, whole = draw(st.sampled_from([0.0, 1.0, 0.9])), 0.125, draw(st.booleans())
    arrays = [np.asarray(gy)] * backward + [x] + [target] * whole

    def size(arrays, rest):
        x, t = np.abs(arrays[backward]), np.abs(arrays[-1]) if whole else number
        if backward:
            return [(16, np.abs(arrays[0]) * scale * (1 + t))]
        return [(x.size + 16, (1 + (1 + t) * x).sum() * scale)]

    return arrays, (scale,) if whole else (number, scale), size


@st.composite
def along_an_axis(draw, sizes, kernel):
    """A softmax or its gradient: of x, or of gy and y, and an axis."""
    shape = draw(sizes.rows())
    assume(0 not in shape)
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    x, gy = normals(draw, shape, shape)
    x = draw(st.sampled_from([1, 30])) * x
    forward = kernel.removesuffix("_backward")
    arrays = [x] if kernel == forward else [gy, getattr(reference, forward)(x, axis)]
    n = shape[axis]

    def size(arrays, rest):
        gy, x = np.abs(arrays[0]), arrays[-1]
        if kernel == forward:  # an exponent that is off by as much moves the result by as many roundings
            return [(n + 8, (1 + 2 * np.abs(x).max()) * (1 if forward == "softmax" else 1 + np.log(n)))]
        if forward == "softmax":
            tiny = 1e-37  # below which float32 has fewer digits
            return [(n + 8, x * (gy + (gy * x).sum(axis=axis, keepdims=True)) + tiny)]
        return [(n + 8, gy + np.exp(x) * (1 - x) * gy.sum(axis=axis, keepdims=True))]

    return arrays, (axis,), size


@st.composite
def cross_entropy(draw, sizes, backward=False):
    N, C = draw(st.integers(1, sizes.matrix)), draw(st.integers(1, sizes.row))
    gy, x = normals(draw, N, (N, C))
    labels = np.random.default_rng(draw(seeds)).integers(0, C, N)
    bound = C + 8, 4 * (1 + np.abs(x).max()) * (1 + np.log(C)) * (1 + np.abs(gy).max())
    return [gy, x, labels] if backward else [x, labels], (), lambda arrays, rest: [bound]


CASES = {
    "adam": adam,
    "add_bias": add_bias,
    "avg_pool2d": avg_pool2d,
    "avg_pool2d_input": avg_pool2d_input,
    "bce_with_logits": bce_with_logits,
    "bce_with_logits_backward": lambda sizes: bce_with_logits(sizes, backward=True),
    "bias_leaky_relu_backward": bias_leaky_relu_backward,
    "channel_sums": channel_sums,
    "conv2d": conv2d,
    "conv2d_input": conv2d_input,
    "conv2d_weight": conv2d_weight,
    "cross_entropy": cross_entropy,
    "cross_entropy_backward": lambda sizes: cross_entropy(sizes, backward=True),
    "embedding_weight": embedding_weight,
    **{
        name: partial(all_pairs, name=name)
        for name in ("l1_distances", "l1_distances_along", "l1_distances_backward")
    },
    "leaky_relu": lambda sizes: entrywise(sizes, 1, 0.2),
    "leaky_relu_backward": lambda sizes: entrywise(sizes, 2, 0.2),
    "linear": linear,
    "log_softmax": lambda sizes: along_an_axis(sizes, "log_softmax"),
    "log_softmax_backward": lambda sizes: along_an_axis(sizes, "log_softmax_backward"),
    "matmul": matmul,
    "max_pool2d": max_pool2d,
    "move_statistics": move_statistics,
    "normalize": normalize,
    "normalize_backward": normalize_backward,
    "normalize_double_backward": normalize_double_backward,
    "pixels_gather": pixels_gather,
    "pixels_scatter": pixels_scatter,
    "rmsprop": rmsprop,
    "row_norms": row_norms,
    "row_norms_backward": row_norms_backward,
    "sgd": sgd,
    "sigmoid": lambda sizes: entrywise(sizes, 1),
    "softmax": lambda sizes: along_an_axis(sizes, "softmax"),
    "softmax_backward": lambda sizes: along_an_axis(sizes, "softmax_backward"),
    "sums": sums,
    "tanh_backward": lambda sizes: entrywise(sizes, 2),
    "upsample2d": upsample2d,
    "upsample2d_input": upsample2d_input,
}
IN_PLACE = {
    "adam": (0, 2, 3),
    "rmsprop": (0, 2),
    "sgd": (0, 2),
    "add_bias": (0,),
    "move_statistics": (0, 1),
}  # arrays that change
