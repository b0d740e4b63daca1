"""Starting a kernel: on the GPU with CuPy arrays, in Numba's simulator with NumPy arrays.

A kernel runs once for each thread. Threads come in blocks, blocks in a grid: the threads of a block
share memory and wait for each other at barriers, the blocks of a grid know nothing of each other.

In the simulator a thread is a Python thread, and takes as long to start as a hundred of its lines to
run. So there blocks are small and few, and each thread does more; the kernels are the same.
"""

import contextlib
import sys
import threading
import warnings

import numpy as np
from numba import config, cuda

SIMULATED = bool(config.ENABLE_CUDASIM)
THREADS = 8 if SIMULATED else 256  # of a block; a power of two, as `block_sum` wants
BLOCKS = 2 if SIMULATED else 1024  # at most, where a thread that is done takes another entry
TILE = 4 if SIMULATED else 16  # rows and columns of a tile of a matrix, and of the block that makes it
LARGEST = 2**31 - 1, 2**16 - 1, 2**16 - 1  # grid that the hardware takes

if SIMULATED:
    from . import turns

_one_at_a_time = threading.Lock()  # the simulator keeps what runs in a global


def blocks_for(n):
    """The grid for n entries of which a block takes THREADS at a time."""
    return (min(BLOCKS, -(-n // THREADS)),)


def launch(kernel, grid, block, *args):
    """Run `kernel` on `grid` blocks of `block` threads, both tuples of one to three sizes; none if one is 0.

    args: arrays, NumPy scalars, integers, or tuples of integers. On a GPU this returns before the kernel
    is done, as every call of CuPy does, and works on CuPy's current stream.
    TypeError for arrays of the wrong kind, ValueError for more blocks than a grid can have.
    """
    if 0 in grid:
        return
    if any(n > most for n, most in zip(grid, LARGEST, strict=False)):
        raise ValueError(f"numba-cuda: a grid of {grid} blocks is past the {LARGEST} that a GPU takes")
    args = [_simulated(arg) if SIMULATED else _on_gpu(arg) for arg in args]
    with warnings.catch_warnings():
        if SIMULATED:
            warnings.simplefilter("ignore", RuntimeWarning)  # a GPU says nothing of overflow either
            with _one_at_a_time, turns.taken(), _debugger_follows():
                kernel[grid, block](*args)
        else:
            warnings.filterwarnings("ignore", "Grid size")  # is said to be small
            kernel[grid, block, _stream()](*args)


def _simulated(arg):
    """A NumPy array as an array of the simulator, on the same memory.

    Given as it is, Numba would copy it to a device that is not there, and back, and take none but
    contiguous ones.
    """
    if isinstance(arg, np.ndarray):
        return turns.FakeCUDAArray(arg)
    if hasattr(arg, "__cuda_array_interface__"):
        raise TypeError(
            "numba-cuda: the simulator, NUMBA_ENABLE_CUDASIM=1, takes NumPy arrays, got one of CuPy"
        )
    return arg


def _on_gpu(arg):
    if isinstance(arg, np.ndarray):
        raise TypeError(
            "numba-cuda: a GPU takes CuPy arrays, got one of NumPy; those run in the simulator, "
            "NUMBA_ENABLE_CUDASIM=1"
        )
    if hasattr(arg, "__cuda_array_interface__"):
        return cuda.as_cuda_array(arg, sync=False)  # the stream keeps the order
    return arg


def _stream():
    import cupy

    pointer = cupy.cuda.get_current_stream().ptr
    return cuda.external_stream(pointer) if pointer else 0


@contextlib.contextmanager
def _debugger_follows():
    """Inside the block, what traces this Python thread traces new ones too, so that a breakpoint in a kernel
    stops there; `pdb` by itself looks at one thread alone."""
    trace = sys.gettrace()
    if trace is None or threading.gettrace() is not None:
        yield
        return
    threading.settrace(trace)
    try:
        yield
    finally:
        threading.settrace(None)
