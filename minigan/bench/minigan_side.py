"""Training steps by minigan: the loops of `minigan.gans` themselves, driven as a run drives them."""

import itertools
import platform

import numpy as np

import minigan_kernels as kernels
from minigan import Generator, Tensor, __version__, grad
from minigan.bench.steps import fields_of
from minigan.gans import model_named
from minigan.gans.model import numbers_of
from minigan.gans.noise import wgan_gp


def about():
    versions = {
        "minigan": __version__,
        "kernels": kernels.engine_name(np.zeros(1, np.float32)),
        "Python": platform.python_version(),
        "NumPy": np.__version__,
    }
    return {"threads": kernels.num_threads(), "versions": versions}


def prepare(job):
    """The steps of a job (see `steps.job`), each with its losses."""
    return critic_steps(job) if job["model"] == "wgan-gp" else game_steps(job)


def game_steps(job):
    """Steps of both networks, each with the numbers that a run logs."""
    model = model_named(job["model"])
    cfg = model.Config(**job["settings"])
    parts = model.parts(cfg, fields_of(job["shape"]), Generator())
    for name, weights in job["weights"].items():
        parts[name].load_state_dict(weights)
    data = itertools.cycle(map(channels_last, job["data"]))
    for seen in model.train(parts, data, GivenFirst(job["noise"]), cfg):
        yield numbers_of(seen, model.critic)[0]


def critic_steps(job):
    """Steps of the critic alone."""
    cfg = wgan_gp.Config(**job["settings"])
    parts = wgan_gp.parts(cfg, fields_of(job["shape"]), Generator())
    D, opt = parts["D"], parts["opt_d"]
    D.load_state_dict(job["weights"]["D"])
    rng = GivenFirst(job["noise"])

    reals, fakes = (map(channels_last, job[name]) for name in ("data", "fakes"))
    for real, fake in itertools.cycle(zip(reals, fakes, strict=True)):
        u = rng.uniform((len(real), 1, 1, 1))
        losses = critic_step(D, opt, Tensor(real), Tensor(fake), Tensor(u), cfg.penalty)
        yield {name: loss.item() for name, loss in losses.items()}
        del losses  # the graph goes before the next one is built


def critic_step(D, opt, real, fake, u, weight):
    """The critic's step of `wgan_gp.py`, on fakes that are given."""
    penalty = wgan_gp.gradient_penalty(D, real, fake, u)
    d_loss = D(fake).mean() - D(real).mean() + weight * penalty
    opt.step(grad(d_loss, opt.params))
    return {"d_loss": d_loss, "penalty": penalty}


class GivenFirst(Generator):
    """Hands out the arrays it was given, so that both sides start from the same noise, then draws."""

    def __init__(self, arrays):
        super().__init__()
        self.given = iter(arrays)

    def normal(self, *args, **settings):
        given = next(self.given, None)
        return super().normal(*args, **settings) if given is None else given

    def uniform(self, *args, **settings):
        given = next(self.given, None)
        return super().uniform(*args, **settings) if given is None else given


def channels_last(batch):
    """Images in the memory order that `minigan.data` gives them in; points as they are."""
    if batch.ndim != 4:
        return batch
    return np.ascontiguousarray(batch.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
