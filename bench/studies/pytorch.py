"""DCGAN and WGAN-GP in PyTorch, as a study compares them with minigan's: the same first weights, batches,
settings and number of steps, with noise of PyTorch's own. Needs the extra `bench`.

    python -m bench.studies.pytorch MODEL --data mnist --seed 0 --out FOLDER [--width 32 …]

Writes FOLDER/samples.npz: 10,000 samples of the generator, or of its moving average.
"""

import copy
import itertools
import json
import os
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from cyclopts import App, Parameter

from minigan import Generator, data
from minigan.cli import call
from minigan.environment import processors
from minigan.errors import MiniganError, did_you_mean
from minigan.files import write_npz
from minigan.gans import model_named
from minigan.gans.parts.penalties import EPS

os.environ.setdefault("OMP_NUM_THREADS", str(processors()))  # which `torch_side` asks for
from minigan.speed import torch_side

SAMPLES = 10_000
SETTINGS = "steps", "batch_size", "width", "latent", "lr", "lr_d", "beta1", "beta2", "n_critic", "penalty"
app = App(name="python -m bench.studies.pytorch", version_flags=[])


@app.default
def main(
    model: Literal["dcgan", "wgan-gp"],
    *,
    out: Path,
    data: str = "mnist",
    data_dir: Path | None = None,
    seed: int = 0,
    ema: float = 0.0,
    **settings: Annotated[str, Parameter(help="A setting of the model's Config: --width 32.")],
):
    """Train MODEL in PyTorch, with `minigan.gans`' settings but for those given."""
    settings = {name.replace("-", "_"): number(text) for name, text in settings.items()}
    cfg, dataset, nets = prepared(model, data, data_dir, seed, settings)
    torch.manual_seed(seed)
    batches = tensors(dataset, cfg, seed)
    loop = {"dcgan": dcgan_loop, "wgan-gp": wgan_gp_loop}[model](*nets, batches, cfg)
    average = copy.deepcopy(nets[0])
    for step, losses in enumerate(itertools.islice(loop, cfg.steps)):
        follow(average, nets[0], min(ema, (1 + step) / (10 + step)))
        if step % 100 == 0:
            print(step, " ".join(f"{name} {value.item():.3f}" for name, value in losses.items()), flush=True)
    out.mkdir(parents=True, exist_ok=True)
    write_npz(out / "samples.npz", samples=drawn(average.eval(), cfg))


def number(text):
    try:
        return json.loads(text)
    except ValueError:
        raise MiniganError(f"the settings are numbers, got {text!r}") from None


def prepared(model, name, data_dir, seed, settings):
    """The settings, the data and both networks, with the first weights of minigan's run of this seed."""
    minigans = model_named(model)
    known = [field.name for field in fields(minigans.Config) if field.name in SETTINGS]
    for setting in settings:
        if setting not in known:
            raise MiniganError(f"{model} has no setting {setting!r} here; {did_you_mean(setting, known)}")
    dataset = data.load(name, None, data_dir)
    cfg = minigans.Config(**settings).fitted(dataset.fields)
    dataset = dataset.to_size(cfg.size)
    weights_rng = Generator(seed).spawn()  # as a `Session` draws
    parts = minigans.parts(cfg, dataset.fields, weights_rng)
    job = {"shape": dataset.shape, "settings": {"width": cfg.width, "latent": cfg.latent}}
    norm = torch.nn.BatchNorm2d if model == "dcgan" else torch_side.instance_norm
    nets = torch_side.dcgan_generator(job), torch_side.dcgan_discriminator(job, norm)
    for net, own in zip(nets, (parts["G"], parts["D"]), strict=True):
        net.load_state_dict(
            {key: torch.from_numpy(a.copy()) for key, a in own.state_dict().items()}, strict=False
        )
        net.to(memory_format=torch.channels_last)
    return cfg, dataset, nets


def tensors(dataset, cfg, seed):
    """The batches that minigan's run of this seed is given."""
    for batch in data.Batches(dataset, cfg.batch_size, seed):
        yield torch.from_numpy(batch)


def dcgan_loop(G, D, batches, cfg):
    nets = {"G": G, "D": D}
    optimizers = {name: adam(name, net, cfg) for name, net in nets.items()}
    targets = torch.ones(cfg.batch_size, 1), torch.zeros(cfg.batch_size, 1)
    for real in batches:
        z = noise(cfg, len(real))
        yield torch_side.gan_step(nets, optimizers, targets, torch_side.G_STEP[0], z, real)


def wgan_gp_loop(G, D, batches, cfg):
    opt_g, opt_d = (adam(*named, cfg) for named in (("G", G), ("D", D)))
    job = {"settings": asdict(cfg), "eps": EPS}
    for i, real in enumerate(batches, start=1):
        with torch.no_grad():
            fake = G(noise(cfg, len(real)))
        losses = torch_side.critic_step(job, D, opt_d, torch.rand(len(real), 1, 1, 1), real, fake)
        if i % cfg.n_critic == 0:
            g_loss = -D(G(noise(cfg, len(real)))).mean()
            take(opt_g, g_loss)
            yield {"d_loss": losses["d_loss"], "g_loss": g_loss}


def adam(name, net, cfg):
    return torch_side.adam(name, net, {"settings": asdict(cfg)}, fused=True)


def take(optimizer, loss):
    """One step, along the gradient in the optimiser's own parameters alone."""
    params = optimizer.param_groups[0]["params"]
    for p, g in zip(params, torch.autograd.grad(loss, params), strict=True):
        p.grad = g
    optimizer.step()


def noise(cfg, n):
    return torch.randn(n, cfg.latent)


@torch.no_grad()
def follow(average, net, decay):
    """As `minigan.optim.ExponentialMovingAverage`."""
    for mine, its in zip(average.parameters(), net.parameters(), strict=True):
        mine.lerp_(its, 1 - decay)
    for mine, its in zip(average.buffers(), net.buffers(), strict=True):
        mine.copy_(its)


@torch.no_grad()
def drawn(G, cfg):
    """float32 (SAMPLES, C, H, W)."""
    return np.concatenate([G(noise(cfg, 500)).numpy() for _ in range(SAMPLES // 500)])


if __name__ == "__main__":
    sys.exit(call(app, None))
