"""A session: all that changes while a model trains, so that it can be saved and restored whole."""

import copy
import math

import numpy as np

from minigan.backend import device, is_array, to_numpy
from minigan.data import Batches
from minigan.errors import MiniganError, NonFiniteError
from minigan.gans import is_conditional, model_named
from minigan.graph import graphs
from minigan.optim import ExponentialMovingAverage
from minigan.random import Generator

from .checkpoint import Checkpoint, misfits, part
from .options import Options
from .sampler import Sampler


class Session:
    """The networks, optimisers, data and random numbers of a run, and its training loop.

    `next_step()` takes one step. `sampler` draws from G, or from its moving average where there is one;
    `shown()` are always the same of its samples. `real` are the first samples of the data, as many.
    `arrays()` and `state()` are what a checkpoint holds.

    All that is random but the training noise is drawn on the CPU, and moved: runs begin alike everywhere.
    """

    def __init__(self, model: str, options: Options, cfg):
        self.model, self.options, self.device = model_named(model), options, device(options.device)
        conditional = is_conditional(self.model)
        dataset, self.cfg = _dataset_for(self.model, options, cfg)
        self.shape = dataset.shape
        root = Generator(options.seed)
        weights_rng, self.rng, samples_rng = (root.spawn() for _ in range(3))
        self.rng.to(self.device)
        networks = self.model.networks(self.cfg, self.shape, weights_rng)
        self.G, self.D = (network.to(self.device) for network in networks)
        self.opt_g, self.opt_d = self.model.optimizers(self.cfg, self.G, self.D)
        self.average = ExponentialMovingAverage(self.G, options.ema) if options.ema else None
        self.sampler = Sampler(
            self.model, self.cfg, self.average.module if self.average else self.G, self.device
        )
        shown = self.sampler.sheet_size() if len(self.shape) == 3 else 1000  # images, or points
        self.fixed = self.sampler.inputs(shown, samples_rng)
        self.real = dataset.batch(np.arange(min(shown, len(dataset))))
        self.batches = Batches(
            dataset, self.cfg.batch_size * self.cfg.pack, options.seed, conditional, self.device
        )
        self.loop = self.model.train(self.G, self.D, self.opt_g, self.opt_d, self.batches, self.rng, self.cfg)
        self.step = 0

    def next_step(self) -> dict[str, float]:
        """One step of training; its metrics. NonFiniteError if a loss is NaN or infinite."""
        with self.device.active(), graphs(self.options.graph):
            metrics = next(self.loop)
        if not all(math.isfinite(v) for name, v in metrics.items() if name.endswith("loss")):
            # Elsewhere the op was found already: only the launch of a graph looks at nothing.
            raise NonFiniteError("the loss is not finite; with --no-graph the op that made it so is named")
        if self.average:
            self.average.update()
        self.step += 1
        return metrics

    def rehearse(self):
        """A step and a sheet of samples, by networks that nobody sees again: all that training computes, and
        nothing that it changes."""
        G, D = (net.to(self.device) for net in self.model.networks(self.cfg, self.shape, Generator(0)))
        optimizers, batches = self.model.optimizers(self.cfg, G, D), copy.copy(self.batches)
        next(self.model.train(G, D, *optimizers, batches, Generator(0), self.cfg))
        Sampler(self.model, self.cfg, G, self.device).make(*self.fixed)

    def shown(self) -> np.ndarray:
        """What is made of the same noise through all of training."""
        return self.sampler.make(*self.fixed)

    # Saving

    def _parts(self):
        """What has arrays to save, by the first part of their names."""
        average = {"average": self.average.module} if self.average else {}
        return {
            "generator": self.G,
            "discriminator": self.D,
            "opt_g": self.opt_g,
            "opt_d": self.opt_d,
            **average,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """All weights and optimiser states, on the CPU."""
        return {
            f"{part}.{name}": to_numpy(value)
            for part, owner in self._parts().items()
            for name, value in owner.state_dict().items()
            if is_array(value)
        }

    def state(self) -> dict:
        def numbers(optimizer):
            return {k: v for k, v in optimizer.state_dict().items() if not is_array(v)}

        return {
            "step": self.step,
            "opt_g": numbers(self.opt_g),
            "opt_d": numbers(self.opt_d),
            "random": list(self.rng.state),
            "data": self.batches.state_dict(),
            **({"averaged": self.average.updates} if self.average else {}),
        }

    def restore(self, checkpoint: Checkpoint):
        """Continue where a checkpoint was saved. MiniganError, with nothing changed, if it does not fit this
        session."""
        arrays, state, parts = checkpoint.arrays, checkpoint.state, self._parts()
        problems = [f"{name} is unexpected" for name in arrays if name.partition(".")[0] not in parts]
        if not _alike(state, self.state()) or state["step"] != checkpoint.step:
            problems.append("its state has other names or values than this model's")
        if not problems:
            given = {name: {**part(arrays, name), **state.get(name, {})} for name in parts}
            problems = [f"{name}.{p}" for name, owner in parts.items() for p in misfits(owner, given[name])]
        if problems:
            raise MiniganError(f"{checkpoint.path} does not fit this run: {problems[0]}")
        self.batches.load_state_dict(state["data"])
        self.rng.state = state["random"]
        for name, owner in parts.items():
            owner.load_state_dict(given[name])
        if self.average:
            self.average.updates = state["averaged"]
        self.step = state["step"]


def _alike(given, own) -> bool:
    """Whether a state can be put in the place of another: the same names, and numbers of the same kind."""
    if isinstance(own, dict):
        same = isinstance(given, dict) and given.keys() == own.keys()
        return same and all(_alike(given[name], own[name]) for name in own)
    if isinstance(own, list):
        return isinstance(given, list) and len(given) == len(own) and all(map(_alike, given, own))
    if isinstance(own, int):
        return type(given) is int and 0 <= given < 2**64
    return type(given) in (int, float) and math.isfinite(given)


def _dataset_for(model, options, cfg):
    """The data at the size to train at, and `cfg` with what the data decides written into it."""
    dataset = options.dataset(cfg.size)
    cfg = cfg.fitted(dataset.shape, dataset.classes)
    return dataset.to_size(cfg.size) if len(dataset.shape) == 3 else dataset, cfg
