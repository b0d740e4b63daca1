"""Views and moves: the same numbers in another order. Linear, so every derivative order is exact."""

import math

import numpy as np

from minigan.autograd import Function
from minigan.checks import shown
from minigan_kernels import array_module

from .axes import axes_of, flat, in_order, memory_order
from .index import index


def reshape(x, *shape):
    """x in another shape of the same size; one -1 is worked out."""
    shape = flat(shape)
    if shape and min(shape) < -1:  # which NumPy takes for -1
        raise ValueError(f"reshape: the shape {shape} has a negative size that is not -1")
    return Reshape(shape)(x)


def flatten(x, start_axis=0):
    """The axes from `start_axis` on as one."""
    start_axis = axes_of(start_axis, x.ndim, "start_axis")[0] if x.ndim else 0
    return reshape(x, *x.shape[:start_axis], math.prod(x.shape[start_axis:]))


def permute(x, *axes):
    """The axes in another order."""
    axes = flat(axes)
    if sorted(a % x.ndim for a in axes) != list(range(x.ndim)):
        raise ValueError(f"permute: {axes} is no order of the {x.ndim} axes of {x.shape}")
    return Permute(axes)(x)


def transpose(x, axis0, axis1):
    """Two axes exchanged."""
    (axis0,), (axis1,) = axes_of(axis0, x.ndim, "axis0"), axes_of(axis1, x.ndim, "axis1")
    axes = list(range(x.ndim))
    axes[axis0], axes[axis1] = axes[axis1], axes[axis0]
    return Permute(tuple(axes))(x)


def squeeze(x, axis=None):
    """Without the axes of size 1: all of them, or `axis` alone, which must be one."""
    if axis is None:
        return reshape(x, *(n for n in x.shape if n != 1))
    (axis,) = axes_of(axis, x.ndim)
    if x.shape[axis] != 1:
        raise ValueError(f"squeeze: axis {axis} of {x.shape} does not have size 1")
    return reshape(x, *x.shape[:axis], *x.shape[axis + 1 :])


def unsqueeze(x, axis):
    """With a new axis of size 1 at `axis`."""
    (axis,) = axes_of(axis, x.ndim + 1)
    return reshape(x, *x.shape[:axis], 1, *x.shape[axis:])


def flip(x, axis):
    """The order along `axis` (or a tuple of axes) reversed."""
    axes = axes_of(axis, x.ndim)
    return index(x, tuple(slice(None, None, -1 if a in axes else None) for a in range(x.ndim)))


def pad(x, pad, value=0.0):
    """x with a border of `value`. As in PyTorch, `pad` lists (before, after) from the last axis on."""
    if len(pad) % 2 or len(pad) > 2 * x.ndim or min(pad) < 0:
        raise ValueError(
            f"pad: {shown(pad)} is no list of (before, after) pairs for a tensor of shape {x.shape}"
        )
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)][::-1]
    return Pad([(0, 0)] * (x.ndim - len(pairs)) + pairs, float(value))(x)


def concat(tensors, axis=0):
    """Tensors joined along an axis that is there. ValueError if the others differ."""
    if not tensors:
        raise ValueError("concat: there are no tensors to join")
    joined = axes_of(axis, tensors[0].ndim)[0]
    others = {(x.ndim, *(n for i, n in enumerate(x.shape) if i != joined)) for x in tensors}
    if len(others) > 1:
        shapes = ", ".join(str(x.shape) for x in tensors)
        raise ValueError(f"concat: shapes may differ along axis {axis} alone, got {shapes}")
    return Concat(axis)(*tensors)


def stack(tensors, axis=0):
    """Tensors of one shape joined along a new axis."""
    return concat([unsqueeze(x, axis) for x in tensors], axis)


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


class Pad(Function):
    saves = ""

    def __init__(self, widths, value):
        self.widths, self.value = widths, value

    def forward(self, x):
        shape = tuple(n + a + b for n, (a, b) in zip(x.shape, self.widths, strict=True))
        y = array_module(x).full(shape, self.value, dtype=x.dtype)
        y[self._inside(x.shape)] = x
        return y

    def backward(self, gy):
        return gy[self._inside(self.shapes[0])]

    def _inside(self, shape):
        return tuple(slice(a, a + n) for n, (a, _) in zip(shape, self.widths, strict=True))


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
