"""Memory that kernels work in, kept from call to call, so that a training step allocates only results."""

import math
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
