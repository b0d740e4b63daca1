"""Channels-last memory: the order that the kernels of images work in.

An array of shape (N, C, H, W) is channels-last when its transpose to (N, H, W, C) is contiguous. One in
another order is copied, which costs as much as a kernel may save; `layout_copies` shows where. Copies that
move nothing, of read-only memory or of one number an image, are not counted.
"""

import threading

import numpy as np

from ..contexts import context


class _Counting(threading.local):
    copies = None


_counting = _Counting()


CHANNELS_LAST = 0, 2, 3, 1


def channels_last(images):
    """(N, C, H, W) -> (N, H, W, C), contiguous: a view where the memory is in that order."""
    return in_order(images, CHANNELS_LAST)


def in_order(array, order):
    """The array with its axes in that order, contiguous: a view where its memory is in that order.

    Read-only arrays are copied too: to Numba they are of another type, that it would compile all for.
    """
    rows = array.transpose(order)
    if rows.flags.carray:
        return rows
    if _counting.copies is not None and _is_moved(array, rows):
        _counting.copies.append(array.shape)
    return np.array(rows, order="C")


def _is_moved(array, rows):
    """Whether a copy of images to `rows` changes their order; of one number each, they have none."""
    return array.ndim == 4 and array.shape[1:] != (1, 1, 1) and not rows.flags.c_contiguous


@context
def layout_copies():
    """Inside the block, list the shapes of the images that the `cpu` engine has to copy into channels-
    last memory: `with layout_copies() as copies`. A step that stays in that order copies none."""
    before, _counting.copies = _counting.copies, []
    try:
        yield _counting.copies
    finally:
        _counting.copies = before
