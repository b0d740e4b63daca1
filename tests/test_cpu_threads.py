"""The CPU engine's kernels on threads, by parts, and compiled."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numba
import numpy as np
import pytest
from conformance import ENGINES, cast, check
from engine_cases import CASES, LARGE
from hypothesis import given, settings

import minigan_kernels as kernels
from minigan import Generator
from minigan.data import Field, Fields
from minigan.gans import model_named
from minigan.gans.model import networks
from minigan.testing import assert_close
from minigan.testing.layouts import LAYOUTS
from minigan_kernels import cpu, reference
from minigan_kernels.cpu import activation, compiling, dense, gemm, threads

pytestmark = pytest.mark.slow  # compiles every kernel

CPU = ENGINES["cpu"]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Unless a test asks for more."""
    monkeypatch.setattr(threads._pool, "size", 1)


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


@pytest.fixture(params=[2, 7])
def many_parts(request, monkeypatch):
    """As many parts as threads, or more; even of arrays that are not worth it."""
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("one processor")
    for module, name in ((threads, "GRAIN"), (gemm, "WORTH"), (dense, "SMALL"), (activation, "SMALL")):
        monkeypatch.setattr(module, name, 0)
    monkeypatch.setattr(threads._pool, "size", request.param)


few = settings(max_examples=8, deadline=None)


@pytest.mark.parametrize("name", CPU.kernels)
def test_parts_on_threads_agree_with_reference(name, many_parts):
    @few
    @given(CASES[name](LARGE))
    def agrees(case):
        arrays, rest, size = case
        check(CPU, name, (cast(arrays, np.float32), rest, size), np.float32)

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


two_processors = pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one processor")
rng = np.random.default_rng(0)


def normals(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def images(*shape):
    return LAYOUTS["channels last"](normals(*shape), 0)


def by_im2col(*args):
    with kernels.conv_algorithm("im2col"):
        return kernels.conv2d_weight(*args)


def statistics_and_gradients(x, axes, weights, slope=None):
    w, b, gy, ggx = normals(*weights), normals(*weights), np.flip(x), x * 0.3
    y, mean, var = kernels.normalize(x, w, b, axes, 1e-5, slope)
    gradients = kernels.normalize_backward(gy, x, w, b, mean, var, axes, 1e-5, slope)
    return y, mean, var, *gradients, *kernels.normalize_double_backward(ggx, gy, x, w, mean, var, axes, 1e-5)


def optimised(n):
    p, g, average = np.linspace(-1, 1, n), np.linspace(1, -2, n), np.linspace(0, 3, n)
    p, g, average, squares = (a.astype(np.float32) for a in (p, g, average, average))
    kernels.adam(p, g, average, squares, 3, 1e-3, 0.5, 0.999, 1e-8, 0.01)
    kernels.rmsprop(p, g, squares, 1e-3, 0.9, 1e-8, 0.01)
    kernels.sgd(p, g, average, 1e-3, 0.9, 0.0, 0.01, True, False)
    return p, average, squares


X, GEOMETRY = images(33, 12, 31, 29), ((2, 2), (1, 1), (1, 1), 1)
FEW, W = images(40, 3, 32, 32), images(32, 12, 4, 4)
GY, GY_FEW = images(33, 32, 15, 14), images(40, 32, 16, 16)
SHARED = {
    "channel_sums": lambda: kernels.channel_sums(X),
    "bias_leaky_relu_backward": lambda: kernels.bias_leaky_relu_backward(X, X * 0.5, 0.2),
    "batch norm": lambda: statistics_and_gradients(X, (0, 2, 3), (1, 12, 1, 1)),
    "batch norm and LeakyReLU": lambda: statistics_and_gradients(X, (0, 2, 3), (1, 12, 1, 1), 0.2),
    "batch norm of a table": lambda: statistics_and_gradients(TABLE, (0,), (1, 700)),
    "instance norm": lambda: statistics_and_gradients(X, (2, 3), (1, 12, 1, 1)),
    "layer norm": lambda: statistics_and_gradients(TABLE, (1,), (1, 700)),
    "conv2d": lambda: kernels.conv2d(X, W, *GEOMETRY),
    "conv2d_input": lambda: kernels.conv2d_input(GY, W, (31, 29), *GEOMETRY),
    "conv2d_weight": lambda: kernels.conv2d_weight(X, GY, (4, 4), *GEOMETRY),
    "conv2d_weight by patches": lambda: by_im2col(X, GY, (4, 4), *GEOMETRY),
    "conv2d_weight of few channels": lambda: kernels.conv2d_weight(FEW, GY_FEW, (4, 4), *GEOMETRY),
    "matmul": lambda: kernels.matmul(TABLE, TABLE.T),
    "linear": lambda: kernels.linear(TABLE, TABLE[:60], TABLE[0, :60], 0.2),
    "optimisers": lambda: optimised(200_003),
}
TABLE = normals(333, 700)


@two_processors
@pytest.mark.parametrize("name", SHARED)
def test_the_number_of_threads_changes_no_bit(name, request):
    found = []
    for n in (1, 2, 5):
        threads._pool.size = n
        rng.bit_generator.state = np.random.PCG64(0).state
        found.append(SHARED[name]())
    for others in found[1:]:
        for a, b in zip(*(r if isinstance(r, tuple) else (r,) for r in (others, found[0])), strict=True):
            np.testing.assert_array_equal(a, b)


def trained(model, n):
    """Losses and weights after two steps on n threads, at the size of its defaults."""
    threads.set_num_threads(n)
    sample = Field("point", (2,)) if model.name == "gan" else Field("image", (1, 32, 32))
    fields, rng = Fields({sample.kind: sample, "label": Field("label", (), 10)}), Generator(0)
    cfg = model.Config(batch_size=16).fitted(fields)
    parts = model.parts(cfg, fields, rng)
    steps = islice(model.train(parts, batches(model, fields.shape, cfg), rng, cfg), 2)
    losses = [{name: value.tolist() for name, value in seen.items()} for seen in steps]
    return losses, [p.numpy() for net in networks(parts).values() for p in net.parameters()]


def batches(model, shape, cfg):
    rng = Generator(1)
    while True:
        real = rng.uniform((cfg.samples, *shape), -1, 1)
        yield (real, rng.integers(0, 10, len(real))) if model.labelled else real


@two_processors
@pytest.mark.parametrize("name", ["gan", "dcgan", "cgan", "wgan-gp", "stylegan"])
def test_a_model_trains_to_the_same_bits_on_one_thread_and_on_two(name):
    model = model_named(name)
    (losses, weights), (losses_of_two, weights_of_two) = trained(model, 1), trained(model, 2)
    assert losses == losses_of_two
    for a, b in zip(weights, weights_of_two, strict=True):
        np.testing.assert_array_equal(a, b)


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
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, encoding="utf-8")
    assert done.returncode
    says = f"ValueError: MINIGAN_NUM_THREADS must be a positive integer, got '{given}'"
    assert done.stderr.splitlines()[-1] == says


