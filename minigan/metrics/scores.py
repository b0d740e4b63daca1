"""What the classifier says of the samples: sure of each, and fond of all classes?"""

import numpy as np

from minigan.errors import MiniganError


def classifier_score(probabilities, splits: int = 10) -> tuple[float, float]:
    """(mean, standard deviation) over `splits` parts of exp of the mean KL(p(y|x) ‖ p(y)).

    Salimans et al., "Improved techniques for training GANs", 2016, section 4: the inception score, of another
    classifier. From 1 to the number of classes; real data fall short of that by the classifier's doubts.
    probabilities: (N, classes), rows that sum to 1. MiniganError for fewer rows than splits.
    """
    p = _probabilities(probabilities)
    if not 1 <= splits <= len(p):
        raise MiniganError(f"a classifier score of {splits} splits needs as many samples, got {len(p)}")
    scores = []
    for part in np.array_split(p, splits):
        marginal = part.mean(axis=0)
        scores.append(np.exp(_entropy(marginal) - _entropy(part) / len(part)))
    return float(np.mean(scores)), float(np.std(scores))


def label_histogram(labels, classes: int) -> np.ndarray:
    """The share of each class among labels (N,): float64 (classes,)."""
    labels = np.asarray(labels)
    if not len(labels) or labels.min() < 0 or labels.max() >= classes:
        raise MiniganError(f"a histogram needs labels from 0 to {classes - 1}, one at least")
    return np.bincount(labels, minlength=classes) / len(labels)


def label_entropy(histogram) -> float:
    """The entropy of a histogram in nats; log(classes) where all are equally many."""
    return float(_entropy(np.asarray(histogram, np.float64)))


def modes_present(histogram) -> int:
    """How many classes have any sample."""
    return int(np.count_nonzero(histogram))


def kl(p, q) -> float:
    """KL(p ‖ q) = Σ p log(p / q) of two histograms, in nats; infinite where q misses what p has."""
    p, q = np.asarray(p, np.float64), np.asarray(q, np.float64)
    there = p > 0
    if (q[there] == 0).any():
        return float("inf")
    return float(max((p[there] * np.log(p[there] / q[there])).sum(), 0.0))


def label_accuracy(given, recognised) -> float:
    """The share of samples that the classifier recognises as what the model was told to make."""
    given, recognised = np.asarray(given), np.asarray(recognised)
    if given.shape != recognised.shape or not len(given):
        raise MiniganError(
            f"label accuracy compares as many labels, got {given.shape} and {recognised.shape}"
        )
    return float((given == recognised).mean())


def _probabilities(p):
    p = np.asarray(p, np.float64)
    if p.ndim != 2 or (p < 0).any() or not np.allclose(p.sum(axis=1), 1, atol=1e-4):
        raise MiniganError(f"probabilities are (N, classes) in rows that sum to 1, got {p.shape}")
    return p


def _entropy(p):
    return -(p * np.log(np.where(p > 0, p, 1.0))).sum()
