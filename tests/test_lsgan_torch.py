"""LSGAN's loop against the same written in PyTorch: ten steps, number by number, in float64."""

import numpy as np
import pytest
from given import GivenFirst
from threadpoolctl import threadpool_limits

from minigan import Generator
from minigan.gans.model import networks, numbers_of
from minigan.gans.noise import lsgan
from minigan.speed.steps import fields_of
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
tnn = torch.nn
pytestmark = pytest.mark.torch

STEPS, N, LATENT = 10, 8, 6


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Products as small as these only make threads wait for each other."""
    with threadpool_limits(1):
        yield


def image_networks(norm_g=True, norm_d=True):
    """For images of one channel and 16 pixels a side, width 8."""

    def up(n, m, *window):
        layer = tnn.ConvTranspose2d(n, m, 4, *window, bias=not norm_g)
        return [layer, tnn.BatchNorm2d(m), tnn.ReLU()] if norm_g else [layer, tnn.ReLU()]

    middle = tnn.Conv2d(8, 16, 4, 2, 1, bias=not norm_d)
    G = tnn.Sequential(
        tnn.Unflatten(1, (LATENT, 1, 1)),
        *up(LATENT, 16),
        *up(16, 8, 2, 1),
        tnn.ConvTranspose2d(8, 1, 4, 2, 1),
        tnn.Tanh(),
    )
    D = tnn.Sequential(
        tnn.Conv2d(1, 8, 4, 2, 1),
        tnn.LeakyReLU(0.2),
        *([middle, tnn.BatchNorm2d(16)] if norm_d else [middle]),
        tnn.LeakyReLU(0.2),
        tnn.Conv2d(16, 1, 4),
        tnn.Flatten(),
    )
    return G, D


def point_networks():
    def mlp(n, m, activation):
        return tnn.Sequential(
            tnn.Linear(n, 128), activation, tnn.Linear(128, 128), activation, tnn.Linear(128, m)
        )

    return mlp(LATENT, 2, tnn.ReLU()), mlp(2, 1, tnn.LeakyReLU(0.2))


@pytest.mark.parametrize(
    ("shape", "settings", "theirs"),
    [
        ((1, 16, 16), {}, image_networks),
        ((1, 16, 16), {"batch_norm": "G", "a": -1, "b": 1, "c": 0}, lambda: image_networks(norm_d=False)),
        ((1, 16, 16), {"batch_norm": "none"}, lambda: image_networks(False, False)),
        ((2,), {"a": -1.0, "b": 1.0, "c": 0.0}, point_networks),
    ],
    ids=["images", "norm-in-g", "no-norm", "points"],
)
def test_ten_steps_are_those_of_a_twin_in_pytorch(shape, settings, theirs):
    cfg, rng = lsgan.Config(latent=LATENT, width=8, **settings), Generator(0)
    data = [rng.uniform((N, *shape), -1, 1, np.float64) for _ in range(STEPS)]
    noise = [rng.normal((N, LATENT), dtype=np.float64) for _ in range(STEPS)]
    parts = lsgan.parts(cfg, fields_of(shape), rng)
    G, D = theirs()
    for ours, its in zip(networks(parts).values(), (G, D), strict=True):
        ours.to(np.float64)
        its.double().load_state_dict({k: torch.from_numpy(a.copy()) for k, a in ours.state_dict().items()})
    opt_g = torch.optim.Adam(G.parameters(), lr=cfg.lr, betas=cfg.betas)
    opt_d = torch.optim.Adam(D.parameters(), lr=cfg.lr_d, betas=cfg.betas)

    loop = lsgan.train(iter(data), GivenFirst(noise), cfg, **parts)
    for seen, real, z in zip(loop, data, noise, strict=True):
        fake = G(torch.from_numpy(z))
        d_real, d_fake = D(torch.from_numpy(real)), D(fake.detach())
        d_loss = 0.5 * ((d_real - cfg.b) ** 2).mean() + 0.5 * ((d_fake - cfg.a) ** 2).mean()
        opt_d.zero_grad()
        d_loss.backward()
        opt_d.step()
        g_loss = 0.5 * ((D(fake) - cfg.c) ** 2).mean()
        opt_g.zero_grad()
        g_loss.backward()
        opt_g.step()
        expected = {"d_loss": d_loss, "g_loss": g_loss, "d_real": d_real.mean(), "d_fake": d_fake.mean()}
        found, _ = numbers_of(seen, critic=True)
        assert found == pytest.approx({name: x.item() for name, x in expected.items()}, rel=1e-8)
    for ours, its in zip(networks(parts).values(), (G, D), strict=True):
        theirs_now = its.state_dict()
        for name, array in ours.state_dict().items():
            assert_close(array, theirs_now[name].numpy(), rtol=1e-8, atol=1e-8)
