"""Convolution on the CPU by each algorithm, and Winograd's matrices in exact arithmetic."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from conformance import ENGINES, cast, check
from engine_cases import LARGE, batches, conv2d, conv2d_input, conv2d_weight, pairs, products, seeds
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minigan_kernels as kernels
from minigan_kernels import reference
from minigan_kernels.cpu import direct, threads
from minigan_kernels.cpu.toom_cook import filtering

pytestmark = pytest.mark.slow  # compiles kernels for both dtypes

CPU = ENGINES["cpu"]
channels = LARGE.channel_counts()
some = settings(max_examples=25, deadline=None)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setattr(threads._pool, "size", 1)


CONVOLUTIONS = {"conv2d": conv2d, "conv2d_input": conv2d_input, "conv2d_weight": conv2d_weight}


@pytest.mark.parametrize("tile", [2, 3, 4])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_winograd_makes_the_same_convolutions(name, tile):
    """Relative to the largest of the sums of absolute products: tiles mix neighbours that cancel."""

    @some
    @given(CONVOLUTIONS[name](LARGE, square=True))
    def agrees(case):
        arrays, rest, _ = case
        arrays = cast(arrays, np.float32)

        def size(arrays, rest):
            sums = getattr(reference, name)(*map(np.abs, arrays), *rest)
            return [(1, np.full_like(sums, sums.max(initial=0)))]

        with kernels.conv_algorithm("winograd", tile):
            check(CPU, name, (arrays, rest, size), np.float32, factor=LOSS[tile])

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
            check(CPU, name, (*args, products(name, terms)), np.float32)


@st.composite
def few_channels(draw):
    """Any window on images of few channels, and whole vectors of filters."""
    size, kernel, stride, padding = (draw(pairs(*ends)) for ends in ((1, 21), (1, 5), (1, 3), (0, 3)))
    out = kernels.out_size(size, kernel, stride, padding)
    assume(min(out) >= 1)
    N, C, O = draw(batches), draw(st.integers(1, 9)), draw(st.sampled_from([32, 64]))
    return (N, C, *size), (O, C, *kernel), (N, O, *out), (stride, padding, (1, 1), 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_direct_loops_make_the_same_convolutions(dtype):
    @some
    @given(few_channels(), seeds)
    def agrees(shapes, seed):
        x, w, y, geometry = shapes
        rng = np.random.default_rng(seed)
        x, w, y = (rng.standard_normal(shape).astype(dtype) for shape in (x, w, y))
        with kernels.conv_algorithm("direct"):
            for name, args in {
                "conv2d": ([x, w], geometry, products("conv2d", w[0].size)),
                "conv2d_weight": (
                    [x, y],
                    (w.shape[2:], *geometry),
                    products("conv2d_weight", y.size // y.shape[1]),
                ),
            }.items():
                check(CPU, name, args, dtype)

    agrees()


def test_images_of_few_channels_take_the_direct_loops(monkeypatch):
    called = []
    monkeypatch.setattr(direct, "conv2d", lambda *args: called.append("conv2d") or Y)
    monkeypatch.setattr(direct, "conv2d_weight", lambda *args: called.append("conv2d_weight") or W)
    Y, W = np.empty((2, 4, 4, 64), np.float32), np.empty((64, 4, 4, 3), np.float32)
    x, w, gy = (np.ones(shape, np.float32) for shape in ((2, 3, 8, 8), (64, 3, 4, 4), (2, 64, 4, 4)))
    geometry = (2, 2), (1, 1), (1, 1), 1
    kernels.conv2d(x, w, *geometry)
    kernels.conv2d_weight(x, gy, (4, 4), *geometry)
    kernels.conv2d_input(gy, w, (8, 8), *geometry)
    assert called == ["conv2d", "conv2d_weight"]


def test_an_algorithm_that_there_is_not_is_refused():
    for name, tile, says in (
        ("fft", None, "'fft'; there are: gemm, winograd, im2col, direct"),
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
        ("direct", (3, 3), ((1, 1), (1, 1), (1, 1), 1)),  # two filters are no vector
    ],
)
def test_an_algorithm_refuses_what_it_cannot_make(name, kernel, geometry):
    x, w = np.ones((1, 2, 8, 8), np.float32), np.ones((2, 2 // geometry[3], *kernel), np.float32)
    with pytest.raises(ValueError, match=f"{name} cannot make"), kernels.conv_algorithm(name):
        kernels.conv2d(x, w, *geometry)
    kernels.conv2d(x, w, *geometry)  # the choice has ended


def test_direct_loops_make_no_input_gradient():
    gy, w = np.ones((1, 32, 8, 8), np.float32), np.ones((32, 2, 3, 3), np.float32)
    with kernels.conv_algorithm("direct"), pytest.raises(ValueError, match="an input gradient"):
        kernels.conv2d_input(gy, w, (8, 8), (1, 1), (1, 1), (1, 1), 1)


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
