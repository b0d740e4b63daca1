"""Precision, recall, density, coverage: are the samples real, and are the real ones all there?

Either set is taken for a manifold made of balls, one around each sample, that reach to its k-th nearest
neighbour in the set. Kynkäänniemi et al., "Improved precision and recall metric for assessing generative
models", 2019, equations 1 and 2; Naeem et al., "Reliable fidelity and diversity metrics for generative
models", 2020, section 3.
"""

from dataclasses import dataclass

import numpy as np

from minigan.errors import MiniganError

from . import checks
from .distances import squared_distances

EDGE = 1e-12  # of the largest squared norm: some times what rounding does to a squared distance


@dataclass(frozen=True)
class PRDC:
    """precision: share of the fakes in some real ball. recall: share of the real ones in some fake ball.
    density: real balls that a fake lies in, over k; may be above 1, and unlike precision does not trust
    an outlier's large ball. coverage: share of the real balls with a fake in them.

    Of two samples of one distribution, density is 1 and coverage 1 - 2⁻ᵏ on average.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(real, fake, k: int = 5) -> PRDC:
    """PRDC of features real (N, d) and fake (M, d): exact, in float64, and N·M·d operations three times.

    MiniganError for fewer than k + 1 of either, k below 1, or features that do not fit.
    """
    real, fake = checks.features("precision and recall", real, fake)
    if k < 1:
        raise MiniganError(f"precision and recall need at least 1 neighbour, got k = {k}")
    for z, whose in ((real, "real samples"), (fake, "samples")):
        checks.count(f"precision and recall with k = {k}", len(z), k, whose)
    # A sample on the edge of a ball lies in it, whatever rounding says in this order of the samples.
    edge = EDGE * max(float(np.square(z - fake.mean(axis=0)).sum(axis=1).max()) for z in (real, fake))
    real_radii, fake_radii = _radii(real, k) + edge, _radii(fake, k) + edge
    recalled = np.empty(len(real), bool)
    covered = np.empty(len(real), bool)
    balls = np.zeros(len(fake), np.int64)  # that each fake lies in
    for rows, squares in squared_distances(real, fake):
        inside = squares <= real_radii[rows, None]
        balls += inside.sum(axis=0)
        covered[rows] = inside.any(axis=1)
        recalled[rows] = (squares <= fake_radii).any(axis=1)
    return PRDC(
        precision=float((balls > 0).mean()),
        recall=float(recalled.mean()),
        density=float(balls.mean() / k),
        coverage=float(covered.mean()),
    )


def _radii(x, k):
    """The squared distance of each sample to its k-th nearest other one."""
    radii = np.empty(len(x))
    for rows, squares in squared_distances(x, x):
        squares[np.arange(len(squares)), np.arange(rows.start, rows.stop)] = np.inf
        radii[rows] = np.partition(squares, k - 1, axis=1)[:, k - 1]
    return radii
