"""A tiled matrix product on a GPU that is not there: what a block of threads holds at each step.

    NUMBA_ENABLE_CUDASIM=1 python examples/numba_cuda_matmul.py

The kernel is that of `kernels/minigan_kernels/numba_cuda/matmul.py`, with tiles of 2×2, and prints: where a
thread of each block has its two tiles, and what it has added up. Threads of the simulator take turns from
barrier to barrier, in the order of their indices, so the last one of a block speaks when all have brought
their share.
"""

import numpy as np
from numba import cuda

from minigan_kernels.numba_cuda.launch import launch

TILE = 2


@cuda.jit
def multiply_tiles(a, b, c):
    tile_a = cuda.shared.array((TILE, TILE), np.float32)
    tile_b = cuda.shared.array((TILE, TILE), np.float32)
    row, col = cuda.threadIdx.y, cuda.threadIdx.x
    i, j = cuda.blockIdx.y * TILE + row, cuda.blockIdx.x * TILE + col
    speaks = row == col == TILE - 1

    total = np.float32(0)
    for k in range(0, a.shape[1], TILE):
        tile_a[row, col] = a[i, k + col]
        tile_b[row, col] = b[k + row, j]
        cuda.syncthreads()
        for t in range(TILE):
            total += tile_a[row, t] * tile_b[t, col]
        if speaks:
            print(f"  k = {k}: {tile_a.tolist()} · {tile_b.tolist()}, entry ({i}, {j}) so far {total:.0f}")
        cuda.syncthreads()
    c[i, j] = total
    if speaks:
        print(f"block {cuda.blockIdx} is done")


a, b = np.arange(8, dtype=np.float32).reshape(2, 4), np.arange(16, dtype=np.float32).reshape(4, 4)
c = np.full((2, 4), np.nan, np.float32)
launch(multiply_tiles, (2, 1), (TILE, TILE), a, b, c)
print(c, "as it should be" if np.array_equal(c, a @ b) else "which is wrong", sep="\n")
