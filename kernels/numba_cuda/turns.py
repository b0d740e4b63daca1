"""Numba's simulator, with the threads of a block taking turns.

Numba starts the Python threads of a block at once, lets Python switch between them, and watches them in
a busy loop until all stand at a barrier. Here one runs at a time, from barrier to barrier, in the order
of their indices. That is the same every time, leaves a debugger one thread to follow, and is quicker:
{SPEED}.

What a kernel computes must not depend on the order of turns. Where it does, a barrier is missing: the
tests run all kernels forwards and backwards.
"""

import contextlib
import threading

import numpy as np
from numba.cuda.simulator import kernel as simulator
from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray

__all__ = ["FakeCUDAArray", "backwards", "taken"]

_order = list


@contextlib.contextmanager
def taken():
    """Inside the block, simulated threads take turns."""
    numbas, simulator.BlockManager = simulator.BlockManager, Block
    try:
        yield
    finally:
        simulator.BlockManager = numbas


@contextlib.contextmanager
def backwards():
    """Inside the block, the last thread of each block goes first."""
    global _order
    _order = reversed
    try:
        yield
    finally:
        _order = list


class Block(simulator.BlockManager):
    def run(self, block, *args):
        """Run all threads of `block`, an index of the grid. What one of them raises, this raises."""
        indices = np.ndindex(*self._block_dim)
        threads = [Thread(lambda: self._f(*args), self, block, index, self._debug) for index in indices]
        waiting = list(_order(threads))
        try:
            while waiting:  # each round is one from barrier to barrier
                for thread in waiting:
                    thread.go_on()
                    if thread.exception:
                        error, traceback = thread.exception
                        raise error.with_traceback(traceback)
                waiting = [thread for thread in waiting if thread.waits]
        finally:
            for thread in waiting:
                thread.give_up()


class Thread(simulator.BlockThread):
    """A thread that runs when it is told to, until its next barrier or its end.

    Its two locks are signals: who waits for one takes it, who gives it frees it.
    """

    def __init__(self, *args):
        super().__init__(*args)
        self.turn, self.stop = threading.Lock(), threading.Lock()
        self.turn.acquire()
        self.stop.acquire()
        self.waits = True  # before its first line, then at barriers

    def go_on(self):
        if self.ident is None:
            self.start()
        self.waits = False
        self.turn.release()
        self.stop.acquire()

    def give_up(self):
        """End without running on."""
        if self.ident is not None and self.waits:
            self.abort = True
            self.go_on()

    def run(self):
        self.turn.acquire()
        try:
            super().run()
        finally:
            self.stop.release()

    def syncthreads(self):
        self.waits = True
        self.stop.release()
        self.turn.acquire()
        if self.abort:
            raise RuntimeError("another thread of the block has failed")
