"""Arrays as (S, R, C): what is reduced stands in the middle. The plan of every sum, norm and softmax.

In the order of memory, with axes of size 1 left out, the axes are some that are kept (S), then those that
are reduced (R), then some that are kept (C). Batch norm of channels-last images has S = 1, layer norm C = 1.
An array whose axes do not stand so is copied into an order in which they do. See `Columns` in common.cuh.
"""

import functools
from math import prod

import numpy as np

from .layout import by_stride, default_order, in_order, new_in_order

MOST_THREADS, WARP = 512, 32  # of a block: as in common.cuh
GROUP = 8  # rows that a thread has in flight
BLOCKS = 264  # two for each multiprocessor of an H100: 4 MB in flight


class Columns:
    """A plan for arrays of one shape, over `axes`.

    order: of the memory that the kernels work on; S, R, C: the sizes in it.
    """

    def __init__(self, shape, order, axes, sizes, runs):
        self.shape, self.order, self.axes, self.runs = shape, order, axes, runs
        self.S, self.R, self.C = sizes
        self.kept = tuple(1 if i in axes else n for i, n in enumerate(shape))

    @functools.cached_property
    def sizes(self):
        """S, R, C as a kernel takes them."""
        return np.int64(self.S), np.int64(self.R), np.int64(self.C)

    def memory(self, x):
        """x in the order of memory, contiguous; copied once if it lies in another."""
        return in_order(x, self.order)

    def new(self, like):
        """An array of the plan's shape."""
        return new_in_order(like, self.shape, self.order)

    def new_statistic(self, like):
        """An array of one number for each column, of the plan's shape but for `axes` of size 1."""
        return new_in_order(like, self.kept, self.order)

    def grid(self, chunked=False):
        """`Grid` for this plan; with all the rows in one chunk unless `chunked`."""
        return grid(self.S, self.R, self.C, chunked)


class Grid:
    """How blocks share the columns of (S, R, C): `wide` of them, `deep` threads each, in `chunks` of rows."""

    def __init__(self, blocks, wide, deep, chunks):
        self.blocks, self.chunks = blocks * chunks, chunks
        self.threads = -(-wide * deep // WARP) * WARP
        self.wide, self.deep = np.int32(wide), np.int32(deep)
        self.cut = self.wide, self.deep, np.int32(chunks)  # as a kernel takes them


@functools.lru_cache(1024)
def grid(S, R, C, chunked):
    """A `Grid`. Chunks are made where there are few columns, of rows enough for all threads of a block."""
    lanes = -(-R // GROUP)
    if C > 1:
        wide = min(C, WARP)
        deep = max(1, min(MOST_THREADS // wide, lanes))
        tiles = S * -(-C // wide)
    else:
        deep = WARP
        while deep < min(lanes, MOST_THREADS):
            deep *= 2
        wide = max(1, min(S, 4 * WARP // deep))
        tiles = -(-S // wide)
    chunks = max(1, min(BLOCKS // tiles, R // (2 * GROUP * deep))) if chunked else 1
    return Grid(tiles, wide, deep, chunks)


def columns_of(x, axes, fits=lambda columns: True) -> Columns | None:
    """The plan for x: in its own order of memory if possible; None if no order is one that `fits`."""
    axes = frozenset(axis % x.ndim for axis in axes)
    own = tuple(range(x.ndim)) if x.flags.c_contiguous else by_stride(x)
    orders = [own] if x.transpose(own).flags.c_contiguous else []
    for order in [*orders, default_order(x.ndim), None]:
        columns = _columns(x.shape, order, axes)
        if columns is not None and fits(columns):
            return columns
    return None


@functools.lru_cache(1024)
def _columns(shape, order, axes):
    """The `Columns` in that order, None where the axes do not stand so. No order: one where they do."""
    if order is None:
        order = tuple(sorted(range(len(shape)), key=lambda axis: (axis in axes, axis)))
    runs = [], [], []  # the axes of S, R, C
    for axis in order:
        if shape[axis] == 1:
            continue
        if axis in axes:
            if runs[2]:
                return None
            runs[1].append(axis)
        else:
            runs[2 if runs[1] else 0].append(axis)
    sizes = [prod(shape[axis] for axis in run) for run in runs]
    return Columns(shape, order, axes, sizes, runs)
