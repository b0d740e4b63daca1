"""c = a b, tile by tile in shared memory.

Entry (i, j) is Σ_k a[i, k] b[k, j]. A thread that made it alone would read 2 K numbers from memory for
2 K operations, and its neighbours the same numbers again. A block of TILE×TILE threads makes a tile of c
together: it walks along K, each time bringing one tile of a and one of b to shared memory, a number of
each by each thread, of which every thread then uses a row and a column.

              k →   j →                     bytes from memory   2 · 4 M N K / TILE, in place of 2 · 4 M N K
                 ┌───────┐ b                bytes of the result 4 M N
              k  │  [#]  │ ↓ walks down     operations          2 M N K
           ┌─────┼───────┤
         i │[#]  │  [ ]  │ c                With TILE = 16 that is 4 operations a byte: still bound by
           └─────┴───────┘                  memory. `kernels/cuda` gives a thread more than one entry.
          a ↑ walks right
"""

import math

import numpy as np
from numba import cuda

from ..arrays import array_module
from ..reference import dense as reference
from .launch import TILE, launch
from .pointwise import add_bias, leaky_relu


@cuda.jit
def multiply_tiles(a, b, c):
    """c = a @ b for each of a batch: a (B, M, K), b (B, K, N), c (B, M, N); block (x, y, z) makes tile
    (y, x) of product z."""
    tile_a = cuda.shared.array((TILE, TILE), np.float32)
    tile_b = cuda.shared.array((TILE, TILE), np.float32)
    _, M, K = a.shape
    N = b.shape[2]
    batch, row, col = cuda.blockIdx.z, cuda.threadIdx.y, cuda.threadIdx.x
    i = cuda.blockIdx.y * TILE + row
    j = cuda.blockIdx.x * TILE + col

    total = np.float64(0)  # of the tiles' sums: K may be long
    for k in range(0, K, TILE):
        # This thread's share of the two tiles; zeros past the edges add nothing.
        tile_a[row, col] = a[batch, i, k + col] if i < M and k + col < K else np.float32(0)
        tile_b[row, col] = b[batch, k + row, j] if k + row < K and j < N else np.float32(0)
        cuda.syncthreads()  # until all shares are there: the next lines read those of other threads
        part = np.float32(0)
        for t in range(TILE):
            part += tile_a[row, t] * tile_b[t, col]
        total += part
        cuda.syncthreads()  # until all have read: the next turn of the loop writes over both tiles
    if i < M and j < N:  # not earlier: who has no entry still brings its share, and comes to each barrier
        c[batch, i, j] = total


def multiply(a, b, c):
    """Write a @ b to c, all of three axes, and any strides."""
    B, M, N = c.shape
    launch(multiply_tiles, (-(-N // TILE), -(-M // TILE), B), (TILE, TILE), a, b, c)


def matmul(a, b):
    """a @ b, as NumPy has it: (..., M, K) @ (..., K, N), broadcasting the leading axes; any dtypes.

    Arrays of two dtypes are left to `reference`.
    """
    if a.dtype != b.dtype:
        return reference.matmul(a, b)
    xp = array_module(a)
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    batch = math.prod(lead)
    a = xp.broadcast_to(a, lead + a.shape[-2:]).reshape(batch, *a.shape[-2:])
    b = xp.broadcast_to(b, lead + b.shape[-2:]).reshape(batch, *b.shape[-2:])
    if a.shape[2] != b.shape[1]:
        raise ValueError(f"matmul: a has {a.shape[2]} columns, b has {b.shape[1]} rows")
    c = xp.empty((batch, a.shape[1], b.shape[2]), a.dtype)
    multiply(a, b, c)
    return c.reshape(*lead, *c.shape[1:])


def linear(x, w, b, slope=None):
    """x wᵀ + b: x (N, in), w (out, in), b (out,) or None -> (N, out). slope: that of a `leaky_relu` of it."""
    y = matmul(x, w.T)
    if b is not None:
        add_bias(y, b, slope)
    elif slope is not None:
        y = leaky_relu(y, slope)
    return y
