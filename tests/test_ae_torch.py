"""The autoencoder's loop against the same written in PyTorch: ten steps, number by number, in float64."""

import itertools

import numpy as np
import pytest
from given import GivenFirst
from threadpoolctl import threadpool_limits

from minigan import Generator
from minigan.gans import model_named
from minigan.gans.parts.fitted import RATE
from minigan.speed.steps import fields_of
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
tnn = torch.nn
pytestmark = pytest.mark.torch

STEPS, N, LATENT, SHAPE = 10, 8, 3, (2, 4, 4)
AE = model_named("ae")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Products as small as these only make threads wait for each other."""
    with threadpool_limits(1):
        yield


def coders(cfg):
    kind = {"relu": tnn.ReLU, "tanh": tnn.Tanh}[cfg.activation]

    def layers(*widths):
        found = [layer for a, b in itertools.pairwise(widths) for layer in (tnn.Linear(a, b), kind())]
        return found[:-1]

    hidden = [6] * cfg.layers
    encoder = tnn.Sequential(tnn.Flatten(), *layers(32, *hidden, LATENT))
    return encoder.double(), tnn.Sequential(*layers(LATENT, *hidden, 32), tnn.Unflatten(1, SHAPE)).double()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"layers": 0, "sparse": 0.3},
        {"layers": 2, "activation": "tanh", "error": "bernoulli", "masked": 0.3},
    ],
    ids=["default", "linear-sparse", "deep-masked-coins"],
)
def test_ten_steps_are_those_of_a_twin_in_pytorch(settings):
    cfg = AE.Config(batch_size=N, latent=LATENT, hidden=6, lr=1e-2, **settings)
    rng = Generator(0)
    parts = AE.parts(cfg, fields_of(SHAPE), rng)
    data = [rng.uniform((N, *SHAPE), -1, 1, np.float64) for _ in range(STEPS)]
    coins = [rng.uniform((N, 1, 4, 4), dtype=np.float64) for _ in range(STEPS)]
    theirs = dict(zip(("encoder", "decoder"), coders(cfg), strict=True))
    for name, net in theirs.items():
        parts[name].to(np.float64)
        net.load_state_dict({k: torch.from_numpy(a.copy()) for k, a in parts[name].state_dict().items()})
    parts["prior"].to(np.float64)
    opt = torch.optim.Adam([p for net in theirs.values() for p in net.parameters()], lr=1e-2)
    mean, covariance = np.zeros(LATENT), np.eye(LATENT)

    loop = AE.train(parts, iter(data), GivenFirst(coins), cfg)
    for seen, x, coin in zip(loop, data, coins, strict=True):
        shown = np.where(coin < cfg.masked, -1.0, x)
        x = torch.from_numpy(x)
        codes = theirs["encoder"](torch.from_numpy(shown))
        out = theirs["decoder"](codes)
        if cfg.error == "bernoulli":
            far = tnn.functional.binary_cross_entropy_with_logits(out, (x + 1) / 2, reduction="sum") / N
        else:
            far = ((out - x) ** 2).sum() / N
        loss = far + cfg.sparse * codes.abs().sum() / N
        opt.zero_grad()
        loss.backward()
        opt.step()
        z = codes.detach().numpy()
        mean += RATE * (z.mean(axis=0) - mean)
        covariance += RATE * (np.cov(z.T) - covariance)
        assert seen["loss"].item() == pytest.approx(loss.item(), rel=1e-8)
        assert seen["error"].item() == pytest.approx(far.item(), rel=1e-8)
    for name, net in theirs.items():
        for key, array in net.state_dict().items():
            assert_close(parts[name].state_dict()[key], array.numpy(), rtol=1e-8, atol=1e-8)
    assert_close(parts["prior"].mean, mean, rtol=1e-8, atol=1e-8)
    assert_close(parts["prior"].covariance, covariance, rtol=1e-8, atol=1e-8)
