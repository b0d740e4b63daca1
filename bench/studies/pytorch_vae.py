"""The VAE in PyTorch, as a study compares it with minigan's: the same first weights, batches, settings and
number of steps, with noise of PyTorch's own. Needs the extra `bench`.

    python -m bench.studies.pytorch_vae --data mnist --seed 0 --out FOLDER [--hidden 200 --draws 5 …]

Writes FOLDER/samples.npz: 10,000 samples of the decoder, and what minigan measures of the trained networks on
held-out images, as `minigan evaluate` does of its own run: the same images, the same noise.
"""

import json
import math
import sys
from dataclasses import fields
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from cyclopts import App, Parameter
from torch import nn

from minigan.cli import call
from minigan.errors import MiniganError, did_you_mean
from minigan.files import write_npz
from minigan.gans import model_named
from minigan.training import Options, Session

SAMPLES = 10_000
VAE = model_named("vae")
app = App(name="python -m bench.studies.pytorch_vae", version_flags=[])


@app.default
def main(
    *,
    out: Path,
    data: str = "mnist",
    data_dir: Path | None = None,
    seed: int = 0,
    **settings: Annotated[str, Parameter(help="A setting of the model's Config: --hidden 200.")],
):
    """Train a VAE in PyTorch, with `minigan.gans`' settings but for those given."""
    session, encoder, decoder = prepared(data, data_dir, seed, settings)
    torch.manual_seed(seed)
    trained = losses(encoder, decoder, map(torch.from_numpy, session.batches), session.cfg)
    for step, loss in zip(range(session.cfg.steps), trained, strict=False):
        if step % 1000 == 0:
            print(step, f"loss {loss.item():.3f}", flush=True)
    for name, net in {"encoder": encoder, "decoder": decoder}.items():
        session.parts[name].load_state_dict({k: a.numpy() for k, a in net.state_dict().items()})
    out.mkdir(parents=True, exist_ok=True)
    write_npz(out / "samples.npz", samples=session.sampler(SAMPLES, seed=0), **measured(session))


def prepared(name, data_dir, seed, settings):
    """minigan's session of this seed, which has not taken a step, and its two networks in PyTorch."""
    known = [field.name for field in fields(VAE.Config)]
    given = {key.replace("-", "_"): told(text) for key, text in settings.items()}
    for setting in given:
        if setting not in known:
            raise MiniganError(f"vae has no setting {setting!r}; {did_you_mean(setting, known)}")
    session = Session(VAE, Options(data=name, data_dir=data_dir, seed=seed), VAE.Config(**given))
    cfg, pixels = session.cfg, math.prod(session.fields.shape)
    if cfg.likelihood != "bernoulli":
        raise MiniganError("the pixels of the VAE in PyTorch are coins: likelihood = 'bernoulli'")
    encoder = nn.Sequential(nn.Flatten(), *layers(pixels, cfg, 2 * cfg.latent))
    decoder = nn.Sequential(*layers(cfg.latent, cfg, pixels), nn.Unflatten(1, session.fields.shape))
    for key, net in {"encoder": encoder, "decoder": decoder}.items():
        state = session.parts[key].state_dict()
        net.load_state_dict({k: torch.from_numpy(a.copy()) for k, a in state.items()})
    return session, encoder, decoder


def told(text):
    """A number, true or false, or a word."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def layers(n, cfg, m):
    """Hidden layers between n and m numbers."""
    for _ in range(cfg.layers):
        yield from (nn.Linear(n, cfg.hidden), {"relu": nn.ReLU, "tanh": nn.Tanh}[cfg.activation]())
        n = cfg.hidden
    yield nn.Linear(n, m)


def losses(encoder, decoder, batches, cfg):
    """Trains step by step. Yields the negative bound of each batch."""
    opt = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=cfg.lr)
    falls = torch.optim.lr_scheduler.ExponentialLR(opt, ((cfg.lr_last or cfg.lr) / cfg.lr) ** (1 / cfg.steps))
    for step, x in enumerate(batches):
        coins = 0.5 * (x + 1)
        if cfg.centred and not step:
            mean = coins.mean(0).flatten().clip(0.01, 0.99)
            decoder[-2].bias.data[...] = torch.log(mean / (1 - mean))
        if cfg.binarise:
            coins = (uniform(x) < coins).float()
        loss = negative_bound(encoder, decoder, coins, noise(cfg, len(x)))
        opt.zero_grad()
        loss.backward()
        opt.step()
        falls.step()
        yield loss.detach()


def negative_bound(encoder, decoder, coins, noise):
    """Of images from 0 to 1, for noise (draws, N, latent): by the divergence's formula for one code an image,
    by importance weights for several."""
    mean, log_var = encoder(2 * coins - 1).chunk(2, 1)
    z = mean + torch.exp(0.5 * log_var) * noise
    logits = decoder(z.flatten(0, 1)).unflatten(0, z.shape[:2])
    likely = -nn.functional.binary_cross_entropy_with_logits(
        logits, coins.expand_as(logits), reduction="none"
    )
    likely = likely.flatten(2).sum(2)
    if len(noise) == 1:
        kl = 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(1)
        return (kl - likely[0]).mean()
    log_w = likely + 0.5 * (noise**2 + log_var - z**2).sum(2)
    return -(torch.logsumexp(log_w, 0) - math.log(len(noise))).mean()


def noise(cfg, n):
    return torch.randn(cfg.draws, n, cfg.latent)


def uniform(x):
    return torch.rand(x.shape)


def measured(session):
    """The model's `numbers` of the networks as they are, as an archive has them."""
    held_out = session.options.held_out(session.cfg.size)
    found = session.sampler.call("numbers", 0, data=held_out)
    pairs = {name: v if isinstance(v, tuple) else (v, len(held_out)) for name, v in found.items()}
    return {f"number.{name}": np.array(pair, np.float64) for name, pair in pairs.items()}


if __name__ == "__main__":
    sys.exit(call(app, None))
