"""The kernel distance: the squared maximum mean discrepancy (MMD²) of two sets of features.

Bińkowski et al., "Demystifying MMD GANs", 2018: its KID (section 4), on the features of another network.
Unlike the Frechet distance it takes nothing for normal, and the mean of its estimates is right for any number
of samples; two samples of one distribution have a distance around 0, on either side.
"""

import numpy as np

from minigan.errors import MiniganError
from minigan.random import Generator

from . import checks


def kernel_distance(x, y, subset_size: int = 1000, subsets: int = 100, rng: Generator | None = None):
    """(mean, standard deviation) of MMD² over random subsets of x (N, d) and y (M, d).

    Each estimate is from `subset_size` samples of either set, drawn without repetition by `rng`, by default
    Generator(0). MiniganError when a set has fewer than that, or for subsets that cannot be.
    """
    x, y = checks.features("the kernel distance", x, y)
    if subset_size < 2 or subsets < 1:
        raise MiniganError(
            f"the kernel distance needs subsets of at least 2 samples, and one subset; got {subsets} of "
            f"{subset_size}"
        )
    if min(len(x), len(y)) < subset_size:
        raise MiniganError(
            f"the kernel distance draws subsets of {subset_size} samples, got sets of {len(x)} and {len(y)}"
        )
    rng = rng or Generator(0)
    draws = [
        squared_mmd(x[rng.permutation(len(x))[:subset_size]], y[rng.permutation(len(y))[:subset_size]])
        for _ in range(subsets)
    ]
    return float(np.mean(draws)), float(np.std(draws))


def squared_mmd(x, y) -> float:
    """The unbiased MMD² of x (N, d) and y (M, d) under the kernel (x·y / d + 1)³.

    Gretton et al., "A kernel two-sample test", 2012, equation 3: no sample meets itself.
    """
    return _mean_of_pairs(x) + _mean_of_pairs(y) - 2 * _kernel(x, y).mean()


def _mean_of_pairs(x):
    k = _kernel(x, x)
    return (k.sum() - k.trace()) / (len(x) * (len(x) - 1))


def _kernel(x, y):
    k = x @ y.T
    k /= x.shape[1]
    k += 1
    return k * k * k
