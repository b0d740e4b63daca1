"""The conformance suite: every kernel of every engine against `reference` in float64.

    pytest tests/test_engines.py -k "cuda-emulated and normalize"

`cuda` runs where there is a GPU, and MINIGAN_REQUIRE_GPU=1 makes it a failure if there is none. The
emulated engine runs wherever there is g++, on small arrays, with its traps on. `numba-cuda` runs on a GPU,
and in Numba's simulator, which has to be asked for before Python starts: the last test does, always.
"""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from conformance import ENGINES, FLUSH, cast, check, every_kernel, from_gpu, run
from engine_cases import CASES, IN_PLACE
from hypothesis import assume, given
from hypothesis import strategies as st

import minigan_kernels as kernels
from minigan.testing.layouts import LAYOUTS, fits
from minigan_kernels import reference

pytestmark = pytest.mark.slow  # compiles every kernel


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """The forms of the CPU's kernels without threads, which compile faster; test_cpu.py asks for more."""
    if kernels.engine_missing("cpu") is None:
        monkeypatch.setattr("minigan_kernels.cpu.threads._pool.size", 1)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=str)
def test_every_kernel_of_the_engine_has_a_case(engine):
    assert set(engine.kernels) <= set(CASES)


def test_every_engine_is_in_the_suite():
    assert {"reference", *ENGINES} == set(kernels.ENGINES)


@pytest.mark.parametrize(("engine", "name"), every_kernel())
def test_a_kernel_is_what_reference_says(engine, name):
    @engine.settings()
    @given(CASES[name](engine.sizes), st.sampled_from(engine.dtypes))
    def agrees(case, dtype):
        arrays, rest, size = case
        check(engine, name, (cast(arrays, dtype), rest, size), dtype)

    agrees()


def read_only(a, axis):
    a = a.copy()
    a.flags.writeable = False
    return a


PLACES = {**LAYOUTS, "read-only": read_only}


@pytest.mark.parametrize(("engine", "name"), every_kernel())
def test_a_kernel_takes_arrays_in_any_memory_order(engine, name):
    @engine.settings()
    @given(CASES[name](engine.sizes), st.data())
    def agrees(case, data):
        arrays, rest, size = case
        arrays = cast(arrays, np.float32)
        for i, a in enumerate(arrays):
            if a is not None and a.ndim and a.size:
                names = [n for n in PLACES if n == "read-only" or fits(n, a.ndim)]
                if i in IN_PLACE.get(name, ()):
                    names = ["contiguous"]
                elif a.dtype.kind == "i":  # positions stay what they are, with none in between
                    names = [n for n in names if n not in ("every second", "broadcast")]
                arrays[i] = PLACES[data.draw(st.sampled_from(names))](
                    a, data.draw(st.integers(0, a.ndim - 1))
                )
        if name == "normalize_backward":  # the statistics are those of the x that was laid out
            _, *arrays[4:] = reference.normalize(*arrays[1:4], *rest)
        if name == "normalize_double_backward":
            _, *arrays[4:] = reference.normalize(arrays[2], None, None, *rest)
        check(engine, name, (arrays, rest, size), np.float32)

    agrees()


UNDER_A_ROOT = {
    "normalize_backward": 5,
    "normalize_double_backward": 5,
    "adam": 3,
    "rmsprop": 2,
}  # the array that is never negative
# The array whose NaN or infinity may come out otherwise: on a GPU a pixel's gradient is gathered over every
# tap, and where one reaches beyond the edge, 0 meets the weight; a norm's weight meets the gradient before
# the sums, where ∞ - ∞ is NaN, or after.
MAY_DIFFER = {"conv2d_input": 1, "normalize_backward": 2}
PROBABILITIES = "softmax_backward", "cross_entropy_backward"  # which these multiply with


