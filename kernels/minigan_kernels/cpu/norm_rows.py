"""Normalisation of the rows of x (S, R), over R. x is flat."""

import numpy as np

from .columns import clear
from .compiling import helper
from .threads import parallel

BLOCK = 1 << 11  # entries of a row whose sum is taken in their own dtype: 32 to 128 in a lane of a vector
FLUSH = 64  # rows whose products are added up in the dtype of x before they go to float64


@helper
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


@helper
def _or(weight, default, R):
    """weight, or R times the default where there is none."""
    return weight if len(weight) else np.full(R, default, weight.dtype)


@parallel
def normalize_rows(x, R, weight, bias, eps, y, mean, var, part, parts):
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
def rows_backward(gy, x, R, weight, mean, var, eps, gx, sums, part, parts):
    """gx, and sums[chunk] = Σ gy·ŷ and Σ gy over the rows of that chunk."""
    S, chunks = len(mean), len(sums)
    scale, gweight, gbias = _or(weight, 1, R), np.empty(R, x.dtype), np.empty(R, x.dtype)
    clear(gweight)
    clear(gbias)
    for chunk in range(part * chunks // parts, (part + 1) * chunks // parts):
        clear(sums[chunk].reshape(-1))
        start, end = chunk * S // chunks, (chunk + 1) * S // chunks
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
                    sums[chunk, 0, c] += gweight[c]
                    sums[chunk, 1, c] += gbias[c]
                clear(gweight)
                clear(gbias)


@helper
def _row_products(gy, x, scale, mean, rstd):
    """Σ g and Σ g·ŷ of one row, g = gy·scale."""
    plain = weighted = x.dtype.type(0)
    for c in range(len(x)):
        g = gy[c] * scale[c]
        plain += g
        weighted += g * ((x[c] - mean) * rstd)
    return plain, weighted
