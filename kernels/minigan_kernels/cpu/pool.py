"""Pooling of channels-last images: windows pixel by pixel, with all channels of a pixel in one loop.

Images in another order are copied once. Results are channels-last.
"""

import numpy as np

from ..arrays import wide
from ..geometry import out_size, overlap
from ..reference import pool as reference
from .columns import clear, copy, move
from .compiling import helper
from .layout import channels_last
from .threads import parallel, parts_of

DTYPES = np.dtype(np.float32), np.dtype(np.float64)
RUN = 64  # pixels of a window that are added up in their own dtype, before they go to float64


def max_pool2d(x, kernel_size, stride, padding):
    """The largest value of each window, and its flat position in the image (int64; first of equals).

    A NaN is larger than any number.
    """
    if x.dtype not in DTYPES:
        return reference.max_pool2d(x, kernel_size, stride, padding)
    x = channels_last(x)
    N, H, W, C = x.shape
    shape = (N, *out_size((H, W), kernel_size, stride, padding), C)
    y, index = np.empty(shape, x.dtype), np.empty(shape, np.int64)
    if W == C == 1 and kernel_size == stride and padding == (0, 0) and H % kernel_size[0] == 0:
        _max_of_runs(x, y, index, min(N, parts_of(x.size)) or 1)
    else:
        lines = N * shape[1]
        _max_pool2d(x, y, index, *kernel_size, *stride, *padding, min(lines, parts_of(x.size)) or 1)
    return y.transpose(0, 3, 1, 2), index.transpose(0, 3, 1, 2)


def pixels_gather(x, index):
    """x (N, C, H, W), index (N, C, ...) of flat pixel positions -> the pixels, in index's shape."""
    if not _images(x, index):
        return reference.pixels_gather(x, index)
    pixels, positions = channels_last(x), channels_last(index)
    y = np.empty(positions.shape, x.dtype)
    parts = min(len(y), parts_of(y.size)) or 1
    outside = np.zeros(parts, np.int64)
    _gather(pixels, positions, y, outside, parts)
    if outside.any():  # NumPy's errors, and its way with negative positions
        return reference.pixels_gather(x, index)
    return y.transpose(0, 3, 1, 2)


def pixels_scatter(y, index, size, window=None):
    """The adjoint of `pixels_gather`, onto images of `size` (H, W): values add where positions meet."""
    if not _images(y, index):
        return reference.pixels_scatter(y, index, size)
    most = index.shape[2] * index.shape[3] if window is None else overlap(*window[:2])
    if y.dtype != (dtype := wide(y.dtype, most)):  # where so many values may meet
        return pixels_scatter(y.astype(dtype), index, size, window).astype(y.dtype)
    values, positions = channels_last(y), channels_last(index)
    x = np.empty((len(y), *size, y.shape[1]), y.dtype)
    parts = min(len(y), parts_of(y.size)) or 1
    outside = np.zeros(parts, np.int64)
    _scatter(values, positions, x, outside, parts)
    if outside.any():
        return reference.pixels_scatter(y, index, size)
    return x.transpose(0, 3, 1, 2)


def avg_pool2d(x, kernel_size, stride, padding):
    """The mean of each window, padding counted as zeros. x (N, C, H, W) -> (N, C, OH, OW)."""
    if x.dtype not in DTYPES:
        return reference.avg_pool2d(x, kernel_size, stride, padding)
    x = channels_last(x)
    N, H, W, C = x.shape
    y = np.empty((N, *out_size((H, W), kernel_size, stride, padding), C), x.dtype)
    _avg_pool2d(x, y, *kernel_size, *stride, *padding, min(N * y.shape[1], parts_of(x.size)) or 1)
    return y.transpose(0, 3, 1, 2)


def avg_pool2d_input(gy, size, kernel_size, stride, padding):
    """The adjoint of `avg_pool2d`, for images of `size` (H, W)."""
    if gy.dtype not in DTYPES:
        return reference.avg_pool2d_input(gy, size, kernel_size, stride, padding)
    if gy.dtype != (dtype := wide(gy.dtype, overlap(kernel_size, stride))):
        return avg_pool2d_input(gy.astype(dtype), size, kernel_size, stride, padding).astype(gy.dtype)
    gy = channels_last(gy)
    gx = np.empty((len(gy), *size, gy.shape[3]), gy.dtype)
    _avg_pool2d_input(gy, gx, *kernel_size, *stride, *padding, min(len(gy), parts_of(gx.size)) or 1)
    return gx.transpose(0, 3, 1, 2)


def upsample2d_input(gy, factors):
    """The adjoint of `upsample2d`: gy (N, C, H·FH, W·FW) -> (N, C, H, W), the sums of the blocks.

    The sum of a block is so many times its mean.
    """
    y = avg_pool2d(gy, factors, factors, (0, 0))
    y *= factors[0] * factors[1]
    return y


def _images(x, index):
    fits = x.ndim == index.ndim == 4 and x.shape[:2] == index.shape[:2]
    return fits and x.dtype in DTYPES and index.dtype == np.int64


@helper
def _inside(first, taps, n):
    """The taps of a window from pixel `first` on that lie on the n pixels: from, to."""
    return max(0, -first), min(taps, n - first)


