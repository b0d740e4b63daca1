"""Which entry of an array is a thread's: from one running number to four indices, and how images lie.

Inside these kernels images are (N, H, W, C): the order of their memory, in which the threads of a warp,
32 that run together, find what they read side by side and get it in one fetch. Tables (N, C) are images
of one pixel. Arrays in another order of memory need no copy: a kernel sees shapes and strides.
"""

from numba import cuda


@cuda.jit(device=True)
def place(i, shape):
    """The four indices of entry i of an array of `shape`, counted along the last axis first."""
    d = i % shape[3]
    i = i // shape[3]
    c = i % shape[2]
    i = i // shape[2]
    return i // shape[1], i % shape[1], c, d


def channels_last(x):
    """x (N, C), (N, C, L) or (N, C, H, W) as a view (N, H, W, C)."""
    return x[(..., *(None,) * (4 - x.ndim))].transpose(0, 2, 3, 1)


def channels_second(rows, shape):
    """The inverse, for an array of `shape`."""
    return rows.transpose(0, 3, 1, 2).reshape(shape)
