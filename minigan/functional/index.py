"""Picking entries by position, and the tables that are read so. Linear: every derivative order is exact."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import minigan_kernels as kernels
from minigan import backend
from minigan.autograd import Function, Tensor, is_grad_enabled
from minigan.checks import integer, shown
from minigan_kernels import array_module
from minigan_kernels.arrays import wide

from .axes import axes_of, in_order, memory_order
from .elementwise import where


def index(x: Tensor, key: Any) -> Tensor:
    """x[key], for any key that NumPy takes: integers, slices, `...`, None, arrays of integers or bools."""
    if backend.gpu_in_use():
        backend.one_device("index", (x.data, *map(_array, key if isinstance(key, tuple) else (key,))))
    own = tuple(_own(k, x) for k in key) if isinstance(key, tuple) else _own(key, x)
    try:
        return Index(own)(x)
    except IndexError as error:
        raise IndexError(
            f"index: the key {shown(key)} is none of a tensor of shape {x.shape}: {error}"
        ) from None


def gather(x: Tensor, axis: int, index: Tensor | np.ndarray | Sequence | int) -> Tensor:
    """y[i, j, k] = x[index[i, j, k], j, k] for axis 0, and so on. x and index have equally many axes.

    ValueError if they do not, IndexError for an index out of range.
    """
    places, (axis,) = _array(index), axes_of(axis, x.ndim)
    if places.ndim != x.ndim:
        raise ValueError(f"gather: index has {places.ndim} axes, x has {x.ndim}")
    with backend.beside(x.data):
        xp = array_module(x.data)
        key = [xp.arange(n).reshape(-1, *(1,) * (x.ndim - 1 - i)) for i, n in enumerate(places.shape)]
    key[axis] = places
    return x[tuple(key)]


def index_select(x: Tensor, axis: int, index: Tensor | np.ndarray | Sequence | int) -> Tensor:
    """The entries of an axis that `index`, a row of integers, names, in its order. IndexError beyond it."""
    index, (axis,) = _array(index), axes_of(axis, x.ndim)
    if getattr(index, "ndim", None) != 1 and not isinstance(index, list):
        raise ValueError(f"index_select: index must be a row of integers, got {shown(index)}")
    return along(x, axis, index)


def along(x, axis, key):
    """x[:, ..., :, key], the key for the axis of that number."""
    return index(x, (*(slice(None),) * axis, key))


def tril(x: Tensor, diagonal: int = 0) -> Tensor:
    """Matrices (..., H, W) with zeros above a diagonal: the main one, or that many steps above it."""
    return where(_below("tril", x, diagonal), x, 0.0)


def triu(x: Tensor, diagonal: int = 0) -> Tensor:
    """Matrices (..., H, W) with zeros below a diagonal: the main one, or that many steps above it."""
    return where(_below("triu", x, diagonal, -1), 0.0, x)


def _below(name, x, diagonal, more=0):
    """The mask of what lies in matrices on a diagonal, or `more` steps beside it, and below."""
    steps = integer(name, "diagonal", diagonal) + more
    if x.ndim < 2:
        raise ValueError(f"{name}: x must have shape (..., H, W), got {x.shape}")
    with backend.beside(x.data):
        return array_module(x.data).tri(*x.shape[-2:], steps, dtype=bool)


# In the order of the values. Which entry is which is a constant, the values have their gradient.


def argmax(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the largest entry along an axis, the first of equals; without an axis, in x as one long
    row: int64, a constant."""
    return _extreme_at(ArgMax, x, axis, keepdims)


