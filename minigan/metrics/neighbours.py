"""Nearest neighbours: does the model remember, repeat itself, or teach?"""

from dataclasses import dataclass

import numpy as np

from minigan.data import Dataset
from minigan.errors import MiniganError

from . import checks
from .distances import nearest, nearest_in, squared_distances


def memorisation(samples, train, held_out) -> float:
    """The mean distance from the samples to their nearest in `train`, over that from `held_out` real ones.

    About 1 for samples as new as other real ones; near 0 for copies of what the model was trained on; above
    1 for samples unlike any real one. All (N, ...), compared by their numbers; train may be a Dataset.
    MiniganError for empty sets.
    """
    for x, whose in ((samples, "samples"), (train, "training samples"), (held_out, "held-out samples")):
        checks.count("memorisation", len(x), 0, whose)
    both = np.concatenate([samples, held_out])  # so that a Dataset is read once
    distances, *_ = nearest_in(train, both) if isinstance(train, Dataset) else nearest(both, train)
    apart = distances[len(samples) :].mean()
    if apart == 0:
        raise MiniganError("memorisation cannot be told: every held-out sample is also a training sample")
    return float(distances[: len(samples)].mean() / apart)


@dataclass(frozen=True)
class Support:
    """pairs: near-duplicates among the samples. size: how many different ones the model makes, from that;
    a lower bound where there is no pair."""

    pairs: int
    size: float


def support(samples, threshold: float) -> Support:
    """The birthday paradox: s samples of M equally likely ones have s (s - 1) / 2M equal pairs on average.

    So M ≈ s (s - 1) / (2 · pairs), with 1 for no pair. Pairs at most `threshold` apart count as equal. Arora,
    Zhang, "Do GANs actually learn the distribution?", 2017: there pairs are judged by eye, and M ≈ s² for the
    s at which half of all batches have one. Unequal likelihoods make the number smaller than the support.
    MiniganError for fewer than two samples.
    """
    checks.count("the support size", len(samples), 1)
    x, pairs = _rows(samples), 0
    for rows, squares in squared_distances(x, x):
        near = squares <= threshold**2
        near[np.arange(len(near)), np.arange(rows.start, rows.stop)] = False
        pairs += int(near.sum())
    pairs //= 2
    return Support(pairs, len(x) * (len(x) - 1) / (2 * max(pairs, 1)))


def near_duplicate_distance(real, share: float = 0.01) -> float:
    """What `share` of the real samples (N, ...) are nearer than to another one: a threshold for `support`.

    Exact copies among them are left out, since they say nothing of how near different samples are; it is 0
    where all are copies.
    """
    checks.count("the distance of near-duplicates", len(real), 1)
    apart = nearest(real, real, same=True)[0]
    return float(np.quantile(apart[apart > 0], share)) if apart.any() else 0.0


def diversity(samples, real) -> float:
    """The mean distance of two samples over that of two real ones: 1 is as it should be, 0 is one picture."""
    for x in (samples, real):
        checks.count("diversity", len(x), 1)
    apart = _mean_distance(real)
    if apart == 0:
        raise MiniganError("diversity cannot be told: all real samples are the same")
    return _mean_distance(samples) / apart


def nearest_neighbour_accuracy(train_x, train_y, test_x, test_y) -> float:
    """The accuracy on the test samples of "the class of the nearest training sample", by distance in pixels.

    With generated (N, ...) and their labels (N,) to learn from and real ones to be tested on: what is good
    enough to teach. MiniganError for empty sets, or other numbers of labels.
    """
    for x, y in ((train_x, train_y), (test_x, test_y)):
        if len(x) != len(y) or not len(x):
            raise MiniganError(f"1-NN needs samples with a label each, got {len(x)} with {len(y)} labels")
    return float((np.asarray(train_y)[nearest(test_x, train_x)[1]] == np.asarray(test_y)).mean())


def _mean_distance(x):
    x = _rows(x)
    total = sum(float(np.sqrt(squares).sum()) for _, squares in squared_distances(x, x))
    return total / (len(x) * (len(x) - 1))


def _rows(x):
    """Samples as float64 rows."""
    return np.asarray(x, np.float64).reshape(len(x), -1)
