"""Whether each number of a code stands for one of the factors that pictures came from.

Four measures, all of codes (N, d) of N samples and of their known factors (N, k), the number of each one's
value. 1 is the best of each; a code that says nothing of the factors is at chance, and one that has all of
them, turned in space so that every number holds something of each, lies below a perfect one. They do not ask
the same: the papers' orderings of models by them differ (Locatello et al., "Challenging common assumptions in
the unsupervised learning of disentangled representations", 2019).

Codes may be of any scale, and in any order. The same seed gives the same numbers.
"""

import math
from dataclasses import dataclass

import numpy as np

from minigan.errors import MiniganError

from . import checks

BINS = 20  # of a code, as in Locatello et al. 2019
VOTES = 800  # Kim, Mnih 2018; as many others are held out
TOGETHER = 64  # samples with one value in common
UNUSED = 1e-3  # of the largest variance: what a code that is not used stays below
TREES = 20


@dataclass(frozen=True)
class DCI:
    """Eastwood, Williams, "A framework for the quantitative evaluation of disentangled representations",
    2018.

    disentanglement: whether a number of the code is of use for one factor alone; 0 where for all alike.
    completeness: whether a factor is told by one number alone; 0 where by all alike.
    informativeness: the share of a factor's variance that the code tells, of held-out samples.
    """

    disentanglement: float
    completeness: float
    informativeness: float


def disentanglement(codes, factors, seed: int = 0) -> dict[str, float]:
    """All measures of this module by their names; arguments and errors as of `dci`."""
    found = dci(codes, factors, seed)
    return {
        "mig": mutual_information_gap(codes, factors),
        "factor-vae-score": factor_vae_score(codes, factors, seed),
        "beta-vae-score": beta_vae_score(codes, factors, seed),
        **{f"dci-{name}": value for name, value in vars(found).items()},
    }


def mutual_information_gap(codes, factors) -> float:
    """How much more the number of the code that tells most of a factor tells of it than the next one does: in
    parts of the factor's entropy, the mean over the factors. From 0 to 1.

    Chen, Li, Grosse, Duvenaud, "Isolating sources of disentanglement in variational autoencoders", 2018,
    equation 6. Each number is cut into 20 bins of equal width; finite samples then tell something of every
    factor by chance, alike for all numbers, and the gap has it cancelled. MiniganError as of `dci`.
    """
    codes, factors = checked("mutual_information_gap", codes, factors)
    gaps = []
    for values in factors.T:
        told = sorted((information(binned(code), values) for code in codes.T), reverse=True)
        gaps.append((told[0] - (told[1] if len(told) > 1 else 0.0)) / information(values, values))
    return float(np.mean(gaps))


def factor_vae_score(codes, factors, seed: int = 0) -> float:
    """How well the number that varies least tells which factor stays, of 64 samples with one value in common.

    Kim, Mnih, "Disentangling by factorising", 2018, section 4: variances are in parts of those of all
    samples; each number stands for the factor that it was the least varying one for most often, in 800 votes;
    the score is the share of 800 other votes that it is right in. Chance is about one in the number of
    factors. Numbers with less than a thousandth of the largest variance are unused, and have no votes: 0 if
    all are constant. MiniganError as of `dci`.
    """
    codes, factors = checked("factor_vae_score", codes, factors)
    variance = codes.var(axis=0)
    used = variance > UNUSED * variance.max()
    if not used.any():
        return 0.0
    codes, rng = codes[:, used] / np.sqrt(variance[used]), np.random.default_rng(seed)
    alike = SamplesAlike(factors, rng)
    fixed = rng.integers(0, factors.shape[1], 2 * VOTES)
    votes = np.array([codes[alike.rows(k, TOGETHER)].var(axis=0).argmin() for k in fixed])
    counts = np.zeros((codes.shape[1], factors.shape[1]), np.int64)
    np.add.at(counts, (votes[:VOTES], fixed[:VOTES]), 1)
    return float((counts.argmax(axis=1)[votes[VOTES:]] == fixed[VOTES:]).mean())


def beta_vae_score(codes, factors, seed: int = 0) -> float:
    """How well a linear classifier tells which factor two samples have in common, by how far each number of
    the one's code is from that of the other's, the mean of 64 such pairs.

    Higgins et al., "beta-VAE", 2017, section 3. The share of 800 held-out means that it is right in, after
    800 to learn from; chance is one in the number of factors. The most lenient of these measures: a number
    may hold several factors, as long as they come in other shares. MiniganError as of `dci`.
    """
    from sklearn.linear_model import LogisticRegression

    codes, factors = checked("beta_vae_score", codes, factors)
    codes, rng = standard(codes), np.random.default_rng(seed)
    alike = SamplesAlike(factors, rng)
    fixed = rng.integers(0, factors.shape[1], 2 * VOTES)
    apart = np.empty((2 * VOTES, codes.shape[1]))
    for i, k in enumerate(fixed):
        one, other = alike.pairs(k, TOGETHER)
        apart[i] = np.abs(codes[one] - codes[other]).mean(axis=0)
    apart = standard(apart)
    classifier = LogisticRegression(max_iter=2000).fit(apart[:VOTES], fixed[:VOTES])
    return float(classifier.score(apart[VOTES:], fixed[VOTES:]))


