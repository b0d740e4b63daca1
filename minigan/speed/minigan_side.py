"""Training steps by minigan, on any device: the loops of `minigan.gans` themselves, driven as a run drives
them."""

import contextlib
import itertools
import platform

import numpy as np

import minigan_kernels as kernels
from minigan import Generator, Tensor, __version__, grad, graph
from minigan.backend import device
from minigan.gans import model_named
from minigan.gans.model import numbers_of, owners
from minigan.gans.noise import wgan_gp
from minigan.graph import graphs
from minigan.speed.steps import fields_of


def about():
    versions = {"minigan": __version__, "Python": platform.python_version(), "NumPy": np.__version__}
    return {"threads": kernels.num_threads(), "versions": versions}


def prepare(job):
    """The steps of a job (see `steps.job`), each with the numbers that a run logs."""
    place, model = device(job["device"]), model_named(job["model"])
    cfg, rng = model.Config(**job["settings"]), Generator(job["seed"], place)
    parts = parts_of(job, model, cfg, place)
    data, fakes = ([place.put(channels_last(a)) for a in job.get(name, ())] for name in ("data", "fakes"))
    if fakes:
        loop = critic_steps(zip(itertools.cycle(data), itertools.cycle(fakes)), rng, cfg, parts)
    else:
        loop = model.train(parts, itertools.cycle(data), rng, cfg)
    with kernels.precision(job["precision"]):
        while True:
            with place.active(), graphs(job["graph"]):
                numbers, _ = numbers_of(next(loop), model.is_critic(cfg))
            yield numbers


def parts_of(job, model, cfg, place):
    """All parts, with the job's weights, on the device."""
    # Where the steps are a GPU's, nobody waits for the CPU's kernels to be compiled.
    with kernels.engine("reference") if place.kind == "gpu" else contextlib.nullcontext():
        parts = model.parts(cfg, fields_of(job["shape"]), Generator())
        for name, weights in job["weights"].items():
            parts[name].load_state_dict(weights)
        for owner in owners(parts).values():
            if hasattr(owner, "to"):
                owner.to(place)
    return parts


def critic_steps(batches, rng, cfg, parts):
    """Steps of the critic of `wgan_gp.py` alone, on real samples and fakes that are given."""
    D, opt = parts["D"], parts["opt_d"]

    @graph
    def step(real, fake):
        real, fake, u = Tensor(real), Tensor(fake), Tensor(rng.uniform((len(real), 1, 1, 1)))
        penalty = wgan_gp.gradient_penalty(D, real, fake, u)
        d_loss = D(fake).mean() - D(real).mean() + cfg.penalty * penalty
        opt.step(grad(d_loss, opt.params))
        return {"d_loss": d_loss, "penalty": penalty}

    for real, fake in batches:
        yield step(real, fake)


def channels_last(batch):
    """Images and clips in the memory order that `minigan.data` gives them in; points as they are."""
    if batch.ndim < 4:
        return batch
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(batch, -3, -1)), -1, -3)