def argmin(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the smallest entry along an axis, the first of equals; without an axis, in x as one
    long row: int64, a constant."""
    return _extreme_at(ArgMin, x, axis, keepdims)


def _extreme_at(op, x, axis, keepdims):
    if axis is not None:
        (axis,) = axes_of(axis, x.ndim)
    return op(axis, bool(keepdims))(x.detach())


def argsort(x: Tensor, axis: int = -1, descending: bool = False) -> Tensor:
    """The positions along an axis, in the order of their values, smallest first: integers, a constant.
    Equal ones keep their order."""
    (axis,) = axes_of(axis, x.ndim)
    with backend.beside(x.data):
        turned = (*(slice(None),) * axis, slice(None, None, -1))
        if not descending:
            return Tensor(x.data.argsort(axis=axis, kind="stable"))
        found = x.data[turned].argsort(axis=axis, kind="stable")[turned]
        return Tensor(x.shape[axis] - 1 - found)


def sort(x: Tensor, axis: int = -1, descending: bool = False) -> tuple[Tensor, Tensor]:
    """(the values along an axis in order, the positions they stood at): `argsort`, and what it names."""
    order = argsort(x, axis, descending)
    return gather(x, axis, order), order


def topk(x: Tensor, k: int, axis: int = -1, largest: bool = True) -> tuple[Tensor, Tensor]:
    """(the k largest values along an axis, the largest first, their positions); or the k smallest.

    ValueError for more than there are.
    """
    (axis,) = axes_of(axis, x.ndim)
    if integer("topk", "k", k, 1) > x.shape[axis]:
        raise ValueError(f"topk: k={k} is more than the {x.shape[axis]} entries of axis {axis}")
    order = along(argsort(x, axis, bool(largest)), axis, slice(0, k))
    return gather(x, axis, order), order


def embedding(input: Tensor | np.ndarray | Sequence | int, weight: Tensor) -> Tensor:
    """Rows of a table: input, integers of any shape (...), weight (V, D) -> (..., D).

    Raises TypeError for an input that is not integers, ValueError for one out of range.
    """
    rows = integers("embedding", "input", input, weight.shape[0], "rows", weight.device)
    if weight.ndim != 2:
        return weight[rows]
    if is_grad_enabled():
        with backend.beside(rows):
            rows = rows.copy()  # the gradient must not see later changes
    return Embedding(rows)(weight)


def one_hot(
    labels: Tensor | np.ndarray | Sequence | int, num_classes: int, dtype: npt.DTypeLike = np.float32
) -> Tensor:
    """Integers of any shape (...) -> (..., num_classes), 1 at the label and 0 elsewhere: a constant."""
    classes = integers(
        "one_hot", "labels", labels, integer("one_hot", "num_classes", num_classes, 1), "classes"
    )
    if dtype is None:  # NumPy's name for float64
        raise TypeError("one_hot: dtype must be a dtype, got None")
    with backend.beside(classes):
        return Tensor((classes[..., None] == array_module(classes).arange(num_classes)).astype(dtype))


def integers(name, argument, labels, n, what, device=backend.CPU):
    """`labels` as an array, checked to be integers in [0, n). A number or a list goes to `device`.

    On a GPU the check waits for the device, so it is left out where a graph is captured.
    """
    labels = as_integers(name, argument, labels, device)
    check_range(name, labels, n, what)
    return labels


def as_integers(name, argument, labels, device):
    """`labels` as an array of integers, beside which nothing is checked."""
    labels = _array(labels)
    labels = device.put(np.asarray(labels)) if isinstance(labels, (int, list, tuple)) else labels
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{name}: labels must be integers, but {argument} has {labels.dtype}")
    return labels


def check_range(name, labels, n, what):
    """ValueError for an integer out of [0, n)."""
    with backend.beside(labels):
        if labels.size and not backend.capturing() and (labels.min() < 0 or labels.max() >= n):
            bad = labels[(labels < 0) | (labels >= n)][0]
            raise ValueError(f"{name}: label {bad} is out of range for {n} {what}")


def _array(key):
    return backend.plain(key.data if isinstance(key, Tensor) else key)


def _own(key, x):
    """The key, as a copy where it is an array: the gradient must not see later changes of it. A list
    becomes an array beside x."""
    key = x.device.put(np.asarray(key, dtype=None if key else int)) if isinstance(key, list) else _array(key)
    if not backend.is_array(key):
        return key
    with backend.beside(key):
        return key.copy()


class ArgMax(Function):
    """The position of the largest entry along an axis, None for all of them: of a constant, so that it has no
    backward."""

    saves = ""

    def __init__(self, axis, keepdims):
        self.axis, self.keepdims = axis, keepdims

    def forward(self, x):
        return x.argmax(axis=self.axis, keepdims=self.keepdims)


class ArgMin(ArgMax):
    """The position of the smallest one."""

    def forward(self, x):
        return x.argmin(axis=self.axis, keepdims=self.keepdims)


class Embedding(Function):
    """The rows of a table (V, D) at integers of any shape (...) -> (..., D)."""

    saves = ""

    def __init__(self, rows):
        self.rows = rows

    def forward(self, weight):
        return weight[self.rows]

    def backward(self, gy):
        return EmbeddingWeight(self.rows, self.shapes[0][0])(gy)


class EmbeddingWeight(Function):
    """The adjoint of Embedding: each row of the table gets what its readers were given."""

    saves = ""

    def __init__(self, rows, size):
        self.rows, self.size = rows, size

    def forward(self, gy):
        return kernels.embedding_weight(gy, self.rows, self.size)

    def backward(self, gw):
        return Embedding(self.rows)(gw)


class Index(Function):
    saves = ""

    def __init__(self, key):
        self.key = key

    def forward(self, x):
        return x[self.key]

    def backward(self, gy):
        return IndexAdd(self.key, self.shapes[0])(gy)


class IndexAdd(Function):
    """Zeros of `shape` with the input added at `key`: the adjoint of Index."""

    saves = ""

    def __init__(self, key, shape):
        self.key, self.shape = key, shape

    def forward(self, g):
        xp = array_module(g)
        order = memory_order(g) if g.ndim == len(self.shape) else tuple(range(len(self.shape)))
        keys = self.key if isinstance(self.key, tuple) else (self.key,)
        plain = all(k is None or k is Ellipsis or isinstance(k, (int, slice, np.integer)) for k in keys)
        dtype = g.dtype if plain else wide(g.dtype, g.size)  # all may be meant for one entry
        x = in_order(xp.zeros([self.shape[axis] for axis in order], dtype), order)
        if plain:
            x[self.key] = g  # a plain slice meets no entry twice
        else:
            xp.add.at(x, self.key, g.astype(dtype, copy=False))
        return x.astype(g.dtype, copy=False)

    def backward(self, gy):
        return Index(self.key)(gy)
