"""How this engine's Python becomes machine code, once: Numba keeps it on disk for the next process."""

import functools
import hashlib
import threading
import types
import warnings
from pathlib import Path

from numba import njit
from numba.core import event

from ..contexts import context

# Sums in any order and fused multiply-adds; but NaN and infinity stay what they are.
FASTMATH = frozenset({"contract", "reassoc", "nsz"})

OPTIONS = {"nogil": True, "fastmath": set(FASTMATH), "error_model": "numpy"}

# Of functions that kernels call: each kernel has a copy of them inside. Else it would have one beside it, of
# a name that another kernel's may have, too; which of both runs would depend on what was loaded first, and so
# the last bits, in a process that compiles and in the next one, which finds the code on disk.
INLINED = OPTIONS | {"forceinline": True}
helper = njit(**INLINED)


def cached(function):
    """`njit`, with the compiled code kept on disk where a folder for it can be written.

    Numba files it under the function's name. That gets a digest of all sources, of which it may hold any.
    """
    copy = types.FunctionType(function.__code__, function.__globals__, function.__name__)
    copy.__qualname__ = f"{function.__qualname__}-{_digest()}"
    copy.__module__, copy.__doc__ = function.__module__, function.__doc__
    try:
        return njit(cache=True, **OPTIONS)(copy)
    except RuntimeError:  # Numba: no locator available
        _warn_uncached()
        return njit(**OPTIONS)(copy)


@functools.cache
def _digest():
    here = Path(__file__).parent
    sources = sorted([*here.glob("*.py"), *here.parent.glob("reference/*.py")])
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:8]


@functools.cache
def _warn_uncached():
    warnings.warn(
        "compiled kernels cannot be kept on disk, so every start compiles them again; "
        "NUMBA_CACHE_DIR may name a folder that can be written",
        stacklevel=4,
    )


def kept_on_disk() -> bool:
    """Whether the next process will find what this one compiles."""
    return not _warn_uncached.cache_info().currsize


class _Dry(threading.local):
    needed = None

    def note(self, code, types):
        """A call of `code` that is not made."""
        self.needed.append((code.__module__, code.__name__, types))


dry = _Dry()


@context
def needs():
    """Inside the block, on this thread, kernels do nothing. The list it gives is filled with (module, name,
    types) for each call, as `getattr(module, name).compile(types)` takes it."""
    before, dry.needed = dry.needed, []
    try:
        yield dry.needed
    finally:
        dry.needed = before


@context
def on_compile(callback):
    """Inside the block, call `callback(kernel name)` whenever a kernel is about to be compiled."""
    listener = _Listener(callback)
    event.register("numba:compile", listener)
    try:
        yield
    finally:
        event.unregister("numba:compile", listener)


class _Listener(event.Listener):
    def __init__(self, callback):
        self.callback = callback

    def on_start(self, event):
        function = event.data["dispatcher"].py_func
        if function.__module__.startswith(__package__):
            self.callback(function.__name__)

    def on_end(self, event):
        pass
