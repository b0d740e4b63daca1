"""Straight ways through codes: to a random code that has a feature already, and along the direction in which
a linear fit says that it rises."""

from collections.abc import Callable

import numpy as np

from minigan.autograd import Tensor, no_grad

STEPS = 100  # in which a way is walked, to the first that has arrived
ROUNDS = 200  # of random codes, one for each start at a time
FAR = 2.0  # how far a direction is walked, in lengths of the code
FITTED = 4000  # codes that a direction is fitted to


def first_there(start, shift, make: Callable, missing: Callable, place="cpu", steps: int = STEPS):
    """(codes (n, d), whether each has arrived (n,)): the first of `steps` equal steps along `shift` (n, d),
    from `start` on, on which nothing is missing; the last one where that is never so."""
    found, arrived = start.copy(), np.zeros(len(start), bool)
    for t in range(steps + 1):
        left = np.flatnonzero(~arrived)
        if not len(left):
            break
        found[left] = start[left] + shift[left] * np.float32(t / steps)
        arrived[left] = lacks(found[left], left, make, missing, place) <= 0
    return found, arrived


def random_ends(draw: Callable, start, make: Callable, missing: Callable, place="cpu"):
    """(codes (n, d), whether one was found (n,)): for each start a random code whose sample lacks nothing.
    draw: round -> random codes (n, d)."""
    ends, found = start.copy(), np.zeros(len(start), bool)
    for k in range(ROUNDS):
        left = np.flatnonzero(~found)
        if not len(left):
            break
        drawn = draw(k)[left]
        fits = lacks(drawn, left, make, missing, place) <= 0
        ends[left[fits]], found[left[fits]] = drawn[fits], True
    return ends, found


def lacks(codes, which, make, missing, place):
    """What each code lacks, (n,)."""
    with no_grad():
        return missing(make(Tensor(codes, device=place), which), which).numpy()


def direction(codes: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, float]:
    """(unit vector (d,) along which `values` (n,) rise by a least-squares fit to codes (n, d), R²)."""
    centred = codes.astype(np.float64) - codes.mean(axis=0)
    aim = values.astype(np.float64) - values.mean()
    slope, *_ = np.linalg.lstsq(centred, aim, rcond=None)
    left = aim - centred @ slope
    total = float(aim @ aim)
    explained = 1 - float(left @ left) / total if total else 0.0
    length = float(np.linalg.norm(slope))
    return (slope / length if length else slope).astype(codes.dtype), explained
