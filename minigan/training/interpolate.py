"""Walks through what a generator can make: from one noise vector to another, or from class to class."""

import numpy as np

from minigan.random import Generator

from .sampler import Sampler


def interpolate(
    sampler: Sampler, n: int, steps: int, seed: int = 0, kind: str = "spherical", labels=None
) -> np.ndarray:
    """n walks of `steps` samples each, both ends among them: float32 (n, steps, *shape).

    kind: "spherical" (`slerp`) or "linear", between two noise vectors; between classes it is always linear.
    labels: of a conditional model, the classes to walk through in this order, with the noise standing
        still. Of a single one, or without any, walks are in the noise, and each keeps its class: that one,
        or the first walk the first class, and so on.
    MiniganError for labels that are no classes, or for any where there are none.
    """
    t = np.linspace(0, 1, steps, dtype=np.float32)
    label = None if labels is None else labels[0]
    z, *_ = sampler.inputs(2 * n, Generator(seed), label)
    start, end = z[:n, None], z[n:, None]
    if label is None or len(labels) == 1:
        walk = {"spherical": slerp, "linear": lerp}[kind]
        inputs = [walk(start, end, t[:, None])]
        if sampler.conditional:
            inputs += [np.repeat(sampler.labels(n, label), steps)]
    else:
        weights = path(np.eye(sampler.classes, dtype=np.float32)[sampler.labels(len(labels), labels)], t)
        inputs = [np.repeat(start, steps, axis=1), np.tile(weights, (n, 1))]
    inputs[0] = inputs[0].reshape(n * steps, -1)
    made = sampler.make(*inputs)
    return made.reshape(n, steps, *made.shape[1:])


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


def path(corners, t):
    """Through the rows of `corners` at constant pace: (len(t), columns). One row is a walk on the spot."""
    legs = t * (len(corners) - 1)
    i = np.minimum(legs.astype(int), len(corners) - 2)
    return lerp(corners[i], corners[i + 1], (legs - i)[:, None]).astype(corners.dtype)
