"""Sums of many entries, by a block of threads for each sum.

A thread first adds up every THREADS-th entry by itself, in float64, since they may be many: of 20 million
ones, added one after the other in float32, only 16,777,216 arrive. The totals then meet in shared memory,
where in each round the first half of those that are left take in the second half:

    t0   t1   t2   t3   t4   t5   t6   t7        THREADS totals
    └+t4 └+t5 └+t6 └+t7                          barrier
    └+t2 └+t3                                    barrier
    └+t1                                         barrier: t0 is the sum

That is log2(THREADS) rounds in place of THREADS - 1 additions one after the other. The order of the
additions is fixed, so the result is the same every time; atomic additions would come as they please.

Each kernel reads its entries from memory once for each pass over them, 4 bytes an entry and one or two
operations: bound by memory. Over the pixels of channels-last images a block reads one channel, 4 bytes of
each 32 that memory delivers; `kernels/cuda` lets the threads of a warp take neighbouring channels.

`over` is the shape of the axes that are summed, 1 along the others: the entries of sum (n, h, w, c) are
those at (n, h, w, c) + (n', h', w', c'), for each place of `over`.
"""

import math

import numpy as np
from numba import cuda

from ..arrays import array_module
from ..reference import dense as reference
from .launch import THREADS, launch
from .places import channels_last, place


@cuda.jit(device=True)
def block_sum(value):
    """The sum of `value` over the threads of the block, which each of them gets."""
    totals = cuda.shared.array(THREADS, np.float32)
    t = cuda.threadIdx.x
    totals[t] = value
    cuda.syncthreads()  # all totals are there
    half = THREADS // 2
    while half > 0:
        if t < half:
            totals[t] += totals[t + half]
        cuda.syncthreads()  # this round's sums are there. Outside the `if`: all threads have to come here
        half //= 2
    total = totals[0]
    cuda.syncthreads()  # all have read it, and the next call may write
    return total


@cuda.jit
def sum_entries(x, over, sums):
    """sums[n, h, w, c] = Σ x over `over`; one pass."""
    n, h, w, c = place(cuda.blockIdx.x, sums.shape)
    total = np.float64(0)
    for i in range(cuda.threadIdx.x, over[0] * over[1] * over[2] * over[3], THREADS):
        dn, dh, dw, dc = place(i, over)
        total += x[n + dn, h + dh, w + dw, c + dc]
    total = block_sum(total)
    if cuda.threadIdx.x == 0:
        sums[n, h, w, c] = total


@cuda.jit
def moments(x, over, mean, var):
    """The mean of x over `over`, and its mean squared deviation from that mean: two passes.

    E[x²] - E[x]² would need one pass, and lose all digits where the mean is large beside the deviations.
    """
    n, h, w, c = place(cuda.blockIdx.x, mean.shape)
    count = over[0] * over[1] * over[2] * over[3]
    total = np.float64(0)
    for i in range(cuda.threadIdx.x, count, THREADS):
        dn, dh, dw, dc = place(i, over)
        total += x[n + dn, h + dh, w + dw, c + dc]
    centre = block_sum(total) / np.float32(count)

    total = np.float64(0)
    for i in range(cuda.threadIdx.x, count, THREADS):
        dn, dh, dw, dc = place(i, over)
        deviation = x[n + dn, h + dh, w + dw, c + dc] - centre
        total += deviation * deviation
    total = block_sum(total)
    if cuda.threadIdx.x == 0:
        mean[n, h, w, c] = centre
        var[n, h, w, c] = total / np.float32(count)


@cuda.jit
def gradient_sums(gy, x, weight, mean, var, eps, over, sum_g, sum_gy):
    """Σ g and Σ g·ŷ over `over`, with g = gy·weight and ŷ = (x - mean) / √(var + eps); one pass.

    weight, mean and var are of the shape of x, by strides of 0 where they repeat.
    """
    n, h, w, c = place(cuda.blockIdx.x, sum_g.shape)
    total_g = np.float64(0)
    total_gy = np.float64(0)
    for i in range(cuda.threadIdx.x, over[0] * over[1] * over[2] * over[3], THREADS):
        dn, dh, dw, dc = place(i, over)
        at = n + dn, h + dh, w + dw, c + dc
        g = gy[at] * weight[at]
        total_g += g
        total_gy += g * ((x[at] - mean[at]) / math.sqrt(var[at] + eps))
    total_g = block_sum(total_g)
    total_gy = block_sum(total_gy)
    if cuda.threadIdx.x == 0:
        sum_g[n, h, w, c] = total_g
        sum_gy[n, h, w, c] = total_gy


def summed_axes(x, sums):
    """`over` for sums of the shape `sums` of an array of the shape `x`, both of four axes."""
    return tuple(1 if n == kept else n for n, kept in zip(x, sums, strict=True))


def channel_sums(y):
    """Σ over all axes but the second, the gradient of a bias: y (N, C, ...) -> (C,).

    Here y has up to four axes; more are left to `reference`.
    """
    if y.ndim > 4:
        return reference.channel_sums(y)
    rows = channels_last(y)
    sums = array_module(y).empty((1, 1, 1, y.shape[1]), y.dtype)
    launch(sum_entries, (sums.size,), (THREADS,), rows, summed_axes(rows.shape, sums.shape), sums)
    return sums.reshape(-1)
