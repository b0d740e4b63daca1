"""One pool of threads: Numba's. A kernel splits its work into parts, and each part stays on a thread.

A second pool, such as BLAS has, would spin while this one works and starve it. So the matrix products of a
part are made by the engine's own `gemm`, on the very thread that runs the part.

Numba picks its threading layer, TBB, OpenMP or its own work queue, as it does for everybody. The
last breaks when two threads enter it at once, so kernels take turns at the pool; and no layer lives
on in a forked child, so there a kernel runs its parts one after the other.
"""

import os
import threading
from functools import cached_property

import numba
import numpy as np

from ..engines import requested_threads
from .compiling import dry
from .launch import launcher, start

GRAIN = 16384  # entries of work below which a second thread costs more than it brings


class _Pool:
    def __init__(self):
        self.size = None  # until someone asks
        self.usable = True
        self.turn = threading.Lock()

    def after_fork(self):
        self.usable, self.turn = False, threading.Lock()


class _Caller(threading.local):
    woken = None  # how many threads Numba wakes for this one


_pool, _caller = _Pool(), _Caller()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.after_fork)


def num_threads() -> int:
    """Threads that a kernel of the `cpu` engine uses: MINIGAN_NUM_THREADS, or one for each processor of
    this process. ValueError for a MINIGAN_NUM_THREADS that is no positive integer."""
    if _pool.size is None:
        most, requested = numba.config.NUMBA_NUM_THREADS, requested_threads()
        if requested is not None and requested > most:
            raise ValueError(
                f"MINIGAN_NUM_THREADS must be at most {most}, the threads there are, got {requested}"
            )
        _pool.size = requested or most
    return _pool.size


def set_num_threads(n: int):
    """Use `n` threads from now on. ValueError unless it is an integer from 1 to the size of Numba's
    pool."""
    most = numba.config.NUMBA_NUM_THREADS
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or not 1 <= n <= most:
        raise ValueError(f"the number of threads must be an integer from 1 to {most}, got {n!r}")
    _pool.size = int(n)


def parts_of(work) -> int:
    """Into how many parts to split a kernel that touches `work` entries."""
    return 1 if work < GRAIN else num_threads()


class parallel:
    """A kernel(..., part, parts) does one part of its work; called as kernel(..., parts), it does all."""

    def __init__(self, kernel):
        self.kernel = kernel
        self.__module__, self.__name__, self.__doc__ = kernel.__module__, kernel.__name__, kernel.__doc__

    @cached_property
    def run(self):
        """Compiled; see `launcher`."""
        start()
        return launcher(self.kernel)

    def __call__(self, *args):
        if dry.needed is not None:
            dry.note(self, tuple(map(self.run.typeof_pyval, args)))
        elif args[-1] == 1:
            self.run(*args)
        elif not _pool.usable:
            self.run(*args[:-1], -args[-1])
        else:
            n = num_threads()
            with _pool.turn:
                if _caller.woken != n:  # for kernels called from this thread
                    numba.set_num_threads(min(n, numba.config.NUMBA_NUM_THREADS))
                    _caller.woken = n
                self.run(*args)

    def compile(self, types):
        """Ahead of a call with arguments of these types."""
        self.run.compile(types)
