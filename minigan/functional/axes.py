"""How ops name the axes of a tensor, take shapes, and keep the order of images in memory."""

from numbers import Integral
from typing import Any

from minigan.checks import shown


def axes_of(axis: Any, ndim: int, name: str = "axis") -> tuple[int, ...]:
    """`axis` as a sorted tuple of axes counted from the front: an integer, a tuple, or None for all.

    ValueError for an axis that is not there, or named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    given = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    if not all(type(a) is int or isinstance(a, Integral) for a in given):
        raise TypeError(f"{name} must be an integer, a tuple of them or None, got {shown(axis)}")
    if any(not -ndim <= a < ndim for a in given):
        raise ValueError(f"{name} {axis} does not exist in a tensor of {ndim} axes")
    axes = tuple(sorted({int(a) % ndim for a in given}))
    if len(axes) != len(given):
        raise ValueError(f"{name} {axis} names an axis twice")
    return axes


def flat(args: Any) -> tuple[int, ...]:
    """The numbers that were given one by one, or as one tuple or list."""
    return tuple(args[0]) if len(args) == 1 and isinstance(args[0], (tuple, list)) else args


def memory_order(array: Any) -> tuple[int, ...]:
    """The axes from the slowest in memory to the quickest: images (N, C, H, W) may lie channels-last,
    and those of one channel do."""
    images = array.ndim == 4 and (array.shape[1] == 1 or array.strides[1] < array.strides[3])
    return (0, 2, 3, 1) if images else tuple(range(array.ndim))


def in_order(array, order):
    """An array whose axes are `order`, with them in the usual order again: the inverse of
    `array.transpose(order)`."""
    return array.transpose([order.index(axis) for axis in range(len(order))])
