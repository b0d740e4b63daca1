"""Memory that kernels work in, kept from call to call, so that a training step allocates only results;
and freed results kept by the process, so that the next step's need no new pages."""

import ctypes
import math
import os
import platform
import threading

import numpy as np


class _Buffers(threading.local):
    def __init__(self):
        self.by_name = {}


_buffers = _Buffers()


def workspace(name, shape, dtype):
    """An array of `shape` with whatever values were left in it; the next call with `name` reuses its memory.

    Each thread that calls kernels has its own.
    """
    nbytes = math.prod(shape) * np.dtype(dtype).itemsize
    buffer = _buffers.by_name.get(name)
    if buffer is None or buffer.nbytes < nbytes:
        buffer = _buffers.by_name[name] = np.empty(nbytes, np.uint8)
    return buffer[:nbytes].view(dtype).reshape(shape)


def _keep_freed_memory():
    """Tell glibc not to give freed memory back to the system, unless the user has told it otherwise.

    A step frees its whole graph, and glibc returns that memory page by page. The next step then gets
    it back page by page, each cleared by the system: a tenth of the time of a DCGAN's step.
    """
    if platform.libc_ver()[0] == "glibc" and not any(name.startswith("MALLOC_") for name in os.environ):
        libc, (trim, top_pad, mmap) = ctypes.CDLL(None), (-1, -2, -3)  # malloc.h: M_TRIM_THRESHOLD, ...
        for parameter, nbytes in ((trim, 2**31 - 1), (top_pad, 2**26), (mmap, 2**30)):
            libc.mallopt(parameter, nbytes)


_keep_freed_memory()
