"""What every metric asks of the arrays it is given, in the words of who gave them."""

import numpy as np

from minigan.errors import MiniganError, did_you_mean

SLACK = 1e-3  # how far a pixel may lie outside [-1, 1] by rounding


def features(what: str, *sets) -> list[np.ndarray]:
    """The sets (N, d) as float64. MiniganError that names `what` unless they are finite and of one d."""
    arrays = [np.asarray(x, np.float64) for x in sets]
    shapes = " and ".join(str(x.shape) for x in arrays)
    if any(x.ndim != 2 for x in arrays) or len({x.shape[1] for x in arrays}) > 1:
        raise MiniganError(f"{what} compares arrays of shape (N, d) with one d, got {shapes}")
    if not all(np.isfinite(x).all() for x in arrays):
        raise MiniganError(f"{what} needs finite numbers, some are NaN or infinite")
    return arrays


def samples(what: str, x, shape, lowest: float = -1.0):
    """MiniganError that names `what` unless x is floating, finite, of shape (N, *shape), and all but points
    lie in [-1, 1].

    lowest: the darkest pixel of the real images. Where that is near -1, images that use [0, 1] and nothing
    below were made for another range: on them a classifier gives numbers that look right and are not.
    """
    if x.dtype.kind != "f" or x.shape[1:] != tuple(shape):
        expected = ", ".join(map(str, shape))
        raise MiniganError(f"{what} should be floats of shape (N, {expected}), got {x.dtype} {x.shape}")
    if not len(x):
        return
    low, high = float(x.min()), float(x.max())
    if not np.isfinite([low, high]).all():
        raise MiniganError(f"{what} have pixels or coordinates that are NaN or infinite")
    if len(shape) == 1:
        return
    if low < -1 - SLACK or high > 1 + SLACK:
        raise MiniganError(f"{what} should lie in [-1, 1], they go from {low:.3g} to {high:.3g}")
    if len(shape) > 2 and lowest < -0.9 and 0 <= low < 0.05 and high > 0.5:
        raise MiniganError(
            f"{what} should lie in [-1, 1], but these seem to be made for [0, 1]: they go from {low:.3g} "
            f"to {high:.3g}, and no pixel is below 0"
        )


def numbers_of_words(what: str, x, shape, words):
    """MiniganError that names `what` unless x is of integers, of shape (N, *shape), each the number of one of
    the words."""
    if x.dtype.kind not in "iu" or x.shape[1:] != tuple(shape):
        expected = ", ".join(map(str, shape))
        raise MiniganError(f"{what} should be integers of shape (N, {expected}), got {x.dtype} {x.shape}")
    if len(x) and not 0 <= x.min() <= x.max() < len(words):
        raise MiniganError(
            f"{what} should be numbers of {len(words)} words, they go from {x.min()} to {x.max()}"
        )


def count(what: str, n: int, more_than: int, of: str = "samples"):
    """MiniganError unless n > more_than."""
    if n <= more_than:
        raise MiniganError(f"{what} needs more than {more_than} {of}, got {n}")


def names(asked, known, of: str) -> list[str]:
    """The metrics that were asked for, all of the known ones where that is None. of: what they are of.
    MiniganError for one that is not known."""
    for name in asked or ():
        if name not in known:
            raise MiniganError(f"unknown metric {name!r} of {of}; {did_you_mean(name, known)}")
    return list(known if asked is None else asked)
