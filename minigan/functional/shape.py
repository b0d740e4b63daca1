"""Views and moves: the same numbers in another order. Linear, so every derivative order is exact."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.autograd import Function, Tensor
from minigan.checks import integer, is_integer, shown
from minigan_kernels import array_module

from .axes import axes_of, flat, in_order, memory_order
from .index import along, index
from .reduce import expand


def reshape(x: Tensor, *shape: int | Sequence[int]) -> Tensor:
    """x in another shape of the same size; one -1 is worked out."""
    sizes = flat(shape)
    if sizes and min(sizes) < -1:  # which NumPy takes for -1
        raise ValueError(f"reshape: the shape {sizes} has a negative size that is not -1")
    return Reshape(sizes)(x)


def flatten(x: Tensor, start_axis: int = 0, end_axis: int = -1) -> Tensor:
    """The axes from `start_axis` to `end_axis` as one. ValueError if the second lies before the first."""
    start = axes_of(start_axis, x.ndim, "start_axis")[0] if x.ndim else 0
    end = axes_of(end_axis, x.ndim, "end_axis")[0] + 1 if x.ndim else 0
    if end <= start < x.ndim:
        raise ValueError(f"flatten: end_axis {end_axis} lies before start_axis {start_axis}")
    return reshape(x, *x.shape[:start], math.prod(x.shape[start:end]), *x.shape[end:])


def unflatten(x: Tensor, axis: int, shape: int | Sequence[int]) -> Tensor:
    """One axis as several, of sizes `shape`; one -1 is worked out. ValueError where they do not fit."""
    (axis,), sizes = axes_of(axis, x.ndim), flat((shape,))
    known = math.prod(n for n in sizes if n != -1)
    rest, n = list(sizes).count(-1), x.shape[axis]
    if not sizes or min(sizes) < -1 or rest > 1 or (known != n if not rest else known == 0 or n % known):
        raise ValueError(f"unflatten: shape {sizes} does not fit axis {axis} of size {n}")
    return reshape(x, *x.shape[:axis], *(n // known if m == -1 else m for m in sizes), *x.shape[axis + 1 :])


def permute(x: Tensor, *axes: int | Sequence[int]) -> Tensor:
    """The axes in another order."""
    order = flat(axes)
    if sorted(a % x.ndim for a in order) != list(range(x.ndim)):
        raise ValueError(f"permute: {order} is no order of the {x.ndim} axes of {x.shape}")
    return Permute(order)(x)


def transpose(x: Tensor, axis0: int, axis1: int) -> Tensor:
    """Two axes exchanged."""
    (axis0,), (axis1,) = axes_of(axis0, x.ndim, "axis0"), axes_of(axis1, x.ndim, "axis1")
    axes = list(range(x.ndim))
    axes[axis0], axes[axis1] = axes[axis1], axes[axis0]
    return Permute(tuple(axes))(x)


def squeeze(x: Tensor, axis: int | None = None) -> Tensor:
    """x without its axes of size 1: all of them, or `axis` alone, which must be one."""
    if axis is None:
        return reshape(x, *(n for n in x.shape if n != 1))
    (axis,) = axes_of(axis, x.ndim)
    if x.shape[axis] != 1:
        raise ValueError(f"squeeze: axis {axis} of {x.shape} does not have size 1")
    return reshape(x, *x.shape[:axis], *x.shape[axis + 1 :])


def unsqueeze(x: Tensor, axis: int) -> Tensor:
    """x with a new axis of size 1 at `axis`."""
    (axis,) = axes_of(axis, x.ndim + 1)
    return reshape(x, *x.shape[:axis], 1, *x.shape[axis:])


def flip(x: Tensor, axis: int | tuple[int, ...]) -> Tensor:
    """The order along `axis` (or a tuple of axes) reversed."""
    axes = axes_of(axis, x.ndim)
    return index(x, tuple(slice(None, None, -1 if a in axes else None) for a in range(x.ndim)))


def roll(x: Tensor, shifts: int | tuple[int, ...], axis: int | tuple[int, ...] | None = None) -> Tensor:
    """x moved by `shifts` places along `axis`, what leaves at the end coming in at the front.

    shifts, axis: integers or equally long tuples; without an axis, x is rolled as one long row.
    """
    if axis is None:
        return reshape(roll(reshape(x, -1), shifts, 0), x.shape)
    places, axes = (n if isinstance(n, (tuple, list)) else (n,) for n in (shifts, axis))
    if len(places) != len(axes):
        raise ValueError(f"roll: {len(places)} shifts for {len(axes)} axes")
    for shift, a in zip(places, axes, strict=True):
        (a,) = axes_of(a, x.ndim)
        back = x.shape[a] - integer("roll", "shifts", shift) % max(x.shape[a], 1)
        if 0 < back < x.shape[a]:
            x = concat([narrow(x, a, back, x.shape[a] - back), narrow(x, a, 0, back)], a)
    return x


# Parts


def narrow(x: Tensor, axis: int, start: int, length: int) -> Tensor:
    """`length` entries of an axis from `start` on, which may count from the end. ValueError beyond them."""
    (axis,) = axes_of(axis, x.ndim)
    n, length = x.shape[axis], integer("narrow", "length", length, 0)
    first = integer("narrow", "start", start) + (n if start < 0 else 0)
    if not 0 <= first <= first + length <= n:
        raise ValueError(f"narrow: axis {axis} of {x.shape} has no {length} entries from {start} on")
    return along(x, axis, slice(first, first + length))


def split(x: Tensor, size_or_sections: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
    """Parts of `size_or_sections` entries of an axis each, the last one with what is left; or, of a list of
    sizes, one part of each. A tuple of Tensors. ValueError for sizes that do not add up."""
    (axis,) = axes_of(axis, x.ndim)
    n = x.shape[axis]
    sizes: Any = size_or_sections
    if is_integer(sizes):
        if sizes < 1:
            raise ValueError(f"split: parts must have at least one entry, got size_or_sections={sizes}")
        sizes = [min(sizes, n - i) for i in range(0, n, sizes)] or [0]
    if sum(sizes) != n or min(sizes, default=0) < 0:
        raise ValueError(
            f"split: size_or_sections {shown(sizes)} is not {n} in all, axis {axis} of {x.shape}"
        )
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return tuple(narrow(x, axis, start, size) for start, size in zip(starts, sizes, strict=True))


def chunk(x: Tensor, chunks: int, axis: int = 0) -> tuple[Tensor, ...]:
    """An axis in `chunks` parts of equal size, the last one smaller where they do not divide it; fewer, where
    so many are not to be had. A tuple of Tensors."""
    (axis,) = axes_of(axis, x.ndim)
    return split(x, max(1, -(-x.shape[axis] // integer("chunk", "chunks", chunks, 1))), axis)


def unbind(x: Tensor, axis: int = 0) -> tuple[Tensor, ...]:
    """The entries along an axis, without it: a tuple of Tensors."""
    (axis,) = axes_of(axis, x.ndim)
    return tuple(along(x, axis, i) for i in range(x.shape[axis]))


# Copies side by side


def tile(x: Tensor, *repeats: int | Sequence[int]) -> Tensor:
    """x laid side by side, so often along each axis; counts that are fewer than the axes are for the last."""
    counts = flat(repeats)
    if min(counts, default=0) < 0:
        raise ValueError(f"tile: repeats must be at least 0, got {shown(counts)}")
    counts = (1,) * (x.ndim - len(counts)) + tuple(counts)
    sizes = (1,) * (len(counts) - x.ndim) + x.shape
    pairs = list(zip(counts, sizes, strict=True))
    rows = expand(reshape(x, [n for size in sizes for n in (1, size)]), [n for pair in pairs for n in pair])
    return reshape(rows, [math.prod(pair) for pair in pairs])


def repeat(x: Tensor, *repeats: int | Sequence[int]) -> Tensor:
    """x laid side by side, so often along each axis; further counts make new axes in front.

    PyTorch's `Tensor.repeat`: `tile`, with a count for each axis at least. ValueError for fewer.
    """
    counts = flat(repeats)
    if len(counts) < x.ndim or min(counts, default=0) < 0:
        raise ValueError(f"repeat: {x.ndim} axes need as many repeats or more, got {shown(counts)}")
    return tile(x, counts)


def repeat_interleave(x: Tensor, repeats: int, axis: int | None = None) -> Tensor:
    """Each entry of an axis so often, one behind the other; without an axis, of x as one long row."""
    if axis is None:
        x, axis = reshape(x, -1), 0
    (axis,), repeats = axes_of(axis, x.ndim), integer("repeat_interleave", "repeats", repeats, 0)
    ahead, behind = x.shape[: axis + 1], x.shape[axis + 1 :]
    rows = expand(unsqueeze(x, axis + 1), (*ahead, repeats, *behind))
    return reshape(rows, (*ahead[:-1], ahead[-1] * repeats, *behind))


# Joining


def concat(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Tensors joined along an axis that is there. ValueError if the others differ."""
    if not tensors:
        raise ValueError("concat: there are no tensors to join")
    joined = axes_of(axis, tensors[0].ndim)[0]
    others = {(x.ndim, *(n for i, n in enumerate(x.shape) if i != joined)) for x in tensors}
    if len(others) > 1:
        shapes = ", ".join(str(x.shape) for x in tensors)
        raise ValueError(f"concat: shapes may differ along axis {axis} alone, got {shapes}")
    return Concat(axis)(*tensors)


