"""The CPU engine's kernels on threads, by parts, and compiled."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from conformance import ENGINES, cast, check
from engine_cases import CASES, LARGE
from hypothesis import given, settings

import minigan_kernels as kernels
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
