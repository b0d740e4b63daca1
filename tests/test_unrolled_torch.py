"""The unrolled GAN beside its twin in PyTorch, over ten steps in float64."""

import numpy as np
import pytest
from given import GivenFirst

from minigan import Generator
from minigan.gans import model_named
from minigan.speed.steps import fields_of
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
tnn, pytestmark = torch.nn, pytest.mark.torch
STEPS, LATENT, N = 10, 4, 8


def point_networks():
    G = tnn.Sequential(
        tnn.Linear(LATENT, 128), tnn.ReLU(), tnn.Linear(128, 128), tnn.ReLU(), tnn.Linear(128, 2)
    )
    return G, tnn.Sequential(tnn.Linear(2, 128), tnn.ReLU(), tnn.Linear(128, 1))


def image_networks():
    G = tnn.Sequential(
        tnn.Unflatten(1, (LATENT, 1, 1)),
        tnn.ConvTranspose2d(LATENT, 4, 4, bias=False),
        tnn.BatchNorm2d(4),
        tnn.ReLU(),
        tnn.ConvTranspose2d(4, 2, 4, stride=2, padding=1, bias=False),
        tnn.BatchNorm2d(2),
        tnn.ReLU(),
        tnn.ConvTranspose2d(2, 1, 4, stride=2, padding=1),
        tnn.Tanh(),
    )
    D = tnn.Sequential(
        tnn.Conv2d(1, 2, 4, stride=2, padding=1),
        tnn.LeakyReLU(0.2),
        tnn.Conv2d(2, 4, 4, stride=2, padding=1, bias=False),
        tnn.BatchNorm2d(4),
        tnn.LeakyReLU(0.2),
        tnn.Conv2d(4, 1, 4),
        tnn.Flatten(),
    )
    return G, D


def game(d_real, d_fake):
    softplus = tnn.functional.softplus
    return softplus(-d_real).mean() + softplus(d_fake).mean()


def surrogate(D, opt_d, real, fake, steps, inner, rate, betas):
    """What D says `steps` steps ahead: Kingma and Ba's formulas in Tensors, from the moments of opt_d."""
    weights = dict(D.named_parameters())
    buffers = {name: b.clone() for name, b in D.named_buffers()}
    moments = {
        name: (opt_d.state[p]["exp_avg"].clone(), opt_d.state[p]["exp_avg_sq"].clone())
        for name, p in weights.items()
    }
    count = int(opt_d.state[next(D.parameters())]["step"])

    def said():
        return [torch.func.functional_call(D, weights | buffers, (x,)) for x in (real, fake)]

    for i in range(1, steps + 1):
        slopes = torch.autograd.grad(game(*said()), list(weights.values()), create_graph=True)
        for (name, w), g in zip(list(weights.items()), slopes, strict=True):
            if inner == "sgd":
                weights[name] = w - rate * g
                continue
            m, v = moments[name]
            moments[name] = m, v = betas[0] * m + (1 - betas[0]) * g, betas[1] * v + (1 - betas[1]) * g * g
            m_hat, v_hat = m / (1 - betas[0] ** (count + i)), v / (1 - betas[1] ** (count + i))
            weights[name] = w - rate * m_hat / (v_hat.clamp(min=1e-300).sqrt() + 1e-8)
    return said()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "networks", "settings"),
    [
        ((2,), point_networks, {"unroll": 3}),
        ((2,), point_networks, {"unroll": 2, "inner_lr": 0.01, "loss": "non-saturating"}),
        ((2,), point_networks, {"unroll": 3, "inner": "sgd", "inner_lr": 0.2}),
        ((2,), point_networks, {"unroll": 0}),
        ((1, 16, 16), image_networks, {"unroll": 2, "width": 2}),
    ],
    ids=["adam", "rate", "sgd", "none", "images"],
)
def test_ten_steps_are_those_of_a_twin_in_pytorch(shape, networks, settings):
    model, rng = model_named("unrolled"), Generator(0)
    cfg = model.Config(latent=LATENT, batch_size=N, lr=1e-3, **settings)
    data = [rng.uniform((N, *shape), -1, 1, np.float64) for _ in range(STEPS)]
    noise = [rng.normal((N, LATENT), dtype=np.float64) for _ in range(STEPS)]
    parts = model.parts(cfg, fields_of(shape), rng)
    G, D = (net.double() for net in networks())
    for name, net in {"G": G, "D": D}.items():
        parts[name].to(np.float64)
        net.load_state_dict(
            {k: torch.from_numpy(a.copy()) for k, a in parts[name].state_dict().items()}, strict=False
        )
    lr_g, lr_d = cfg.rates
    opt_g = torch.optim.Adam(G.parameters(), lr=lr_g, betas=cfg.betas)
    opt_d = torch.optim.Adam(D.parameters(), lr=lr_d, betas=cfg.betas)
    rate = lr_d if cfg.inner_lr is None else cfg.inner_lr

    loop = model.train(parts, iter(data), GivenFirst(noise), cfg)
    for step, (seen, x, z) in enumerate(zip(loop, data, noise, strict=True)):
        real, fake = torch.from_numpy(x), G(torch.from_numpy(z))
        opt_d.zero_grad()
        d_loss = game(D(real), D(fake.detach()))
        d_loss.backward()
        opt_d.step()
        ahead = surrogate(D, opt_d, real, fake, cfg.unroll, cfg.inner, rate, cfg.betas)
        g_loss = -game(*ahead) if cfg.loss == "minimax" else tnn.functional.softplus(-ahead[1]).mean()
        opt_g.zero_grad()
        g_loss.backward()
        opt_g.step()
        assert seen["d_loss"].item() == pytest.approx(d_loss.item(), rel=1e-8), step
        assert seen["g_loss"].item() == pytest.approx(g_loss.item(), rel=1e-8), step
    for name, net in {"G": G, "D": D}.items():
        for key, array in parts[name].state_dict().items():
            assert_close(array, net.state_dict()[key].numpy(), rtol=1e-8, atol=1e-8)
