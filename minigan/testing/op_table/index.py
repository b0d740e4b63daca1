"""Picking by position."""

import operator

import numpy as np

import minigan.functional as F
from minigan.autograd import Tensor

from .row import Row, apart, beside

PICKED = np.array([[0, 2, 2], [3, 0, 2]])

KEYS = {
    "an integer": 2,
    "a negative integer": -1,
    "two integers": (1, -2),
    "slices": (slice(1, 3), slice(None, None, 2)),
    "an ellipsis and a new axis": (..., None, 1),
    "everything": ...,
    "a list of integers": [3, 0],
    "an array with repeats": PICKED,
    "pairs of integers with repeats": (np.array([0, 0, 3]), np.array([1, 1, 4])),
    "an array after a slice": (slice(None), np.array([4, 4, 0])),
    "an empty slice": slice(2, 2),
    "a mask": np.random.default_rng(0).random((4, 5)) < 0.5,
    "a mask of rows": np.array([True, False, False, True]),
    "a mask of nothing": np.zeros((4, 5), bool),
}
KEYS_NOT_IN_TORCH = {
    "a negative step": slice(None, None, -1),
    "negative steps of two": (slice(3, None, -2), slice(-1, 0, -2)),
    "an array before a negative step": (np.array([1, 1]), slice(None, None, -1)),
    "a new axis before an array": (None, np.array([1, 1])),
}


def index_row(name, key):
    torch = None if name in KEYS_NOT_IN_TORCH else lambda t, x: x[key]
    return Row(f"index, {name}", lambda x: x[beside(x, key)], [(4, 5)], operator.itemgetter(key), torch)


def gather_row(axis, index):
    return Row(
        f"gather, axis={axis}",
        lambda x: F.gather(x, axis, beside(x, index)),
        [(3, 4)],
        lambda x: np.take_along_axis(x, index, axis),
        lambda t, x: t.gather(x, axis, t.tensor(index)),
    )


def cut_row(name, diagonal):
    return Row(
        f"{name}, diagonal={diagonal}",
        lambda x: getattr(F, name)(x, diagonal),
        [(2, 3, 4)],
        lambda x: getattr(np, name)(x, diagonal),
        lambda t, x: getattr(t, name)(x, diagonal),
    )


def sort_row(axis, descending):
    return Row(
        f"sort, axis={axis}{', descending' * descending}",
        lambda x: F.sort(x, axis, descending)[0],
        [apart(3, 4)],
        lambda x: np.flip(np.sort(x, axis), axis) if descending else np.sort(x, axis),
        lambda t, x: t.sort(x, axis, descending)[0],
    )


INDEXING = [
    *(cut_row(name, diagonal) for name in ("tril", "triu") for diagonal in (0, 2, -1)),
    *(index_row(name, key) for name, key in (KEYS | KEYS_NOT_IN_TORCH).items()),
    Row("index, by a Tensor", lambda x: x[Tensor(PICKED, device=x.device)], [(4, 5)], lambda x: x[PICKED]),
    gather_row(0, np.array([[2, 0, 0, 1]])),
    gather_row(-1, np.array([[3, 3], [0, 1], [2, 2]])),
    Row(
        "index_select",
        lambda x: F.index_select(x, 1, beside(x, PICKED[0])),
        [(3, 4)],
        lambda x: x[:, PICKED[0]],
        lambda t, x: t.index_select(x, 1, t.tensor(PICKED[0])),
    ),
    sort_row(0, False),
    sort_row(-1, True),
    Row("topk", lambda x: F.topk(x, 2)[0], [apart(3, 4)], torch=lambda t, x: t.topk(x, 2)[0]),
    Row(
        "topk, smallest",
        lambda x: F.topk(x, 2, 0, largest=False)[0],
        [apart(3, 4)],
        torch=lambda t, x: t.topk(x, 2, 0, largest=False)[0],
    ),
    Row(
        "embedding",
        lambda w: F.embedding(beside(w, PICKED), w),
        [(4, 5)],
        lambda w: w[PICKED],
        lambda t, w: t.nn.functional.embedding(t.tensor(PICKED), w),
    ),
]
