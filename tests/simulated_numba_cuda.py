"""The kernels of the engine `numba-cuda` in Numba's simulator: run by test_numba_cuda.py, in a process with
NUMBA_ENABLE_CUDASIM=1, which Numba reads when it is imported.

Each kernel runs twice, in memory full of NaN, with the threads of each block taking turns forwards and
backwards. Both must give the same bits, so no barrier is missing and every entry is written, and these
must be what `reference` makes in float64 of the same numbers.
"""

import importlib
import inspect
import itertools
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numba import config, cuda

import minigan_kernels as kernels
from minigan import Generator, Tensor, grad, nn
from minigan import functional as F
from minigan.gans.noise import dcgan
from minigan.optim import Adam
from minigan.testing import assert_close
from minigan.testing.layouts import LAYOUTS, fits
from minigan_kernels import numba_cuda, reference
from minigan_kernels.engines import kernels_in
from minigan_kernels.numba_cuda import turns
from minigan_kernels.numba_cuda.launch import launch

assert config.ENABLE_CUDASIM, "set NUMBA_ENABLE_CUDASIM=1 before Python starts"

EPS = 2.0**-24


def file(name):
    """A file of the package: some have the name of a function in it."""
    return importlib.import_module(f"{numba_cuda.__name__}.{name}")


# Cases: arrays, the other arguments, and the size of the results whose roundings are allowed.


def sizes(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


seeds = st.integers(0, 2**32 - 1)


def normals(draw, *shapes):
    rng = np.random.default_rng(draw(seeds))
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def of_absolutes(name):
    """The size of a sum of products: what it is of absolute values, times the number of roundings."""

    def size(arrays, rest):
        return [40 * getattr(reference, name)(*(a if a is None else np.abs(a) for a in arrays), *rest)]

    return size


def plainly(scale):
    return lambda arrays, rest: itertools.repeat(scale)


@st.composite
def convolutions(draw, name):
    size, kernel = draw(sizes(1, 6)), draw(sizes(1, 3))
    window, groups = (draw(sizes(1, 3)), draw(sizes(0, 2)), draw(sizes(1, 2))), draw(st.integers(1, 2))
    out = kernels.out_size(size, kernel, *window)
    assume(min(out) >= 1)
    N, C, O = draw(st.integers(0, 2)), groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 5))
    x, w, y = (N, C, *size), (O, C // groups, *kernel), (N, O, *out)
    shapes, more = {
        "conv2d": ((x, w), ()),
        "conv2d_input": ((y, w), (size,)),
        "conv2d_weight": ((x, y), (kernel,)),
    }[name]
    return normals(draw, *shapes), (*more, *window, groups), of_absolutes(name)


@st.composite
def matmul(draw):
    M, N, K = (draw(st.integers(0, 9)) for _ in range(3))
    a, b = draw(st.sampled_from([((), ()), ((2,), (2,)), ((2, 1), (2,)), ((), (2,))]))
    return normals(draw, (*a, M, K), (*b, K, N)), (), of_absolutes("matmul")


@st.composite
def linear(draw):
    N, O, K = (draw(st.integers(1, 9)) for _ in range(3))
    x, w, b = normals(draw, (N, K), (O, K), O)
    return [x, w, b if draw(st.booleans()) else None], (), of_absolutes("linear")


images = st.one_of(
    st.tuples(st.integers(0, 5), st.integers(1, 9)),
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 5)),
    st.tuples(st.integers(1, 2), st.integers(1, 5), st.integers(1, 4), st.integers(1, 4)),
)


@st.composite
def over_channels(draw, name):
    shape = draw(images)
    y, b = normals(draw, shape, shape[1])
    return ([y, b], (), plainly(10)) if name == "add_bias" else ([y], (), of_absolutes(name))


@st.composite
def leaky_relu(draw, name):
    shape, slope = draw(images), draw(st.sampled_from([0.0, 0.2]))
    return normals(draw, *[shape] * (2 if name == "leaky_relu_backward" else 1)), (slope,), plainly(10)


