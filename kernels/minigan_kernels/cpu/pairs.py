"""L1 distances of all pairs of two sets of points, and their derivatives: a point x at a time, against all y.

The points y lie transposed, coordinate by coordinate, so that a vector holds the same one of neighbouring
points; and what is made is a row of the result, or adds one up. Nothing larger than the result is ever there.
A row is one thread's, whichever it is.
"""

import numpy as np

from ..reference import pairs as reference
from .columns import clear, move
from .compiling import helper
from .threads import parallel, parts_of

DTYPES = np.dtype(np.float32), np.dtype(np.float64)
RUN = 64  # coordinates that are added up in their own dtype, before they go to float64
TERMS = 1024  # points that a sum in vectors takes before that: each of their entries a few


def l1_distances(x, y):
    """d[b, i, j] = Σ_c |x[b, i, c] - y[b, j, c]|: x (B, N, C), y (B, M, C) -> (B, N, M)."""
    if x.dtype not in DTYPES:
        return reference.l1_distances(x, y)
    return _rows(_l1_distances, x, y, y.shape[1])


def l1_distances_backward(gy, x, y):
    """Σ_j gy[b, i, j] · sign(x[b, i, c] - y[b, j, c]): the gradient of `l1_distances` in x, (B, N, C)."""
    if x.dtype not in DTYPES:
        return reference.l1_distances_backward(gy, x, y)
    return _rows(_l1_distances_backward, x, y, x.shape[2], gy)


def l1_distances_along(u, x, y):
    """Σ_c u[b, i, c] · sign(x[b, i, c] - y[b, j, c]): how `l1_distances` change where x moves along u,
    (B, N, M)."""
    if x.dtype not in DTYPES:
        return reference.l1_distances_along(u, x, y)
    return _rows(_l1_distances_along, x, y, y.shape[1], u)


def _rows(kernel, x, y, width, *given):
    """A row of `width` of each point x."""
    (B, N, C), M = x.shape, y.shape[1]
    found = np.empty((B, N, width), x.dtype)
    given = [np.ascontiguousarray(a) for a in (*given, x, y.transpose(0, 2, 1))]
    kernel(*given, found, min(B * N, parts_of(B * N * M * C)) or 1)
    return found


@helper
def sign(v, one):
    """Of NaN it is NaN."""
    return one if v > 0 else -one if v < 0 else v


@parallel
def _l1_distances(x, y, d, part, parts):
    (B, N, C), M = x.shape, y.shape[2]
    sums = np.empty(M)
    for at in range(part * B * N // parts, (part + 1) * B * N // parts):
        b, i = at // N, at % N
        point, row = x[b, i], d[b, i]
        clear(row)
        clear(sums)
        for c in range(C):
            p, others = point[c], y[b, c]
            for j in range(M):
                row[j] += abs(p - others[j])
            if c % RUN == RUN - 1:
                move(row, sums)
        if C >= RUN:
            for j in range(M):
                row[j] += sums[j]


@parallel
def _l1_distances_backward(gy, x, y, gx, part, parts):
    (B, N, C), M, one = x.shape, y.shape[2], x.dtype.type(1)
    for at in range(part * B * N // parts, (part + 1) * B * N // parts):
        b, i = at // N, at % N
        point, g, row = x[b, i], gy[b, i], gx[b, i]
        for c in range(C):
            p, others, total = point[c], y[b, c], 0.0
            for first in range(0, M, TERMS):
                last, some = min(M, first + TERMS), x.dtype.type(0)
                weights, these = g[first:last], others[first:last]  # a loop from 0 on is one of vectors
                for j in range(len(these)):
                    some += weights[j] * sign(p - these[j], one)
                total += some
            row[c] = total


@parallel
def _l1_distances_along(u, x, y, d, part, parts):
    (B, N, C), M, one = x.shape, y.shape[2], x.dtype.type(1)
    sums = np.empty(M)
    for at in range(part * B * N // parts, (part + 1) * B * N // parts):
        b, i = at // N, at % N
        point, along, row = x[b, i], u[b, i], d[b, i]
        clear(row)
        clear(sums)
        for c in range(C):
            p, others, step = point[c], y[b, c], along[c]
            for j in range(M):
                row[j] += step * sign(p - others[j], one)
            if c % RUN == RUN - 1:
                move(row, sums)
        if C >= RUN:
            for j in range(M):
                row[j] += sums[j]
