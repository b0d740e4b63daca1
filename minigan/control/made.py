"""Samples as a function of one of the arrays that they are made of."""

import numpy as np

from minigan.autograd import Tensor
from minigan.errors import MiniganError
from minigan.gans import Model
from minigan.training import Sampler


def check_moves(model: Model):
    """MiniganError for a model without noise."""
    if not model.from_noise:
        raise MiniganError(f"{model.name} makes its samples from no noise z that could be moved")


class Made:
    """Samples of a model as a function of its code alone, while all else that they are made of stands still.

    inputs: of n samples, by name. through: "z", or "code" for what the model makes of z first.
    name: through. codes: float32 (n, d), where they start.
    MiniganError for a model that has no such code.
    """

    def __init__(self, sampler: Sampler, inputs: dict[str, np.ndarray], through: str = "z"):
        check_moves(sampler.model)
        if through == "code" and not sampler.model.has("code"):
            raise MiniganError(f"{sampler.model.name} has no code beside its noise z")
        self.sampler, self.name = sampler, through
        self.codes = sampler.code(inputs)["code"] if through == "code" else inputs["z"]
        self.rest = {name: a for name, a in inputs.items() if name != "z"}

    def __call__(self, z: Tensor, which) -> Tensor:
        """The samples of codes (m, d), the rest as of those of numbers `which` (m,)."""
        rest = {name: Tensor(a[which], device=self.sampler.device) for name, a in self.rest.items()}
        return self.sampler.made_of({self.name: z, **rest})

    def pictures(self, z: np.ndarray, which=slice(None)) -> np.ndarray:
        """Codes (m, d) of any number -> samples, float32 (m, *shape)."""
        first, *_ = self.sampler.make(self.inputs(z, which)).values()
        return first

    def inputs(self, z: np.ndarray, which=slice(None)) -> dict[str, np.ndarray]:
        """What samples of codes are made of, by name."""
        return {self.name: z, **{name: a[which] for name, a in self.rest.items()}}
