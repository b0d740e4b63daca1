"""A session: all that changes while a model trains, so that it can be saved and restored whole."""

import math
from dataclasses import replace

import numpy as np

from minigan.autograd import no_grad
from minigan.backend import device, is_array, to_numpy
from minigan.data import Batches, load
from minigan.errors import MiniganError, NonFiniteError
from minigan.gans import model_named
from minigan.graph import graphs
from minigan.random import Generator

from .checkpoint import load_checkpoint
from .options import Options
from .run import Run


class Session:
    """The networks, optimisers, data and random numbers of a run, and its training loop.

    `next_step()` takes one step. `real` are the first samples of the data, as many as are shown of the
    generated ones. `arrays()` and `state()` are what a checkpoint holds.

    All that is random but the training noise is drawn on the CPU, and moved: runs begin alike everywhere.
    """

    def __init__(self, model: str, options: Options, cfg):
        self.model, self.options, self.device = model_named(model), options, device(options.device)
        dataset, self.cfg = _dataset_for(self.model, options, cfg)
        self.shape = dataset.shape
        root = Generator(options.seed)
        weights_rng, self.rng, samples_rng = (root.spawn() for _ in range(3))
        shown = 64 if len(self.shape) == 3 else 1000  # images, or points
        self.rng.to(self.device)
        self.fixed_noise = self.model.noise(self.cfg, shown, samples_rng).to(self.device)
        networks = self.model.networks(self.cfg, self.shape, weights_rng)
        self.G, self.D = (network.to(self.device) for network in networks)
        self.opt_g, self.opt_d = self.model.optimizers(self.cfg, self.G, self.D)
        self.real = dataset.batch(np.arange(min(shown, len(dataset))))
        self.batches = Batches(dataset, self.cfg.batch_size, options.seed, device=self.device)
        self.loop = self.model.train(self.G, self.D, self.opt_g, self.opt_d, self.batches, self.rng, self.cfg)
        self.step = 0

    def next_step(self) -> dict[str, float]:
        """One step of training; its metrics. NonFiniteError if a loss is NaN or infinite."""
        with self.device.active(), graphs(self.options.graph):
            metrics = next(self.loop)
        if not all(math.isfinite(v) for name, v in metrics.items() if name.endswith("loss")):
            # Elsewhere the op was found already: only the launch of a graph looks at nothing.
            raise NonFiniteError("the loss is not finite; with --no-graph the op that made it so is named")
        self.step += 1
        return metrics

    # Saving

    def arrays(self) -> dict[str, np.ndarray]:
        """All weights and optimiser states, on the CPU."""
        parts = {"generator": self.G, "discriminator": self.D, "opt_g": self.opt_g, "opt_d": self.opt_d}
        return {
            f"{part}.{name}": to_numpy(value)
            for part, owner in parts.items()
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
        }

    def restore(self, arrays: dict[str, np.ndarray], state: dict):
        """Continue where a checkpoint was saved. MiniganError if it does not fit this session."""
        try:
            load_networks(self.G, self.D, arrays)
            for name in ("opt_g", "opt_d"):
                getattr(self, name).load_state_dict({**_part(arrays, name), **state[name]})
            self.rng.state = state["random"]
            self.batches.load_state_dict(state["data"])
            self.step = int(state["step"])
        except (ValueError, KeyError, TypeError) as error:
            raise MiniganError(f"the checkpoint does not fit this run: {error}") from error


def generate(G, z) -> np.ndarray:
    """What G makes of the noise z in evaluation mode; G's mode is left as it was."""
    before = G.training
    G.eval()
    try:
        with no_grad():
            return G(z).numpy()
    finally:
        G.train(before)


def load_networks(G, D, arrays):
    """Put the weights of a checkpoint into the two networks. ValueError if they do not fit."""
    G.load_state_dict(_part(arrays, "generator"))
    D.load_state_dict(_part(arrays, "discriminator"))


def _part(arrays, prefix):
    return {k.removeprefix(f"{prefix}."): a for k, a in arrays.items() if k.startswith(f"{prefix}.")}


def _dataset_for(model, options, cfg):
    """The data at the size to train at, and `cfg` with that size written into it."""
    size = cfg.size
    dataset = load(options.data, size, options.data_dir)
    if len(dataset.shape) == 3:
        size = size or model.default_size(max(dataset.shape[1:]))
        dataset = dataset.to_size(size)
    return dataset, replace(cfg, size=size)


def load_generator(run: Run, step: int | None = None, place="cpu"):
    """(model, cfg, G) of a run, with the weights of its newest checkpoint or of that at `step`, on the
    device `place`.

    MiniganError if there is no such checkpoint, or it does not fit the run.
    """
    place = device(place)
    path = run.latest_checkpoint() if step is None else run.checkpoint_path(step)
    if not path.exists():
        raise MiniganError(f"{run.path} has no checkpoint of step {step}; it has {run.checkpoint_steps()}")
    model, cfg = run.model(), run.hyperparameters()
    G, D = model.networks(cfg, tuple(run.config["shape"]), Generator(0))
    try:
        load_networks(G, D, load_checkpoint(path)[0])
    except ValueError as error:
        raise MiniganError(f"{path} does not fit this run: {error}") from error
    return model, cfg, G.to(place)
