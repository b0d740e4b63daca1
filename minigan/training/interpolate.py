"""Walks through what a generator can make: from one noise vector to another, or from class to class."""

import numpy as np

from minigan.errors import MiniganError
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
    MiniganError for labels that are no classes, or for any where there are none, and for a model without
    noise.
    """
    t, asked = np.linspace(0, 1, steps, dtype=np.float32), {}
    if labels is not None:
        asked = {"label": labels[0]}
    ends = sampler.inputs(2 * n, Generator(seed), **asked)
    if "z" not in ends:
        raise MiniganError(
            f"{sampler.model.name} makes its samples from no noise z that could be walked through"
        )
    start, end = ends["z"][:n, None], ends["z"][n:, None]
    if labels is None or len(labels) == 1:
        z = {"spherical": slerp, "linear": lerp}[kind](start, end, t[:, None])
        rest = {name: np.repeat(a[:n], steps, axis=0) for name, a in ends.items() if name != "z"}
    else:
        corners = sampler.inputs(len(labels), Generator(seed), label=labels)["labels"]
        weights = path(np.eye(sampler.classes, dtype=np.float32)[corners], t)
        z, rest = np.repeat(start, steps, axis=1), {"labels": np.tile(weights, (n, 1))}
    made, *_ = sampler.make({"z": z.reshape(n * steps, -1), **rest}).values()
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
