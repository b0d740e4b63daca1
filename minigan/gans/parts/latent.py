"""Noise, as the input of a generator."""

import numpy as np

from minigan import backend
from minigan.errors import MiniganError


def normal(n, latent, rng, truncation=None):
    """n vectors of normal noise, (n, latent); see `truncated`."""
    z = rng.normal((n, latent))
    return z if truncation is None else truncated(backend.to_numpy(z), truncation)


def truncated(z: np.ndarray, limit: float) -> np.ndarray:
    """Normal noise pulled into [-limit, limit], where it has the normal distribution cut off there.

    Each number keeps its rank, so that a seed gives a tamer form of the same sample. The truncation
    trick: Brock, Donahue, Simonyan, "Large scale GAN training", 2019, section 3.1.
    MiniganError for a limit that is not above 0.
    """
    from scipy.special import ndtr, ndtri  # takes longer to import than all of minigan

    if not limit > 0:
        raise MiniganError(f"truncation must be above 0, got {limit}")
    low, high = ndtr(-limit), ndtr(limit)
    return ndtri(low + ndtr(z.astype(np.float64)) * (high - low)).astype(z.dtype)


def lerp(a, b, t):
    """(1 - t) a + t b."""
    return (1 - t) * a + t * b


def slerp(a, b, t):
    """The walk from a to b, vectors along the last axis, along a great circle.

    The length of normal noise hardly varies; this keeps it, where a straight line would cut short.
    White, "Sampling generative networks", 2016, section 2.
    """
    lengths = (np.linalg.norm(v, axis=-1, keepdims=True) for v in (a, b))
    cosine = (a * b).sum(-1, keepdims=True) / np.prod(list(lengths), axis=0)
    angle = np.arccos(np.clip(cosine, -1, 1))
    sine = np.sin(angle)
    arc = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.where(sine > 1e-3, sine, 1)
    return np.where(sine > 1e-3, arc, lerp(a, b, t))  # between parallel vectors no circle is the one
