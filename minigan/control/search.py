"""Searches for a code, by the gradient of what is made of it: the nearest one that has a feature, and the one
that makes a given picture. Codes alone move; weights stay."""

from collections.abc import Callable, Sequence

import numpy as np

from minigan import functional as F
from minigan.autograd import Tensor, grad, no_grad
from minigan.errors import MiniganError
from minigan.optim import Adam
from minigan.optim.lr_scheduler import CosineAnnealingLR

STEPS = 200  # of a search
RATE = 0.05  # Adam's, at first; codes are about as large as normal noise
BETAS = 0.5, 0.95  # Adam's: short, since the weight of what is missing changes all the time
HARDER, SOFTER = 1.05, 0.95  # by what it does in a step
CHUNK = 250  # codes at once


def nearest(
    start: np.ndarray,
    make: Callable,
    missing: Callable,
    rest: Callable,
    keep: float = 1.0,
    steps: int = STEPS,
    rate: float = RATE,
    begin: Sequence[np.ndarray] = (),
    place="cpu",
) -> tuple[np.ndarray, np.ndarray]:
    """(codes (n, d), whether each has arrived (n,)): from each code of `start` the one that costs least,

        ‖z - z0‖² / ‖z0‖² + keep · mean (rest(z) - rest(z0))²    where missing(z) <= 0

    by Adam on that plus a multiple of what is missing, which grows for a code as long as it has not arrived,
    and falls when it has: the search ends at the border. The cheapest code that had arrived is taken; of one
    that never arrived, the one that lacked least.

    start: float (n, d). make: (codes, numbers of their starts) -> samples; missing and rest: (samples,
    numbers) -> (n,) and (n, k), as Tensors on `place`. keep: 0 for none of the penalty. begin: codes (n, d)
    that the search begins at, by default `start`; of those that have not arrived again at the next ones. Each
    code is searched for by itself: what it comes to does not hang on the others but for rounding.
    MiniganError for keep below 0.
    """
    if not keep >= 0:
        raise MiniganError(f"keep must be at least 0, got {keep}")
    found, least = start.copy(), np.full(len(start), np.inf)
    for first in begin or (start,):
        left = np.flatnonzero(least > 0)
        for which in (left[i : i + CHUNK] for i in range(0, len(left), CHUNK)):
            codes, lacks = _nearest(start, first, which, make, missing, rest, keep, steps, rate, place)
            better = lacks < least[which]
            found[which[better]], least[which[better]] = codes[better], lacks[better]
    return found, least <= 0


def _nearest(start, first, which, make, missing, rest, keep, steps, rate, place):
    """One try of `nearest`, for the starts of numbers `which`: (codes, what each lacks)."""
    z0 = Tensor(start[which], device=place)
    z = Tensor(first[which], requires_grad=True, device=place)
    length = F.maximum((z0 * z0).sum(axis=1), 1e-12)
    with no_grad():
        before = rest(make(z0, which), which)
    optimizer = Adam([z], rate, BETAS)
    schedule = CosineAnnealingLR(optimizer, steps, rate / 50)
    weight = np.ones(len(which), start.dtype)
    best, least, cheapest = start[which].copy(), np.full(len(which), np.inf), np.full(len(which), np.inf)
    for _ in range(steps + 1):
        x = make(z, which)
        lack, way = missing(x, which), z - z0
        cost = (way * way).sum(axis=1) / length
        if keep:
            changed = rest(x, which) - before
            cost = cost + keep * (changed * changed).mean(axis=1)
        lacks, costs = lack.numpy(), cost.numpy()
        there = lacks <= 0
        better = np.where(there, costs < cheapest, np.isinf(cheapest) & (lacks < least))
        best[better], least[better] = z.numpy()[better], lacks[better]
        cheapest = np.where(there & better, costs, cheapest)
        loss = (cost + Tensor(weight, device=place) * F.relu(lack)).sum()
        optimizer.step(grad(loss, [z]))
        schedule.step()
        weight = weight * np.where(there, SOFTER, HARDER).astype(weight.dtype)
    return best, least


def searched(
    x: np.ndarray,
    starts: np.ndarray,
    make: Callable,
    features: Callable | None = None,
    weight: float = 0.0,
    pull: float = 0.0,
    steps: int = STEPS,
    rate: float = 2 * RATE,
    place="cpu",
) -> tuple[np.ndarray, np.ndarray]:
    """(codes (n, d), from which of the starts each comes (n,)) that make samples x (n, ...) again, by Adam
    from each of the starts (k, d).

    What is made least: the mean squared error of a sample, plus weight · that of its `features`, a function
    of samples, plus pull · mean z²: what a normal prior asks for. Of each sample the start is taken that ends
    in the least of it.
    make: (codes, numbers of their starts) -> samples, as Tensors on `place`.
    Zhu et al., "Generative visual manipulation on the natural image manifold", 2016, section 3.1; Creswell,
    Bharath, "Inverting the generator of a generative adversarial network", 2018.
    """
    found, chosen = [], []
    at_once = max(CHUNK // len(starts), 1)
    for some in (x[i : i + at_once] for i in range(0, len(x), at_once)):
        n = len(some)
        which = np.repeat(np.arange(len(starts)), n)
        aim = Tensor(np.concatenate([some] * len(starts)), device=place)
        with no_grad():
            seen = features(aim) if weight else None
        z = Tensor(starts[which], requires_grad=True, device=place)
        optimizer = Adam([z], rate)
        schedule = CosineAnnealingLR(optimizer, steps, rate / 50)
        for step in range(steps + 1):
            made = make(z, which)
            loss = _mean_square(made - aim) + pull * _mean_square(z)
            if weight:
                loss = loss + weight * _mean_square(features(made) - seen)
            if step < steps:
                optimizer.step(grad(loss.sum(), [z]))
                schedule.step()
        best = loss.numpy().reshape(len(starts), n).argmin(axis=0)
        found.append(z.numpy().reshape(len(starts), n, -1)[best, np.arange(n)])
        chosen.append(best)
    return np.concatenate(found), np.concatenate(chosen)


def _mean_square(x):
    """Of each of n, (n,)."""
    return (x * x).reshape(len(x), -1).mean(axis=1)
