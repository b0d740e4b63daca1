"""The two mixtures of Gaussians in the plane that show whether a GAN drops modes."""

from dataclasses import dataclass, field

import numpy as np

from minigan.data.dataset import Dataset
from minigan.random import Generator

POINTS = {"train": 100_000, "test": 20_000}
SEEDS = {"train": 0, "test": 1}  # a stream for each split


@dataclass(frozen=True, eq=False)
class Mixture:
    """Equally likely round Gaussians. centres: float32 (modes, 2); sigma: the deviation of each."""

    centres: np.ndarray = field(repr=False)
    sigma: float


def _ring(modes):
    angles = np.arange(modes) * (2 * np.pi / modes)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def _grid(ticks):
    return np.array([(x, y) for x in ticks for y in ticks], np.float32)


MIXTURES = {
    "ring8": Mixture(_ring(8), sigma=0.01),
    "grid25": Mixture(_grid((-4, -2, 0, 2, 4)), sigma=0.05),
}


def load_mixture(name: str, split: str = "train") -> Dataset:
    """100,000 points of the mixture `name`, or 20,000 others for the test, always the same; the label of a
    point is its mode."""
    mixture, generator, n = MIXTURES[name], Generator(SEEDS[split]), POINTS[split]
    modes = generator.integers(0, len(mixture.centres), n)
    points = mixture.centres[modes] + generator.normal((n, 2), std=mixture.sigma)
    return Dataset(name, points, modes)
