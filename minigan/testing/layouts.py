"""How an array can lie in memory. An op must give the same for all of them."""

import numpy as np


def _along(axis, key):
    return (slice(None),) * axis + (key,)


def _every_second(a, axis):
    room = list(a.shape)
    room[axis] *= 2
    wide = np.full(room, np.nan, a.dtype)  # whoever reads the gaps will be noticed
    view = wide[_along(axis, slice(None, None, 2))]
    view[...] = a
    return view


LAYOUTS = {
    "contiguous": lambda a, axis: a,
    "transposed": lambda a, axis: a.copy(order="F"),
    "channels last": lambda a, axis: np.moveaxis(np.moveaxis(a, 1, -1).copy(), -1, 1),
    "reversed": lambda a, axis: np.flip(np.flip(a, axis).copy(), axis),
    "every second": _every_second,
    "broadcast": lambda a, axis: np.broadcast_to(a[_along(axis, slice(1))], a.shape),
}
"""How an array can lie in memory: {name: function of a contiguous array and an axis of it}.

All keep the values, except "broadcast": it repeats the first ones along the axis, by a stride of 0,
and cannot be written to. "channels last" is for four axes.
"""


def fits(name: str, ndim: int) -> bool:
    """Whether an array of `ndim` axes can lie so."""
    return ndim == 4 if name == "channels last" else ndim >= {"contiguous": 0, "transposed": 2}.get(name, 1)
