"""LAPGAN's loop against the same written in PyTorch: ten steps, number by number, in float64."""

import numpy as np
import pytest
from given import GivenFirst
from threadpoolctl import threadpool_limits

from minigan import Generator, Tensor
from minigan.gans.model import networks, numbers_of
from minigan.gans.noise import lapgan
from minigan.gans.parts import pyramid
from minigan.speed.steps import fields_of
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
tnn, tF = torch.nn, torch.nn.functional
pytestmark = pytest.mark.torch

STEPS, N, LATENT, W = 10, 6, 5, 4


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Products as small as these only make threads wait for each other."""
    with threadpool_limits(1):
        yield


def coarse_pair(C, half, window):
    G = tnn.Sequential(
        tnn.Unflatten(1, (LATENT, 1, 1)),
        *(tnn.ConvTranspose2d(LATENT, 4 * W, half, bias=False), tnn.BatchNorm2d(4 * W), tnn.ReLU()),
        *(tnn.ConvTranspose2d(4 * W, 2 * W, *window, bias=False), tnn.BatchNorm2d(2 * W), tnn.ReLU()),
        *(tnn.Conv2d(2 * W, C, 3, 1, 1), tnn.Tanh()),
    )
    D = tnn.Sequential(
        *(tnn.Conv2d(C, 2 * W, 3, 1, 1), tnn.LeakyReLU(0.2)),
        *(tnn.Conv2d(2 * W, 4 * W, *window, bias=False), tnn.BatchNorm2d(4 * W), tnn.LeakyReLU(0.2)),
        *(tnn.Conv2d(4 * W, 1, half), tnn.Flatten()),
    )
    return G, D


def fine_pair(C, last):
    G = tnn.Sequential(
        *(tnn.Conv2d(C + 1, W, 4, 2, 1), tnn.ReLU()),
        *(tnn.Conv2d(W, W, 3, 1, 1, bias=False), tnn.BatchNorm2d(W), tnn.ReLU()),
        tnn.ConvTranspose2d(W, C, 4, 2, 1),
    )
    D = tnn.Sequential(
        *(tnn.Conv2d(C, W, 4, 2, 1), tnn.LeakyReLU(0.2)),
        *(tnn.Conv2d(W, 2 * W, 4, 2, 1, bias=False), tnn.BatchNorm2d(2 * W), tnn.LeakyReLU(0.2)),
        *(tnn.Flatten(), tnn.Linear(2 * W * last**2, 1)),
    )
    return G, D


def reduced(x):
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64) / 8
    C = x.shape[1]
    return tF.conv2d(
        tF.pad(x, (1, 1, 1, 1), mode="replicate"),
        torch.outer(taps, taps).expand(C, 1, 4, 4),
        stride=2,
        groups=C,
    )


def expanded(x):
    return tF.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


@pytest.mark.parametrize("shape", [(2, 3, 24, 20), (1, 1, 8, 8)])
def test_the_pyramid_is_that_of_pytorchs_convolution_and_bilinear_interpolation(shape):
    x = Generator(0).normal(shape, dtype=np.float64)
    for ours, theirs in ((pyramid.reduced, reduced), (pyramid.expanded, expanded)):
        assert_close(ours(Tensor(x)), theirs(torch.from_numpy(x)).numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "theirs"),
    [
        ((1, 16, 16), [coarse_pair(1, 4, (4, 2, 1)), fine_pair(1, 4)]),
        ((3, 28, 28), [coarse_pair(3, 4, (3, 2, 1)), fine_pair(3, 3), fine_pair(3, 7)]),
    ],
    ids=["8-16", "7-14-28"],
)
def test_ten_steps_are_those_of_a_twin_in_pytorch(shape, theirs):
    cfg = lapgan.Config(size=shape[1], latent=LATENT, coarse_width=2 * W, width=W).fitted(fields_of(shape))
    rng = Generator(0)
    data = [rng.uniform((N, *shape), -1, 1, np.float64) for _ in range(STEPS)]
    sizes = [LATENT, *(side**2 for side in cfg.sides[1:])]
    noise = [[rng.normal((N, size), dtype=np.float64) for size in sizes] for _ in range(STEPS)]
    parts = lapgan.parts(cfg, fields_of(shape), rng)
    for name, k in (("G", 0), ("D", 1)):
        for ours, pair in zip(networks({name: parts[name]}).values(), theirs, strict=True):
            ours.to(np.float64)
            state = {key: torch.from_numpy(a.copy()) for key, a in ours.state_dict().items()}
            pair[k].double().load_state_dict(state)
    opts = [
        [
            torch.optim.Adam(net.parameters(), lr=lr, betas=(cfg.beta1, 0.999))
            for net, lr in zip(pair, rates, strict=True)
        ]
        for pair, rates in ((pair, (cfg.lr, cfg.lr_d)) for pair in theirs)
    ]
    bce = tF.binary_cross_entropy_with_logits
    given = GivenFirst([z for step in noise for z in step])
    loop = lapgan.train(iter(data), given, cfg, **parts)
    for seen, real, drawn in zip(loop, data, noise, strict=True):
        levels, expected = [torch.from_numpy(real)], {}
        for _ in cfg.sides[1:]:
            levels.append(reduced(levels[-1]))
        levels = levels[::-1]
        for k, (side, (G, D), (opt_g, opt_d)) in enumerate(zip(cfg.sides, theirs, opts, strict=True)):
            z = torch.from_numpy(drawn[k])
            if k == 0:
                fake = G(z)
            else:
                low = expanded(levels[k - 1])
                fake = low + G(torch.cat([low, z.reshape(N, 1, side, side)], 1))
            d_real, d_fake = D(levels[k]), D(fake.detach())
            d_loss = 0.5 * (bce(d_real, torch.ones_like(d_real)) + bce(d_fake, torch.zeros_like(d_fake)))
            opt_d.zero_grad()
            d_loss.backward()
            opt_d.step()
            judged = D(fake)
            g_loss = bce(judged, torch.ones_like(judged))
            opt_g.zero_grad()
            g_loss.backward()
            opt_g.step()
            expected |= {f"d{side}_loss": d_loss, f"g{side}_loss": g_loss}
            expected |= {
                f"d{side}_{what}": x.sigmoid().mean() for what, x in (("real", d_real), ("fake", d_fake))
            }
        found, _ = numbers_of(seen, critic=False)
        assert found == pytest.approx({name: x.item() for name, x in expected.items()}, rel=1e-8)
    for name, k in (("G", 0), ("D", 1)):
        for ours, pair in zip(networks({name: parts[name]}).values(), theirs, strict=True):
            state = pair[k].state_dict()
            for key, array in ours.state_dict().items():
                assert_close(array, state[key].numpy(), rtol=1e-8, atol=1e-8)
