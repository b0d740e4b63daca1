"""Which engine runs a kernel.

An engine is a module that defines some of the kernel functions of this package under the same
names: the functions that its `__init__` imports, which are listed nowhere else. `reference` defines them
all, in plain array code, and is the meaning of every kernel; any other engine leaves out what it has no
better answer for, and `reference` runs that.

| engine          | module       | its arrays                                                        |
|-----------------|--------------|-------------------------------------------------------------------|
| `reference`     | `reference`  | all                                                               |
| `cpu`           | `cpu`        | NumPy: compiled by Numba                                          |
| `cuda`          | `cuda`       | CuPy, float32: CUDA C++ on a GPU                                  |
| `cuda-emulated` | `cuda`       | NumPy, float32: the same CUDA C++, run on the CPU by an emulator  |
| `numba-cuda`    | `numba_cuda` | float32: kernels in Python, on a GPU or in Numba's simulator      |

The array picks the engine: NumPy float32 goes to `cpu`, CuPy float32 to `cuda`, the rest to
`reference`. `engine(name)` and the environment variable MINIGAN_ENGINE force one; even then an engine
for float32 alone leaves arrays of other dtypes to `reference`.
"""

import functools
import importlib.util
import os
import threading
from collections.abc import Callable
from types import FunctionType, SimpleNamespace

import numpy as np

from .contexts import context

ENGINES = ("reference", "cpu", "cuda", "cuda-emulated", "numba-cuda")
MODULES = {"cuda-emulated": "cuda", "numba-cuda": "numba_cuda"}  # where the name differs
SINGLE = {"cuda", "cuda-emulated", "numba-cuda"}  # float32 alone
FLOAT32 = np.dtype(np.float32)


class _Choice(threading.local):
    forced: str | None = os.environ.get("MINIGAN_ENGINE") or None


_choice = _Choice()


@context
def engine(name: str):
    """Run every kernel called inside the block, on this thread, on the engine `name`.

    Raises ValueError for a name that is not in ENGINES, and for an engine that this machine cannot run.
    """
    _kernels_of(name)
    before, _choice.forced = _choice.forced, name
    try:
        yield
    finally:
        _choice.forced = before


def forced_engine() -> str | None:
    """The engine that is forced on this thread; None where the array picks."""
    return _choice.forced


def engine_name(array) -> str:
    """The name of the engine that runs a kernel on `array`.

    ValueError if one is forced that cannot reach the memory where the array lies.
    """
    forced, single = _choice.forced, array.dtype == FLOAT32
    if forced is None:
        if type(array) is np.ndarray:
            return "cpu" if single else "reference"
        return "cuda" if single and _on_gpu(array) else "reference"
    if forced in SINGLE and not single:
        return "reference"
    if forced in ("cpu", "cuda", "cuda-emulated") and _on_gpu(array) != (forced == "cuda"):
        lies, takes = ("a GPU", "NumPy") if _on_gpu(array) else ("the CPU", "CuPy")
        raise ValueError(f"the engine {forced!r} takes {takes} arrays, and this one lies on {lies}")
    return forced


def engine_for(array) -> SimpleNamespace:
    """The kernels of that engine, by name."""
    return _kernels_of(engine_name(array))


def engine_for_new(xp, dtype) -> SimpleNamespace:
    """The kernels of the engine that makes arrays of the module `xp` and `dtype`."""
    single, default = dtype == FLOAT32, "cpu" if xp is np else "cuda"
    forced = _choice.forced
    if forced in SINGLE and (not single or (forced != "numba-cuda" and (xp is np) == (forced == "cuda"))):
        forced = None  # not for this engine to make
    return _kernels_of(forced or (default if single else "reference"))


def engine_missing(name: str) -> str | None:
    """Why this machine cannot run the engine `name`, in a few words; None where it can.

    ValueError for a name that is not in ENGINES.
    """
    if name not in ENGINES:
        raise ValueError(f"no kernel engine is called {name!r}; there are: {', '.join(ENGINES)}")
    needs = {
        "cpu": _numba_not_found,
        "cuda": _gpu_missing,
        "cuda-emulated": _compiler_missing,
        "numba-cuda": _numba_missing,
    }
    return needs[name]() if name in needs else None


def engines_here() -> list[str]:
    """The engines that this machine can run."""
    return [name for name in ENGINES if engine_missing(name) is None]


def _numba_not_found():
    return None if _found("numba") else "numba is not installed"


def _found(package):
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # hidden
        return False


def _gpu_missing():
    try:
        import cupy
    except ImportError:
        return "CuPy is not installed"
    try:
        found = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"CuPy {cupy.__version__} finds no usable GPU: {error}"
    return None if found else f"CuPy {cupy.__version__} finds no GPU"


def _compiler_missing():
    from .cuda import emulator

    return emulator.missing()


def _numba_missing():
    from numba import cuda

    if cuda.is_available():  # the simulator says that it is
        return None
    return "Numba finds no GPU, and NUMBA_ENABLE_CUDASIM=1, set before Python starts, asks for no simulator"


def _on_gpu(array):
    return hasattr(array, "__cuda_array_interface__")


@context
def kernels_called():
    """Inside the block, list (engine, kernel) for every kernel that runs, of the engine that defines it.

    For checks: it watches all threads, and makes every call slower.
    """
    global _kernels_of
    called, kernels_of = [], _kernels_of

    def noted(name):
        own = kernels_in(importlib.import_module(f"{__package__}.{MODULES.get(name, name)}"))
        return _Noting(
            kernels_of(name), lambda kernel: called.append((name if kernel in own else "reference", kernel))
        )

    _kernels_of = noted
    try:
        yield called
    finally:
        _kernels_of = kernels_of


class _Noting:
    """Kernels, of which each that is taken is noted first."""

    def __init__(self, kernels, note):
        self._kernels, self._note = kernels, note

    def __getattr__(self, kernel):
        self._note(kernel)
        return getattr(self._kernels, kernel)


@functools.cache
def _kernels_of(name):
    reason = engine_missing(name)
    if reason:
        raise ValueError(f"the engine {name!r} cannot run here: {reason}")
    kernels = {}
    for module in ("reference", MODULES.get(name, name)):
        kernels |= kernels_in(importlib.import_module(f"{__package__}.{module}"))
    return SimpleNamespace(**kernels)


def kernels_in(module) -> dict[str, Callable]:
    """The kernels of the engine `module`, by name."""
    return {name: value for name, value in vars(module).items() if isinstance(value, FunctionType)}


def requested_threads() -> int | None:
    """MINIGAN_NUM_THREADS, None if it is not set. ValueError unless it is a positive integer."""
    given = os.environ.get("MINIGAN_NUM_THREADS")
    if not given:
        return None
    if not given.isdecimal() or int(given) < 1:
        raise ValueError(f"MINIGAN_NUM_THREADS must be a positive integer, got {given!r}")
    return int(given)
