"""How a kernel of an engine is held to `reference`: run, run again in poisoned memory, and compared."""

import ctypes
import importlib
from contextlib import nullcontext
from dataclasses import dataclass
from types import ModuleType
from unittest import mock

import numba
import numpy as np
import pytest
from engine_cases import IN_PLACE, LARGE, SMALL, TINY, Sizes
from hypothesis import HealthCheck, settings
from numpy.lib.array_utils import byte_bounds

import minigan_kernels as kernels
from minigan_kernels import reference
from minigan_kernels.cuda import emulator
from minigan_kernels.engines import MODULES, kernels_in

EPS = {np.dtype(np.float32): 2.0**-24, np.dtype(np.float64): 2.0**-53}
SMALLEST = 2.0**-126  # a normal float32; what is smaller, the CUDA engine flushes to zero
FLUSH = {"cuda", "cuda-emulated"}
DRAWN = {"normal", "philox", "uniform"}  # kernels that take no arrays


@dataclass(frozen=True)
class Engine:
    """An engine, and what is tried on it."""

    name: str
    sizes: Sizes
    examples: int
    dtypes: tuple = (np.float32,)

    @property
    def module(self) -> ModuleType:
        return importlib.import_module(f"minigan_kernels.{MODULES.get(self.name, self.name)}")

    @property
    def names(self) -> set[str]:
        """What it defines; nothing where it cannot be imported, as on a machine for a GPU's tests alone."""
        if self.name == "cpu" and kernels.engine_missing("cpu"):
            return set()
        return set(kernels_in(self.module))

    @property
    def kernels(self) -> list[str]:
        return sorted(self.names - DRAWN)

    @property
    def on_gpu(self) -> bool:
        """Whether its arrays lie on a GPU, in this process."""
        return self.name == "cuda" or (self.name == "numba-cuda" and not numba.config.ENABLE_CUDASIM)

    @property
    def marks(self):
        """A GPU may be required (see the plugin); the others are skipped where they are missing."""
        if self.on_gpu:
            return [pytest.mark.gpu]
        missing = kernels.engine_missing(self.name)
        return [pytest.mark.skipif(missing is not None, reason=str(missing))]

    def settings(self):
        health = [HealthCheck.too_slow, HealthCheck.filter_too_much]
        return settings(max_examples=self.examples, deadline=None, suppress_health_check=health)

    def __str__(self):
        return self.name


ENGINES = {
    engine.name: engine
    for engine in (
        Engine("cpu", LARGE, 40, (np.float32, np.float64)),
        Engine("cuda", LARGE, 25),
        Engine("cuda-emulated", SMALL, 20),
        Engine("numba-cuda", TINY, 4),
    )
}


def every_kernel():
    """A parameter for each kernel of each engine: (engine, name)."""
    return [
        pytest.param(engine, name, id=f"{engine}-{name}", marks=engine.marks)
        for engine in ENGINES.values()
        for name in engine.kernels
    ]


def run(engine, name, arrays, rest, kernel=None):
    """The results of a kernel of an engine, or what it changed, as a list; `kernel` instead, if given.

    Arrays and results are NumPy's, wherever the engine works.
    """
    changes = IN_PLACE.get(name, ())
    arrays = [a.copy() if i in changes and a is not None else a for i, a in enumerate(arrays)]
    before = [None if a is None else a.copy() for a in arrays]
    on_gpu = kernel is None and engine.on_gpu
    given = [to_gpu(a) if on_gpu else a for a in arrays]
    found = (kernel or getattr(engine.module, name))(*given, *rest)
    arrays = [from_gpu(a) for a in given]
    for i, (a, b) in enumerate(zip(arrays, before, strict=True)):
        if i not in changes:
            np.testing.assert_array_equal(a, b)
    if changes:
        return [arrays[i] for i in changes if arrays[i] is not None]
    return [from_gpu(a) for a in found] if isinstance(found, tuple) else [from_gpu(found)]


def to_gpu(a):
    """The array on the GPU, as it lies in memory: its gaps and its order too."""
    if a is None:
        return None
    import cupy

    if not a.size:
        return cupy.asarray(a)
    low, high = byte_bounds(a)
    memory = cupy.asarray(np.frombuffer((ctypes.c_uint8 * (high - low)).from_address(low), np.uint8))
    return cupy.ndarray(a.shape, a.dtype, memory.data + (a.ctypes.data - low), a.strides)


def from_gpu(a):
    return a.get() if hasattr(a, "__cuda_array_interface__") else a


def run_poisoned(engine, name, arrays, rest):
    """`run`; a second run in poisoned memory must give the same bits, so each entry has been written."""
    first = run(engine, name, arrays, rest)  # also compiles, for which NumPy has to be itself
    if engine.name == "cpu":
        poison_workspaces()
    with poisoned(np), otherwise(engine):
        second = run(engine, name, arrays, rest)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    return first


def poison_workspaces():
    from minigan_kernels.cpu import workspace

    for buffer in workspace._buffers.by_name.values():
        buffer[:] = 0xFF  # NaN in float32 and float64


def poisoned(xp):
    """Inside the block, new memory of the module `xp` is full of NaN."""

    def fills(make):
        def full(*args, **kwargs):
            array = make(*args, **kwargs)
            if array.dtype.kind in "iuf":
                array.fill({"i": -1, "u": 0xFF, "f": np.nan}[array.dtype.kind])
            return array

        return full

    return mock.patch.multiple(xp, empty=fills(xp.empty), empty_like=fills(xp.empty_like))


def otherwise(engine):
    """What else the second run does: poisoned memory on a GPU, another order of threads in the emulator."""
    if engine.name == "cuda-emulated":
        return emulator.order("shuffled")
    if engine.on_gpu:
        import cupy

        return poisoned(cupy)
    return nullcontext()


def check(engine, name, case, dtype, factor=1.0):
    """The results against `reference` in float64, of the very same numbers."""
    arrays, rest, size = case
    wide = [a if a is None or a.dtype.kind == "i" else a.astype(np.float64) for a in arrays]
    with np.errstate(all="ignore"):
        expected = run(engine, name, wide, rest, getattr(reference, name))
        sizes = size(wide, rest)
    found = run_poisoned(engine, name, arrays, rest)
    for a, b, (roundings, scale) in zip(found, expected, sizes, strict=True):
        if b is None:
            assert a is None
            continue
        assert a.shape == b.shape
        assert a.dtype == (dtype if b.dtype.kind == "f" else b.dtype)
        atol = factor * roundings * EPS[np.dtype(dtype)] * scale if dtype == np.float32 else 1e-12 * scale
        floor = roundings * (SMALLEST if engine.name in FLUSH else 1e-300)
        error = np.abs(a - b)
        assert (error <= atol + floor).all(), f"off by {error.max()}, allowed {np.max(atol)}"


def cast(arrays, dtype):
    return [a if a is None or a.dtype.kind == "i" else np.asarray(a).astype(dtype) for a in arrays]
