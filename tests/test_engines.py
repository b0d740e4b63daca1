"""The `cpu` engine: each of its kernels against `reference` in float64, its threads, and its algorithms."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import product
from unittest import mock

import numba
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minigan_kernels as kernels
from minigan.testing import assert_close
from minigan.testing.layouts import LAYOUTS, fits
from minigan_kernels import cpu, reference
from minigan_kernels.cpu import compiling, threads, workspace
from minigan_kernels.cpu.toom_cook import filtering

pytestmark = pytest.mark.slow  # compiles every kernel for both dtypes

EPS = {np.dtype(np.float32): 2.0**-24, np.dtype(np.float64): 2.0**-53}
some = settings(max_examples=25, deadline=None)  # of each kernel


# The cases: a strategy for each kernel, of (arrays, the other arguments, a function that gives for each
# result the number of roundings on the way to it, and the size of what was rounded).


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


batches = st.sampled_from([1, 1, 2, 3, 0])
channels = st.one_of(st.integers(1, 5), st.integers(1, 70))  # short of, at, and past the length of a vector
seeds = st.integers(0, 2**32 - 1)


def normals(draw, *shapes):
    rng = np.random.default_rng(draw(seeds))
    return [rng.standard_normal(shape) for shape in shapes]


@st.composite
def convolutions(draw, square=False):
    """The shapes of x, w and y, and the geometry; `square` if Winograd's algorithm is to make it."""
    N = draw(batches)
    size = draw(pairs(1, 13))
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


def products(name, terms):
    """As many roundings as a product has terms, each of at most the sum of their absolute values."""

    def size(arrays, rest):
        positive = [None if a is None else np.abs(a) for a in arrays]
        return [(terms + 4, getattr(reference, name)(*positive, *rest))]

    return size


@st.composite
def conv2d(draw, square=False):
    x, w, _, geometry = draw(convolutions(square))
    return normals(draw, x, w), geometry, products("conv2d", w[1] * w[2] * w[3])


@st.composite
def conv2d_input(draw, square=False):
    x, w, y, geometry = draw(convolutions(square))
    return normals(draw, y, w), (x[2:], *geometry), products("conv2d_input", w[0] * w[2] * w[3])


@st.composite
def conv2d_weight(draw, square=False):
    x, w, y, geometry = draw(convolutions(square))
    return normals(draw, x, y), (w[2:], *geometry), products("conv2d_weight", y[0] * y[2] * y[3])


