"""Which engine runs a kernel.

An engine is a module that defines some of the kernel functions of this package under the same
names. `reference` defines them all, in plain array code, and is the meaning of every kernel; any
other engine may leave out what it has no better answer for.

The array picks the engine; `engine(name)` and the environment variable MINIGAN_ENGINE force one.
"""

import contextlib
import importlib
import os
import threading

ENGINES = ("reference",)


class _Choice(threading.local):
    forced: str | None = os.environ.get("MINIGAN_ENGINE") or None


_choice = _Choice()


@contextlib.contextmanager
def engine(name: str):
    """Run every kernel called inside the block, on this thread, on the engine `name`.

    Raises ValueError for a name that is not in ENGINES.
    """
    _module(name)
    before, _choice.forced = _choice.forced, name
    try:
        yield
    finally:
        _choice.forced = before


def engine_name(array) -> str:
    """The name of the engine that runs a kernel on `array`."""
    return _choice.forced or "reference"


def engine_for(array):
    """The module of that engine."""
    return _module(engine_name(array))


def _module(name: str):
    if name not in ENGINES:
        raise ValueError(f"no kernel engine is called {name!r}; there are: {', '.join(ENGINES)}")
    return importlib.import_module(f"{__package__}.{name}")
