"""How ops name the axes of a tensor, and take shapes."""


def axes_of(axis, ndim) -> tuple[int, ...]:
    """`axis` as a sorted tuple of axes counted from the front: an integer, a tuple, or None for all.

    ValueError for an axis that is not there, or named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    given = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    if any(not -ndim <= a < ndim for a in given):
        raise ValueError(f"axis {axis} does not exist in a tensor of {ndim} axes")
    axes = tuple(sorted({int(a) % ndim for a in given}))
    if len(axes) != len(given):
        raise ValueError(f"axis {axis} names an axis twice")
    return axes


def flat(args) -> tuple:
    """The numbers that were given one by one, or as one tuple or list."""
    return tuple(args[0]) if len(args) == 1 and isinstance(args[0], (tuple, list)) else args