def stack(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis."""
    return concat([unsqueeze(x, axis) for x in tensors], axis)


def clone(x: Tensor) -> Tensor:
    """A copy of x, in memory of its own."""
    return Clone()(x)


class Clone(Function):
    saves = ""

    def forward(self, x):
        return x.copy(order="K")

    def backward(self, gy):
        return gy


class Reshape(Function):
    saves = ""

    def __init__(self, shape):
        self.shape = shape

    def forward(self, x):
        return x.reshape(self.shape)

    def backward(self, gy):
        return gy.reshape(self.shapes[0])


class Permute(Function):
    saves = ""

    def __init__(self, axes):
        self.axes = axes

    def forward(self, x):
        return x.transpose(self.axes)

    def backward(self, gy):
        return Permute(tuple(int(a) for a in np.argsort([a % gy.ndim for a in self.axes])))(gy)


class Concat(Function):
    saves = ""

    def __init__(self, axis):
        self.axis = axis

    def forward(self, *arrays):
        self.sizes = [a.shape[self.axis] for a in arrays]
        order = memory_order(arrays[0])
        axis = order.index(axes_of(self.axis, len(order))[0])
        rows, xp = [a.transpose(order) for a in arrays], array_module(arrays[0])
        shape = list(rows[0].shape)
        shape[axis] = sum(self.sizes)
        y = xp.empty(shape, dtype=xp.result_type(*rows))
        start = 0
        for part, n in zip(rows, self.sizes, strict=True):
            y[(*(slice(None),) * axis, slice(start, start + n))] = part
            start += n
        return in_order(y, order)

    def backward(self, gy):
        ends = np.cumsum(self.sizes).tolist()
        before = (slice(None),) * (self.axis % gy.ndim)
        return tuple(gy[(*before, slice(end - n, end))] for n, end in zip(self.sizes, ends, strict=True))
