"""WaveGAN's loop against the same written in PyTorch: ten steps, number by number, in float64."""

import numpy as np
import pytest
from given import GivenFirst
from threadpoolctl import threadpool_limits

from minigan import Generator
from minigan.data import Field, Fields
from minigan.gans.model import networks, numbers_of
from minigan.gans.parts.penalties import EPS
from minigan.gans.time import wavegan
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
tnn = torch.nn
tF = tnn.functional
pytestmark = pytest.mark.torch

STEPS, N, LATENT, K, LENGTH, WIDTH = 10, 6, 5, 3, 256, 2


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Products as small as these only make threads wait for each other."""
    with threadpool_limits(1):
        yield


class Made(tnn.Module):
    def __init__(self, told):
        super().__init__()
        self.told = told
        self.net = tnn.Sequential(
            tnn.Linear(LATENT + K * told, 2 * WIDTH * 16),
            tnn.Unflatten(1, (2 * WIDTH, 16)),
            tnn.ReLU(),
            tnn.ConvTranspose1d(2 * WIDTH, WIDTH, 25, 4, 11, 1),
            tnn.ReLU(),
            tnn.ConvTranspose1d(WIDTH, 1, 25, 4, 11, 1),
            tnn.Tanh(),
        )

    def forward(self, z, labels):
        return self.net(torch.cat([z, tF.one_hot(labels, K).to(z.dtype)], 1) if self.told else z)


class Judge(tnn.Module):
    """shuffle: what moves the samples between the two layers."""

    def __init__(self, told, shuffle):
        super().__init__()
        self.shuffle = shuffle
        self.first, self.second = tnn.Conv1d(1, WIDTH, 25, 4, 11), tnn.Conv1d(WIDTH, 2 * WIDTH, 25, 4, 11)
        inner = 2 * WIDTH * 16
        self.said = tnn.Linear(inner, 1)
        self.of_class = tnn.Linear(K, inner, bias=False) if told else None

    def forward(self, x, labels):
        h = self.shuffle(tF.leaky_relu(self.first(x), 0.2))
        h = tF.leaky_relu(self.second(h), 0.2).flatten(1)
        said = self.said(h)
        return said if self.of_class is None else said + (self.of_class.weight.T[labels] * h).sum(1, True)


NAMES = {"first": "features.0", "second": "features.3", "said": "said.0", "of_class": "of_class"}


def mirrored(starts):
    """Moves samples by the next of the numbers that are given: from 0, for two steps to the right, to 4."""

    def shuffle(h):
        k, L = torch.from_numpy(np.floor(next(starts)).astype(int)), h.shape[2]
        padded = tF.pad(h, (2, 2), "reflect")
        return torch.stack([row[:, a : a + L] for row, a in zip(padded, k, strict=True)])

    return shuffle


@pytest.mark.slow
@pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
@pytest.mark.parametrize("loss", ["wgan-gp", "bce"])
def test_ten_steps_are_those_of_a_twin_in_pytorch(loss, told):
    fields = {"sound": Field("sound", (1, LENGTH), rate=1000)}
    data_fields = Fields(fields | ({"label": Field("label", (), K)} if told else {}))
    cfg = wavegan.Config(latent=LATENT, width=WIDTH, batch_size=N, loss=loss, steps=20).fitted(data_fields)
    rng, penalised = Generator(0), loss == "wgan-gp"
    data = [(rng.uniform((N, 1, LENGTH), -1, 1, np.float64), rng.integers(0, K, N)) for _ in range(STEPS)]
    noise, moves, points = (
        [],
        [],
        [],
    )  # noise of both networks' steps; starts of D's calls; the points between
    drawn = []  # all of it in the order in which the loop draws
    for _ in range(STEPS):
        for judging in (True, False):
            noise.append(rng.normal((N, LATENT), dtype=np.float64))
            calls = (3 if penalised else 2) if judging else 1
            starts = [rng.uniform((N,), 0, 5, np.float64) for _ in range(calls)]
            u = [rng.uniform((N, 1, 1), dtype=np.float64)] if judging and penalised else []
            moves += starts
            points += u
            order = [*starts[:2], *u, *starts[2:]]
            drawn += [noise[-1], *order]
    parts = wavegan.parts(cfg, data_fields, rng)
    G, D = Made(told), Judge(told, mirrored(iter(moves)))
    state_g, state_d = (net.to(np.float64).state_dict() for net in networks(parts).values())
    G.double().load_state_dict(
        {k if told else f"net.{k}": torch.from_numpy(a.copy()) for k, a in state_g.items()}
    )
    D.double().load_state_dict(
        {
            k: torch.from_numpy(state_d[f"{NAMES[k.split('.')[0]]}.{k.split('.')[1]}"].copy())
            for k in D.state_dict()
        }
    )
    opt_g = torch.optim.Adam(G.parameters(), lr=cfg.lr, betas=cfg.betas)
    opt_d = torch.optim.Adam(D.parameters(), lr=cfg.lr, betas=cfg.betas)
    rates = [torch.optim.lr_scheduler.LambdaLR(opt, lambda n: 1 - n / 20) for opt in (opt_g, opt_d)]
    bce = tF.binary_cross_entropy_with_logits
    noise, points = iter(noise), iter(points)

    loop = wavegan.train(iter(data if told else [x for x, _ in data]), GivenFirst(drawn), cfg, **parts)
    for seen, (x, y) in zip(loop, data, strict=True):
        real, labels = torch.from_numpy(x), torch.from_numpy(y)
        fake = G(torch.from_numpy(next(noise)), labels).detach()
        d_real, d_fake = D(real, labels), D(fake, labels)
        if penalised:
            u = torch.from_numpy(next(points))
            between = (u * real + (1 - u) * fake).requires_grad_()
            (slope,) = torch.autograd.grad(D(between, labels).sum(), between, create_graph=True)
            penalty = (((slope.flatten(1) ** 2).sum(1) + EPS).sqrt() - 1).square().mean()
            wasserstein = d_real.mean() - d_fake.mean()
            d_loss = 10 * penalty - wasserstein
            expected = {"wasserstein": wasserstein, "penalty": penalty}
            expected |= {"d_real": d_real.mean(), "d_fake": d_fake.mean()}
        else:
            d_loss = bce(d_real, torch.ones_like(d_real)) + bce(d_fake, torch.zeros_like(d_fake))
            expected = {"d_real": d_real.sigmoid().mean(), "d_fake": d_fake.sigmoid().mean()}
        opt_d.zero_grad()
        d_loss.backward()
        opt_d.step()
        said = D(G(torch.from_numpy(next(noise)), labels), labels)
        g_loss = -said.mean() if penalised else bce(said, torch.ones_like(said))
        opt_g.zero_grad()
        g_loss.backward()
        opt_g.step()
        for rate in rates:
            rate.step()
        expected |= {"d_loss": d_loss, "g_loss": g_loss}
        found, _ = numbers_of(seen, critic=penalised)
        assert found == pytest.approx({k: v.item() for k, v in expected.items()}, rel=1e-8)
    for name, array in networks(parts)["G"].state_dict().items():
        assert_close(array, G.state_dict()[name if told else f"net.{name}"].numpy(), rtol=1e-8, atol=1e-8)
    ours = networks(parts)["D"].state_dict()
    for name, array in D.state_dict().items():
        layer, what = name.split(".")
        assert_close(ours[f"{NAMES[layer]}.{what}"], array.numpy(), rtol=1e-8, atol=1e-8)
