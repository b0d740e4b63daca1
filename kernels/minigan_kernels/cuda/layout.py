"""Memory orders: kernels work on memory as it lies, and copy only what lies in another order than the rest.

An order is a permutation of the axes. An array is dense in an order if `array.transpose(order)` is
contiguous: rows first is (0, 1, 2, 3), channels-last (0, 2, 3, 1).
"""

import numpy as np

from ..arrays import array_module

CHANNELS_LAST = 0, 2, 3, 1


def order_of(*arrays):
    """The order of the first array that is dense in one; for none, channels-last or rows first."""
    for a in arrays:
        if a.flags.c_contiguous:
            return tuple(range(a.ndim))
        order = by_stride(a)
        if a.transpose(order).flags.c_contiguous:
            return order
    return default_order(arrays[0].ndim)


def by_stride(a):
    """The axes of `a`, those first whose entries are furthest apart."""
    return tuple(sorted(range(a.ndim), key=lambda axis: (-abs(a.strides[axis]), axis)))


def default_order(ndim):
    return CHANNELS_LAST if ndim == 4 else tuple(range(ndim))


def in_order(a, order):
    """`a.transpose(order)`, contiguous: a view if `a` is dense in that order, else a copy.

    TypeError for floats other than float32, which a kernel on a GPU would take for them.
    """
    if a.dtype.kind == "f" and a.dtype != np.float32:
        raise TypeError(f"CUDA kernels work in float32, but an array of shape {a.shape} is {a.dtype}")
    return array_module(a).ascontiguousarray(a.transpose(order))


def new_in_order(like, shape, order, dtype=np.float32):
    """An array of `shape`, of the module of `like`, dense in `order`; its entries are whatever they are."""
    memory = array_module(like).empty(tuple(shape[i] for i in order), dtype)
    return memory.transpose(inverse(order))


def inverse(order):
    """The permutation that undoes `order`."""
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def channels_last(images):
    """(N, C, H, W) -> (N, H, W, C), contiguous: a view where the memory is in that order."""
    return in_order(images, CHANNELS_LAST)


def new_images(like, N, C, H, W, dtype=np.float32):
    """Images of shape (N, C, H, W), channels-last in memory."""
    return new_in_order(like, (N, C, H, W), CHANNELS_LAST, dtype)
