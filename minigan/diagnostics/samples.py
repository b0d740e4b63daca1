"""What a handful of samples shows, beside real ones: are they diverse, new, and of every mode?

`minigan.metrics` measures a trained model at leisure; here a look has milliseconds, so the samples are few,
and images are looked at from afar: shrunk to at most 16 pixels, and compared by their pixels.
"""

import math
from functools import cached_property

import numpy as np

from minigan.data import Dataset
from minigan.data.batches import as_seen
from minigan.data.mixtures import MIXTURES
from minigan.metrics import mixture_modes, support
from minigan.metrics.distances import nearest, squared_distances

from .look import rounded

KINDS = "image", "point"  # of data that it can say something of
SAMPLES = 128  # of a look
REAL = 1000  # real ones to compare with, drawn once
PIXELS = 16
CLASSES = 100  # modes that a look can hope to count
DUPLICATE = 0.01  # two samples are near-duplicates if only this share of real pairs is as near


class Reference:
    """Real samples of `dataset`, drawn by `rng`, and what they say of generated ones."""

    def __init__(self, dataset: Dataset, rng):
        self.images, self.mixture = dataset.kind == "image", MIXTURES.get(dataset.name)
        chosen = rng.permutation(len(dataset))[:REAL]
        self.real = rows_of(as_seen(dataset, chosen, rng))
        self.labels = None if dataset.labels is None else dataset.labels[chosen]
        self.classes = dataset.classes

    def examine(self, samples: np.ndarray, labels: np.ndarray | None = None) -> dict:
        """What is measured of samples (n, *shape), JSON-able, as far as the data allow:

        diversity     the mean distance of two samples over that of two real ones; of samples that were made
                      to `labels`, of two with one label
        support       the birthday paradox: `pairs` of near-duplicates, and the `size` of the support they
                      speak for, at least that where there is none; `real` is what real samples get
        modes         how many samples belong to each mode or class
        high_quality  the share of samples within 3 standard deviations of a mode of a mixture
        novelty       of images: the mean distance to the nearest real one, over that of real ones to
                      other real ones; 0 is copies
        """
        if not np.isfinite(samples).all():
            return {}
        x = rows_of(samples)
        apart = distances(x, x)
        real_labels = None if labels is None else self.labels[:SAMPLES]
        diversity = ratio(mean_distance(apart, labels), mean_distance(self.apart, real_labels))
        found = {"diversity": diversity, "support": self.support(x)}
        if self.mixture:
            return found | self.modes_of_mixture(x)
        if self.images:
            found |= self.neighbours(x)
        return found

    @cached_property
    def apart(self):
        """Distances between as many real samples as a look draws."""
        few = self.real[:SAMPLES]
        return distances(few, few)

    @cached_property
    def duplicate(self):
        """The distance that makes near-duplicates."""
        pairs = self.apart[np.triu_indices(len(self.apart), 1)]
        pairs = pairs[pairs > 0]  # without copies
        return float(np.quantile(pairs, DUPLICATE)) / 2 if len(pairs) else 0.0

    @cached_property
    def lonely(self):
        """The mean distance from a real sample to the nearest other one."""
        apart = distances(self.real, self.real)
        np.fill_diagonal(apart, np.inf)
        return float(apart.min(axis=1).mean())  # infinite for a single one

    @cached_property
    def real_support(self):
        """The support that as many real samples as a look draws speak for."""
        few = self.real[:SAMPLES]
        return rounded(support(few, self.duplicate).size) if len(few) > 1 else 0.0

    def support(self, x):
        found = support(x, self.duplicate)
        return {"pairs": found.pairs, "size": rounded(found.size), "real": self.real_support}

    def modes_of_mixture(self, x):
        """A point belongs to a mode if it is nearer to that than half way to the next one."""
        centres = self.mixture.centres
        apart, modes = nearest(x, centres)
        reach = nearest(centres, centres, same=True)[0].min() / 2
        return {
            "modes": np.bincount(modes[apart < reach], minlength=len(centres)).tolist(),
            "high_quality": rounded(mixture_modes(x, self.mixture).high_quality),
        }

    def neighbours(self, x):
        """What the nearest real images say: their labels, and how near they are."""
        apart, which = nearest(x, self.real)
        found = {"novelty": ratio(float(apart.mean()), self.lonely)}
        if self.labels is not None and 1 < self.classes <= CLASSES:
            found["modes"] = np.bincount(self.labels[which], minlength=self.classes).tolist()
        return found


def rows_of(samples: np.ndarray) -> np.ndarray:
    """Samples as rows: points as float64, images shrunk to at most PIXELS a side, as float32."""
    if samples.ndim != 4:
        return samples.astype(np.float64)
    N, C, H, W = samples.shape
    by = max(math.ceil(max(H, W) / PIXELS), 1)
    whole = samples[:, :, : H - H % by or H, : W - W % by or W]
    blocks = whole.reshape(N, C, whole.shape[2] // by, by, whole.shape[3] // by, by)
    return blocks.mean(axis=(3, 5), dtype=np.float32).reshape(N, -1)


def distances(x, y) -> np.ndarray:
    """Between all rows of x and of y: (len(x), len(y))."""
    return np.sqrt(np.concatenate([block.copy() for _, block in squared_distances(x, y)]))


def mean_distance(apart, labels=None) -> float:
    """The mean of the distances of two different samples; with `labels`, of two with one label."""
    n = len(apart)
    if labels is None:
        return float(apart.sum()) / max(n * (n - 1), 1)
    pairs = labels[:, None] == labels
    np.fill_diagonal(pairs, False)
    return float(apart[pairs].mean()) if pairs.any() else 0.0


def ratio(a, b) -> float | None:
    """None where all real samples are the same, so that there is nothing to compare with."""
    return rounded(a / b) if b else None
