"""L1 distances of all pairs of two sets of points, and their derivatives: a thread an entry of the result.

Of N and M points of C coordinates: N·M·C differences, three operations for each, and for distances 4 bytes
written for C of them. The points are few beside the pairs, and come from the caches.

A thread adds up in float64 what may be many numbers, one after the other.
"""

import numpy as np
from numba import cuda

from ..arrays import array_module
from .launch import THREADS, blocks_for, launch


@cuda.jit(device=True)
def sign(v):
    """1, 0, -1, and NaN of NaN."""
    return np.float32(1) if v > 0 else np.float32(-1) if v < 0 else v


@cuda.jit
def distances(x, y, d):
    """d[b, i, j] = Σ_c |x[b, i, c] - y[b, j, c]|"""
    N, M = d.shape[1], d.shape[2]
    for entry in range(cuda.grid(1), d.size, cuda.gridsize(1)):
        b, i, j = entry // (N * M), entry // M % N, entry % M
        total = np.float64(0)
        for c in range(x.shape[2]):
            total += abs(x[b, i, c] - y[b, j, c])
        d[b, i, j] = total


@cuda.jit
def gradients(gy, x, y, gx):
    """gx[b, i, c] = Σ_j gy[b, i, j] · sign(x[b, i, c] - y[b, j, c])"""
    N, C = gx.shape[1], gx.shape[2]
    for entry in range(cuda.grid(1), gx.size, cuda.gridsize(1)):
        b, i, c = entry // (N * C), entry // C % N, entry % C
        total = np.float64(0)
        for j in range(y.shape[1]):
            total += gy[b, i, j] * sign(x[b, i, c] - y[b, j, c])
        gx[b, i, c] = total


@cuda.jit
def changes(u, x, y, d):
    """d[b, i, j] = Σ_c u[b, i, c] · sign(x[b, i, c] - y[b, j, c])"""
    N, M = d.shape[1], d.shape[2]
    for entry in range(cuda.grid(1), d.size, cuda.gridsize(1)):
        b, i, j = entry // (N * M), entry // M % N, entry % M
        total = np.float64(0)
        for c in range(x.shape[2]):
            total += u[b, i, c] * sign(x[b, i, c] - y[b, j, c])
        d[b, i, j] = total


def l1_distances(x, y):
    """d[b, i, j] = Σ_c |x[b, i, c] - y[b, j, c]|: x (B, N, C), y (B, M, C) -> (B, N, M)."""
    return _launched(distances, (*x.shape[:2], y.shape[1]), x, y)


def l1_distances_backward(gy, x, y):
    """Σ_j gy[b, i, j] · sign(x[b, i, c] - y[b, j, c]): the gradient of `l1_distances` in x, (B, N, C)."""
    return _launched(gradients, x.shape, gy, x, y)


def l1_distances_along(u, x, y):
    """Σ_c u[b, i, c] · sign(x[b, i, c] - y[b, j, c]): how `l1_distances` change where x moves along u,
    (B, N, M)."""
    return _launched(changes, (*x.shape[:2], y.shape[1]), u, x, y)


def _launched(kernel, shape, *arrays):
    found = array_module(arrays[0]).empty(shape, arrays[0].dtype)
    launch(kernel, blocks_for(found.size), (THREADS,), *arrays, found)
    return found
