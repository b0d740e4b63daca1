"""One pool of threads: Numba's. A kernel splits its work into parts, and each part stays on a thread.

Two pools that both spin while they wait starve each other. So the matrix products of a part are
made by SciPy's BLAS on the very thread that runs the part, and that BLAS is told to use no threads
of its own (for the whole process: it is one setting of the library).

Numba picks its threading layer, TBB, OpenMP or its own work queue, as it does for everybody; the
last breaks when two threads enter it at once, so kernels take turns at the pool.
"""

import functools
import hashlib
import os
import threading
import types
import warnings
from pathlib import Path

import numba
from numba import njit
from threadpoolctl import ThreadpoolController

GRAIN = 16384  # entries of work below which a second thread costs more than it brings

# Sums in any order and fused multiply-adds; but NaN and infinity stay what they are.
FASTMATH = frozenset({"contract", "reassoc", "nsz"})

compiled = {"nogil": True, "fastmath": set(FASTMATH), "error_model": "numpy"}


_num_threads = None
_pool = threading.Lock()


def num_threads() -> int:
    """Threads that a kernel uses: MINIGAN_NUM_THREADS, or all processors of this process."""
    global _num_threads
    if _num_threads is None:
        _num_threads = _from_environment()
    return _num_threads


def set_num_threads(n: int):
    """Use `n` threads from now on. ValueError unless it is an integer from 1 to the pool's size."""
    global _num_threads
    most = numba.config.NUMBA_NUM_THREADS
    if not isinstance(n, int) or not 1 <= n <= most:
        raise ValueError(f"the number of threads must be an integer from 1 to {most}, got {n!r}")
    _num_threads = n


def _from_environment():
    given = os.environ.get("MINIGAN_NUM_THREADS")
    most = numba.config.NUMBA_NUM_THREADS
    if not given:
        return most
    if not given.isdecimal() or int(given) < 1:
        raise ValueError(f"MINIGAN_NUM_THREADS must be a positive integer, got {given!r}")
    return min(int(given), most)


def parts_of(work) -> int:
    """Into how many parts to split a kernel that touches `work` entries."""
    return 1 if work < GRAIN else num_threads()


class parallel:
    """A kernel with one `prange` over its last argument, `parts`.

    It is compiled twice: with threads, and without for the small arrays that are not worth waking
    them. Both are kept in Numba's cache on disk.
    """

    def __init__(self, kernel):
        self.together = cached(kernel, "together", parallel=True)
        self.alone = cached(kernel, "alone")
        self.__doc__ = kernel.__doc__

    def __call__(self, *args):
        if args[-1] == 1:
            return self.alone(*args)
        with _pool:
            return self.together(*args)


def cached(function, form="", **options):
    """`njit`, with the compiled code kept on disk where a folder for it can be written.

    Numba files it under the function's name. That gets the form, since two forms of one function
    differ in options alone, and a digest of this package's source, since compiled code holds that of
    other files too.
    """
    copy = types.FunctionType(function.__code__, function.__globals__, function.__name__)
    copy.__qualname__ = "-".join(filter(None, (function.__qualname__, form, _digest())))
    copy.__module__, copy.__doc__ = function.__module__, function.__doc__
    try:
        return njit(cache=True, **compiled, **options)(copy)
    except RuntimeError:  # Numba: no locator available
        _warn_uncached()
        return njit(**compiled, **options)(copy)


@functools.cache
def _digest():
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()[:8]


def _warn_uncached():
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(
            "compiled kernels cannot be kept on disk, so every start compiles them again; "
            "NUMBA_CACHE_DIR may name a folder that can be written",
            stacklevel=2,
        )


_warned = False


def _confine_blas():
    """Keep SciPy's BLAS on the thread that calls it."""
    import scipy.linalg.cython_blas  # noqa: F401  loads the library that Numba takes products from

    for library in ThreadpoolController().lib_controllers:
        if library.user_api == "blas" and "scipy.libs" in str(library.filepath):
            library.set_num_threads(1)


_confine_blas()
