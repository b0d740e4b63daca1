"""The Frechet distance of two sets of features, each taken for a sample of a normal distribution.

Heusel et al., "GANs trained by a two time-scale update rule converge to a local Nash equilibrium", 2017,
equation 6; the distance is Dowson and Landau's, 1982. With an Inception network's features it is the FID;
with those of our classifier, a Frechet classifier distance (FCD).
"""

import numpy as np

from . import checks


def frechet_distance(x, y) -> float:
    """|μ₁ - μ₂|² + tr(Σ₁ + Σ₂ - 2 (√Σ₁ Σ₂ √Σ₁)^½) of features x (N, d), y (M, d); in float64.

    The covariances are the unbiased ones, divided by N - 1. The distance of two samples of one distribution
    is above 0, by about 1/N: compare only at equal N, and with the distance of two real sets.
    MiniganError for N or M of at most d, where a covariance is singular, or features that do not fit.
    """
    x, y = checks.features("the Frechet distance", x, y)
    for z in (x, y):
        checks.count(f"the Frechet distance of {z.shape[1]} features", len(z), z.shape[1])
    root = _sqrt(_covariance(x))
    # (√Σ₁ Σ₂ √Σ₁)^½ has the trace of (Σ₁ Σ₂)^½, and is symmetric: its eigenvalues are real, and negative
    # only by rounding.
    cross = np.linalg.eigvalsh(_symmetric(root @ _covariance(y) @ root))
    trace = x.var(axis=0, ddof=1).sum() + y.var(axis=0, ddof=1).sum() - 2 * np.sqrt(cross.clip(0)).sum()
    return float(max(((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum() + trace, 0.0))


def _covariance(x):
    return np.atleast_2d(np.cov(x, rowvar=False))


def _sqrt(a):
    """The symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(a)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T


def _symmetric(a):
    return (a + a.T) / 2
