"""The models' training loops against the same written in PyTorch: ten steps, number by number.

Both start from the same weights and see the same noise and batches. The networks are spelled out
layer by layer, so that nothing of what `networks` builds is taken on trust.
"""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from minigan import Generator, Tensor
from minigan.gans import dcgan, gan
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
tnn = torch.nn
pytestmark = pytest.mark.torch

STEPS, LATENT = 10, 6


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Products as small as these only make threads wait for each other."""
    with threadpool_limits(1):
        yield


def dcgan_networks():
    """For images of one channel and 16 pixels a side, width 8."""
    G = tnn.Sequential(
        tnn.Unflatten(1, (LATENT, 1, 1)),
        tnn.ConvTranspose2d(LATENT, 16, 4, bias=False),
        tnn.BatchNorm2d(16),
        tnn.ReLU(),
        tnn.ConvTranspose2d(16, 8, 4, stride=2, padding=1, bias=False),
        tnn.BatchNorm2d(8),
        tnn.ReLU(),
        tnn.ConvTranspose2d(8, 1, 4, stride=2, padding=1),
        tnn.Tanh(),
    )
    D = tnn.Sequential(
        tnn.Conv2d(1, 8, 4, stride=2, padding=1),
        tnn.LeakyReLU(0.2),
        tnn.Conv2d(8, 16, 4, stride=2, padding=1, bias=False),
        tnn.BatchNorm2d(16),
        tnn.LeakyReLU(0.2),
        tnn.Conv2d(16, 1, 4),
        tnn.Flatten(),
    )
    return G, D


def mlp_networks():
    """For images of one channel and 4 pixels a side."""
    G = tnn.Sequential(
        tnn.Linear(LATENT, 128),
        tnn.LeakyReLU(0.2),
        tnn.Linear(128, 256),
        tnn.BatchNorm1d(256),
        tnn.LeakyReLU(0.2),
        tnn.Linear(256, 512),
        tnn.BatchNorm1d(512),
        tnn.LeakyReLU(0.2),
        tnn.Linear(512, 1024),
        tnn.BatchNorm1d(1024),
        tnn.LeakyReLU(0.2),
        tnn.Linear(1024, 16),
        tnn.Tanh(),
        tnn.Unflatten(1, (1, 4, 4)),
    )
    D = tnn.Sequential(
        tnn.Flatten(),
        tnn.Linear(16, 512),
        tnn.LeakyReLU(0.2),
        tnn.Linear(512, 256),
        tnn.LeakyReLU(0.2),
        tnn.Linear(256, 1),
    )
    return G, D


def point_networks():
    G = tnn.Sequential(
        tnn.Linear(LATENT, 128), tnn.ReLU(), tnn.Linear(128, 128), tnn.ReLU(), tnn.Linear(128, 2)
    )
    D = tnn.Sequential(
        tnn.Linear(2, 128), tnn.LeakyReLU(0.2), tnn.Linear(128, 128), tnn.LeakyReLU(0.2), tnn.Linear(128, 1)
    )
    return G, D


def train_in_torch(G, D, data, noise, lr, betas):
    """A list of the metrics of each step."""
    opt_g = torch.optim.Adam(G.parameters(), lr=lr, betas=betas)
    opt_d = torch.optim.Adam(D.parameters(), lr=lr, betas=betas)
    bce = tnn.BCEWithLogitsLoss()
    metrics = []
    for real, z in zip(data, noise, strict=True):
        fake = G(torch.from_numpy(z))

        opt_d.zero_grad()
        d_real, d_fake = D(torch.from_numpy(real)), D(fake.detach())
        d_loss = bce(d_real, torch.ones_like(d_real)) + bce(d_fake, torch.zeros_like(d_fake))
        d_loss.backward()
        opt_d.step()

        opt_g.zero_grad()
        d_of_g = D(fake)
        g_loss = bce(d_of_g, torch.ones_like(d_of_g))
        g_loss.backward()
        opt_g.step()

        metrics.append(
            {
                "d_loss": d_loss.item(),
                "g_loss": g_loss.item(),
                "d_real": torch.sigmoid(d_real).mean().item(),
                "d_fake": torch.sigmoid(d_fake).mean().item(),
            }
        )
    return metrics


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-8), (np.float32, 1e-3)], ids=["64", "32"])
@pytest.mark.parametrize(
    ("model", "shape", "settings", "their_networks"),
    [
        (dcgan, (1, 16, 16), {"width": 8}, dcgan_networks),
        (gan, (1, 4, 4), {}, mlp_networks),
        (gan, (2,), {"lr": 1e-3, "beta1": 0.8, "beta2": 0.9}, point_networks),
    ],
    ids=["dcgan", "gan", "points"],
)
def test_training_goes_as_in_pytorch(model, shape, settings, their_networks, dtype, rtol, monkeypatch):
    cfg, rng = model.Config(latent=LATENT, batch_size=8, **settings), Generator(0)
    data = [rng.uniform((8, *shape), -1, 1, dtype) for _ in range(STEPS)]
    noise = [rng.normal((8, LATENT), dtype=dtype) for _ in range(STEPS)]

    ours = [net.to(dtype) for net in model.networks(cfg, shape, rng)]
    theirs = [net.to(torch.from_numpy(data[0]).dtype) for net in their_networks()]
    for our, their in zip(ours, theirs, strict=True):
        their.load_state_dict({name: torch.from_numpy(a.copy()) for name, a in our.state_dict().items()})

    given = iter(noise)
    monkeypatch.setattr(model, "noise", lambda cfg, n, rng: Tensor(next(given)))
    found = list(model.train(*ours, *model.optimizers(cfg, *ours), iter(data), rng, cfg))
    expected = train_in_torch(*theirs, data, noise, cfg.lr, (cfg.beta1, cfg.beta2))

    assert len(found) == STEPS
    for step, (our, their) in enumerate(zip(found, expected, strict=True)):
        assert our == pytest.approx(their, rel=rtol), f"step {step}"
    for our, their in zip(ours, theirs, strict=True):
        state = their.state_dict()
        for name, array in our.state_dict().items():
            assert_close(array, state[name].numpy(), rtol=rtol, atol=rtol)