@pytest.mark.parametrize(("engine", "name"), every_kernel())
def test_nan_and_infinity_come_out_as_from_reference(engine, name):
    @engine.settings()
    @given(CASES[name](engine.sizes), st.sampled_from([np.nan, np.inf, -np.inf]), st.data())
    def agrees(case, value, data):
        arrays, rest, _ = case
        arrays = [a if a is None else a.copy() for a in cast(arrays, np.float32)]
        can = [i for i, a in enumerate(arrays) if a is not None and a.dtype.kind == "f" and a.size]
        can = [i for i in can if i != MAY_DIFFER.get(name) or (engine.name, name) == ("cpu", "conv2d_input")]
        assume(can)
        i = data.draw(st.sampled_from(can))
        if i == UNDER_A_ROOT.get(name):
            value = abs(value)
        arrays[i].reshape(-1)[data.draw(st.integers(0, arrays[i].size - 1))] = value
        # Winograd's tiles mix more pixels than windows.
        with np.errstate(all="ignore"), kernels.conv_algorithm("im2col"):
            expected = run(engine, name, arrays, rest, getattr(reference, name))
            found = run(engine, name, arrays, rest)
        # Of many sums, inf - inf is NaN or not as they are grouped; a subnormal probability times infinity is
        # NaN where it is flushed to zero. What is finite is the same.
        # An infinite x, or mean, is infinitely far from the other, before the sums or after.
        loose = "double" in name or (engine.name in FLUSH and name.endswith(PROBABILITIES))
        loose = loose or (name == "normalize_backward" and i > 0)
        kinds = (np.isfinite,) if loose else (np.isnan, np.isposinf, np.isneginf)
        for a, b in zip(found, expected, strict=True):
            if a is not None:
                for kind in kinds:
                    np.testing.assert_array_equal(kind(a), kind(b))

    agrees()


# Random numbers

STREAMS = [(0, 0), (2**64 - 1, 3), (5, 2**64 - 1), (2**33 + 1, 2**40)]


def drawing(name):
    """A parameter for each engine that draws such numbers itself."""
    return [
        pytest.param(engine, id=str(engine), marks=engine.marks)
        for engine in ENGINES.values()
        if name in engine.names
    ]


def module_of(engine):
    if not engine.on_gpu:
        return np
    import cupy

    return cupy


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 1001, 40_000])
@pytest.mark.parametrize(("key", "counter"), STREAMS)
@pytest.mark.parametrize("engine", drawing("normal"))
def test_normal_numbers_are_those_of_reference(engine, key, counter, n, monkeypatch):
    if engine.name == "cpu":
        monkeypatch.setattr("minigan_kernels.cpu.threads._pool.size", numba.config.NUMBA_NUM_THREADS)
    found = from_gpu(engine.module.normal(key, counter, n, np.float32, module_of(engine)))
    expected = reference.normal(key, counter, n, np.float32)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_max_ulp(found, expected, 1)


@pytest.mark.parametrize("n", [0, 1, 5, 1001])
@pytest.mark.parametrize(("key", "counter"), STREAMS)
@pytest.mark.parametrize("engine", drawing("philox"))
def test_random_words_are_those_of_reference(engine, key, counter, n):
    found = from_gpu(engine.module.philox(key, counter, n, module_of(engine)))
    np.testing.assert_array_equal(found, reference.philox(key, counter, n))
    assert found.dtype == np.uint32


@pytest.mark.parametrize("n", [0, 1, 5, 1001])
@pytest.mark.parametrize(("key", "counter"), STREAMS)
@pytest.mark.parametrize("engine", drawing("uniform"))
def test_uniform_numbers_are_those_of_reference(engine, key, counter, n):
    found = from_gpu(engine.module.uniform(key, counter, n, np.float32, module_of(engine)))
    np.testing.assert_array_equal(found, reference.uniform(key, counter, n, np.float32))
    assert found.dtype == np.float32


# Another process


@pytest.mark.skipif(bool(numba.config.ENABLE_CUDASIM), reason="this is the other process")
def test_the_engine_numba_cuda_in_the_simulator():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "numba-cuda", __file__]
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout[-5000:]
    assert f"{3 * len(ENGINES['numba-cuda'].kernels) + 1} passed" in done.stdout
