"""Distances between all pairs of two sets, a block of rows at a time: the memory stays at 10,000s of numbers
a row, however many rows."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from minigan_kernels import matmul, sums

BLOCK = 1 << 23  # distances at once, 64 MB of float64


def squared_distances(x, y) -> Iterator[tuple[slice, np.ndarray]]:
    """(rows, |x - y|² of x[rows] to all of y): x (N, d), y (M, d), blocks (len(rows), M) in their dtype.

    |x|² - 2 x·y + |y|² after moving the mean of y to the origin, since what cancels grows with the norms.
    It is exactly 0 of equal rows, and above 0 of others, whatever rounding leaves. The caller may write into
    a block, until the next one.
    """
    equal = _places(y)
    centre = y.mean(axis=0, dtype=np.float64).astype(y.dtype)
    y = y - centre
    y_norms = sums(y * y, (1,))[:, 0]
    height = max(1, BLOCK // max(len(y), 1))
    for start in range(0, len(x), height):
        rows = slice(start, min(start + height, len(x)))
        block = x[rows] - centre
        x_norms = sums(block * block, (1,))
        block = matmul(block, y.T)  # on the engine's own threads: NumPy's would be a second pool beside them
        block *= -2
        block += y_norms
        block += x_norms
        np.maximum(block, np.finfo(block.dtype).tiny, out=block)
        for i, key in enumerate(_keys(x[rows])):
            if key in equal:
                block[i, equal[key]] = 0
        yield rows, block


def _places(y):
    """{key of a row: where such rows are}."""
    places = defaultdict(list)
    for i, key in enumerate(_keys(y)):
        places[key].append(i)
    return {key: np.array(those) for key, those in places.items()}


def _keys(x):
    """What only equal rows have in common."""
    return (hashlib.blake2b(row, digest_size=16).digest() for row in x + 0.0)  # -0.0 becomes 0.0


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


def nearest_in(dataset, x, start: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`nearest` for x (N, *shape) among the samples of a Dataset from number `start` on; and, of a dataset
    with `flip`, whether it is the mirror image of that sample which is nearest, Booleans (N,).

    They are made floats a block at a time: a whole dataset would take many times the memory of its bytes.
    """
    n = len(x)
    if dataset.flip:
        x = np.concatenate([x, x[..., ::-1]])  # as far from a sample as x from its mirror image
    best, indices = np.full(len(x), np.inf), np.zeros(len(x), np.int64)
    for rows in dataset.slices(start):
        distances, which = nearest(x, dataset.batch(rows))
        nearer = distances < best
        best[nearer], indices[nearer] = distances[nearer], rows.start + which[nearer]
    mirrored = best[n:] < best[:n] if dataset.flip else np.zeros(n, bool)
    if dataset.flip:
        best, indices = (np.where(mirrored, a[n:], a[:n]) for a in (best, indices))
    return best, indices, mirrored