AXES = [  # of x, and of weight and bias
    *(("table", (0,), (1,)), ("rows", (1,), (1,)), ("batch", (0, 2, 3), (1,)), ("instance", (2, 3), (1,))),
    *(("image", (1, 2, 3), (1, 2, 3)), ("last", (3,), (3,)), ("odd", (0, -2), (3,))),
]


@st.composite
def norms(draw, name):
    _, axes, along = draw(st.sampled_from(AXES))
    shape = tuple(draw(st.integers(1, 4)) for _ in range(4))
    if max(*axes, *along) < 2 and min(axes) >= 0:
        shape = draw(sizes(2, 19))
    w = [n if i in along else 1 for i, n in enumerate(shape)]
    x, gy, weight, bias = normals(draw, shape, shape, w, w)
    x += np.float32(draw(st.sampled_from([0, 30])))
    weight, bias = (a if draw(st.booleans()) else None for a in (weight, bias))
    if name == "normalize":
        return [x, weight, bias], (axes, 0.1), plainly(1e4)
    _, mean, var = reference.normalize(x, None, None, axes, 0.1)
    return [gy, x, weight, bias, mean, var], (axes, 0.1), plainly(1e4)


@st.composite
def adam(draw):
    n = draw(st.integers(0, 40))
    p, g, mean, square = normals(draw, n, n, n, n)
    step = draw(st.integers(1, 10))
    step = np.array([step]) if draw(st.booleans()) else step
    lr = np.array([0.1]) if draw(st.booleans()) else 0.1
    rest = (step, lr, 0.5, draw(st.sampled_from([0.9, 0.999])), 1e-8, draw(st.sampled_from([0.0, 0.1])))
    return [p, g, mean, square**2 + np.float32(0.1)], rest, plainly(200)


@st.composite
def all_pairs(draw, name):
    B, N, M, C = (draw(st.integers(0, 4)) for _ in range(4))
    x, y, gy, u = normals(draw, (B, N, C), (B, M, C), (B, N, M), (B, N, C))
    given = {"l1_distances_backward": [gy], "l1_distances_along": [u]}.get(name, [])
    return [*given, x.round(1), y.round(1)], (), plainly(100)


CASES = {
    "adam": adam(),
    "add_bias": over_channels("add_bias"),
    "channel_sums": over_channels("channel_sums"),
    "conv2d": convolutions("conv2d"),
    "conv2d_input": convolutions("conv2d_input"),
    "conv2d_weight": convolutions("conv2d_weight"),
    "l1_distances": all_pairs("l1_distances"),
    "l1_distances_along": all_pairs("l1_distances_along"),
    "l1_distances_backward": all_pairs("l1_distances_backward"),
    "leaky_relu": leaky_relu("leaky_relu"),
    "leaky_relu_backward": leaky_relu("leaky_relu_backward"),
    "linear": linear(),
    "matmul": matmul(),
    "normalize": norms("normalize"),
    "normalize_backward": norms("normalize_backward"),
}
IN_PLACE = {"adam": (0, 2, 3), "add_bias": (0,)}  # arrays that change


def test_every_kernel_has_a_case():
    assert sorted(CASES) == sorted(kernels_in(numba_cuda))


# How a kernel is run.


def poisoned(make):
    def full(*args, **kwargs):
        array = make(*args, **kwargs)
        if array.dtype.kind == "f":
            array.fill(np.nan)
        return array

    return full


def run(module, name, arrays, rest):
    """The results of a kernel, or what it changed, as a list; what else it was given must not change."""
    changes = IN_PLACE.get(name, ())
    arrays = [a.copy() if i in changes else a for i, a in enumerate(arrays)]
    before = [None if a is None else a.copy() for a in arrays]
    found = getattr(module, name)(*arrays, *rest)
    for i, (a, b) in enumerate(zip(arrays, before, strict=True)):
        if i not in changes:
            np.testing.assert_array_equal(a, b)
    if changes:
        return [arrays[i] for i in changes]
    return list(found) if isinstance(found, tuple) else [found]