def dci(codes, factors, seed: int = 0) -> DCI:
    """Disentanglement, completeness and informativeness of codes: see `DCI`.

    For each factor a random forest of 20 trees learns its values, taken as numbers, from half of the codes:
    how much it uses each number of them is the importance, and how much of the variance it tells on the other
    half the informativeness.
    codes: floats (N, d). factors: integers (N, k), N at least 100.
    MiniganError for other shapes, numbers that are not finite, or factors of which none varies; factors that
    do not vary are left out.
    """
    from sklearn.ensemble import RandomForestRegressor

    codes, factors = checked("dci", codes, factors)
    shuffled = np.random.default_rng(seed).permutation(len(codes))
    half = len(codes) // 2
    seen, held = shuffled[:half], shuffled[half:]
    uses, told = [], []
    for values in factors.T.astype(np.float64):
        forest = RandomForestRegressor(TREES, min_samples_leaf=2, random_state=seed)
        forest.fit(codes[seen], values[seen])
        uses.append(forest.feature_importances_)
        told.append(max(forest.score(codes[held], values[held]), 0.0))
    uses = np.array(uses).T  # (d, k)
    weights = uses.sum(axis=1) / max(uses.sum(), 1e-300)
    return DCI(float((weights * alone(uses)).sum()), float(alone(uses.T).mean()), float(np.mean(told)))


def alone(uses):
    """1 - H for each row of importances (n, m): 1 where all is in one place, 0 where it is everywhere alike
    or there is none."""
    if uses.shape[1] == 1:
        return np.ones(len(uses))
    total = uses.sum(axis=1, keepdims=True)
    p = np.where(total > 0, uses / np.where(total > 0, total, 1), 1 / uses.shape[1])
    return 1 + (p * np.log(np.where(p > 0, p, 1))).sum(axis=1) / math.log(uses.shape[1])


def checked(what, codes, factors):
    """float64 codes and the factors of them that vary. MiniganError: see `dci`."""
    (codes,), factors = checks.features(what, codes), np.asarray(factors)
    if factors.ndim != 2 or len(factors) != len(codes) or factors.dtype.kind not in "iu":
        raise MiniganError(
            f"{what} needs factors, integers (N, k), of the {len(codes)} samples that have codes, got "
            f"{factors.dtype} {factors.shape}"
        )
    checks.count(what, len(codes), 99)
    if factors.min() < 0:
        raise MiniganError(f"{what} needs the factors of all samples, and some are not known")
    varied = (factors != factors[0]).any(axis=0)
    if not varied.any():
        raise MiniganError(f"{what} needs factors that vary, and all {factors.shape[1]} are constant")
    return codes, factors[:, varied]


def standard(values):
    """Columns of mean 0 and deviation 1, or of 0 where one is constant."""
    apart = values - values.mean(axis=0)
    deviation = apart.std(axis=0)
    return apart / np.where(deviation > 0, deviation, 1)


def binned(code):
    """The bin of each number (N,), of BINS of equal width."""
    low, high = code.min(), code.max()
    width = (high - low) / BINS or 1.0
    return ((code - low) / width).astype(np.int64).clip(0, BINS - 1)


def information(a, b):
    """The mutual information in nats of two columns of integers from 0 on, (N,) each."""
    together = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(together, (a, b), 1 / len(a))
    apart = together.sum(axis=1, keepdims=True) * together.sum(axis=0)
    there = together > 0
    return float((together[there] * np.log(together[there] / apart[there])).sum())


class SamplesAlike:
    """Draws samples that have the value of a factor in common."""

    def __init__(self, factors, rng):
        self.rng = rng
        self.of = [  # by factor, the rows of each value that at least two have
            [rows for v in np.unique(values) if len(rows := np.flatnonzero(values == v)) > 1]
            for values in factors.T
        ]

    def rows(self, k, n):
        """n rows with one value of factor k, any that it has."""
        rows = self.of[k][self.rng.integers(len(self.of[k]))]
        return rows[self.rng.integers(0, len(rows), n)]

    def pairs(self, k, n):
        """Two columns of n rows each: in both the same value of factor k, another in each pair."""
        found = [self.rows(k, 2) for _ in range(n)]
        return np.array(found).T