@st.composite
def poolings(draw, batches=batches):
    size, kernel = draw(pairs(1, 13)), draw(pairs(1, 5))
    window = kernel, draw(pairs(1, 3)), tuple(draw(st.integers(0, k // 2)) for k in kernel)
    out = kernels.out_size(size, *window)
    assume(min(out) >= 1)
    N, C = draw(batches), draw(channels)
    return (N, C, *size), (N, C, *out), window


def exact(results):
    return lambda arrays, rest: [(0, 0.0)] * results


@st.composite
def max_pool2d(draw):
    x, _, window = draw(poolings())
    (x,) = normals(draw, x)
    return [x.round(1)], window, exact(2)  # with ties


@st.composite
def scatter_of_winners(draw):
    """The gradient of a max pooling, with the window that the positions come from."""
    x, y, window = draw(poolings())
    x, y = normals(draw, x, y)
    _, index = reference.max_pool2d(x, *window)

    def size(arrays, rest):
        y, index = arrays
        return [(y.shape[2] * y.shape[3], reference.pixels_scatter(np.abs(y), index, *rest))]

    return [y, index], (x.shape[2:], window), size


@st.composite
def avg_pool2d(draw):
    x, _, window = draw(poolings())
    return normals(draw, x), window, products("avg_pool2d", np.prod(window[0]))


@st.composite
def avg_pool2d_input(draw):
    x, y, window = draw(poolings())
    return normals(draw, y), (x[2:], *window), products("avg_pool2d_input", np.prod(window[0]))


@st.composite
def pixels_gather(draw):
    x, y, _ = draw(poolings(st.integers(1, 3)))
    index = np.random.default_rng(draw(seeds)).integers(0, x[2] * x[3], y)
    return [*normals(draw, x), index], (), exact(1)


@st.composite
def pixels_scatter(draw):
    x, y, _ = draw(poolings(st.integers(1, 3)))
    index = np.random.default_rng(draw(seeds)).integers(0, x[2] * x[3], y)

    def size(arrays, rest):
        y, index = arrays
        return [(y.shape[2] * y.shape[3], reference.pixels_scatter(np.abs(y), index, *rest))]

    return [*normals(draw, y), index], (x[2:],), size


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
def norms(draw):
    """x, a weight and a bias (or None), axes and eps."""
    axes, weights = AXES[draw(st.sampled_from(sorted(AXES)))]
    N, C, size = draw(st.integers(1, 5)), draw(channels), draw(pairs(1, 9))
    shape = (
        (40 * N, C) if len(axes) == len(weights) == 1 and axes == (0,) and weights == (1,) else (N, C, *size)
    )
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
def normalize(draw):
    x, weight, bias, axes, eps = draw(norms())

    def size(arrays, rest):
        x, weight, bias = arrays
        _, mean, var = reference.normalize(*arrays, *rest)
        n, largest, rstd, y = measures(x, mean, var, *rest)
        # A mean that is off by n roundings moves x - mean by as much, and the root of var too.
        w = 1 if weight is None else np.abs(weight)
        b = 0 if bias is None else np.abs(bias)
        return [(n, (1 + y) * largest * rstd * w + b), (n, largest), (n, largest**2)]

    return [x, weight, bias], (axes, eps), size


@st.composite
def normalize_backward(draw):
    x, weight, bias, axes, eps = draw(norms())
    (gy,) = normals(draw, x.shape)
    _, mean, var = reference.normalize(x, weight, bias, axes, eps)

    def size(arrays, rest):
        gy, x, weight, bias, mean, var = arrays
        n, largest, rstd, y = measures(x, mean, var, *rest)
        g, rstd, y = np.abs(gy).max(), rstd.max(), 1 + y.max()
        w = 1 if weight is None else np.abs(weight).max()
        off = y * (1 + largest * rstd)  # of y, in roundings, as above
        terms = 1 if weight is None else gy.size // weight.size
        sums = 1 if bias is None else gy.size // bias.size
        return [(n, 3 * w * rstd * g * y * off), (n + terms, terms * g * off), (n + sums, sums * g)]

    return [gy, x, weight, bias, mean, var], (axes, eps), size


lengths = st.one_of(st.integers(0, 70), st.just(20011))
rates = st.sampled_from([0.0, 0.1])


@st.composite
def sgd(draw):
    n, momentum, nesterov = draw(lengths), draw(st.sampled_from([0.0, 0.9])), draw(st.booleans())
    rest = (0.1, momentum, 0.3, draw(rates), nesterov and bool(momentum), draw(st.booleans()))
    p, g, buf = normals(draw, n, n, n)

    def size(arrays, rest):
        p, g, buf = arrays
        d = np.abs(g) + np.abs(p)
        sizes = [(8, np.abs(p) + 2 * d + (0 if buf is None else np.abs(buf)))] * 2
        return sizes if buf is not None else sizes[:1]

    return [p, g, buf if momentum else None], rest, size


@st.composite
def rmsprop(draw):
    n = draw(lengths)
    p, g, square = normals(draw, n, n, n)

    def size(arrays, rest):
        p, g, square = arrays
        d = np.abs(g) + np.abs(p)
        s = 0.99 * square + 0.01 * g * g
        return [(16, np.abs(p) + d / (np.sqrt(s) + 1e-8)), (16, square + d * d)]

    return [p, g, square**2 + 0.1], (0.1, 0.99, 1e-8, draw(rates)), size


@st.composite
def adam(draw):
    n = draw(lengths)
    p, g, mean, square = normals(draw, n, n, n, n)

    def size(arrays, rest):
        p, g, mean, square = arrays
        d = np.abs(g) + np.abs(p) + np.abs(mean)
        return [(16, np.abs(p) + d / np.sqrt(square)), (8, d), (8, square + d * d)]

    rest = (draw(st.sampled_from([1, 2, 10])), 0.1, 0.5, 0.999, 1e-8, draw(rates))
    return [p, g, mean, square**2 + 0.1], rest, size


shapes = st.one_of(  # small ones, and those that are more than a part
    st.tuples(st.integers(0, 9), channels),
    st.tuples(st.integers(60, 70), st.integers(60, 70)),
    st.tuples(batches, channels, st.integers(1, 20), st.integers(1, 20)),
)


@st.composite
def entrywise(draw, n, *rest):
    shape = draw(shapes)
    size = 1 + sum(map(abs, rest))
    return (
        normals(draw, *[shape] * n),
        rest,
        lambda arrays, rest: [(4, size * np.prod([1 + np.abs(a) for a in arrays] * 2, axis=0))],
    )


@st.composite
def add_bias(draw):
    shape = draw(shapes)
    y, b = normals(draw, shape, shape[1])
    return [y, b], (), lambda arrays, rest: [(1, np.abs(y).max(initial=0) + np.abs(b).max(initial=0))]


@st.composite
def channel_sums(draw):
    shape = draw(shapes)
    terms = np.prod(shape) // shape[1]
    return normals(draw, shape), (), products("channel_sums", terms)


@st.composite
def sums(draw):
    shape = draw(shapes)
    axes = tuple(draw(st.lists(st.sampled_from(range(len(shape))), unique=True)))
    terms = np.prod([shape[axis] for axis in axes])
    return normals(draw, shape), (axes,), products("sums", terms)


rows = st.one_of(
    st.tuples(st.integers(1, 5), st.integers(1, 700)), poolings(st.integers(1, 3)).map(lambda case: case[0])
)


@st.composite
def row_norms(draw):
    (x,) = normals(draw, shape := draw(rows))
    terms = np.prod(shape[1:])
    return [x], (0.1,), lambda arrays, rest: [(terms + 4, reference.row_norms(*arrays, *rest))]


@st.composite
def row_norms_backward(draw):
    gy, x = normals(draw, (shape := draw(rows))[0], shape)
    y = reference.row_norms(x, 0.1)
    return [gy, x, y], (), lambda arrays, rest: [(4, np.abs(reference.row_norms_backward(*arrays)))]


@st.composite
def embedding_weight(draw):
    V, D, index = draw(st.integers(1, 20)), draw(channels), draw(st.sampled_from([(), (0,), (3,), (4, 70)]))
    rows = np.random.default_rng(draw(seeds)).integers(0, V, index)

    def size(arrays, rest):
        return [(rows.size, reference.embedding_weight(np.abs(arrays[0]), arrays[1], *rest))]

    return [*normals(draw, (*index, D)), rows], (V,), size


@st.composite
def along_an_axis(draw, kernel):
    """A softmax or its gradient: of x, or of gy and y, and an axis."""
    shape = draw(st.one_of(rows, st.tuples(st.integers(1, 70), st.integers(1, 70))))
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
def cross_entropy(draw, backward=False):
    N, C = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    gy, x = normals(draw, N, (N, C))
    labels = np.random.default_rng(draw(seeds)).integers(0, C, N)
    bound = C + 8, 4 * (1 + np.abs(x).max()) * (1 + np.log(C)) * (1 + np.abs(gy).max())
    return [gy, x, labels] if backward else [x, labels], (), lambda arrays, rest: [bound]


@st.composite
def bce_with_logits(draw, backward=False):
    """The target an array or a number."""
    x, target, gy = normals(draw, shape := draw(shapes), shape, ())
    number, scale = draw(st.sampled_from([0.0, 1.0, 0.9])), 0.125
    whole = draw(st.booleans())
    arrays = [gy] * backward + [x] + [target] * whole
    rest = (scale,) if whole else (number, scale)

    def size(arrays, rest):
        x, t = np.abs(arrays[backward]), np.abs(arrays[-1]) if whole else number
        if backward:
            return [(16, np.abs(arrays[0]) * scale * (1 + t))]
        return [(x.size + 16, (1 + (1 + t) * x).sum() * scale)]

    return arrays, rest, size


@st.composite
def upsample2d(draw, kernel):
    (N, C, H, W), factors = draw(poolings())[0], draw(pairs(1, 3))
    if kernel == "upsample2d":
        return normals(draw, (N, C, H, W)), (factors,), exact(1)
    x = normals(draw, (N, C, H * factors[0], W * factors[1]))
    return x, (factors,), products(kernel, np.prod(factors))


@st.composite
def matmul(draw):
    lead, (M, N), K = draw(st.sampled_from([(), (), (2,)])), draw(pairs(0, 70)), draw(st.integers(1, 70))
    return normals(draw, (*lead, M, K), (*lead, K, N)), (), products("matmul", K)


@st.composite
def linear(draw):
    (N, O), K = draw(pairs(1, 70)), draw(st.integers(1, 70))
    x, w, b = normals(draw, (N, K), (O, K), O)
    return [x, w, b if draw(st.booleans()) else None], (), products("linear", K)


CASES = {
    "adam": adam(),
    "add_bias": add_bias(),
    "avg_pool2d": avg_pool2d(),
    "avg_pool2d_input": avg_pool2d_input(),
    "bce_with_logits": bce_with_logits(),
    "bce_with_logits_backward": bce_with_logits(backward=True),
    "channel_sums": channel_sums(),
    "conv2d": conv2d(),
    "conv2d_input": conv2d_input(),
    "conv2d_weight": conv2d_weight(),
    "cross_entropy": cross_entropy(),
    "cross_entropy_backward": cross_entropy(backward=True),
    "embedding_weight": embedding_weight(),
    "leaky_relu": entrywise(1, 0.2),
    "leaky_relu_backward": entrywise(2, 0.2),
    "linear": linear(),
    "log_softmax": along_an_axis("log_softmax"),
    "log_softmax_backward": along_an_axis("log_softmax_backward"),
    "matmul": matmul(),
    "max_pool2d": max_pool2d(),
    "normalize": normalize(),
    "normalize_backward": normalize_backward(),
    "pixels_gather": pixels_gather(),
    "pixels_scatter": st.one_of(pixels_scatter(), scatter_of_winners()),
    "rmsprop": rmsprop(),
    "row_norms": row_norms(),
    "row_norms_backward": row_norms_backward(),
    "sgd": sgd(),
    "sigmoid": entrywise(1),
    "softmax": along_an_axis("softmax"),
    "softmax_backward": along_an_axis("softmax_backward"),
    "sums": sums(),
    "tanh_backward": entrywise(2),
    "upsample2d": upsample2d("upsample2d"),
    "upsample2d_input": upsample2d("upsample2d_input"),
}
IN_PLACE = {"adam": (0, 2, 3), "rmsprop": (0, 2), "sgd": (0, 2), "add_bias": (0,)}  # arrays that change

ENGINE = sorted(set(cpu.__all__) - {"normal"})  # which takes no arrays


def test_every_kernel_of_the_engine_has_a_case():
    assert set(ENGINE) <= set(CASES)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 1001, 40_000])
@pytest.mark.parametrize(("key", "counter"), [(0, 0), (2**64 - 1, 3), (5, 2**64 - 1), (2**33 + 1, 2**40)])
def test_normal_numbers_are_those_of_reference(key, counter, n):
    threads.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    found = cpu.normal(key, counter, n, np.float32)
    expected = reference.normal(key, counter, n, np.float32)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_max_ulp(found, expected, 1)


# How a kernel is run: twice, the second time in memory full of NaN, on inputs that must not change.


def run(name, arrays, rest, kernel=None):
    """The results of a kernel, or what it changed, as a list."""
    kernel = kernel or getattr(cpu, name)
    changes = IN_PLACE.get(name, ())
    arrays = [a.copy() if i in changes and a is not None else a for i, a in enumerate(arrays)]
    before = [None if a is None else a.copy() for a in arrays]
    found = kernel(*arrays, *rest)
    for i, (a, b) in enumerate(zip(arrays, before, strict=True)):
        if i not in changes:
            np.testing.assert_array_equal(a, b)
    if changes:
        return [arrays[i] for i in changes if arrays[i] is not None]
    return list(found) if isinstance(found, tuple) else [found]


def run_poisoned(name, arrays, rest):
    """`run`; a second run in poisoned memory must give the same bits, so each entry has been written."""
    first = run(name, arrays, rest)  # also compiles, for which NumPy has to be itself
    for buffer in workspace._buffers.by_name.values():
        buffer[:] = 0xFF  # NaN in float32 and float64
    with mock.patch.multiple(np, empty=poisoned(np.empty), empty_like=poisoned(np.empty_like)):
        second = run(name, arrays, rest)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    return first


def poisoned(make):
    def full(*args, **kwargs):
        array = make(*args, **kwargs)
        if array.dtype.kind in "iuf":
            array.fill({"i": -1, "u": 0xFF, "f": np.nan}[array.dtype.kind])
        return array

    return full


def check(name, case, dtype, factor=1.0):
    """The results against `reference` in float64, of the very same numbers."""
    arrays, rest, size = case
    wide = [a if a is None or a.dtype.kind == "i" else a.astype(np.float64) for a in arrays]
    with np.errstate(all="ignore"):
        expected = run(name, wide, rest, getattr(reference, name))
        sizes = size(wide, rest)
    for a, b, (roundings, scale) in zip(run_poisoned(name, arrays, rest), expected, sizes, strict=True):
        if b is None:
            assert a is None
            continue
        assert a.shape == b.shape
        assert a.dtype == (dtype if b.dtype.kind == "f" else b.dtype)
        atol = factor * roundings * EPS[np.dtype(dtype)] * scale if dtype == np.float32 else 1e-12 * scale
        error = np.abs(a - b)
        assert (error <= atol + (roundings > 0) * 1e-300).all(), (
            f"off by {error.max()}, allowed {np.max(atol)}"
        )


def cast(arrays, dtype):
    return [a if a is None or a.dtype.kind == "i" else np.asarray(a).astype(dtype) for a in arrays]


@pytest.fixture(autouse=True)
def one_thread():
    """The forms without threads, which compile faster; other tests ask for more."""
    before = threads.num_threads()
    threads.set_num_threads(1)
    yield
    threads.set_num_threads(before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ENGINE)
def test_a_kernel_is_what_reference_says(name, dtype):
    @some
    @given(CASES[name])
    def agrees(case):
        arrays, rest, size = case
        check(name, (cast(arrays, dtype), rest, size), dtype)

    agrees()


def read_only(a, axis):
    a = a.copy()
    a.flags.writeable = False
    return a


PLACES = {**LAYOUTS, "read-only": read_only}


@pytest.mark.parametrize("name", ENGINE)
def test_a_kernel_takes_arrays_in_any_memory_order(name):
    @some
    @given(CASES[name], st.data())
    def agrees(case, data):
        arrays, rest, size = case
        arrays = cast(arrays, np.float32)
        for i, a in enumerate(arrays):
            if a is not None and a.ndim and a.size:
                names = [n for n in PLACES if n == "read-only" or fits(n, a.ndim)]
                if i in IN_PLACE.get(name, ()):
                    names = ["contiguous"]
                elif a.dtype.kind == "i":
                    # NaN in between is no integer, and repeated positions are not where windows have them
                    names = [n for n in names if n not in ("every second", "broadcast")]
                arrays[i] = PLACES[data.draw(st.sampled_from(names))](
                    a, data.draw(st.integers(0, a.ndim - 1))
                )
        if name == "normalize_backward":  # the statistics are those of the x that was laid out
            _, *arrays[4:] = reference.normalize(*arrays[1:4], *rest)
        check(name, (arrays, rest, size), np.float32)

    agrees()


@pytest.mark.parametrize("name", ENGINE)
def test_nan_and_infinity_come_out_as_from_reference(name):
    @some
    @given(CASES[name], st.sampled_from([np.nan, np.inf, -np.inf]), st.data())
    def agrees(case, value, data):
        arrays, rest, _ = case
        arrays = [a if a is None else a.copy() for a in cast(arrays, np.float32)]
        can = [
            a for a in arrays if a is not None and a.dtype.kind == "f" and a.size and not a.flags.c_contiguous
        ]
        can = can or [a for a in arrays if a is not None and a.dtype.kind == "f" and a.size]
        assume(can)
        array = data.draw(st.sampled_from(can))
        array.reshape(-1)[data.draw(st.integers(0, array.size - 1))] = value
        with (
            np.errstate(all="ignore"),
            kernels.conv_algorithm("im2col"),
        ):  # tiles mix more pixels than windows
            expected = run(name, arrays, rest, getattr(reference, name))
            found = run(name, arrays, rest)
        for a, b in zip(found, expected, strict=True):
            if a is not None:
                for kind in (np.isnan, np.isposinf, np.isneginf):
                    np.testing.assert_array_equal(kind(a), kind(b))

    agrees()


@pytest.mark.parametrize(
    ("shape", "axes", "weights"),
    [
        ((100_003, 3), (0,), (1, 3)),
        ((3, 100_003), (1,), (1, 100_003)),
        ((2, 3, 301, 59), (0, 2, 3), (1, 3, 1, 1)),
    ],
)
@pytest.mark.parametrize("count", [1, 2])
def test_statistics_of_many_rows_are_as_good_as_those_of_few(shape, axes, weights, count):
    """Over many blocks whose means differ: sums must not lose what a block adds to them."""
    threads.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
    ramp = np.linspace(0, 50, np.prod(shape)).reshape(shape)
    x, gy = (np.random.default_rng(seed).standard_normal(shape) + 100 + ramp for seed in (0, 1))
    x, gy = x.astype(np.float32), gy.astype(np.float32)
    if x.ndim == 4:
        x, gy = LAYOUTS["channels last"](x, 0), LAYOUTS["channels last"](gy, 0)
    wide, wide_gy = x.astype(np.float64), gy.astype(np.float64)
    y, mean, var = cpu.normalize(x, None, None, axes, 1e-5)
    for a, b in zip((y, mean, var), reference.normalize(wide, None, None, axes, 1e-5), strict=True):
        assert_close(a, b, atol=1e-5 * np.abs(b).max())
    weight = np.ones(weights)
    found = cpu.normalize_backward(gy, x, weight.astype(np.float32), None, mean, var, axes, 1e-5)
    right = reference.normalize_backward(wide_gy, wide, weight, None, mean, var, axes, 1e-5)
    for a, b in zip(found[:2], right[:2], strict=True):
        assert_close(a, b, atol=1e-5 * np.abs(b).max())
    assert_close(cpu.channel_sums(gy), reference.channel_sums(wide_gy), rtol=1e-6)


# Convolution by each algorithm.

CONVOLUTIONS = {"conv2d": conv2d, "conv2d_input": conv2d_input, "conv2d_weight": conv2d_weight}


@pytest.mark.parametrize("tile", [2, 3, 4])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_winograd_makes_the_same_convolutions(name, tile):
    """Relative to the largest of the sums of absolute products: tiles mix neighbours that cancel."""

    @some
    @given(CONVOLUTIONS[name](square=True))
    def agrees(case):
        arrays, rest, _ = case
        arrays = cast(arrays, np.float32)

        def size(arrays, rest):
            sums = getattr(reference, name)(*map(np.abs, arrays), *rest)
            return [(1, np.full_like(sums, sums.max(initial=0)))]

        with kernels.conv_algorithm("winograd", tile):
            check(name, (arrays, rest, size), np.float32, factor=LOSS[tile])

    agrees()


LOSS = {2: 20, 3: 80, 4: 150}  # roundings, four times what was measured: large points have large powers


@st.composite
def whole_images(draw):
    """Kernels of one pixel, and kernels of the image's size."""
    size, N = draw(pairs(1, 7)), draw(batches)
    kernel = draw(st.sampled_from([(1, 1), size]))
    C, O = draw(channels), draw(channels)
    out = kernels.out_size(size, kernel, (1, 1), (0, 0))
    geometry = (1, 1), (0, 0), (1, 1), 1
    return (N, C, *size), (O, C, *kernel), (N, O, *out), geometry


@some
@given(whole_images(), seeds)
def test_gemm_makes_the_same_convolutions(shapes, seed):
    x, w, y, geometry = shapes
    rng = np.random.default_rng(seed)
    x, w, y = (rng.standard_normal(shape).astype(np.float32) for shape in (x, w, y))
    terms = max(w[0].size, w.size // w.shape[1], y.size // y.shape[1])
    with kernels.conv_algorithm("gemm"):
        for name, args in {
            "conv2d": ([x, w], geometry),
            "conv2d_input": ([y, w], (x.shape[2:], *geometry)),
            "conv2d_weight": ([x, y], (w.shape[2:], *geometry)),
        }.items():
            check(name, (*args, products(name, terms)), np.float32)


def test_an_algorithm_that_there_is_not_is_refused():
    for name, tile, says in (
        ("fft", None, "'fft'; there are: gemm, winograd, im2col"),
        ("winograd", 5, "tile is 2, 3 or 4"),
        ("im2col", 2, "belongs to winograd"),
    ):
        with pytest.raises(ValueError, match=says), kernels.conv_algorithm(name, tile):
            pass


@pytest.mark.parametrize(
    ("name", "kernel", "geometry"),
    [
        ("winograd", (3, 3), ((1, 1), (1, 1), (2, 2), 1)),
        ("winograd", (3, 3), ((1, 1), (1, 1), (1, 1), 2)),
        ("winograd", (3, 2), ((1, 1), (1, 1), (1, 1), 1)),
        ("winograd", (1, 1), ((1, 1), (0, 0), (1, 1), 1)),
        ("winograd", (3, 3), ((1, 2), (1, 1), (1, 1), 1)),
        ("gemm", (3, 3), ((1, 1), (1, 1), (1, 1), 1)),
        ("gemm", (1, 1), ((2, 2), (0, 0), (1, 1), 1)),
    ],
)
def test_an_algorithm_refuses_what_it_cannot_make(name, kernel, geometry):
    x, w = np.ones((1, 2, 8, 8), np.float32), np.ones((2, 2 // geometry[3], *kernel), np.float32)
    with pytest.raises(ValueError, match=f"{name} cannot make"), kernels.conv_algorithm(name):
        kernels.conv2d(x, w, *geometry)
    kernels.conv2d(x, w, *geometry)  # the choice has ended


def test_winograd_refuses_float64():
    x, w = np.ones((1, 2, 8, 8)), np.ones((2, 2, 3, 3))
    forced = kernels.engine("cpu"), kernels.conv_algorithm("winograd")
    with forced[0], forced[1], pytest.raises(ValueError, match="float64"):
        kernels.conv2d(x, w, (1, 1), (1, 1), (1, 1), 1)


# Winograd's matrices, in exact arithmetic.


@pytest.mark.parametrize(("m", "r"), [(2, 2), (3, 2), (4, 2), (2, 3), (3, 3), (4, 3)])
def test_the_matrices_filter_exactly(m, r):
    """y = Aᵀ[(G g) ⊙ (Bᵀ d)] is y_i = Σ_t d_{i+t} g_t: for unit vectors, and so for all."""
    AT, G, BT = filtering(m, r)
    n = m + r - 1
    assert (len(AT), len(G), len(BT)) == (m, n, n)
    for i, t, s in product(range(m), range(r), range(n)):
        assert sum(AT[i][k] * G[k][t] * BT[k][s] for k in range(n)) == (s == i + t)


@pytest.mark.parametrize(("S", "taps"), [(1, 3), (2, 3), (2, 4), (2, 5), (3, 4), (3, 7)])
@pytest.mark.parametrize("m", [2, 3, 4])
def test_a_strided_filter_is_a_sum_of_phases(S, taps, m):
    r = -(-taps // S)
    rng = np.random.default_rng(0)
    x, w = ([Fraction(int(v)) for v in rng.integers(-9, 9, n)] for n in (S * (m + r), taps))
    AT, G, BT = filtering(m, r)
    n = m + r - 1
    y = [Fraction(0)] * m
    for p in range(S):
        d = x[p::S][:n]
        g = [w[S * t + p] if S * t + p < taps else 0 for t in range(r)]
        for i in range(m):
            y[i] += sum(
                AT[i][k]
                * sum(map(Fraction.__mul__, G[k], map(Fraction, g)))
                * sum(map(Fraction.__mul__, BT[k], d))
                for k in range(n)
            )
    assert y == [sum(x[S * i + k] * w[k] for k in range(taps)) for i in range(m)]


def test_more_points_than_there_are_is_refused():
    with pytest.raises(ValueError, match=r"F\(6, 3\) needs 7 finite points"):
        filtering(6, 3)


# Threads


@pytest.fixture(params=[2, 7])
def many_parts(request, monkeypatch):
    """As many parts as threads, or more; even of arrays that are not worth it."""
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("one processor")
    monkeypatch.setattr(threads, "GRAIN", 0)
    monkeypatch.setattr(threads._pool, "size", request.param)


few = settings(max_examples=8, deadline=None)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENGINE)
def test_parts_on_threads_agree_with_reference(name, many_parts):
    @few
    @given(CASES[name])
    def agrees(case):
        arrays, rest, size = case
        check(name, (cast(arrays, np.float32), rest, size), np.float32)

    agrees()


def layer(seed, N=5):
    """x, w and gy of a layer of a DCGAN, and its geometry."""
    rng = np.random.default_rng(seed)
    shapes = (N, 6, 16, 16), (10, 6, 4, 4), (N, 10, 8, 8)
    return *(rng.standard_normal(s).astype(np.float32) for s in shapes), ((2, 2), (1, 1), (1, 1), 1)


def step(seed):
    x, w, gy, geometry = layer(seed)
    y = kernels.conv2d(x, w, *geometry)
    z, mean, var = kernels.normalize(y, None, None, (0, 2, 3), 1e-5)
    gx = kernels.conv2d_input(gy, w, (16, 16), *geometry)
    return y, z, mean, var, gx, kernels.conv2d_weight(x, gy, (4, 4), *geometry)


def test_threads_change_the_rounding_alone():
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("one processor")
    alone = step(0)
    threads.set_num_threads(2)
    for a, b in zip(step(0), alone, strict=True):
        assert_close(a, b, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize("n", [1, 2])
def test_two_threads_of_a_user_may_call_kernels_at_once(n):
    threads.set_num_threads(min(n, numba.config.NUMBA_NUM_THREADS))
    expected = [step(seed) for seed in range(8)]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(5):
            for found, right in zip(pool.map(step, range(8)), expected, strict=True):
                for a, b in zip(found, right, strict=True):
                    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5"])
def test_a_number_of_threads_that_is_none_is_refused_in_a_sentence(given):
    code = "import minigan_kernels as k; k.num_threads()"
    env = os.environ | {"MINIGAN_NUM_THREADS": given}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode
    says = f"ValueError: MINIGAN_NUM_THREADS must be a positive integer, got '{given}'"
    assert done.stderr.splitlines()[-1] == says


# Compiling


def test_without_a_folder_for_compiled_code_it_works_and_says_so_once(monkeypatch):
    njit = compiling.njit

    def without_folders(cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function 'double': no locator available for file 'x.py'")
        return njit(**options)

    monkeypatch.setattr(compiling, "njit", without_folders)
    compiling._warn_uncached.cache_clear()
    with pytest.warns(UserWarning, match="cannot be kept on disk") as said:
        double, triple = compiling.cached(lambda x: 2 * x), compiling.cached(lambda x: 3 * x)
    assert len(said) == 1
    assert (double(2), triple(2)) == (4, 6)
    compiling._warn_uncached.cache_clear()
