"""What a model makes of noise, to walk about in: from a seed, along the directions in which samples differ
most, and between two of them."""

from functools import cached_property

import numpy as np

from minigan.errors import MiniganError
from minigan.gans.parts.latent import lerp, slerp
from minigan.random import Generator
from minigan.training import Sampler

SAMPLES = 1000  # of which the principal directions are taken
DIRECTIONS = 6


class Explorer:
    """The samples of a model from noise, each known by what it is made of: a dict of arrays by name.

    MiniganError for a model that makes its samples of no noise z, or makes no images.
    """

    def __init__(self, sampler: Sampler):
        self.sampler = sampler
        if sampler.fields.kind != "image":
            raise MiniganError(f"{sampler.model.name} made no images, which there would be to look at")
        if not sampler.model.from_noise:
            raise MiniganError(
                f"{sampler.model.name} makes its samples of no noise z, and nothing of pictures that it is "
                "given: there is nothing to play with"
            )

    def at(self, seed: int, moved=(), **asked) -> dict[str, np.ndarray]:
        """What the first sample of a seed is made of, and moved along the principal directions.

        moved: how far, in standard deviations. asked: what the model's `inputs` may be asked for.
        """
        inputs = self.sampler.inputs(1, Generator(seed), **asked)
        if not np.any(moved):
            return inputs
        name, code = self._code(inputs)
        code = code + np.asarray(moved, code.dtype) @ self.directions[: len(moved)]
        return {k: a for k, a in inputs.items() if k != "z"} | {name: code}

    def between(self, one: dict, other: dict, t: float) -> dict[str, np.ndarray]:
        """On the way from one sample to another, which it is at t = 1: around the origin through z, straight
        through the codes of a model that has some. All else stays that of the one."""
        (name, a), (_, b) = (self._code(inputs) for inputs in (one, other))
        way = slerp if name == "z" else lerp
        return {k: x for k, x in one.items() if k not in ("z", "code")} | {name: way(a, b, np.float32(t))}

    def _code(self, inputs):
        if "code" in inputs:
            return "code", inputs["code"]
        ((name, code),) = self.sampler.code(inputs).items()
        return name, code

    def image(self, *inputs: dict) -> np.ndarray:
        """The samples that are made of each of `inputs`, float32 (N, C, H, W)."""
        together = {name: np.concatenate([one[name] for one in inputs]) for name in inputs[0]}
        made, *_ = self.sampler.make(together).values()
        return made

    @cached_property
    def directions(self) -> np.ndarray:
        """The first DIRECTIONS directions in z, or in the model's code, (k, latent); one step along the first
        changes samples most.

        Of codes: their principal components, times the deviation along each. z has none, being alike in every
        direction: there the principal components of the samples are taken, and of z what it is on average one
        deviation along each. Härkönen et al., "GANSpace", 2020, sections 2.1 and 2.2.
        """
        from sklearn.decomposition import PCA

        inputs = self.sampler.inputs(SAMPLES, Generator(0))
        ((name, codes),) = self.sampler.code(inputs).items()
        k = min(DIRECTIONS, codes.shape[1])
        if name != "z":
            pca = PCA(k, random_state=0).fit(codes)
            return (pca.components_ * np.sqrt(pca.explained_variance_)[:, None]).astype(codes.dtype)
        made, *_ = self.sampler.make(inputs).values()
        along = PCA(k, whiten=True, random_state=0).fit_transform(made.reshape(SAMPLES, -1))
        found, *_ = np.linalg.lstsq(along.astype(np.float64), codes.astype(np.float64), rcond=None)
        return found.astype(codes.dtype)