# Compiling


AHEAD = """
import numpy as np, minigan_kernels as kernels
x, b = np.zeros((512, 256), np.float32), np.ones(256, np.float32)

def step():
    kernels.add_bias(x, b)
    kernels.linear(x, np.ones((8, 256), np.float32), None)

told = []
kernels.compile_ahead(step, lambda place, total, name: told.append((place, total, name)))
print(told, x.any())
with kernels.on_compile(print):
    step()
print(x.all())
"""


def python(code, **env):
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | env, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("threads", ["1", "2"])
def test_what_a_step_needs_is_compiled_ahead_and_changes_nothing(tmp_path, threads):
    if int(threads) > numba.config.NUMBA_NUM_THREADS:
        pytest.skip("one processor")
    env = {"NUMBA_CACHE_DIR": str(tmp_path), "MINIGAN_NUM_THREADS": threads}
    told, *later = python(AHEAD, **env)
    assert told.startswith("[(0, 3, 'add_bias'), ")
    assert told.endswith("] False")  # the dry step wrote nothing
    assert later == ["True"]  # the step itself did, and compiled nothing
    assert python(AHEAD, **env) == ["[] False", "True"]  # all was kept


def test_helpers_compile_their_share(tmp_path):
    """The first helper of two gets every other kernel, from the last one backwards."""
    code = """
from minigan_kernels.cpu import ahead, threads
from minigan_kernels.cpu.compiling import needs
import numpy as np, minigan_kernels as kernels
x = np.zeros((512, 256), np.float32)
with needs() as needed:
    kernels.add_bias(x, x[0])
    kernels.leaky_relu(x, 0.2)
for helper in ahead.start_helpers(needed):
    helper.wait()
with kernels.on_compile(print):
    kernels.add_bias(x, x[0])
    kernels.leaky_relu(x, 0.2)
"""
    threads = str(min(2, numba.config.NUMBA_NUM_THREADS))
    compiled = python(code, NUMBA_CACHE_DIR=str(tmp_path), MINIGAN_NUM_THREADS=threads)
    assert (compiled == []) == (threads == "2")


def test_a_step_that_refuses_worthless_values_is_compiled_up_to_there():
    from minigan_kernels.cpu import ahead

    x = np.zeros((512, 256), np.float32)
    seen = []

    def step():
        kernels.add_bias(x, x[0])
        seen.append(True)
        raise ValueError("no such label")

    ahead.compile_ahead(step, lambda *what: None)
    assert seen


def test_a_kernel_without_memory_says_so():
    """The parts run on other threads: what fails there is told here."""
    wants = threads.parallel(_wants_all_memory)
    for parts in (1, 2):
        with pytest.raises(MemoryError, match="a kernel found no memory to work in"):
            wants(np.zeros(1, np.float32), 1 << 45, parts)


def _wants_all_memory(x, n, part, parts):
    x[0] = np.empty(n, np.float32)[part]


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
