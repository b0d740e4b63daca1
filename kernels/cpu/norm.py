"""Normalisation: one pass over x for the statistics, one that writes the result; two for the gradient.

In the order of memory, with its axes of size 1 left out, x is

    (S, R, C), statistics over R      columns: batch norm (S = 1), and instance norm of channels-last images
    (S, R), statistics over R         rows: layer norm

Everything else, be it of another layout or with other weights, is left to `reference`.

A block of x is read twice while it is in a core's cache, for its mean and for its squared deviations
from that mean, and blocks are put together as in Chan, Golub, LeVeque, "Algorithms for computing the
sample variance", 1983, equation 2.1. Within a block sums are of the dtype of x, between blocks they are
float64, so their error does not grow with the number of rows, nor with the mean.
"""

from functools import lru_cache
from math import prod

import numpy as np
from numba import njit, prange

from ..reference import norm as reference
from .columns import BLOCK, add_rows, clear, fold, repeat, strip_of
from .compiling import OPTIONS
from .threads import parallel, parts_of

DTYPES = np.dtype(np.float32), np.dtype(np.float64)
CHANNELS_LAST = 0, 2, 3, 1


def normalize(x, weight, bias, axes, eps):
    """y, mean and var as in `reference`, y in the memory order of x.

    The variance of float32 numbers has a relative error of about 1e-6, whatever their mean.
    """
    plan = _plan_for(x, weight, bias, axes)
    if plan is None:
        return reference.normalize(x, weight, bias, axes, eps)
    flat, weight, bias = plan.flat(x), plan.vector(weight, x), plan.vector(bias, x)
    y, mean, var = np.empty_like(flat), np.empty(plan.groups, x.dtype), np.empty(plan.groups, x.dtype)
    if plan.by_columns:
        parts, sums = plan.columns(x)
        _column_moments(flat, sums, plan.R, parts)
        _write_columns(flat, sums, plan.R, weight, bias, float(eps), y, mean, var, parts)
    else:
        parts = min(plan.S, parts_of(x.size // 2))
        _normalize_rows(flat, plan.R, weight, bias, float(eps), y, mean, var, parts)
    return plan.array(y), plan.statistic(mean), plan.statistic(var)


def normalize_backward(gy, x, weight, bias, mean, var, axes, eps):
    """gx, gweight and gbias as in `reference`, gx in the memory order of x."""
    plan = _plan_for(x, weight, bias, axes)
    if plan is None or any(a.dtype != x.dtype for a in (gy, mean, var)):
        return reference.normalize_backward(gy, x, weight, bias, mean, var, axes, eps)
    flat, flat_gy, w = plan.flat(x), plan.flat(gy), plan.vector(weight, x)
    gx, mean, var = np.empty_like(flat), plan.vector(mean, x), plan.vector(var, x)
    if plan.by_columns:
        parts, sums = plan.columns(x)
        gweight, gbias = np.empty((2, plan.weights), x.dtype)
        _column_products(flat_gy, flat, sums, plan.R, mean, var, float(eps), parts)
        _write_gradient(flat_gy, flat, sums, plan.R, w, mean, var, float(eps), gx, gweight, gbias, parts)
    else:
        parts = min(plan.S, parts_of(x.size // 2))
        sums = np.empty((parts, 2, plan.R), np.float64)
        _rows_backward(flat_gy, flat, plan.R, w, mean, var, float(eps), gx, sums, parts)
        gweight, gbias = sums.sum(axis=0).astype(x.dtype, copy=False)
    gweight, gbias = (None if t is None else plan.like(g, t) for g, t in ((gweight, weight), (gbias, bias)))
    return plan.array(gx), gweight, gbias


# Which case it is.


class _Plan:
    """x of `shape` as (S, R, C) in the memory order `order` of its axes."""

    def __init__(self, shape, order, axes, by_columns, S, R, C):
        self.order, self.by_columns = order, by_columns
        self.S, self.R, self.C = S, R, C
        self.groups, self.weights = S * C, C if by_columns else R
        self.back = tuple(np.argsort(order).tolist())
        self.memory = tuple(shape[i] for i in order)
        self.kept = tuple(1 if i in axes else shape[i] for i in order)

    def flat(self, x):
        rows = x.transpose(self.order)
        if not rows.flags.carray:  # nor read-only: Numba would compile all of it again for such arrays
            rows = np.array(rows, order="C")
        return rows.reshape(-1)

    def array(self, flat):
        return flat.reshape(self.memory).transpose(self.back)

    def statistic(self, flat):
        return flat.reshape(self.kept).transpose(self.back)

    def vector(self, weight, x):
        """weight in the memory order of x; none as an array of no entries, so that types stay the same."""
        if weight is None:
            return np.empty(0, x.dtype)
        if weight.size in weight.shape:  # along one axis: no order to mind
            return np.array(weight.reshape(-1))
        weight = weight.reshape((1,) * (x.ndim - weight.ndim) + weight.shape)
        return np.array(weight.transpose(self.order), order="C").reshape(-1)

    def like(self, flat, weight):
        """The inverse of `vector`."""
        if flat.size in weight.shape:
            return flat.reshape(weight.shape)
        shape = (1,) * (len(self.order) - weight.ndim) + weight.shape
        return flat.reshape([shape[i] for i in self.order]).transpose(self.back).reshape(weight.shape)

    def columns(self, x):
        """The number of parts, and memory for the two sums of each column of each chunk of rows."""
        parts = min(self.S * self.R, parts_of(x.size // 2))
        chunks = 1 if parts <= self.S else min(parts, self.R)
        return parts, np.empty((self.S, chunks, 2, self.C), np.float64)


def _plan_for(x, weight, bias, axes):
    if any(t is not None and t.dtype != x.dtype for t in (weight, bias)):
        return None
    if x.dtype not in DTYPES or not x.size:
        return None
    if x.flags.c_contiguous:
        order = tuple(range(x.ndim))
    elif x.ndim == 4 and x.transpose(CHANNELS_LAST).flags.c_contiguous:
        order = CHANNELS_LAST
    else:
        return None
    return _plan(x.shape, order, axes, *(None if t is None else t.shape for t in (weight, bias)))


@lru_cache(1024)
def _plan(shape, order, axes, weight, bias):
    """The `_Plan`, or None where there is none."""
    axes = {axis % len(shape) for axis in axes}
    runs = []  # of neighbours in memory that are all kept, or all reduced
    for i in order:
        if shape[i] > 1:
            if runs and runs[-1][0] == (i in axes):
                runs[-1][1].append(i)
            else:
                runs.append((i in axes, [i]))
    if runs and runs[0][0]:
        runs.insert(0, (False, []))
    if len(runs) not in (2, 3):
        return None
    S, R, C = (prod(shape[i] for i in run) for _, run in [*runs, (False, [])][:3])
    kept = runs[2][1] if len(runs) == 3 else []
    given = [w for w in (weight, bias) if w is not None]
    for by_columns, along in ((False, runs[1][1]), (True, kept)):
        if by_columns or (C == 1 and S > 1):
            expected = [n if i in along else 1 for i, n in enumerate(shape)]
            if all([1] * (len(shape) - len(w)) + list(w) == expected for w in given):
                return _Plan(shape, order, axes, by_columns, S, R, C)
    return None


# Columns. An item is a chunk of rows of one of the S; `sums` (S, chunks, 2, C) has a place for each.


@njit(**OPTIONS)
def _chunk(item, sums, R):
    """First and last entry of x in that item."""
    _, chunks, _, C = sums.shape
    s, chunk = item // chunks, item % chunks
    return (s * R + chunk * R // chunks) * C, (s * R + (chunk + 1) * R // chunks) * C


@njit(**OPTIONS)
def _add_squares(x, mean, total):
    """total[c] += Σ (x[i] - mean[c])²."""
    for at in range(0, len(x), len(total)):
        row = x[at : at + len(total)]
        for c in range(len(row)):
            total[c] += (row[c] - mean[c]) ** 2


@njit(**OPTIONS)
def _merge(sums, count, other, n):
    """Put n more rows to `count`: (sum, squared deviations from the mean) of each column."""
    for c in range(sums.shape[1]):
        between = sums[0, c] / max(count, 1) - other[0, c] / n
        sums[1, c] += other[1, c] + between * between * (count * n / (count + n))
        sums[0, c] += other[0, c]


@parallel
def _column_moments(x, sums, R, parts):
    """sums[s, chunk] = the sum of each column, and its squared deviations from its own mean."""
    S, chunks, _, C = sums.shape
    W = strip_of(C)
    step = max(1, BLOCK // W) * W
    for i in prange(parts):
        part = np.int64(i)
        strips = np.empty((2, W), x.dtype)
        mean, total = strips[0], strips[1]
        block = np.empty((2, C), np.float64)
        for item in range(part * S * chunks // parts, (part + 1) * S * chunks // parts):
            start, end = _chunk(item, sums, R)
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
def _write_columns(x, sums, R, weight, bias, eps, y, mean, var, parts):
    """y, mean and var out of the sums of `_column_moments`."""
    S, chunks, _, C = sums.shape
    W = strip_of(C)
    for i in prange(parts):
        part = np.int64(i)
        strips = np.empty((3, W), x.dtype)
        shift, scale, offset = strips[0], strips[1], strips[2]
        whole = np.empty((2, C), np.float64)
        for item in range(part * S * chunks // parts, (part + 1) * S * chunks // parts):
            s = item // chunks
            clear(whole.reshape(-1))
            for chunk in range(chunks):
                first, last = chunk * R // chunks, (chunk + 1) * R // chunks
                _merge(whole, first, sums[s, chunk], last - first)
            for c in range(C):
                shift[c] = whole[0, c] / R
                scale[c] = 1 / np.sqrt(whole[1, c] / R + eps)
                if item % chunks == 0:
                    mean[s * C + c] = shift[c]
                    var[s * C + c] = whole[1, c] / R
                if len(weight):
                    scale[c] *= weight[c]
                offset[c] = bias[c] if len(bias) else 0
            repeat(strips, C)
            start, end = _chunk(item, sums, R)
            for at in range(start, end, W):
                row, result = x[at : min(end, at + W)], y[at : min(end, at + W)]
                for c in range(len(row)):
                    result[c] = (row[c] - shift[c]) * scale[c] + offset[c]


@parallel
def _column_products(gy, x, sums, R, mean, var, eps, parts):
    """sums[s, chunk] = Σ gy and Σ gy·(x - mean)/√(var + eps) of each column."""
    S, chunks, _, C = sums.shape
    W = strip_of(C)
    step = max(1, BLOCK // W) * W
    for i in prange(parts):
        part = np.int64(i)
        strips = np.empty((3, W), x.dtype)
        shift, plain, weighted = strips[0], strips[1], strips[2]
        for item in range(part * S * chunks // parts, (part + 1) * S * chunks // parts):
            start, end = _chunk(item, sums, R)
            s = item // chunks
            found = sums[s, item % chunks]
            clear(found.reshape(-1))
            for c in range(C):
                shift[c] = mean[s * C + c]
            repeat(strips[:1], C)
            for first in range(start, end, step):
                last = min(end, first + step)
                clear(plain)
                clear(weighted)
                _add_products(gy[first:last], x[first:last], shift, plain, weighted)
                a, b = fold(plain, C), fold(weighted, C)
                for c in range(C):
                    found[0, c] += a[c]
                    found[1, c] += b[c]
            for c in range(C):
                found[1, c] /= np.sqrt(var[s * C + c] + eps)


@njit(**OPTIONS)
def _add_products(gy, x, mean, plain, weighted):
    """plain[c] += Σ gy[i], weighted[c] += Σ gy[i]·(x[i] - mean[c])."""
    for at in range(0, len(x), len(plain)):
        row, g = x[at : at + len(plain)], gy[at : at + len(plain)]
        for c in range(len(row)):
            plain[c] += g[c]
            weighted[c] += g[c] * (row[c] - mean[c])


@parallel
def _write_gradient(gy, x, sums, R, weight, mean, var, eps, gx, gweight, gbias, parts):
    """gx = rstd·weight·(gy - Σgy/R - ŷ·Σ(gy·ŷ)/R), ŷ = (x - mean)·rstd; and the gradients of the weights."""
    S, chunks, _, C = sums.shape
    W = strip_of(C)
    for i in prange(parts):
        part = np.int64(i)
        strips = np.empty((4, W), x.dtype)
        shift, scale, slope, offset = strips[0], strips[1], strips[2], strips[3]
        for item in range(part * S * chunks // parts, (part + 1) * S * chunks // parts):
            s = item // chunks
            for c in range(C):
                plain = weighted = 0.0
                for chunk in range(chunks):
                    plain += sums[s, chunk, 0, c]
                    weighted += sums[s, chunk, 1, c]
                rstd = 1 / np.sqrt(var[s * C + c] + eps)
                factor = rstd * weight[c] if len(weight) else rstd
                shift[c], scale[c] = mean[s * C + c], factor
                offset[c] = -factor * plain / R
                slope[c] = -factor * rstd * weighted / R
            repeat(strips, C)
            start, end = _chunk(item, sums, R)
            for at in range(start, end, W):
                g, row, result = (
                    gy[at : min(end, at + W)],
                    x[at : min(end, at + W)],
                    gx[at : min(end, at + W)],
                )
                for c in range(len(row)):
                    result[c] = g[c] * scale[c] + ((row[c] - shift[c]) * slope[c] + offset[c])
        if part == 0:
            for c in range(C):
                plain = weighted = 0.0
                for s in range(S):
                    for chunk in range(chunks):
                        plain += sums[s, chunk, 0, c]
                        weighted += sums[s, chunk, 1, c]
                gbias[c] = plain
                gweight[c] = weighted


# Rows.

FLUSH = 64  # rows whose products are added up in the dtype of x before they go to float64


@njit(**OPTIONS)
def _row_moments(row):
    """The sum of a row, and its squared deviations from its mean."""
    total = squares = 0.0
    for first in range(0, len(row), BLOCK):
        entries = row[first : first + BLOCK]
        n = len(entries)
        part = entries.dtype.type(0)
        for c in range(len(entries)):
            part += entries[c]
        m = entries.dtype.type(part / n)
        deviations = entries.dtype.type(0)
        for c in range(len(entries)):
            deviations += (entries[c] - m) ** 2
        between = total / max(first, 1) - part / n
        squares += deviations + between * between * (first * n / (first + n))
        total += part
    return total, squares


@njit(**OPTIONS)
def _or(weight, default, R):
    """weight, or R times the default where there is none."""
    return weight if len(weight) else np.full(R, default, weight.dtype)


@parallel
def _normalize_rows(x, R, weight, bias, eps, y, mean, var, parts):
    for i in prange(parts):
        part = np.int64(i)
        S = len(mean)
        scale, offset = _or(weight, 1, R), _or(bias, 0, R)
        for s in range(part * S // parts, (part + 1) * S // parts):
            row, result = x[s * R : (s + 1) * R], y[s * R : (s + 1) * R]
            total, squares = _row_moments(row)
            mean[s], var[s] = total / R, squares / R
            m, rstd = mean[s], x.dtype.type(1 / np.sqrt(squares / R + eps))
            for c in range(len(row)):
                result[c] = (row[c] - m) * rstd * scale[c] + offset[c]


@parallel
def _rows_backward(gy, x, R, weight, mean, var, eps, gx, sums, parts):
    """gx, and sums[part] = Σ gy·ŷ and Σ gy over the rows of that part."""
    for i in prange(parts):
        part = np.int64(i)
        S = len(mean)
        scale, gweight, gbias = _or(weight, 1, R), np.empty(R, x.dtype), np.empty(R, x.dtype)
        clear(gweight)
        clear(gbias)
        clear(sums[part].reshape(-1))
        start, end = part * S // parts, (part + 1) * S // parts
        for s in range(start, end):
            g, row, result = gy[s * R : (s + 1) * R], x[s * R : (s + 1) * R], gx[s * R : (s + 1) * R]
            m, rstd = mean[s], x.dtype.type(1 / np.sqrt(var[s] + eps))
            plain = weighted = 0.0
            for first in range(0, R, BLOCK):
                last = min(R, first + BLOCK)
                a, b = _row_products(g[first:last], row[first:last], scale[first:last], m, rstd)
                plain += a
                weighted += b
            offset, slope = x.dtype.type(plain / R), x.dtype.type(weighted / R)
            for c in range(len(row)):
                normal = (row[c] - m) * rstd
                result[c] = (g[c] * scale[c] - offset - normal * slope) * rstd
                gweight[c] += g[c] * normal
                gbias[c] += g[c]
            if (s - start) % FLUSH == FLUSH - 1 or s == end - 1:
                for c in range(R):
                    sums[part, 0, c] += gweight[c]
                    sums[part, 1, c] += gbias[c]
                clear(gweight)
                clear(gbias)


@njit(**OPTIONS)
def _row_products(gy, x, scale, mean, rstd):
    """Σ g and Σ g·ŷ of one row, g = gy·scale."""
    plain = weighted = x.dtype.type(0)
    for c in range(len(x)):
        g = gy[c] * scale[c]
        plain += g
        weighted += g * ((x[c] - mean) * rstd)
    return plain, weighted
