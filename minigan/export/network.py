"""What a run can be asked to compute elsewhere: its samples, or what its judge says."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

import minigan_kernels as kernels
from minigan import __version__
from minigan.autograd import Tensor, no_grad
from minigan.data.kinds import plural
from minigan.errors import MiniganError
from minigan.gans.model import networks
from minigan.gans.settings import packs_of
from minigan.nn import Module
from minigan.random import Generator
from minigan.training import Run, Sampler

PARTS = "samples", "judge"


@dataclass(frozen=True, kw_only=True)
class Network:
    """A model's `make` or `judge`, with networks in evaluation mode on the CPU.

    part: one of PARTS. output: what it makes: "images", "points" of the plane, "logits" of being real, or the
    "scores" of a critic. networks: those it uses, by name. function: of Tensors by name. given: (n, seed) ->
    arrays by name, inputs of n outputs. shape: of one sample of the data. classes: of its labels; 0 if it
    takes none. pack: inputs of one output.
    """

    function: Callable[..., Tensor]
    networks: dict[str, Module]
    given: Callable[[int, int], dict[str, np.ndarray]]
    part: str
    output: str
    model: str
    data: str
    step: int
    ema: bool
    shape: tuple[int, ...]
    classes: int
    pack: int

    @classmethod
    def of(cls, run: Run, part: str, sampler: Sampler, average=True) -> "Network":
        """The samples of a sampler of the run, or its judge; average: as that was made with. MiniganError for
        a model without a judge."""
        model, options, shape = sampler.model, run.options(), run.fields().shape
        if part == "samples":
            nets, pack, output = model.makers(sampler.parts), 1, plural(run.fields().kind)
            told = "labels" in model.names("make")

            def function(**inputs):
                return next(iter(model.make(inputs, sampler.parts, sampler.cfg).values()))
        elif not model.has("judge"):
            raise MiniganError(f"{model.name} has no function judge that could be exported")
        else:
            nets = networks({k: part for k, part in sampler.parts.items() if k in model.names("judge")})
            pack, output = packs_of(sampler.cfg), "scores" if model.is_critic(sampler.cfg) else "logits"
            told = model.tells_labels and sampler.conditional

            def function(**inputs):
                return model.call("judge", **sampler.parts, **inputs, cfg=sampler.cfg)

        def given(n, seed):
            return _samples_of(sampler, n, seed) if part == "samples" else _judged(sampler, n * pack, seed)

        return cls(
            function=function,
            networks={name: net.eval() for name, net in nets.items()},
            given=given,
            part=part,
            output=output,
            model=model.name,
            data=options.data,
            step=sampler.step,
            ema=bool(part == "samples" and average and options.ema),
            shape=shape,
            classes=sampler.classes if told else 0,
            pack=pack,
        )

    def facts(self) -> dict:
        """What there is to know of it but the weights, for JSON."""
        told = [f.name for f in fields(self) if f.name not in ("function", "networks", "given")]
        return {"minigan": __version__, "networks": [*self.networks]} | {
            name: getattr(self, name) for name in told
        }

    def __call__(self, **inputs: np.ndarray) -> np.ndarray:
        """What minigan's `reference` engine makes of them."""
        with no_grad(), kernels.engine("reference"):
            return self.function(**{name: Tensor(a) for name, a in inputs.items()}).numpy()


def _samples_of(sampler, n, seed):
    """Random inputs of `make`, by name; images of the data as noise."""
    rng, wanted = np.random.default_rng(seed), sampler.model.names("make")
    images = {
        name: field for name, field in sampler.fields.items() if name in wanted and field.kind == "image"
    }
    drawn = {k: rng.uniform(-1, 1, (n, *f.shape)).astype(np.float32) for k, f in images.items()}
    if not {*wanted} - {*drawn} - {*sampler.parts}:
        return drawn
    asked = {"label": rng.integers(sampler.classes, size=n)} if sampler.conditional else {}
    found = sampler.inputs(n, Generator(seed), **asked)
    return {name: array for name, array in found.items() if name in wanted} | drawn


def _judged(sampler, n, seed):
    """Random inputs of `judge`, by name."""
    rng = np.random.default_rng(seed)
    x = {"x": rng.uniform(-1, 1, (n, *sampler.fields.shape)).astype(np.float32)}
    return x | (
        {"labels": rng.integers(sampler.classes, size=n)}
        if sampler.model.tells_labels and sampler.conditional
        else {}
    )
