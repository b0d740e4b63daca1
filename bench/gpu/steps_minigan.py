"""Training steps of minigan on a GPU: the loops of `minigan.gans` themselves, with or without their graph.

The first steps, whose losses are compared, are taken one at a time; then each `next` takes `bundle` steps
and waits for the device once.
"""

import itertools
import os

import minigan_kernels as kernels
from minigan import Generator, Tensor, __version__, graph
from minigan.backend import device
from minigan.bench.minigan_side import channels_last, critic_step
from minigan.bench.steps import fields_of
from minigan.gans import model_named
from minigan.gans.noise import wgan_gp
from minigan.graph import graphs

DEVICE = "gpu"


def about():
    return {"threads": int(os.environ["OMP_NUM_THREADS"]), "versions": {"minigan": __version__}}


def prepare(job):
    kernels.set_precision(job["precision"])
    steps = critic_steps(job) if job["model"] == "wgan-gp" else gan_steps(job)
    for _ in job["noise"]:
        yield numbers(take(steps, job))
    while True:
        for _ in range(job["bundle"]):
            losses = take(steps, job)
        yield numbers(losses)


def take(steps, job):
    with graphs(job["graph"]):
        return next(steps)


def gan_steps(job):
    model = model_named(job["model"])
    cfg = model.Config(**job["settings"])
    with kernels.engine("reference"):  # what happens on the CPU
        parts = model.parts(cfg, fields_of(job["shape"]), Generator())
        for name, weights in job["weights"].items():
            placed(parts[name], weights)
    data = itertools.cycle(batches(job, "data"))
    for seen in model.train(parts, data, Generator(job["seed"], DEVICE), cfg):
        yield {name: seen[name] for name in ("d_loss", "g_loss")}


def critic_steps(job):
    cfg = wgan_gp.Config(**job["settings"])
    with kernels.engine("reference"):
        parts = wgan_gp.parts(cfg, fields_of(job["shape"]), Generator())
        D, opt = placed(parts["D"], job["weights"]["D"]), parts["opt_d"]
    rng = Generator(job["seed"], DEVICE)

    @graph
    def step(real, fake):
        u = rng.uniform((len(real), 1, 1, 1))
        return critic_step(D, opt, Tensor(real), Tensor(fake), Tensor(u), cfg.penalty)

    for real, fake in itertools.cycle(zip(batches(job, "data"), batches(job, "fakes"), strict=True)):
        yield {name: value.detach() for name, value in step(real, fake).items()}


def placed(net, weights):
    net.load_state_dict(weights)
    return net.to(DEVICE)


def batches(job, name):
    return [device(DEVICE).put(channels_last(batch)) for batch in job[name]]


def numbers(losses):
    return {name: value.item() for name, value in losses.items()}
