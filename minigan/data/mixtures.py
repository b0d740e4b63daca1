"""The two mixtures of Gaussians in the plane that show whether a GAN drops modes."""

from dataclasses import dataclass, field

import numpy as np

from minigan.data.dataset import Dataset
from minigan.random import Generator

POINTS = 100_000
SEED = 0


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


def load_mixture(name: str) -> Dataset:
    """100,000 points of the mixture `name`, always the same; the label of a point is its mode."""
    mixture, generator = MIXTURES[name], Generator(SEED)
    modes = generator.integers(0, len(mixture.centres), POINTS)
    points = mixture.centres[modes] + generator.normal((POINTS, 2), std=mixture.sigma)
    return Dataset(name, points, modes)
