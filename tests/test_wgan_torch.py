"""WGAN's loop against the same written in PyTorch: ten steps of G, number by number, in float64."""

import numpy as np
import pytest
from given import GivenFirst
from threadpoolctl import threadpool_limits

from minigan import Generator
from minigan.gans.model import networks, numbers_of
from minigan.gans.noise import wgan
from minigan.speed.steps import fields_of
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
tnn = torch.nn
pytestmark = pytest.mark.torch

STEPS, N, LATENT = 10, 8, 6
CRITIC = [3, 3, 2, 2, 2, 2, 2, 2, 3, 2]  # from step 23 of G on, where 500 is made to come at 31


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Products as small as these only make threads wait for each other."""
    with threadpool_limits(1):
        yield


def image_networks(norm):
    """For images of one channel and 16 pixels a side, width 8."""
    G = tnn.Sequential(
        tnn.Unflatten(1, (LATENT, 1, 1)),
        tnn.ConvTranspose2d(LATENT, 16, 4, bias=False),
        tnn.BatchNorm2d(16),
        tnn.ReLU(),
        tnn.ConvTranspose2d(16, 8, 4, 2, 1, bias=False),
        tnn.BatchNorm2d(8),
        tnn.ReLU(),
        tnn.ConvTranspose2d(8, 1, 4, 2, 1),
        tnn.Tanh(),
    )
    D = tnn.Sequential(
        tnn.Conv2d(1, 8, 4, 2, 1),
        tnn.LeakyReLU(0.2),
        *([tnn.Conv2d(8, 16, 4, 2, 1, bias=False), norm] if norm else [tnn.Conv2d(8, 16, 4, 2, 1)]),
        tnn.LeakyReLU(0.2),
        tnn.Conv2d(16, 1, 4),
        tnn.Flatten(),
    )
    return G, D


def point_networks():
    def mlp(n, m):
        hidden = [tnn.Linear(n, 512), tnn.ReLU()]
        for _ in range(2):
            hidden += [tnn.Linear(512, 512), tnn.ReLU()]
        return tnn.Sequential(*hidden, tnn.Linear(512, m))

    return mlp(LATENT, 2), mlp(2, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "settings", "theirs"),
    [
        ((1, 16, 16), {}, lambda: image_networks(tnn.BatchNorm2d(16))),
        ((1, 16, 16), {"norm": "layer", "clip": 0.05}, lambda: image_networks(tnn.GroupNorm(1, 16))),
        ((1, 16, 16), {"norm": "none", "optimizer": "adam"}, lambda: image_networks(None)),
        ((2,), {"lr": 1e-3}, point_networks),
    ],
    ids=["images", "layer-norm", "no-norm-adam", "points"],
)
def test_ten_steps_are_those_of_a_twin_in_pytorch(shape, settings, theirs, monkeypatch):
    cfg = wgan.Config(latent=LATENT, width=8, n_critic=2, n_critic_first=3, **settings)
    monkeypatch.setattr(wgan, "critic_steps", lambda cfg, step: CRITIC[step])
    rng = Generator(0)
    data = [rng.uniform((N, *shape), -1, 1, np.float64) for _ in range(sum(CRITIC))]
    noise = [rng.normal((N, LATENT), dtype=np.float64) for _ in range(sum(CRITIC) + STEPS)]
    parts = wgan.parts(cfg, fields_of(shape), rng)
    G, D = theirs()
    for ours, its in zip(networks(parts).values(), (G, D), strict=True):
        ours.to(np.float64)
        its.double().load_state_dict({k: torch.from_numpy(a.copy()) for k, a in ours.state_dict().items()})
    make = torch.optim.RMSprop if cfg.optimizer == "rmsprop" else torch.optim.Adam
    betas = {} if cfg.optimizer == "rmsprop" else {"betas": cfg.betas}
    opt_g, opt_d = (make(net.parameters(), lr=cfg.lr, **betas) for net in (G, D))

    loop = wgan.train(iter(data), GivenFirst(noise), cfg, **parts)
    reals, drawn = iter(data), (torch.from_numpy(z) for z in noise)
    for n, seen in zip(CRITIC, loop, strict=False):
        for _ in range(n):
            with torch.no_grad():
                fake = G(next(drawn))
            d_real, d_fake = D(torch.from_numpy(next(reals))).mean(), D(fake).mean()
            opt_d.zero_grad()
            (d_fake - d_real).backward()
            opt_d.step()
            with torch.no_grad():
                for p in D.parameters():
                    p.clamp_(-cfg.clip, cfg.clip)
        opt_g.zero_grad()
        g_loss = -D(G(next(drawn))).mean()
        g_loss.backward()
        opt_g.step()
        weights = torch.cat([p.detach().flatten() for p in D.parameters()])
        expected = {
            "d_loss": d_fake - d_real,
            "wasserstein": d_real - d_fake,
            "d_real": d_real,
            "d_fake": d_fake,
            "g_loss": g_loss,
            "clipped": (weights.abs() == cfg.clip).double().mean(),
        }
        found, _ = numbers_of(seen, critic=True)
        assert found == pytest.approx({k: x.item() for k, x in expected.items()}, rel=1e-8, abs=1e-12)
    assert parts["opt_g"].steps == STEPS
    for ours, its in zip(networks(parts).values(), (G, D), strict=True):
        theirs_now = its.state_dict()
        for name, array in ours.state_dict().items():
            assert_close(array, theirs_now[name].numpy(), rtol=1e-8, atol=1e-8)