def run_both_ways(name, arrays, rest):
    with mock.patch.multiple(np, empty=poisoned(np.empty), empty_like=poisoned(np.empty_like)):
        found = run(numba_cuda, name, arrays, rest)
        with turns.backwards():
            again = run(numba_cuda, name, arrays, rest)
    for a, b in zip(found, again, strict=True):
        np.testing.assert_array_equal(a, b)
    return found


def check(name, case):
    arrays, rest, size = case
    wide = [a if a is None else a.astype(np.float64) for a in arrays]
    right = run(reference, name, wide, rest)
    for a, b, most in zip(run_both_ways(name, arrays, rest), right, size(wide, rest), strict=False):
        if b is None:
            assert a is None
            continue
        assert (a.shape, a.dtype) == (b.shape, np.float32)
        assert (np.abs(a - b) <= EPS * most).all(), f"off by {np.abs(a - b).max()}"  # nor is a NaN


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_kernel_is_what_reference_says(name):
    """In any order of memory too."""

    @settings(max_examples=10, deadline=None)
    @given(CASES[name], st.data())
    def agrees(case, data):
        arrays, rest, size = case
        for i, a in enumerate(arrays):
            if a is not None and a.size and i not in IN_PLACE.get(name, ()):
                layout = data.draw(st.sampled_from([n for n in LAYOUTS if fits(n, a.ndim)]))
                arrays[i] = LAYOUTS[layout](a, data.draw(st.integers(0, a.ndim - 1)))
        if name == "normalize_backward":  # the statistics are those of the x that was laid out
            _, *arrays[4:] = reference.normalize(arrays[1], None, None, *rest)
        check(name, (arrays, rest, size))

    agrees()


def smallest(name):
    """Arrays and other arguments, always the same."""
    rng = np.random.default_rng(0)
    x, w, gy = (rng.standard_normal(s).astype(np.float32) for s in ((2, 2, 4, 4), (3, 2, 3, 3), (2, 3, 2, 2)))
    geometry = (2, 2), (1, 1), (1, 1), 1
    p = np.abs(x.reshape(-1))
    mean, var = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    return {
        "adam": ([p, p[::-1], p, p], (3, 0.1, 0.5, 0.999, 1e-8, 0.1)),
        "add_bias": ([x, w[0, :, 0, 0]], ()),
        "channel_sums": ([x], ()),
        "conv2d": ([x, w], geometry),
        "conv2d_input": ([gy, w], ((4, 4), *geometry)),
        "conv2d_weight": ([x, gy], ((3, 3), *geometry)),
        "l1_distances": ([x[0], x[1]], ()),
        "l1_distances_along": ([gy[0][:2].repeat(2, 1).repeat(2, 2), x[0], x[1]], ()),
        "l1_distances_backward": ([gy[0][:2].repeat(2, 1).repeat(2, 2), x[0], x[1]], ()),
        "leaky_relu": ([x], (0.2,)),
        "leaky_relu_backward": ([x, x[::-1]], (0.2,)),
        "linear": ([x[0, 0], w[:, 0, 0, :][:, [0, 1, 2, 0]], w[0, 0, 0]], ()),
        "matmul": ([x[0, 0], w[0, 0][[0, 1, 2, 0]]], ()),
        "normalize": ([x, mean, mean], ((0, 2, 3), 0.1)),
        "normalize_backward": ([x[::-1], x, mean, mean, mean, var], ((0, 2, 3), 0.1)),
    }[name]


@pytest.mark.parametrize("name", CASES)
def test_one_small_case_of_each_kernel(name):
    check(name, (*smallest(name), plainly(1e3)))


