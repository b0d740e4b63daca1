"""Normalisation of the columns of x (S, R, C), over R.

A block of x is read twice while it is in a core's cache, for its mean and for its squared deviations
from that mean, and blocks are put together as in Chan, Golub, LeVeque, "Algorithms for computing the
sample variance", 1983, equation 2.1. Within a block sums are of the dtype of x, between blocks they are
float64, so their error does not grow with the number of rows, nor with the mean.

x is flat. An item is a chunk of rows of one of the S; `sums` (S, chunks, n, C) has a place for each.

With `activate` a LeakyReLU of `slope` follows. Its gradient needs the sign of its input, which is worked out
from x again, to the same bits: that costs less than to read it.
"""

import numpy as np

from .activation import leak
from .columns import BLOCK, add_rows, chunk_of, clear, fold, repeat, strip_of
from .compiling import helper
from .threads import parallel


@helper
def item_of(item, sums, R):
    """First and last entry of x in that item."""
    _, chunks, _, C = sums.shape
    before = item // chunks * R * C
    first, last = chunk_of(item % chunks, chunks, R, C)
    return before + first, before + last


@helper
def _add_squares(x, mean, total):
    """total[c] += Σ (x[i] - mean[c])²."""
    for at in range(0, len(x), len(total)):
        row = x[at : at + len(total)]
        for c in range(len(row)):
            total[c] += (row[c] - mean[c]) ** 2


@helper
def _merge(sums, count, other, n):
    """Put n more rows to `count`: (sum, squared deviations from the mean) of each column."""
    for c in range(sums.shape[1]):
        between = sums[0, c] / max(count, 1) - other[0, c] / n
        sums[1, c] += other[1, c] + between * between * (count * n / (count + n))
        sums[0, c] += other[0, c]


