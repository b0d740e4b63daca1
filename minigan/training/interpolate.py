"""Walks through what a model can make: from one noise vector to another, or from class to class."""

import numpy as np

from minigan.errors import MiniganError
from minigan.gans.parts.latent import lerp, slerp
from minigan.random import Generator

from .sampler import Sampler


def interpolate(
    sampler: Sampler, n: int, steps: int, seed: int = 0, kind: str | None = None, labels=None
) -> np.ndarray:
    """n walks of `steps` samples each, both ends among them: float32 (n, steps, *shape).

    kind: "spherical" (`slerp`) or "linear", between two noise vectors. By default spherical; where the model
        has a code, straight from that of the one to that of the other. Between classes it is always linear.
    labels: of a conditional model, the classes to walk through in this order, with the noise standing
        still. Of a single one, or without any, walks are in the noise, and each keeps its class: that one,
        or the first walk the first class, and so on.
    MiniganError for labels that are no classes, or for any where there are none, and for a model without
    noise.
    """
    if not sampler.model.from_noise:
        raise MiniganError(
            f"{sampler.model.name} makes its samples from no noise z that could be walked through"
        )
    t, asked = np.linspace(0, 1, steps, dtype=np.float32), {}
    if labels is not None:
        asked = {"label": labels[0]}
    ends = sampler.inputs(2 * n, Generator(seed), **asked)
    if labels is None or len(labels) == 1:
        ((name, both),) = (sampler.code(ends) if kind is None else {"z": ends["z"]}).items()
        way = lerp if kind == "linear" or name == "code" else slerp
        walked = way(both[:n, None], both[n:, None], t[:, None])
        rest = {other: np.repeat(a[:n], steps, axis=0) for other, a in ends.items() if other != "z"}
    else:
        corners = sampler.inputs(len(labels), Generator(seed), label=labels)["labels"]
        weights = path(np.eye(sampler.classes, dtype=np.float32)[corners], t)
        name, walked = "z", np.repeat(ends["z"][:n, None], steps, axis=1)
        rest = {"labels": np.tile(weights, (n, 1))}
    made, *_ = sampler.make({name: walked.reshape(n * steps, -1), **rest}).values()
    return made.reshape(n, steps, *made.shape[1:])


def path(corners, t):
    """Through the rows of `corners` at constant pace: (len(t), columns). One row is a walk on the spot."""
    legs = t * (len(corners) - 1)
    i = np.minimum(legs.astype(int), len(corners) - 2)
    return lerp(corners[i], corners[i + 1], (legs - i)[:, None]).astype(corners.dtype)
