"""The VAE's loop against the same written in PyTorch: ten steps, number by number, in float64."""

import itertools
import math

import numpy as np
import pytest
from given import GivenFirst
from threadpoolctl import threadpool_limits

from minigan import Generator
from minigan.gans import model_named
from minigan.speed.steps import fields_of
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
tnn = torch.nn
pytestmark = pytest.mark.torch

STEPS, N, LATENT, SHAPE = 10, 8, 3, (1, 4, 4)
VAE = model_named("vae")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Products as small as these only make threads wait for each other."""
    with threadpool_limits(1):
        yield


def coders(cfg):
    kind = {"relu": tnn.ReLU, "tanh": tnn.Tanh}[cfg.activation]

    def layers(n, m):
        widths = [n] + [6] * cfg.layers
        hidden = [layer for a, b in itertools.pairwise(widths) for layer in (tnn.Linear(a, b), kind())]
        return [*hidden, tnn.Linear(6, m)]

    encoder = tnn.Sequential(tnn.Flatten(), *layers(16, 2 * LATENT))
    return encoder.double(), tnn.Sequential(*layers(LATENT, 16), tnn.Unflatten(1, SHAPE)).double()


def log_likelihood(logits, x, log_var):
    """(N,), of coins where there is no log σ²."""
    if log_var is None:
        coins = 0.5 * (x + 1)
        bce = tnn.functional.binary_cross_entropy_with_logits(logits, coins, reduction="none")
        return -bce.flatten(1).sum(1)
    normal = torch.distributions.Normal(2 * torch.sigmoid(logits) - 1, torch.exp(0.5 * log_var))
    return normal.log_prob(x).flatten(1).sum(1)


def bounds(encoder, decoder, x, noise, log_var):
    """What each step yields, of one code by the formula of the divergence, of more by densities."""
    mean, log_q = encoder(x).chunk(2, 1)
    if noise.ndim == 2:
        z = mean + torch.exp(0.5 * log_q) * noise
        likely = log_likelihood(decoder(z), x, log_var).mean()
        kl = -0.5 * (1 + log_q - mean**2 - log_q.exp()).sum(1).mean()
        return {"loss": kl - likely, "reconstruction": -likely, "kl": kl}
    rows = []
    for eps in noise:
        z = mean + torch.exp(0.5 * log_q) * eps
        posterior = torch.distributions.Normal(mean, torch.exp(0.5 * log_q))
        prior = torch.distributions.Normal(torch.zeros_like(z), torch.ones_like(z))
        # The density of q at z, z being a function of its mean and deviation.
        ratio = prior.log_prob(z).sum(1) - posterior.log_prob(z).sum(1)
        rows.append(log_likelihood(decoder(z), x, log_var) + ratio)
    log_w = torch.stack(rows)
    weighted = torch.logsumexp(log_w, 0) - math.log(len(noise))
    return {"loss": -weighted.mean(), "loss_of_one": -log_w.mean()}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"likelihood": "gaussian"},
        {"likelihood": "gaussian", "sigma": 0.5, "draws": 2},
        {"draws": 5, "binarise": True, "layers": 2, "activation": "tanh", "lr_last": 1e-3},
    ],
    ids=["default", "gaussian", "given-sigma", "burda"],
)
def test_ten_steps_are_those_of_a_twin_in_pytorch(settings):
    small = {"batch_size": N, "latent": LATENT, "hidden": 6, "lr": 1e-2, "steps": STEPS}
    cfg = VAE.Config(**small, **settings)
    rng = Generator(0)
    parts = VAE.parts(cfg, fields_of(SHAPE), rng)
    shape = (cfg.draws,) * (cfg.draws > 1) + (N, LATENT)
    data = [rng.uniform((N, *SHAPE), -1, 1, np.float64) for _ in range(STEPS)]
    coins = [rng.uniform((N, *SHAPE), dtype=np.float64) for _ in range(STEPS)]
    noise = [rng.normal(shape, dtype=np.float64) for _ in range(STEPS)]
    given = noise if not cfg.binarise else [a for pair in zip(coins, noise, strict=True) for a in pair]

    theirs = dict(zip(("encoder", "decoder"), coders(cfg), strict=True))
    params = [p for net in theirs.values() for p in net.parameters()]
    for name, net in theirs.items():
        parts[name].to(np.float64)
        net.load_state_dict({k: torch.from_numpy(a.copy()) for k, a in parts[name].state_dict().items()})
    log_var = None
    if cfg.likelihood == "gaussian":
        own = parts["likelihood"].to(np.float64).state_dict()["log_var"]
        log_var = torch.from_numpy(own.copy()).requires_grad_(cfg.sigma is None)
        params += [log_var] * (cfg.sigma is None)
    opt = torch.optim.Adam(params, lr=1e-2)
    falls = torch.optim.lr_scheduler.ExponentialLR(opt, ((cfg.lr_last or cfg.lr) / cfg.lr) ** (1 / STEPS))

    loop = VAE.train(parts, iter(data), GivenFirst(given), cfg)
    for seen, x, coin, eps in zip(loop, data, coins, noise, strict=True):
        if cfg.binarise:
            x = np.where(coin < (x + 1) / 2, 1.0, -1.0)
        expected = bounds(*theirs.values(), torch.from_numpy(x), torch.from_numpy(eps), log_var)
        opt.zero_grad()
        expected["loss"].backward()
        opt.step()
        falls.step()
        found = {name: value.item() for name, value in seen.items()}
        assert found == pytest.approx({name: value.item() for name, value in expected.items()}, rel=1e-8)
    for name, net in theirs.items():
        for key, array in net.state_dict().items():
            assert_close(parts[name].state_dict()[key], array.numpy(), rtol=1e-8, atol=1e-8)
    if log_var is not None:
        now = parts["likelihood"].state_dict()["log_var"]
        assert_close(now, log_var.detach().numpy(), rtol=1e-8, atol=1e-8)
        assert np.array_equal(now, own) == (cfg.sigma is not None)
