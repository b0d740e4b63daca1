"""A trained network, with what goes into it and comes out of it."""

from dataclasses import dataclass, fields

import numpy as np

import minigan_kernels as kernels
from minigan import __version__
from minigan.autograd import Tensor, no_grad
from minigan.gans import is_critic
from minigan.nn import Module
from minigan.training import Run, Sampler

PARTS = "generator", "discriminator"


@dataclass(frozen=True, kw_only=True)
class Network:
    """One network of a run, in evaluation mode on the CPU.

    output: what it makes: "images", "points" of the plane, "logits" of being real, or the "scores" of a
    critic. shape: of one sample. classes: of its labels; 0 if it takes none. pack: inputs of one output.
    """

    module: Module
    part: str
    output: str
    model: str
    data: str
    step: int
    ema: bool
    shape: tuple[int, ...]
    latent: int
    classes: int
    pack: int

    @classmethod
    def of(cls, run: Run, part: str, sampler: Sampler, average=True) -> "Network":
        """The one called `part`, of a sampler of the run; average: as that was made with."""
        options = run.options()
        shape = tuple(run.config["shape"])
        if part == "generator":
            module, pack, ema, output = sampler.G, 1, bool(average and options.ema), _samples(shape)
        else:
            module, pack, ema = sampler.D, sampler.cfg.pack, False
            output = "scores" if is_critic(sampler.model) else "logits"
        return cls(
            module=module.eval(),
            part=part,
            output=output,
            model=run.config["model"],
            data=options.data,
            step=sampler.step,
            ema=ema,
            shape=shape,
            latent=sampler.cfg.latent,
            classes=sampler.classes,
            pack=pack,
        )

    def facts(self) -> dict:
        """What there is to know of it but the weights, for JSON."""
        return {"minigan": __version__} | {
            field.name: getattr(self, field.name) for field in fields(self) if field.name != "module"
        }

    def inputs(self, n: int, seed: int) -> dict[str, np.ndarray]:
        """Random inputs for n outputs, by their names: noise or samples, and the int64 labels of classes."""
        rng, n = np.random.default_rng(seed), n * self.pack
        if self.part == "generator":
            given = {"z": rng.standard_normal((n, self.latent), np.float32)}
        else:
            given = {_samples(self.shape): rng.uniform(-1, 1, (n, *self.shape)).astype(np.float32)}
        return given | ({"labels": rng.integers(self.classes, size=n)} if self.classes else {})

    def __call__(self, **inputs: np.ndarray) -> np.ndarray:
        """What minigan's `reference` engine makes of them."""
        with no_grad(), kernels.engine("reference"):
            return self.module(*map(Tensor, inputs.values())).numpy()


def _samples(shape):
    return "images" if len(shape) == 3 else "points"
