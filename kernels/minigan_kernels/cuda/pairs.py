"""L1 distances of all pairs of two sets of points, and their derivatives: one launch each."""

import numpy as np

from ..arrays import array_module
from .grids import THREADS, blocks_for
from .launch import Source
from .layout import in_order

PAIRS = Source("pairs.cu")
SOURCES = [PAIRS]
WARP = 32  # threads that share a point in the gradient


def l1_distances(x, y):
    """d[b, i, j] = Σ_c |x[b, i, c] - y[b, j, c]|: x (B, N, C), y (B, M, C) -> (B, N, M)."""
    return _launched("l1_distances", (*x.shape[:2], y.shape[1]), x, y)


def l1_distances_backward(gy, x, y):
    """Σ_j gy[b, i, j] · sign(x[b, i, c] - y[b, j, c]): the gradient of `l1_distances` in x, (B, N, C)."""
    return _launched("l1_distances_backward", x.shape, gy, x, y)


def l1_distances_along(u, x, y):
    """Σ_c u[b, i, c] · sign(x[b, i, c] - y[b, j, c]): how `l1_distances` change where x moves along u,
    (B, N, M)."""
    return _launched("l1_distances_along", (*x.shape[:2], y.shape[1]), u, x, y)


def _launched(kernel, shape, *arrays):
    *_, x, y = arrays
    found = array_module(x).empty(shape, np.float32)
    B, N, C = x.shape
    threads = WARP * B * N if kernel == "l1_distances_backward" else found.size
    sizes = [np.int64(n) for n in (B, N, y.shape[1], C)]
    memory = [in_order(a, (0, 1, 2)) for a in arrays]
    PAIRS.launch(kernel, blocks_for(threads), THREADS, *memory, found, *sizes)
    return found
