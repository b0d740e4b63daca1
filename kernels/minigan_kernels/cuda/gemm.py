"""Matrix products on the main loop of `mainloop.cuh`. Matrices are read as they lie, transposed or not."""

import math

import numpy as np

from ..arrays import array_module
from ..reference import dense as reference
from . import tiles

GEMM = tiles.sources("gemm.cu")
SOURCES = [*GEMM.values(), tiles.PARTS]

FLOAT32 = np.dtype(np.float32)
MOST_PRODUCTS = 65535  # of a launch


def matmul(a, b):
    """a @ b, as NumPy has it: (..., M, K) @ (..., K, N), broadcasting the leading axes; any dtypes.

    A product of a float32 array with one of another dtype is left to `reference`.
    """
    if a.dtype != FLOAT32 or b.dtype != FLOAT32 or min(a.ndim, b.ndim) < 2:
        return reference.matmul(a, b)
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"matmul: the inner sizes of {a.shape} and {b.shape} differ")
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    c = array_module(a).empty((*lead, a.shape[-2], b.shape[-1]), FLOAT32)
    if c.size == 0:
        return c
    a, b, products = _batch(a, lead), _batch(b, lead), c.reshape(-1, *c.shape[-2:])
    for i in range(0, len(products), MOST_PRODUCTS):
        j = i + MOST_PRODUCTS
        _products(a[i:j] if len(a) > 1 else a, b[i:j] if len(b) > 1 else b, None, products[i:j])
    return c


def linear(x, w, b, slope=None):
    """x wᵀ + b: x (N, in), w (out, in), b (out,) or None -> (N, out). slope: that of a `leaky_relu` of it."""
    if x.shape[1] != w.shape[1]:
        raise ValueError(f"linear: x has {x.shape[1]} features, w expects {w.shape[1]}")
    xp = array_module(x)
    y = xp.empty((len(x), len(w)), FLOAT32)
    if y.size:
        w, b = xp.ascontiguousarray(w), None if b is None else xp.ascontiguousarray(b)
        _products(x[None], w.T[None], b, y[None], 1 if slope is None else slope)
    return y


def _batch(a, lead):
    """The matrices of `a`, as (products, rows, columns), or (1, rows, columns) if they are all the same."""
    if math.prod(a.shape[:-2]) == 1:
        return a.reshape(1, *a.shape[-2:])
    matrices = math.prod(lead), *a.shape[-2:]  # which may have no entries
    return array_module(a).broadcast_to(a, (*lead, *a.shape[-2:])).reshape(matrices)


def _products(a, b, bias, c, slope=1):
    """c[i] = leaky(a[i] @ b[i] + bias); a (P or 1, M, K), b (P or 1, K, N), c (P, M, N), contiguous.

    A bias and an activation are for a b whose columns are contiguous.
    """
    (P, M, N), K = c.shape, a.shape[2]
    a, a_letter, lda = _as_it_lies(a)
    b, b_letter, ldb = _as_it_lies(b, "nt" if bias is None and slope == 1 else "t")
    batch_a, batch_b = (m.strides[0] // 4 if len(m) > 1 else 0 for m in (a, b))
    vector = tiles.vector(
        tiles.aligned(a, lda, batch_a, K if a_letter == "n" else M),
        tiles.aligned(b, ldb, batch_b, N if b_letter == "n" else K),
        N,
    )
    plan = tiles.plan(c, M, N, K, P)
    tile, parts, whole = plan.tile, tiles.room(c, plan.splits), plan.splits == 1
    GEMM[plan.precision, tile].launch(
        f"gemm_{a_letter}{b_letter}",
        (-(-M // tile.BM) * -(-N // tile.BN), plan.splits, P),
        tiles.threads(plan),
        *(a, b, bias if whole else None, parts),
        *map(np.int32, (M, N, K, lda, ldb)),
        *map(np.int64, (batch_a, batch_b)),
        *map(np.int32, (plan.slabs, vector)),
        np.float32(slope if whole else 1),
        shared=tiles.shared_bytes(plan, (a_letter == "n", b_letter == "t")),
    )
    tiles.sum_parts(parts, c, plan.splits, bias, slope)


def _as_it_lies(a, letters="nt"):
    """(a, "n" or "t", the distance of its rows, or of its columns, in entries); a copy if it lies otherwise.

    a: (P, rows, columns). A matrix of one row or column lies both ways: the first of `letters` is taken.
    """
    for letter in letters:
        rows, columns = (1, 2) if letter == "n" else (2, 1)
        contiguous = a.shape[columns] == 1 or a.strides[columns] == 4
        distance = max(a.strides[rows] // 4, a.shape[columns]) if a.shape[rows] > 1 else a.shape[columns]
        if contiguous and (a.shape[rows] == 1 or a.strides[rows] == 4 * distance) and distance < 2**31:
            return a, letter, distance
    contiguous = array_module(a).ascontiguousarray
    if letters == "t":
        return contiguous(a.swapaxes(1, 2)).swapaxes(1, 2), "t", a.shape[1]
    return contiguous(a), "n", a.shape[2]