@parallel
def _max_pool2d(x, y, index, KH, KW, SH, SW, PH, PW, part, parts):
    _, H, W, C = x.shape
    N, OH, OW, _ = y.shape
    for line in range(part * N * OH // parts, (part + 1) * N * OH // parts):
        image, oh = x[line // OH], line % OH
        top = oh * SH - PH
        first_row, last_row = _inside(top, KH, H)
        for ow in range(OW):
            left = ow * SW - PW
            first_column, last_column = _inside(left, KW, W)
            best, where = y[line // OH, oh, ow], index[line // OH, oh, ow]
            for a in range(first_row, last_row):
                for b in range(first_column, last_column):
                    pixel, at = image[top + a, left + b], (top + a) * W + left + b
                    if a == first_row and b == first_column:
                        for c in range(C):
                            best[c] = pixel[c]
                            where[c] = at
                    else:
                        for c in range(C):
                            v, m = pixel[c], best[c]
                            larger = (v > m) | ((v != v) & (m == m))
                            best[c] = v if larger else m
                            where[c] = at if larger else where[c]


@parallel
def _max_of_runs(x, y, index, part, parts):
    """Images of one column and channel, in windows side by side, as in maxout: of runs in memory.

    The runs are turned into rows first, whose entries are compared as vectors: one after the other they would
    be branches that no processor foresees.
    """
    N, H, _, _ = x.shape
    OH = y.shape[1]
    K = H // OH
    rows = np.empty((K, OH), x.dtype)
    for n in range(part * N // parts, (part + 1) * N // parts):
        column = x[n].reshape(H)
        best, where = y[n].reshape(OH), index[n].reshape(OH)
        for oh in range(OH):
            where[oh] = oh * K
            for a in range(K):
                rows[a, oh] = column[oh * K + a]
        copy(rows[0], best)
        for a in range(1, K):
            row = rows[a]
            for oh in range(OH):
                v, m, at = row[oh], best[oh], where[oh]
                larger = (v > m) | ((v != v) & (m == m))  # `or` would be a branch
                best[oh] = v if larger else m
                where[oh] = oh * K + a if larger else at


@parallel
def _gather(x, index, y, outside, part, parts):
    N, H, W, C = x.shape
    _, OH, OW, _ = index.shape
    for n in range(part * N // parts, (part + 1) * N // parts):
        image = x[n].reshape(H * W, C)
        for oh in range(OH):
            for ow in range(OW):
                for c in range(C):
                    at = index[n, oh, ow, c]
                    if 0 <= at < H * W:
                        y[n, oh, ow, c] = image[at, c]
                    else:
                        outside[part] = 1


@parallel
def _scatter(y, index, x, outside, part, parts):
    N, H, W, C = x.shape
    for n in range(part * N // parts, (part + 1) * N // parts):
        image, values, places = x[n].reshape(-1), y[n].reshape(-1), index[n].reshape(-1)
        clear(image)
        c = 0
        for k in range(len(values)):
            at = places[k]
            if 0 <= at < H * W:
                image[at * C + c] += values[k]
            else:
                outside[part] = 1
            c = c + 1 if c + 1 < C else 0


@parallel
def _avg_pool2d(x, y, KH, KW, SH, SW, PH, PW, part, parts):
    _, H, W, C = x.shape
    N, OH, OW, _ = y.shape
    count = x.dtype.type(KH * KW)
    many, sums = KH * KW > RUN, np.empty(C)
    for line in range(part * N * OH // parts, (part + 1) * N * OH // parts):
        image, oh = x[line // OH], line % OH
        top = oh * SH - PH
        first_row, last_row = _inside(top, KH, H)
        for ow in range(OW):
            left = ow * SW - PW
            first_column, last_column = _inside(left, KW, W)
            total = y[line // OH, oh, ow]
            clear(total)
            clear(sums)
            added = 0
            for a in range(first_row, last_row):
                for b in range(first_column, last_column):
                    pixel = image[top + a, left + b]
                    for c in range(C):
                        total[c] += pixel[c]
                    added += 1
                    if added == RUN:
                        move(total, sums)
                        added = 0
            if many:
                move(total, sums)
                for c in range(C):
                    total[c] = sums[c] / count
            else:
                for c in range(C):
                    total[c] /= count


@parallel
def _avg_pool2d_input(gy, gx, KH, KW, SH, SW, PH, PW, part, parts):
    N, H, W, C = gx.shape
    _, OH, OW, _ = gy.shape
    count = gy.dtype.type(KH * KW)
    share = np.empty(C, gy.dtype)
    for n in range(part * N // parts, (part + 1) * N // parts):
        image = gx[n]
        clear(image.reshape(-1))
        for oh in range(OH):
            top = oh * SH - PH
            first_row, last_row = _inside(top, KH, H)
            for ow in range(OW):
                left = ow * SW - PW
                first_column, last_column = _inside(left, KW, W)
                window = gy[n, oh, ow]
                for c in range(C):
                    share[c] = window[c] / count
                for a in range(first_row, last_row):
                    for b in range(first_column, last_column):
                        pixel = image[top + a, left + b]
                        for c in range(C):
                            pixel[c] += share[c]
