"""The gradient of the gradient of normalised columns: the sums, and a pass over them. `reference` has the
formula; there u is ggx. x, items and sums are those of `norm_columns.py`."""

import numpy as np

from .columns import BLOCK, clear, copy, fold, repeat, strip_of
from .compiling import helper
from .norm_columns import item_of
from .threads import parallel


@parallel
def second_products(u, gy, x, sums, R, mean, var, eps, part, parts):
    """sums[s, chunk] = Σ u, Σ gy, Σ u·gy, Σ u·ŷ and Σ gy·ŷ of each column, ŷ = (x - mean)·rstd."""
    S, chunks, n, C = sums.shape
    W = strip_of(C)
    step = max(1, BLOCK // W) * W
    strips, totals = np.empty((1, W), x.dtype), np.empty((n, W), x.dtype)
    shift = strips[0]
    for item in range(part * S * chunks // parts, (part + 1) * S * chunks // parts):
        s = item // chunks
        found = sums[s, item % chunks]
        clear(found.reshape(-1))
        for c in range(C):
            shift[c] = mean[s * C + c]
        repeat(strips, C)
        start, end = item_of(item, sums, R)
        for first in range(start, end, step):
            last = min(end, first + step)
            clear(totals.reshape(-1))
            _add_second(u[first:last], gy[first:last], x[first:last], shift, totals)
            for k in range(n):
                column = fold(totals[k], C)
                for c in range(C):
                    found[k, c] += column[c]
        for c in range(C):
            rstd = 1 / np.sqrt(var[s * C + c] + eps)
            found[3, c] *= rstd
            found[4, c] *= rstd


@helper
def _add_second(u, gy, x, mean, totals):
    W = totals.shape[1]
    u_sum, g_sum, ug_sum, uy_sum, gy_sum = totals[0], totals[1], totals[2], totals[3], totals[4]
    for at in range(0, len(x), W):
        v, g, row = u[at : at + W], gy[at : at + W], x[at : at + W]
        for c in range(len(row)):
            centred = row[c] - mean[c]
            u_sum[c] += v[c]
            g_sum[c] += g[c]
            ug_sum[c] += v[c] * g[c]
            uy_sum[c] += v[c] * centred
            gy_sum[c] += g[c] * centred


@parallel
def write_second(u, gy, x, sums, R, weight, mean, var, eps, ggy, gx, gweight, part, parts):
    """ggy and gx, each linear in u, gy and x - mean with factors of the column; and gweight."""
    S, chunks, _, C = sums.shape
    W = strip_of(C)
    strips, whole = np.empty((8, W), x.dtype), np.empty((5, C), np.float64)
    shift, ggy_u, ggy_x, ggy_1 = strips[0], strips[1], strips[2], strips[3]
    gx_u, gx_g, gx_x, gx_1 = strips[4], strips[5], strips[6], strips[7]
    first_item = part * S * chunks // parts
    for item in range(first_item, (part + 1) * S * chunks // parts):
        s = item // chunks
        if item == first_item or item % chunks == 0:
            _means(sums[s], R, whole)
            for c in range(C):
                u_mean, g_mean, ug, uy, gy_mean = (
                    whole[0, c],
                    whole[1, c],
                    whole[2, c],
                    whole[3, c],
                    whole[4, c],
                )
                rstd, w = 1 / np.sqrt(var[s * C + c] + eps), weight[c] if len(weight) else 1.0
                shift[c] = mean[s * C + c]
                ggy_u[c] = w * rstd
                ggy_x[c] = -w * rstd * rstd * uy
                ggy_1[c] = -w * rstd * u_mean
                gx_u[c] = -w * rstd * rstd * gy_mean
                gx_g[c] = -w * rstd * rstd * uy
                gx_x[c] = -w * rstd * rstd * rstd * (ug - u_mean * g_mean - 3 * uy * gy_mean)
                gx_1[c] = w * rstd * rstd * (gy_mean * u_mean + uy * g_mean)
            repeat(strips, C)
        start, end = item_of(item, sums, R)
        for at in range(start, end, W):
            v, g, row = u[at : min(end, at + W)], gy[at : min(end, at + W)], x[at : min(end, at + W)]
            to_gy, to_x = ggy[at : min(end, at + W)], gx[at : min(end, at + W)]
            for c in range(len(row)):
                centred = row[c] - shift[c]
                to_gy[c] = v[c] * ggy_u[c] + (centred * ggy_x[c] + ggy_1[c])
                to_x[c] = v[c] * gx_u[c] + g[c] * gx_g[c] + (centred * gx_x[c] + gx_1[c])
    if part == 0:
        total = np.zeros(C)
        for s in range(S):
            _means(sums[s], R, whole)
            for c in range(C):
                rstd = 1 / np.sqrt(var[s * C + c] + eps)
                total[c] += rstd * R * (whole[2, c] - whole[0, c] * whole[1, c] - whole[3, c] * whole[4, c])
        copy(total, gweight)


@helper
def _means(sums, R, means):
    """The sums of all chunks, divided by the number of rows."""
    clear(means.reshape(-1))
    for chunk in range(len(sums)):
        for k in range(len(means)):
            for c in range(means.shape[1]):
                means[k, c] += sums[chunk, k, c] / R
