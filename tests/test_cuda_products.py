"""Matrix products and convolutions of the CUDA engine, run by the emulator: every tile, loader, precision.

What a kernel computes is held to `reference` in float64, within the rounding of its factors and sums.
"""

import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minigan_kernels as kernels
from minigan.testing.layouts import LAYOUTS
from minigan_kernels import PRECISIONS, engine_missing, reference
from minigan_kernels.cuda import conv, ends, gemm, tiles
from minigan_kernels.cuda.emulator import order
from minigan_kernels.cuda.launch import Source
from tests.test_ptx import PTX

pytestmark = [
    pytest.mark.slow,  # compiled by g++, once for each tile and precision
    pytest.mark.skipif(bool(engine_missing("cuda-emulated")), reason=str(engine_missing("cuda-emulated"))),
]

few = settings(max_examples=6, deadline=None)
some = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)
every_tile = pytest.mark.parametrize("tile", tiles.TILES, ids=lambda t: f"{t.BM}x{t.BN}")
every_precision = pytest.mark.parametrize("name", PRECISIONS)


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


# How kernels are run: by the plan that a test wants, into memory full of NaN.


@contextmanager
def planned(tile=None, splits=1, image_ends=None):
    """Inside, products are dealt out so; convolutions are made by ends.cu always, never, or as they are."""

    def plan(array, M, N, K, products=1):
        slabs = -(-K // tiles.BK[kernels.precision_name()])
        return tiles.Plan(kernels.precision_name(), tile, splits, max(1, -(-slabs // splits)))

    with ExitStack() as stack:
        if tile is not None:
            stack.enter_context(mock.patch.object(tiles, "plan", plan))
        if image_ends is True:
            stack.enter_context(mock.patch.object(ends, "worth", return_value=True))
        if image_ends is False:
            stack.enter_context(mock.patch.object(ends, "fits", return_value=False))
        yield


def full_of_nan(shape, dtype=float):
    return np.full(shape, np.nan, dtype)


def run(kernel, *args):
    with mock.patch.object(np, "empty", full_of_nan):
        return kernel(*args)


def check(kernel, arrays, rest, terms, name="fp32"):
    """The kernel in a precision against `reference`; each result is a sum of `terms` products."""
    definition = getattr(reference, kernel.__name__)
    with kernels.precision(name):
        found = run(kernel, *arrays, *rest)
    wide = [None if a is None else a.astype(np.float64) for a in arrays]
    expected = definition(*wide, *rest)
    size = definition(*[None if a is None else np.abs(a) for a in wide], *rest)
    rounding = PRECISIONS[name]
    allowed = (2 * rounding + rounding**2 + (terms + 4) * 2.0**-24) * size
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    error = np.abs(found - expected)
    assert (error <= allowed).all(), f"off by {error.max()}, allowed {allowed.max()}"
    return found


def normals(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


# Matrix products.


def lying(a, how, offset):
    """A matrix transposed in memory or not, `offset` entries past an aligned address, rows padded or not."""
    transposed, padded = how
    rows = a.T if transposed else a
    memory = np.full(rows.size + len(rows) * padded + offset + 8, np.nan, np.float32)
    start = -memory.ctypes.data % 16 // 4 + offset
    pitch = rows.shape[1] + padded
    view = memory[start : start + len(rows) * pitch].reshape(len(rows), pitch)[:, : rows.shape[1]]
    view[...] = rows
    return view.T if transposed else view


@st.composite
def matrices(draw, largest):
    M, N, K = draw(st.integers(1, largest)), draw(st.integers(1, largest)), draw(st.integers(1, 70))
    if draw(st.booleans()):  # multiples of four, so that chunks are whole
        M, N, K = (-(-n // 4) * 4 for n in (M, N, K))
    hows = st.tuples(st.booleans(), st.sampled_from([0, 0, 1, 4]))
    a, b = normals(draw(seeds), (M, K), (K, N))
    offsets = st.sampled_from([0, 0, 1])
    return lying(a, draw(hows), draw(offsets)), lying(b, draw(hows), draw(offsets))


@every_precision
@every_tile
def test_every_tile_multiplies_matrices_however_they_lie(tile, name):
    @few
    @given(matrices(tile.BM + 9), st.sampled_from([1, 1, 2, 3]))
    def multiplies(ab, splits):
        with planned(tile, splits):
            check(gemm.matmul, ab, (), ab[0].shape[1] + splits, name)

    multiplies()


@some
@given(matrices(70))
def test_the_plan_of_the_engine_multiplies_matrices(ab):
    check(gemm.matmul, ab, (), ab[0].shape[1])


@pytest.mark.parametrize("a", ["nn", "tn"])
@pytest.mark.parametrize("b", ["nn", "tn"])
def test_each_of_the_four_orders_has_its_kernel_and_copies_nothing(a, b):
    x, y = normals(0, (12, 20), (20, 8))
    x, y = (m.copy(order="F") if how[0] == "t" else m for m, how in ((x, a), (y, b)))
    copies = mock.Mock(side_effect=AssertionError("a copy"))
    with mock.patch.object(np, "ascontiguousarray", copies):
        check(gemm.matmul, (x, y), (), 20)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 5, 7), (3, 7, 4)),
        ((3, 5, 7), (7, 4)),
        ((5, 7), (3, 7, 4)),
        ((2, 1, 5, 7), (3, 7, 4)),
        ((1, 1, 5, 7), (7, 4)),
        ((2, 3, 8, 4), (2, 3, 4, 8)),
    ],
)
def test_batches_broadcast(a, b):
    check(gemm.matmul, normals(1, a, b), (), 7)
    a, b = normals(2, a, b)
    check(gemm.matmul, (np.flip(a), b.copy(order="F")), (), 7)


def test_more_products_than_a_launch_has_room_for(monkeypatch):
    monkeypatch.setattr(gemm, "MOST_PRODUCTS", 2)
    check(gemm.matmul, normals(3, (5, 3, 4), (5, 4, 2)), (), 4)
    check(gemm.matmul, normals(3, (5, 3, 4), (4, 2)), (), 4)


@pytest.mark.parametrize(
    ("a", "b"), [((0, 3), (3, 4)), ((2, 0), (0, 4)), ((2, 3), (3, 0)), ((0, 2, 3), (3, 2))]
)
def test_products_of_nothing(a, b):
    found = run(gemm.matmul, *normals(0, a, b))
    np.testing.assert_array_equal(found, np.zeros((*a[:-1], b[-1])))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_matrices_that_lie_oddly_are_copied(layout):
    if layout != "channels last":
        x, y = normals(4, (6, 10), (10, 9))
        for axis in (0, 1):
            check(gemm.matmul, (LAYOUTS[layout](x, axis), LAYOUTS[layout](y, axis)), (), 10)


def test_other_dtypes_and_sizes_that_differ():
    x, y = normals(0, (2, 3), (3, 4))
    np.testing.assert_array_equal(gemm.matmul(x, y.astype(np.float64)), x @ y.astype(np.float64))
    with pytest.raises(ValueError, match=r"inner sizes of .* differ"):
        gemm.matmul(x, x)


@every_precision
@pytest.mark.parametrize("splits", [1, 3])
def test_linear_adds_its_bias_and_activates_once(splits, name):
    slopes, orders = st.sampled_from([None, 0.0, 0.2]), st.sampled_from("CF")

    @few
    @given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 70), st.booleans(), slopes, orders, seeds)
    def adds(N, outputs, inputs, with_bias, slope, order, seed):
        x, w, b = normals(seed, (N, inputs), (outputs, inputs), outputs)
        arrays = x, w.copy(order), b if with_bias else None
        with planned(tiles.TILES[-1], splits):
            check(gemm.linear, arrays, (slope,), inputs + splits + 1, name)

    adds()


# The convolution trio.

TRIO = (conv.conv2d, conv.conv2d_input, conv.conv2d_weight)


@st.composite
def convolutions(draw, channels, groups=(1, 1, 2, 3)):
    """x, w, gy and the geometry."""
    N, size, kernel = draw(st.integers(1, 3)), draw(pairs(1, 9)), draw(pairs(1, 4))
    window = draw(pairs(1, 3)), draw(pairs(0, 3)), draw(pairs(1, 3))
    groups = draw(st.sampled_from(groups))
    out = kernels.out_size(size, kernel, *window)
    assume(min(out) >= 1)
    CG, OG = draw(channels), draw(channels)
    shapes = (N, CG * groups, *size), (OG * groups, CG, *kernel), (N, OG * groups, *out)
    x, w, gy = normals(draw(seeds), *shapes)
    if draw(st.booleans()):
        x, w, gy = (LAYOUTS["channels last"](a, 0) for a in (x, w, gy))
    return x, w, gy, (*window, groups)


def check_trio(x, w, gy, geometry, name="fp32", splits=1):
    taps = w[0].size
    y = check(conv.conv2d, (x, w), geometry, taps + splits, name)
    gx = check(conv.conv2d_input, (gy, w), (x.shape[2:], *geometry), w.size // w.shape[1] + splits, name)
    gw = check(conv.conv2d_weight, (x, gy), (w.shape[2:], *geometry), gy.size // gy.shape[1] + splits, name)
    for images in (y, gx, gw):
        assert images.transpose(0, 2, 3, 1).flags.c_contiguous
    return y, gx, gw


some_channels = st.one_of(st.integers(1, 5), st.sampled_from([4, 8, 12, 36, 37]))


@every_precision
@every_tile
def test_every_tile_convolves(tile, name):
    @few
    @given(convolutions(some_channels), st.sampled_from([1, 1, 2, 3]))
    def convolves(case, splits):
        with planned(tile, splits, image_ends=False):
            check_trio(*case, name, splits)

    convolves()


@some
@given(convolutions(some_channels))
def test_the_plan_of_the_engine_convolves(case):
    check_trio(*case)


@some
@given(convolutions(st.just(1), groups=[1]), st.integers(1, 4), st.sampled_from([1, 3, 4, 8, 37, 100]), seeds)
def test_the_image_ends(case, few, many, seed):
    x, w, gy, geometry = case  # of one channel: for their sizes
    never = mock.patch.object(conv, "_launch", side_effect=AssertionError("on the main loop"))
    for C, O in ((few, many), (many, few)):
        shapes = (len(x), C, *x.shape[2:]), (O, C, *w.shape[2:]), (len(gy), O, *gy.shape[2:])
        x, w, gy = normals(seed, *shapes)
        with planned(image_ends=True), never:
            check(conv.conv2d, (x, w), geometry, w[0].size)
            check(conv.conv2d_input, (gy, w), (x.shape[2:], *geometry), w.size // C)


@pytest.mark.parametrize("x", [(0, 3, 5, 5), (0, 8, 5, 5)])
def test_empty_batches(x):
    w = normals(0, (6, x[1], 3, 3))[0]
    geometry = (1, 1), (1, 1), (1, 1), 1
    gy = np.empty((0, 6, 5, 5), np.float32)
    assert run(conv.conv2d, np.empty(x, np.float32), w, *geometry).shape == (0, 6, 5, 5)
    assert run(conv.conv2d_input, gy, w, x[2:], *geometry).shape == x
    gw = run(conv.conv2d_weight, np.empty(x, np.float32), gy, (3, 3), *geometry)
    np.testing.assert_array_equal(gw, np.zeros(w.shape))


def test_a_phase_without_taps_is_zeros():
    w, gy = normals(0, (8, 8, 1, 2), (1, 8, 2, 2))
    gx = check(conv.conv2d_input, (gy, w), ((7, 7), (4, 4), (0, 0), (1, 1), 1), 16)
    assert np.count_nonzero(gx) == 8 * 2 * 4


def inner(a, b):
    return np.sum(a.astype(np.float64) * b)


@few
@given(convolutions(some_channels), st.sampled_from(sorted(PRECISIONS)))
def test_each_of_the_trio_is_the_adjoint_of_the_others(case, name):
    """Exactly bilinear up to the rounding of factors, each of which meets each of the others."""
    x, w, gy, geometry = case
    with kernels.precision(name):
        ours = (
            inner(run(conv.conv2d, x, w, *geometry), gy),
            inner(run(conv.conv2d_input, gy, w, x.shape[2:], *geometry), x),
            inner(run(conv.conv2d_weight, x, gy, w.shape[2:], *geometry), w),
        )
    size = inner(reference.conv2d(*(np.abs(a).astype(np.float64) for a in (x, w)), *geometry), np.abs(gy))
    allowed = (4 * PRECISIONS[name] + 2.0**-24 * (w.size + gy.size)) * size
    assert max(ours) - min(ours) <= allowed


# What must not change a bit.


@every_precision
def test_runs_and_orders_of_threads_give_the_same_bits(name):
    x, w, gy = normals(5, (2, 8, 9, 7), (36, 8, 4, 4), (2, 36, 4, 3))
    geometry = (2, 2), (1, 1), (1, 1), 1

    def step():
        y, gx, gw = check_trio(x, w, gy, geometry, name, splits=2)
        return y, gx, gw, run(gemm.matmul, gy.reshape(-1, 24), x.reshape(24, -1))

    with planned(tiles.TILES[-1], 2):
        expected = step()
        for how in (("forward", 0), ("backward", 0), ("shuffled", 1), ("shuffled", 2)):
            with order(*how):
                for a, b in zip(step(), expected, strict=True):
                    np.testing.assert_array_equal(a, b)


def test_image_ends_give_the_same_bits_in_any_order_of_threads():
    x, w = normals(6, (2, 3, 9, 7), (20, 3, 4, 4))
    geometry = (2, 2), (1, 1), (1, 1), 1

    def step():
        y = run(conv.conv2d, x, w, *geometry)
        return y, run(conv.conv2d_input, y, w, (9, 7), *geometry)

    with planned(image_ends=True):
        expected = step()
        for how in (("backward", 0), ("shuffled", 1)):
            with order(*how):
                for a, b in zip(step(), expected, strict=True):
                    np.testing.assert_array_equal(a, b)


# Plans and precisions.


@every_tile
@every_precision
def test_shared_memory_is_what_the_main_loop_takes(tile, name):
    source = Source(PTX.path, **tiles.macros(name, tile))
    found = np.zeros(5, np.int32)
    source.launch("shared_bytes", 1, 1, found)
    plan = tiles.Plan(name, tile, 1, 1)
    orders = [(True, True), (True, False), (False, True), (False, False)]
    assert [*found] == [*(tiles.shared_bytes(plan, o) for o in orders), tiles.threads(plan)]
    assert max(found) <= 99 << 10  # of a block, on the smallest of the cards that have tensor cores for it


@some
@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(0, 200_000), st.integers(1, 9))
def test_a_plan_covers_the_sum_without_idle_parts(M, N, K, products):
    for name in PRECISIONS:
        plan = tiles._plan(name, M, N, K, products, 132)
        slabs = -(-K // tiles.BK[name])
        assert (plan.splits - 1) * plan.slabs < max(slabs, 1) <= max(plan.splits * plan.slabs, 1)


@every_precision
def test_plans_that_a_reader_expects(name):
    def plan(*sizes):
        return tiles._plan(name, *sizes, 1, 132)

    assert plan(4096, 4096, 4096)[1:3] == ((128, 128), 1)  # tiles enough for everybody
    assert plan(128, 128, 128)[1:3] == ((32, 32), 1)  # a layer of a small MLP: blocks for 16
    assert plan(5, 7, 9)[1:3] == ((32, 32), 1)
    assert plan(128, 1024, 8192).splits > 1  # a weight gradient: few tiles, a long sum
    assert plan(64, 1, 8192).splits > 1


def test_precision_is_of_a_thread_and_of_a_block():
    assert kernels.precision_name() == "fp32"
    with kernels.precision("tf32"), kernels.precision("bf16"):
        assert kernels.precision_name() == "bf16"
    assert kernels.precision_name() == "fp32"
    try:
        kernels.set_precision("tf32")
        assert kernels.precision_name() == "tf32"
        with kernels.precision("fp32"):
            assert kernels.precision_name() == "fp32"
    finally:
        kernels.set_precision("fp32")
    for choose in (kernels.set_precision, lambda name: kernels.precision(name).__enter__()):
        with pytest.raises(ValueError, match="no precision is called 'fp8'; there are: fp32, tf32, bf16"):
            choose("fp8")


@pytest.mark.parametrize(
    ("given", "says"), [("tf32", "tf32"), ("", "fp32"), ("half", "no precision is called 'half'")]
)
def test_the_environment_names_a_precision(given, says):
    code = "import minigan_kernels as k; print(k.precision_name())"
    env = os.environ | {"MINIGAN_PRECISION": given}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, encoding="utf-8")
    assert says in (done.stderr or done.stdout).splitlines()[-1]


def test_a_precision_that_a_card_lacks_is_an_error():
    with (
        mock.patch.object(tiles, "card", return_value=(40, 75)),
        kernels.precision("tf32"),
        pytest.raises(ValueError, match=r"tf32 needs a GPU of compute capability 8\.0 .* has 7\.5"),
    ):
        gemm.matmul(*normals(0, (2, 3), (3, 4)))
