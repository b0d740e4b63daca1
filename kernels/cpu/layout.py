"""Channels-last memory: the order that the kernels of images work in.

An array of shape (N, C, H, W) is channels-last when its transpose to (N, H, W, C) is contiguous. One in
another order is copied, which costs as much as a kernel may save; `layout_copies` shows where.
"""

import contextlib
import threading

import numpy as np


class _Counting(threading.local):
    copies = None


_counting = _Counting()


def channels_last(images):
    """(N, C, H, W) -> (N, H, W, C), contiguous: a view where the memory is in that order.

    Read-only arrays are copied too: to Numba they are of another type, that it would compile all for.
    """
    rows = images.transpose(0, 2, 3, 1)
    if rows.flags.carray:
        return rows
    if _counting.copies is not None:
        _counting.copies.append(images.shape)
    return np.array(rows, order="C")


@contextlib.contextmanager
def layout_copies():
    """See `minigan_kernels.layout_copies`."""
    before, _counting.copies = _counting.copies, []
    try:
        yield _counting.copies
    finally:
        _counting.copies = before