@parallel
def column_moments(x, sums, R, part, parts):
    """sums[s, chunk] = the sum of each column, and its squared deviations from its own mean."""
    S, chunks, _, C = sums.shape
    W = strip_of(C)
    step = max(1, BLOCK // W) * W
    strips = np.empty((2, W), x.dtype)
    mean, total = strips[0], strips[1]
    block = np.empty((2, C), np.float64)
    for item in range(part * S * chunks // parts, (part + 1) * S * chunks // parts):
        start, end = item_of(item, sums, R)
        found = sums[item // chunks, item % chunks]
        clear(found.reshape(-1))
        for first in range(start, end, step):
            entries = x[first : min(end, first + step)]
            n = len(entries) // C
            clear(total)
            add_rows(entries, total)
            column = fold(total, C)
            for c in range(C):
                block[0, c] = column[c]
                mean[c] = column[c] / n
            repeat(strips[:1], C)
            clear(total)
            _add_squares(entries, mean, total)
            column = fold(total, C)
            for c in range(C):
                block[1, c] = column[c]
            _merge(found, (first - start) // C, block, n)


@parallel
def write_columns(x, sums, R, weight, bias, eps, slope, activate, y, mean, var, part, parts):
    """y, mean and var out of the sums of `column_moments`."""
    S, chunks, _, C = sums.shape
    slope = x.dtype.type(slope)
    W = strip_of(C)
    strips = np.empty((3, W), x.dtype)
    shift, scale, offset = strips[0], strips[1], strips[2]
    whole = np.empty((2, C), np.float64)
    first_item = part * S * chunks // parts
    for item in range(first_item, (part + 1) * S * chunks // parts):
        s = item // chunks
        if item == first_item or item % chunks == 0:
            clear(whole.reshape(-1))
            for chunk in range(chunks):
                first, last = chunk * R // chunks, (chunk + 1) * R // chunks
                _merge(whole, first, sums[s, chunk], last - first)
            for c in range(C):
                shift[c], variance = whole[0, c] / R, x.dtype.type(whole[1, c] / R)
                scale[c], offset[c] = _affine(c, 1 / np.sqrt(variance + eps), weight, bias)
                if item % chunks == 0:
                    mean[s * C + c], var[s * C + c] = shift[c], variance
            repeat(strips, C)
        start, end = item_of(item, sums, R)
        for at in range(start, end, W):
            row, result = x[at : min(end, at + W)], y[at : min(end, at + W)]
            for c in range(len(row)):
                result[c] = (row[c] - shift[c]) * scale[c] + offset[c]
            if activate:
                leak(result, slope)


@helper
def _affine(c, rstd, weight, bias):
    """The factor and the offset of column c."""
    number = weight.dtype.type
    scale = number(rstd) * (weight[c] if len(weight) else number(1))
    return scale, bias[c] if len(bias) else number(0)


@parallel
def column_products(gy, x, sums, R, weight, bias, mean, var, eps, slope, activate, part, parts):
    """sums[s, chunk] = Σ g and Σ g·(x - mean) of each column, g being gy before the activation."""
    S, chunks, _, C = sums.shape
    slope = x.dtype.type(slope)
    strips = np.empty((6, strip_of(C)), x.dtype)
    shift, scale, offset, plain, weighted = strips[0], strips[1], strips[2], strips[3], strips[4]
    g = strips[5]
    step = max(1, BLOCK // len(g)) * len(g)
    for item in range(part * S * chunks // parts, (part + 1) * S * chunks // parts):
        start, end = item_of(item, sums, R)
        s = item // chunks
        found = sums[s, item % chunks]
        clear(found.reshape(-1))
        for c in range(C):
            shift[c] = mean[s * C + c]
            if activate:
                scale[c], offset[c] = _affine(c, 1 / np.sqrt(var[s * C + c] + eps), weight, bias)
        repeat(strips[:3], C)
        for first in range(start, end, step):
            last = min(end, first + step)
            clear(plain)
            clear(weighted)
            for at in range(first, last, len(g)):
                row, given = x[at : min(last, at + len(g))], gy[at : min(last, at + len(g))]
                if activate:
                    _behind(given, row, shift, scale, offset, slope, g)
                    given = g[: len(row)]
                for c in range(len(row)):
                    plain[c] += given[c]
                    weighted[c] += given[c] * (row[c] - shift[c])
            a, b = fold(plain, C), fold(weighted, C)
            for c in range(C):
                found[0, c] += a[c]
                found[1, c] += b[c]


@helper
def _behind(gy, x, shift, scale, offset, slope, g):
    """g = the gradient before the activation, gy being the one after it."""
    one = x.dtype.type(1)
    for c in range(len(x)):
        g[c] = gy[c] * (one if (x[c] - shift[c]) * scale[c] + offset[c] > 0 else slope)


@parallel
def write_gradient(
    gy, x, sums, R, weight, bias, mean, var, eps, slope, activate, gx, gweight, gbias, part, parts
):
    """gx = rstd·weight·(g - Σg/R - ŷ·Σ(g·ŷ)/R), ŷ = (x - mean)·rstd; and the gradients of the weights."""
    S, chunks, _, C = sums.shape
    slope = x.dtype.type(slope)
    W = strip_of(C)
    strips = np.empty((6, W), x.dtype)
    shift, scale, offset, along, constant, g = (
        strips[0],
        strips[1],
        strips[2],
        strips[3],
        strips[4],
        strips[5],
    )
    first_item = part * S * chunks // parts
    for item in range(first_item, (part + 1) * S * chunks // parts):
        s = item // chunks
        if item == first_item or item % chunks == 0:
            for c in range(C):
                plain = weighted = 0.0
                for chunk in range(chunks):
                    plain += sums[s, chunk, 0, c]
                    weighted += sums[s, chunk, 1, c]
                rstd = 1 / np.sqrt(var[s * C + c] + eps)
                shift[c] = mean[s * C + c]
                scale[c], offset[c] = _affine(c, rstd, weight, bias)
                constant[c] = -scale[c] * plain / R
                along[c] = -scale[c] * rstd * rstd * weighted / R
            repeat(strips[:5], C)
        start, end = item_of(item, sums, R)
        for at in range(start, end, W):
            last = min(end, at + W)
            given, row, result = gy[at:last], x[at:last], gx[at:last]
            if activate:
                _behind(given, row, shift, scale, offset, slope, g)
                given = g[: len(row)]
            for c in range(len(row)):
                result[c] = given[c] * scale[c] + ((row[c] - shift[c]) * along[c] + constant[c])
    if part == 0:
        for c in range(C):
            plain = weighted = 0.0
            for s in range(S):
                rstd = 1 / np.sqrt(var[s * C + c] + eps)
                for chunk in range(chunks):
                    plain += sums[s, chunk, 0, c]
                    weighted += sums[s, chunk, 1, c] * rstd
            gbias[c] = plain
            gweight[c] = weighted
