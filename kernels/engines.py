"""Which engine runs a kernel.

An engine is a module that defines some of the kernel functions of this package under the same
names. `reference` defines them all, in plain array code, and is the meaning of every kernel; any
other engine leaves out what it has no better answer for, and `reference` runs that.

The array picks the engine: NumPy float32 goes to `cpu`, the rest to `reference`. `engine(name)` and
the environment variable MINIGAN_ENGINE force one.
"""

import contextlib
import functools
import importlib
import os
import threading
from types import SimpleNamespace

import numpy as np

ENGINES = ("reference", "cpu")
FLOAT32 = np.dtype(np.float32)


class _Choice(threading.local):
    forced: str | None = os.environ.get("MINIGAN_ENGINE") or None


_choice = _Choice()


@contextlib.contextmanager
def engine(name: str):
    """Run every kernel called inside the block, on this thread, on the engine `name`.

    Raises ValueError for a name that is not in ENGINES.
    """
    _kernels_of(name)
    before, _choice.forced = _choice.forced, name
    try:
        yield
    finally:
        _choice.forced = before


def engine_name(array) -> str:
    """The name of the engine that runs a kernel on `array`."""
    if _choice.forced is not None:
        return _choice.forced
    return "cpu" if type(array) is np.ndarray and array.dtype == FLOAT32 else "reference"


def engine_for(array) -> SimpleNamespace:
    """The kernels of that engine, by name."""
    return _kernels_of(engine_name(array))


def engine_for_new(xp, dtype) -> SimpleNamespace:
    """The kernels of the engine that makes arrays of the module `xp` and `dtype`."""
    default = "cpu" if xp is np and dtype == FLOAT32 else "reference"
    return _kernels_of(_choice.forced or default)


@functools.cache
def _kernels_of(name):
    if name not in ENGINES:
        raise ValueError(f"no kernel engine is called {name!r}; there are: {', '.join(ENGINES)}")
    kernels = {}
    for module in ("reference", name):
        module = importlib.import_module(f"{__package__}.{module}")
        kernels |= {kernel: getattr(module, kernel) for kernel in module.__all__}
    return SimpleNamespace(**kernels)


def requested_threads() -> int | None:
    """MINIGAN_NUM_THREADS, None if it is not set. ValueError unless it is a positive integer."""
    given = os.environ.get("MINIGAN_NUM_THREADS")
    if not given:
        return None
    if not given.isdecimal() or int(given) < 1:
        raise ValueError(f"MINIGAN_NUM_THREADS must be a positive integer, got {given!r}")
    return int(given)