def test_kernels_at_the_block_sizes_of_a_gpu(monkeypatch):
    monkeypatch.setattr(file("matmul"), "TILE", 16)
    for name in ("reduce", "pointwise", "pairs", "im2col", "norm", "adam"):
        monkeypatch.setattr(file(name), "THREADS", 256)
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(s).astype(np.float32) for s in ((17, 18), (18, 5)))
    check("matmul", ([a, b], (), of_absolutes("matmul")))
    check("channel_sums", ([rng.standard_normal((300, 1)).astype(np.float32)], (), plainly(300)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", CASES)
def test_nan_and_infinity_come_out_as_from_reference(name, value):
    arrays, rest = smallest(name)
    arrays[0] = arrays[0].copy()
    arrays[0].reshape(-1)[5] = value
    with np.errstate(all="ignore"):
        right = run(reference, name, arrays, rest)
    for a, b in zip(run(numba_cuda, name, arrays, rest), right, strict=True):
        for kind in (np.isnan, np.isposinf, np.isneginf):
            np.testing.assert_array_equal(kind(a), kind(b))


def test_what_does_not_fit_the_kernels_is_left_to_reference():
    x = np.random.default_rng(0).standard_normal((2, 3, 2, 2, 2))
    y, mean, var = numba_cuda.normalize(x, None, None, (0, 2, 3, 4), 0.1)
    assert_close(y, reference.normalize(x, None, None, (0, 2, 3, 4), 0.1)[0])
    assert mean.shape == var.shape == (1, 3, 1, 1, 1)
    assert_close(numba_cuda.channel_sums(x), reference.channel_sums(x))
    a, b = np.ones((2, 3), np.float32), np.ones((3, 2))
    assert numba_cuda.matmul(a, b).dtype == np.float64


# The threads.


def barriers():
    """(file, line) of each barrier in the kernels."""
    for name in ("adam", "matmul", "reduce"):
        lines = inspect.getsource(file(name)).splitlines()
        yield from ((name, i) for i, line in enumerate(lines, 1) if "cuda.syncthreads()" in line)


def test_no_other_file_has_a_barrier():
    folder = Path(numba_cuda.__file__).parent
    assert {p.stem for p in folder.glob("*.py") if "cuda.syncthreads()" in p.read_text("utf-8")} == {
        name for name, _ in barriers()
    }


@pytest.mark.parametrize(("name", "line"), list(barriers()))
def test_every_barrier_is_missed_when_it_is_left_out(name, line, monkeypatch):
    wait = turns.Thread.syncthreads

    def wait_elsewhere(thread):
        code = sys._getframe(2)  # above this function and Numba's, which calls it
        if (Path(code.f_code.co_filename).stem, code.f_lineno) != (name, line):
            wait(thread)

    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(s).astype(np.float32) for s in ((5, 9), (9, 6)))
    case = {
        "adam": ("adam", (*smallest("adam"), plainly(1e3))),
        "matmul": ("matmul", ([a, b], (), of_absolutes("matmul"))),
        "reduce": ("normalize", (*smallest("normalize"), plainly(1e3))),
    }[name]
    check(*case)
    monkeypatch.setattr(turns.Thread, "syncthreads", wait_elsewhere)
    with pytest.raises(AssertionError):
        check(*case)


@cuda.jit
def too_far(x):
    cuda.syncthreads()
    if cuda.grid(1) == 5:
        x[8] = 0
    cuda.syncthreads()


def test_an_error_in_a_thread_is_raised_and_says_which_thread():
    with pytest.raises(IndexError, match="index 8 is out of bounds") as caught:
        launch(too_far, (2,), (4,), np.zeros(8, np.float32))
    assert caught.value.__notes__ == ["in thread (1, 0, 0) of block (1, 0, 0)"]
    x = np.zeros(4, np.float32)
    launch(too_far, (1,), (4,), x)  # the simulator goes on


def test_bad_launches_are_refused_in_a_sentence():
    class OnGpu:
        __cuda_array_interface__ = None

    with pytest.raises(TypeError, match="the simulator, NUMBA_ENABLE_CUDASIM=1, takes NumPy arrays"):
        launch(too_far, (1,), (1,), OnGpu())
    with pytest.raises(ValueError, match=r"a grid of \(1, 70000\) blocks is past"):
        launch(too_far, (1, 70000), (1,), np.zeros(1))
    with pytest.raises(ValueError, match="a has 3 columns, b has 4 rows"):
        numba_cuda.matmul(np.zeros((2, 3), np.float32), np.zeros((4, 2), np.float32))


# The engine.


def network():
    return nn.Sequential(
        *(nn.Conv2d(1, 2, 3, 2, 1), nn.BatchNorm2d(2), nn.LeakyReLU(0.2)),
        *(nn.ConvTranspose2d(2, 2, 2, 2), nn.Flatten(), nn.LayerNorm(32), nn.Linear(32, 3)),
    )


def loss_of(net, x):
    return (F.tanh(net(x)) ** 2).mean()


@pytest.mark.slow
def test_gradients_of_a_small_network():
    """Against `reference` in float64, and a difference of its losses along a random direction."""
    net, rng = network(), np.random.default_rng(0)
    x = rng.standard_normal((3, 1, 4, 4))
    values = [rng.standard_normal(p.shape) for p in net.parameters()]
    ways = [rng.standard_normal(p.shape) for p in net.parameters()]

    def put(dtype, step=0.0):
        for p, value, way in zip(net.parameters(), values, ways, strict=True):
            p.data = (value + step * way).astype(dtype)
        return loss_of(net, Tensor(x.astype(dtype)))

    with kernels.engine("numba-cuda"):
        loss = put(np.float32)
        found = [g.data for g in grad(loss, list(net.parameters()))]
    with kernels.engine("reference"):
        right = [g.data for g in grad(put(np.float64), list(net.parameters()))]
        slope = (put(np.float64, 1e-5).item() - put(np.float64, -1e-5).item()) / 2e-5
    for a, b in zip(found, right, strict=True):
        assert a.dtype == np.float32
        assert_close(a, b, atol=1e-5)
    assert_close(sum((g * way).sum() for g, way in zip(found, ways, strict=True)), slope, rtol=1e-4)


def two_steps():
    """The losses of two steps of a GAN of 4x4 images, and its weights after them."""
    rng, cfg = Generator(0), dcgan.Config(size=16, batch_size=2, latent=2)
    G = nn.Sequential(
        *(nn.Unflatten(2, 1, 1), nn.ConvTranspose2d(2, 2, 2, bias=False), nn.BatchNorm2d(2), nn.ReLU()),
        *(nn.ConvTranspose2d(2, 1, 4, 2, 1), nn.Tanh()),
    )
    D = nn.Sequential(nn.Conv2d(1, 2, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(2, 1, 2), nn.Flatten())
    for net in (G, D):
        for p in net.parameters():
            p.data = rng.normal(p.shape, std=0.5)
    real = rng.normal((2, 1, 4, 4))
    opt_g, opt_d = Adam(G.parameters(), 0.01, (0.5, 0.999)), Adam(D.parameters(), 0.01, (0.5, 0.999))
    loop = dcgan.train(itertools.repeat(real), rng, cfg, G, D, opt_g, opt_d)
    losses = [[value.mean().item() for value in next(loop).values()] for _ in range(2)]
    return losses, [p.data for net in (G, D) for p in net.parameters()]


@pytest.mark.slow
def test_two_steps_of_a_gan_are_those_of_reference():
    with kernels.engine("reference"):
        losses, weights = two_steps()
    with kernels.engine("numba-cuda"):
        found_losses, found = two_steps()
    assert_close(np.array(found_losses), np.array(losses), rtol=1e-5)
    assert all(np.isfinite(a).all() for a in found)
    for a, b in zip(found, weights, strict=True):
        assert a.dtype == np.float32
        assert_close(a, b, atol=1e-5)
