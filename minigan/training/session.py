"""A session: all that changes while a model trains, so that it can be saved and restored whole."""

import contextlib
import copy
import json
import math
from functools import partial

import numpy as np

from minigan import random
from minigan.backend import device, is_array, to_numpy
from minigan.errors import MiniganError, NonFiniteError
from minigan.gans import Model, model_named
from minigan.gans.model import networks, numbers_of, owners
from minigan.graph import graphs
from minigan.optim import ExponentialMovingAverage
from minigan.random import Generator

from .fitting import Checkpoint, states_for
from .options import Options
from .sampler import Sampler

BESIDE = {"text": "text", "label": "labels", "factors": "factors"}  # what batches call it


class Session:
    """The parts of a model, its data and random numbers in a run, and its training loop.

    `next_step()` takes one step; `said` is what judges said of the samples in it, arrays by the names that
    the loop has for them. `sampler` draws from the networks that make samples, or from their moving averages
    where there are any; `shown()` are always the same of its samples. `real` are the first samples of the
    data, as many, by their fields. `arrays()` and `state()` are what a checkpoint holds.

    All that is random but the training noise is drawn on the CPU, and moved: runs begin alike everywhere.
    """

    def __init__(self, model: str | Model, options: Options, cfg):
        self.model, self.device = model_named(model), device(options.device)
        self.options = options.of(self.model)
        self.dataset, self.cfg = self.options.data_for(self.model, cfg)
        self.fields, self.critic = self.dataset.fields, self.model.is_critic(self.cfg)
        root = Generator(options.seed)
        weights_rng, self.rng, samples_rng, default = (root.spawn() for _ in range(4))
        random.default_generator.state = default.state  # for layers that are given none
        self.rng.to(self.device)
        self.parts = self._parts(weights_rng)
        makers = self.model.makers(self.parts) if options.ema else {}
        self.averages = {name: ExponentialMovingAverage(net, options.ema) for name, net in makers.items()}
        self.sampler = self.sampler_of(self._averaged())
        shown = self.sampler.sheet_size()
        self._samples_rng = samples_rng
        self.model.check_names(self.parts, self.fixed)
        self.real = pictures_of(self.dataset, min(shown, len(self.dataset)))
        self.batches = self._batches()
        self.loop = self.model.train(self.parts, self.batches, self.rng, self.cfg)
        self.step, self.said = 0, {}
        self.state()  # which may refuse, before there is anything to lose

    def _parts(self, rng):
        """All parts of the model anew, on the device."""
        parts = self.model.parts(self.cfg, self.fields, rng)
        for owner in owners(parts).values():
            if hasattr(owner, "to"):
                owner.to(self.device)
        return parts

    def _batches(self):
        beside = {BESIDE[name]: True for name in self.model.beside(self.cfg)}
        return self.dataset.batches(self.cfg.samples, self.options.seed, device=self.device, **beside)

    def _averaged(self):
        """The parts, with the averages of networks in place of those that have one."""
        averaged = {id(average.network): average.module for average in self.averages.values()}
        return replaced(self.parts, averaged)

    def sampler_of(self, parts) -> Sampler:
        """One of these parts: the session's, or of their kind."""
        held_out = partial(self.options.held_out, self.cfg.size)
        return Sampler(self.model, self.cfg, parts, self.fields, self.device, held_out)

    @property
    def fixed(self) -> dict[str, np.ndarray]:
        """What the shown samples are made of, by name. All of training has the same random numbers for them,
        and so the same inputs, but where parts of the model draw these, which learn."""
        return self.sampler.inputs(self.sampler.sheet_size(), copy.copy(self._samples_rng))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a sample of the data."""
        return self.fields.shape

    def next_step(self) -> dict[str, float]:
        """One step of training; its metrics, of what a judge said the mean (of logits that of the
        probability). NonFiniteError if a number is NaN or infinite."""
        with self.device.active(), graphs(self.options.graph):
            metrics, self.said = numbers_of(next(self.loop), self.critic)
        for name, value in metrics.items():
            if not math.isfinite(value):
                # Elsewhere the op was found already: only the launch of a graph looks at nothing.
                what = "the loss" if name.endswith("loss") else name
                raise NonFiniteError(f"{what} is not finite; with --no-graph the op that made it so is named")
        for average in self.averages.values():
            average.update()
        self.step += 1
        return metrics

    def rehearse(self):
        """A step and a sheet of samples, by networks that nobody sees again: all that training computes, and
        nothing that it changes."""
        before = random.default_generator.state
        parts = self._parts(Generator(0))
        numbers_of(next(self.model.train(parts, self._batches(), Generator(0), self.cfg)), self.critic)
        self.sampler_of(parts).make(self.fixed)
        random.default_generator.state = before

    def shown(self) -> dict[str, np.ndarray]:
        """What is made of the same random numbers through all of training, by name: see `Sampler.shown`."""
        return self.sampler.shown(self.fixed)

    # Saving

    def _owners(self):
        """All that has a state, by the first part of its arrays' names."""
        return owners(self.parts) | {f"average.{name}": average for name, average in self.averages.items()}

    def _generators(self):
        """All random numbers, by name: the loop's, those of layers, and that of layers without one."""
        layers = {
            f"{name}.{path}": generator
            for name, network in networks(self.parts).items()
            for path, generator in network.named_generators()
        }
        named = {"rng": self.rng, **layers, "default": random.default_generator}
        return {name: g for i, (name, g) in enumerate(named.items()) if g not in list(named.values())[:i]}

    def arrays(self) -> dict[str, np.ndarray]:
        """All weights and other arrays of the parts, on the CPU."""
        return {
            f"{name}.{key}": to_numpy(value)
            for name, owner in self._owners().items()
            for key, value in owner.state_dict().items()
            if is_array(value)
        }

    def state(self) -> dict:
        """All else that changes, JSON-able. MiniganError for a part whose state is not."""
        numbers = {
            name: {k: _plain(name, k, v) for k, v in owner.state_dict().items() if not is_array(v)}
            for name, owner in self._owners().items()
        }
        return {
            "step": self.step,
            "parts": {name: values for name, values in numbers.items() if values},
            "random": {name: list(g.state) for name, g in self._generators().items()},
            "data": self.batches.state_dict(),
        }

    def restore(self, checkpoint: Checkpoint):
        """Continue where a checkpoint was saved. MiniganError, with nothing changed, if it does not fit this
        session."""
        state, known, generators = checkpoint.state, self._owners(), self._generators()
        given = states_for(checkpoint, known, generators)
        before = {name: copy.deepcopy(owner.state_dict()) for name, owner in known.items()}
        place = self.batches.state_dict()
        random_before = {name: g.state for name, g in generators.items()}
        try:
            self.batches.load_state_dict(state["data"])
            for name, words in state["random"].items():
                generators[name].state = words
            for name, owner in known.items():
                owner.load_state_dict(given[name])
        except Exception as error:  # of parts that somebody else wrote, too
            self.batches.load_state_dict(place)
            for name, words in random_before.items():
                generators[name].state = words
            for name, owner in known.items():
                owner.load_state_dict(before[name])
            what = f"there is no {error} in it" if isinstance(error, KeyError) else error
            raise checkpoint.unfit(what) from error
        self.step = state["step"]


def _plain(part: str, name: str, value):
    """A value of a part's state that JSON gives back as it is."""
    value = value.item() if isinstance(value, np.generic) else value
    with contextlib.suppress(TypeError, ValueError, RecursionError):
        if json.loads(json.dumps(value)) == value:
            return value
    raise MiniganError(
        f"part {part!r} cannot be saved: its state has {name} = {value!r}, which is no array, and not what "
        "JSON gives back as it is"
    )


def pictures_of(dataset, n: int) -> dict[str, np.ndarray]:
    """The first n samples of the data, by the names of its fields; without labels and factors."""
    found = dataset.batch(np.arange(n))
    return dict(zip(dataset.fields.seen, found if isinstance(found, tuple) else (found,), strict=True))


def replaced(parts, others: dict):
    """The parts with others in place of those whose id is a key of `others`, in lists and dicts of them,
    too."""
    if isinstance(parts, dict):
        return {name: replaced(part, others) for name, part in parts.items()}
    if isinstance(parts, list | tuple):
        return [replaced(part, others) for part in parts]
    return others.get(id(parts), parts)
