"""Modes found, of which the data are known to have many: mixtures in the plane, and stacked digits.

Lin et al., "PacGAN: the power of two samples in generative adversarial networks", 2018, section 4.1.
"""

from dataclasses import dataclass

import numpy as np

from minigan.data.mixtures import Mixture
from minigan.errors import MiniganError

from . import checks
from .distances import squared_distances
from .scores import kl

REACH = 3  # standard deviations from a mode to where the samples of high quality end
STACKED = 1000


@dataclass(frozen=True)
class Modes:
    """found: modes with a sample of high quality. high_quality: share of such samples. reverse_kl:
    KL(samples ‖ data) of the mode histogram of those, in nats; infinite without any."""

    found: int
    high_quality: float
    reverse_kl: float


def mixture_modes(points, mixture: Mixture) -> Modes:
    """Modes of points (N, 2): each belongs to the nearest centre, and is of high quality within 3 σ of it.

    The paper takes 2,500 points. A perfect sampler has 98.9 % of high quality, and a KL of about
    (modes - 1) / 2N above 0. MiniganError for points that are none.
    """
    points, centres = checks.features("counting modes", points, mixture.centres)
    checks.count("counting modes", len(points), 0)
    squares = np.concatenate([block.copy() for _, block in squared_distances(points, centres)])
    good = squares.min(axis=1) <= (REACH * mixture.sigma) ** 2
    counts = np.bincount(squares.argmin(axis=1)[good], minlength=len(centres))
    uniform = np.full(len(centres), 1 / len(centres))
    reverse = kl(counts / counts.sum(), uniform) if counts.any() else float("inf")
    return Modes(int(np.count_nonzero(counts)), float(good.mean()), reverse)


def stacked_modes(labels, reference=None) -> tuple[int, float]:
    """(modes of the 1,000 that are there, KL(samples ‖ reference) in nats) of stacked digits.

    labels: integers (N, 3), the digit in each channel. reference: labels (M, 3) of the data to compare with,
    by default all modes equally likely, as in the papers. They take 26,000 samples, of which a perfect
    sampler has a KL of about 1000 / 2N = 0.02. MiniganError for labels of another shape or range.
    """
    shares = _stacked_histogram(labels)
    q = np.full(STACKED, 1 / STACKED) if reference is None else _stacked_histogram(reference)
    return int(np.count_nonzero(shares)), kl(shares, q)


def stacked_labels(images, classifier) -> np.ndarray:
    """int64 (N, 3): what a classifier of grey digits sees in each channel of images (N, 3, H, W)."""
    if images.ndim != 4 or images.shape[1] != 3:
        raise MiniganError(f"stacked digits are images of shape (N, 3, H, W), got {images.shape}")
    return np.stack([classifier.labels(images[:, i : i + 1]) for i in range(3)], axis=1)


def _stacked_histogram(labels):
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.shape[1] != 3 or not len(labels) or labels.min() < 0 or labels.max() > 9:
        raise MiniganError(f"stacked digits have labels (N, 3) from 0 to 9, got an array {labels.shape}")
    return np.bincount(labels @ [100, 10, 1], minlength=STACKED) / len(labels)
