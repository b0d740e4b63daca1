"""A trained model, to draw samples from."""

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from minigan.autograd import Tensor, no_grad
from minigan.backend import device, to_numpy
from minigan.data import Dataset, Fields
from minigan.gans import Model
from minigan.gans.model import in_evaluation, networks
from minigan.gans.settings import LabelledSettings
from minigan.random import Generator
from minigan.report import SHOWN

from .fitting import check_part
from .run import Run

CHUNK = 500  # samples made at once
FEW = 16  # classes that can each have a column
ROWS = 8  # of a sheet of samples that are several pictures each


class Sampler:
    """Samples of a model, made by its networks in evaluation mode, on the device these lie on.

    parts: those of the model, by name. fields: of the data that it learns from. data: gives the held-out
    data, of a model whose samples are made of those. checkpoint, step: the path that the weights are from,
    and its step; None for networks that are in training.
    """

    checkpoint: Path | None = None
    step: int | None = None

    def __init__(
        self,
        model: Model,
        cfg,
        parts: dict,
        fields: Fields,
        place="cpu",
        data: Callable[[], Dataset] | None = None,
    ):
        self.model, self.cfg, self.parts, self.fields = model, cfg, parts, fields
        self.device, self.data = device(place), data and cache(data)
        self.conditional = model.is_conditional(cfg)
        self.from_data = "data" in model.names("inputs")  # and not from noise alone
        self.classes = (isinstance(cfg, LabelledSettings) and cfg.classes) or 0

    @classmethod
    def of(cls, run: Run, step: int | None = None, place="cpu", average=True) -> "Sampler":
        """The sampler of a run, with the weights of its newest good checkpoint or of that at `step`.

        average: take the moving average of the weights that make the samples, if the run has one.
        MiniganError if there is no such checkpoint, or it is damaged, or does not fit the run.
        """
        checkpoint = run.checkpoint(step)
        model, cfg, fields = run.model(), run.hyperparameters(), run.fields()
        parts = model.parts(cfg, fields, Generator(0))
        for name, network in networks(parts).items():
            averaged = average and checkpoint.arrays_of(f"average.{name}")
            weights = averaged or checkpoint.arrays_of(name)
            check_part(checkpoint, name, network, weights)
            network.load_state_dict(weights)
            network.to(place)
        sampler = cls(model, cfg, parts, fields, place, run.held_out)
        sampler.checkpoint, sampler.step = checkpoint.path, checkpoint.step
        return sampler

    def __call__(self, n: int, seed: int = 0, **asked) -> np.ndarray:
        """n samples (n, *shape) in C order, float32, or int64 of numbers of words: the same for the same
        seed, on every device to rounding.

        asked: what the model's `inputs` may be asked for, see `Model.asks`. Of a model that makes several
        arrays, the first.
        """
        first, *_ = self.make(self.inputs(n, Generator(seed), **asked)).values()
        return np.ascontiguousarray(first)

    def inputs(self, n: int, rng, **asked) -> dict[str, np.ndarray]:
        """What n samples are made of, by name, floats as float32. MiniganError for what the model cannot be
        asked for."""
        data = self.data() if self.from_data and self.data else None
        found = self.model.inputs(n, rng, self.cfg, self.parts, data, **asked)
        arrays = {name: to_numpy(array) for name, array in found.items()}
        return {k: a.astype(np.float32) if a.dtype == np.float64 else a for k, a in arrays.items()}

    def make(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The samples that are made of inputs, by name: (n, *shape)."""
        return self._in_chunks("make", inputs, lambda chunk: self.model.make(chunk, self.parts, self.cfg))

    def made_of(self, inputs: dict[str, Tensor]) -> Tensor:
        """The samples that are made of inputs on the sampler's device, all at once, the first of several
        arrays: a function through which gradients flow."""
        with self.device.active(), in_evaluation(networks(self.parts)):
            first, *_ = self.model.make(inputs, self.parts, self.cfg).values()
        return first

    def code(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What walks go through, by the name that `make` has for it: "z" of the inputs, or "code", where the
        model has one."""
        if not self.model.has("code"):
            return {"z": inputs["z"]}
        return self._in_chunks("code", inputs, lambda chunk: {"code": self.model.code(chunk, self.parts)})

    def encode(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """The inputs of `make` that samples x, (n, *shape) in [-1, 1], are made again of, by name; of a model
        that has a code for each."""
        return self._in_chunks(
            "encode", {"x": x}, lambda chunk: self.model.encode(**chunk, parts=self.parts, cfg=self.cfg)
        )

    def _in_chunks(self, function, inputs, made_of):
        """What is made of the inputs that a function of the model names, by name; of some at a time."""
        wanted = {name: array for name, array in inputs.items() if name in self.model.names(function)}
        n, made = len(next(iter(wanted.values()))), []
        with no_grad(), self.device.active(), in_evaluation(networks(self.parts)):
            for i in range(0, n, CHUNK):
                chunk = {k: Tensor(a[i : i + CHUNK], device=self.device) for k, a in wanted.items()}
                made.append({name: x.numpy() for name, x in made_of(chunk).items()})
        return {name: np.concatenate([some[name] for some in made]) for name in made[0]}

    def call(self, function: str, seed: int, **given):
        """What a function that the model has beside `make`, `numbers` or `pictures`, gives of the parts, with
        random numbers of `seed`, drawn where the networks lie, which are in evaluation mode. given: what else
        it is to have, by name."""
        given |= {**self.parts, "rng": Generator(seed, self.device), "cfg": self.cfg}
        with no_grad(), self.device.active(), in_evaluation(networks(self.parts)):
            return self.model.call(function, **given)

    def shown(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What there is to see of samples, by name: what the model says, or what they are made of, where that
        is of the data's kind; the samples; what these are to be compared with."""
        made = self.make(inputs)
        given = {k: a for k, a in inputs.items() if k in self.fields.seen and k in self.model.names("make")}
        truths = {k: inputs[k] for k in self.model.makes.values() if k in inputs}
        found = {**given, **made, **truths}
        return {name: found[name] for name in self.model.shows or found}

    def sheet_size(self) -> int:
        """How many samples are shown: 64 images, say, or whole rows in which every class has a column; 1,000
        points."""
        if len(self.fields.seen) > 1:
            return ROWS * 4
        many, columns = SHOWN[self.fields.kind].many, self.columns()
        return many if columns is None else columns * math.ceil(many / columns)

    def columns(self) -> int | None:
        """The columns of a sheet: the same number for each class, if there are few; None for a square, and of
        points."""
        few = self.fields.kind != "point" and 1 < self.classes <= FEW
        return self.classes * max(10 // self.classes, 1) if few else None
