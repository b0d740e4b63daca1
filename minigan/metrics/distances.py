"""Distances between all pairs of two sets, a block of rows at a time: the memory stays at 10,000s of numbers
a row, however many rows."""

from collections.abc import Iterator

import numpy as np

from minigan_kernels import matmul

BLOCK = 1 << 23  # distances at once, 64 MB of float64
READ = 5000  # samples of a dataset at once


def squared_distances(x, y) -> Iterator[tuple[slice, np.ndarray]]:
    """(rows, |x - y|² of x[rows] to all of y): x (N, d), y (M, d), blocks (len(rows), M) in their dtype.

    |x|² - 2 x·y + |y|² after moving the mean of y to the origin, since what cancels grows with the norms.
    The caller may write into a block, until the next one.
    """
    centre = y.mean(axis=0, dtype=np.float64).astype(y.dtype)
    y = y - centre
    y_norms = np.einsum("nd,nd->n", y, y)
    height = max(1, BLOCK // max(len(y), 1))
    for start in range(0, len(x), height):
        rows = slice(start, min(start + height, len(x)))
        block = x[rows] - centre
        x_norms = np.einsum("nd,nd->n", block, block)
        block = matmul(block, y.T)  # on the engine's own threads: NumPy's would be a second pool beside them
        block *= -2
        block += y_norms
        block += x_norms[:, None]
        yield rows, np.maximum(block, 0, out=block)


def nearest(x, y, same: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """For each row of x the distance to the nearest row of y, float64 (N,), and which that is, int64 (N,).

    same: x and y are one set, in which no sample is its own neighbour. The search is in float32 where samples
    are images; the distance is then taken anew from the difference of the two, in float64.
    """
    # Points of the plane have neighbours nearer than the square root of float32's rounding.
    dtype = np.float32 if np.prod(np.shape(x)[1:]) > 16 else np.float64
    x, y = (np.ascontiguousarray(a, dtype).reshape(len(a), -1) for a in (x, y))
    indices = np.empty(len(x), np.int64)
    for rows, squares in squared_distances(x, y):
        if same:
            squares[np.arange(len(squares)), np.arange(rows.start, rows.stop)] = np.inf
        indices[rows] = squares.argmin(axis=1)
    distances = np.empty(len(x))
    for start in range(0, len(x), 1000):
        rows = slice(start, start + 1000)
        difference = x[rows].astype(np.float64) - y[indices[rows]]
        distances[rows] = np.sqrt(np.einsum("nd,nd->n", difference, difference))
    return distances, indices


def nearest_in(dataset, x, start: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """`nearest` for x (N, *shape) among the samples of a Dataset from number `start` on.

    They are made floats a block at a time: a whole dataset would take many times the memory of its bytes.
    """
    best, indices = np.full(len(x), np.inf), np.zeros(len(x), np.int64)
    for first in range(start, len(dataset), READ):
        distances, which = nearest(x, dataset.batch(slice(first, first + READ)))
        nearer = distances < best
        best[nearer], indices[nearer] = distances[nearer], first + which[nearer]
    return best, indices
