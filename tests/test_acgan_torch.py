"""ACGAN's loop against the same written in PyTorch: ten steps, number by number, in float64."""

import numpy as np
import pytest
from given import GivenFirst
from threadpoolctl import threadpool_limits

from minigan import Generator
from minigan.data import Field, Fields
from minigan.gans.model import networks, numbers_of
from minigan.gans.noise import acgan
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
tnn = torch.nn
tF = tnn.functional
pytestmark = pytest.mark.torch

STEPS, N, LATENT, K = 10, 8, 6, 3


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Products as small as these only make threads wait for each other."""
    with threadpool_limits(1):
        yield


class Labelled(tnn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, z, labels):
        return self.net(torch.cat([z, tF.one_hot(labels, K).to(z.dtype)], 1))


def image_networks(pack):
    """For images of one channel and 16 pixels a side, width 8."""
    G = tnn.Sequential(
        tnn.Unflatten(1, (LATENT + K, 1, 1)),
        tnn.ConvTranspose2d(LATENT + K, 16, 4, bias=False),
        tnn.BatchNorm2d(16),
        tnn.ReLU(),
        tnn.ConvTranspose2d(16, 8, 4, 2, 1, bias=False),
        tnn.BatchNorm2d(8),
        tnn.ReLU(),
        tnn.ConvTranspose2d(8, 1, 4, 2, 1),
        tnn.Tanh(),
    )
    D = [
        tnn.Conv2d(pack, 8, 4, 2, 1),
        tnn.LeakyReLU(0.2),
        tnn.Conv2d(8, 16, 4, 2, 1, bias=False),
        tnn.BatchNorm2d(16),
        tnn.LeakyReLU(0.2),
        tnn.Conv2d(16, 1 + pack * K, 4),
        tnn.Flatten(),
    ]
    return Labelled(G), tnn.Sequential(*[tnn.Identity()] * (pack > 1), *D)


def point_networks(pack):
    def mlp(n, m, activation):
        return [tnn.Linear(n, 128), activation, tnn.Linear(128, 128), activation, tnn.Linear(128, m)]

    D = mlp(2 * pack, 1 + pack * K, tnn.LeakyReLU(0.2))
    G = tnn.Sequential(*mlp(LATENT + K, 2, tnn.ReLU()))
    return Labelled(G), tnn.Sequential(*[tnn.Identity()] * (pack > 1), *D)


@pytest.mark.slow
@pytest.mark.parametrize("pack", [1, 2])
@pytest.mark.parametrize(
    ("kind", "shape", "theirs"),
    [("image", (1, 16, 16), image_networks), ("point", (2,), point_networks)],
    ids=["images", "points"],
)
def test_ten_steps_are_those_of_a_twin_in_pytorch(kind, shape, theirs, pack):
    fields = Fields({kind: Field(kind, shape), "label": Field("label", (), K)})
    cfg, rng = acgan.Config(latent=LATENT, width=8, batch_size=N, pack=pack).fitted(fields), Generator(0)
    n = cfg.samples
    data = [(rng.uniform((n, *shape), -1, 1, np.float64), rng.integers(0, K, n)) for _ in range(STEPS)]
    noise = [rng.normal((n, LATENT), dtype=np.float64) for _ in range(STEPS)]
    parts = acgan.parts(cfg, fields, rng)
    G, D = theirs(pack)
    for ours, its in zip(networks(parts).values(), (G, D), strict=True):
        ours.to(np.float64)
        its.double().load_state_dict({k: torch.from_numpy(a.copy()) for k, a in ours.state_dict().items()})
    opt_g = torch.optim.Adam(G.parameters(), lr=cfg.lr, betas=cfg.betas)
    opt_d = torch.optim.Adam(D.parameters(), lr=cfg.lr_d, betas=cfg.betas)
    bce = tF.binary_cross_entropy_with_logits

    def said(x):
        """(logits of packs, logits of the classes of samples)."""
        out = D(torch.cat(x.chunk(pack), 1))
        return out[:, 0], torch.cat(out[:, 1:].chunk(pack, 1))

    loop = acgan.train(iter(data), GivenFirst(noise), cfg, **parts)
    for seen, (x, y), z in zip(loop, data, noise, strict=True):
        real, labels = torch.from_numpy(x), torch.from_numpy(y)
        fake = G(torch.from_numpy(z), labels)
        (d_real, c_real), (d_fake, c_fake) = said(real), said(fake.detach())
        d_loss = bce(d_real, torch.ones_like(d_real)) + bce(d_fake, torch.zeros_like(d_fake))
        class_loss = tF.cross_entropy(c_real, labels) + tF.cross_entropy(c_fake, labels)
        opt_d.zero_grad()
        (d_loss + class_loss).backward()
        opt_d.step()
        source, classes = said(fake)
        g_loss = bce(source, torch.ones_like(source)) + tF.cross_entropy(classes, labels)
        opt_g.zero_grad()
        g_loss.backward()
        opt_g.step()
        expected = {
            "d_loss": d_loss,
            "class_loss": class_loss,
            "g_loss": g_loss,
            "d_real": d_real.sigmoid().mean(),
            "d_fake": d_fake.sigmoid().mean(),
            "real_label_accuracy": (c_real.argmax(1) == labels).double().mean(),
            "made_label_accuracy": (c_fake.argmax(1) == labels).double().mean(),
        }
        found, _ = numbers_of(seen, critic=False)
        assert found == pytest.approx({k: v.item() for k, v in expected.items()}, rel=1e-8)
    for ours, its in zip(networks(parts).values(), (G, D), strict=True):
        theirs_now = its.state_dict()
        for name, array in ours.state_dict().items():
            assert_close(array, theirs_now[name].numpy(), rtol=1e-8, atol=1e-8)
