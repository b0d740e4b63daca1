"""InfoGAN beside its twin in PyTorch, over ten steps in float64."""

import math

import numpy as np
import pytest

from minigan import Generator
from minigan.gans import model_named
from minigan.speed.steps import fields_of
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
tnn, pytestmark = torch.nn, pytest.mark.torch
STEPS, N, LATENT, K, C, WIDTH, UNITS = 10, 8, 4, 3, 2, 2, 32


class Drawn:
    """Random numbers that were drawn before."""

    def __init__(self, normal, integers, uniform):
        self.given = {"normal": iter(normal), "integers": iter(integers), "uniform": iter(uniform)}

    def normal(self, shape):
        return next(self.given["normal"])

    def uniform(self, shape, low, high):
        assert (low, high) == (-1, 1)
        return next(self.given["uniform"])

    def integers(self, low, high, shape):
        assert (low, high) == (0, K)
        return next(self.given["integers"])


class Judge(tnn.Module):
    def __init__(self):
        super().__init__()
        self.body = tnn.Sequential(
            tnn.Conv2d(1, WIDTH, 4, stride=2, padding=1),
            tnn.LeakyReLU(0.1),
            tnn.Conv2d(WIDTH, 2 * WIDTH, 4, stride=2, padding=1, bias=False),
            tnn.BatchNorm2d(2 * WIDTH),
            tnn.LeakyReLU(0.1),
            tnn.Flatten(),
            tnn.Linear(2 * WIDTH * 16, UNITS, bias=False),
            tnn.BatchNorm1d(UNITS),
            tnn.LeakyReLU(0.1),
        )
        self.real = tnn.Sequential(tnn.Linear(UNITS, 1))


def networks(spread):
    G = tnn.Sequential(
        tnn.Linear(LATENT + K + C, UNITS, bias=False),
        tnn.BatchNorm1d(UNITS),
        tnn.ReLU(),
        tnn.Linear(UNITS, 2 * WIDTH * 16, bias=False),
        tnn.BatchNorm1d(2 * WIDTH * 16),
        tnn.ReLU(),
        tnn.Unflatten(1, (2 * WIDTH, 4, 4)),
        tnn.ConvTranspose2d(2 * WIDTH, WIDTH, 4, stride=2, padding=1, bias=False),
        tnn.BatchNorm2d(WIDTH),
        tnn.ReLU(),
        tnn.ConvTranspose2d(WIDTH, 1, 4, stride=2, padding=1),
        tnn.Tanh(),
    )
    said = K + C * (2 if spread == "learned" else 1)
    Q = tnn.Sequential(
        tnn.Linear(UNITS, 128, bias=False), tnn.BatchNorm1d(128), tnn.LeakyReLU(0.1), tnn.Linear(128, said)
    )
    return {"G": G, "D": Judge(), "Q": Q}


@pytest.mark.slow
@pytest.mark.parametrize("spread", ["learned", "unit"])
def test_ten_steps_are_those_of_a_twin_in_pytorch(spread):
    model, rng = model_named("infogan"), Generator(0)
    cfg = model.Config(
        latent=LATENT, categories=K, codes=C, width=WIDTH, batch_size=N, spread=spread, weight_codes=0.3
    )
    parts = model.parts(cfg, fields_of((1, 16, 16)), rng)
    nets = {name: net.double() for name, net in networks(spread).items()}
    for name, net in nets.items():
        parts[name].to(np.float64)
        state = {k: torch.from_numpy(a.copy()) for k, a in parts[name].state_dict().items()}
        assert not net.load_state_dict(state, strict=False).unexpected_keys
    data = [rng.uniform((N, 1, 16, 16), -1, 1, np.float64) for _ in range(STEPS)]
    z = [rng.normal((N, LATENT), dtype=np.float64) for _ in range(STEPS)]
    category = [rng.integers(0, K, N) for _ in range(STEPS)]
    codes = [rng.uniform((N, C), -1, 1, np.float64) for _ in range(STEPS)]

    G, D, Q = nets.values()
    lr_g, lr_d = cfg.rates
    opt_g = torch.optim.Adam(G.parameters(), lr=lr_g, betas=cfg.betas)
    opt_d = torch.optim.Adam([*D.parameters(), *Q.parameters()], lr=lr_d, betas=cfg.betas)
    bce = tnn.functional.binary_cross_entropy_with_logits

    def told(fake, k, c):
        h = D.body(fake)
        said = Q(h)
        of_category = math.log(K) - tnn.functional.cross_entropy(said[:, :K], k)
        mean = said[:, K : K + C]
        deviation = torch.exp(0.5 * said[:, K + C :]) if spread == "learned" else torch.ones_like(mean)
        density = torch.distributions.Normal(mean, deviation).log_prob(c).sum(1).mean()
        return D.real(h), of_category, C * math.log(2) + density

    loop = model.train(parts, iter(data), Drawn(z, category, codes), cfg)
    for step, (seen, x, noise, k, c) in enumerate(zip(loop, data, z, category, codes, strict=True)):
        noise, k, c = (torch.from_numpy(a) for a in (noise, k, c))
        fake = G(torch.cat([noise, tnn.functional.one_hot(k, K).double(), c], 1))
        d_real = D.real(D.body(torch.from_numpy(x)))
        d_fake, of_category, of_codes = told(fake.detach(), k, c)
        d_loss = bce(d_real, torch.ones_like(d_real)) + bce(d_fake, torch.zeros_like(d_fake))
        opt_d.zero_grad()
        (d_loss - of_category - 0.3 * of_codes).backward()
        opt_d.step()
        says, of_category, of_codes = told(fake, k, c)
        g_loss = bce(says, torch.ones_like(says))
        opt_g.zero_grad()
        (g_loss - of_category - 0.3 * of_codes).backward()
        opt_g.step()
        expected = {"d_loss": d_loss, "g_loss": g_loss, "category_information": of_category}
        for name, value in (expected | {"codes_information": of_codes}).items():
            assert seen[name].item() == pytest.approx(value.item(), rel=1e-8), (step, name)
    for name, net in nets.items():
        for key, array in parts[name].state_dict().items():
            assert_close(array, net.state_dict()[key].numpy(), rtol=1e-8, atol=1e-8)
