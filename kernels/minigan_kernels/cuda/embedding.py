"""The gradient of a table whose rows were read by index."""

import numpy as np

from ..arrays import array_module
from .launch import Source
from .layout import in_order

EMBEDDING = Source("embedding.cu")
SOURCES = [EMBEDDING]
ROWS, WARP, WIDTH = 8, 32, 128  # rows of a block, threads for each, and its columns: as in embedding.cu


def embedding_weight(gy, index, rows):
    """The gradient of a table that gave the rows `index`: Σ gy[i] over the i with index[i] = v, of each
    v.

    In one launch. A position out of range is left out: an error would have to wait for the GPU.
    """
    xp, D = array_module(gy), gy.shape[-1]
    if gy.shape[:-1] != index.shape:
        raise ValueError(f"embedding_weight: gy has shape {gy.shape}, index {index.shape}")
    gy, index = in_order(gy, tuple(range(gy.ndim))), xp.ascontiguousarray(index, np.int64)
    table = xp.empty((rows, D), np.float32)
    sizes = np.int64(index.size), np.int64(rows), np.int64(D)
    blocks = -(-rows // ROWS), -(-D // WIDTH)
    EMBEDDING.launch("embedding_weight", blocks, ROWS * WARP, gy, index, table, *sizes)
    return table
