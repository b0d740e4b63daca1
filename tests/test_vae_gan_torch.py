"""The VAE-GAN's loop against the same written in PyTorch: ten steps, number by number, in float64."""

import numpy as np
import pytest
from given import GivenFirst
from threadpoolctl import threadpool_limits

from minigan import Generator
from minigan.gans import model_named
from minigan.gans.model import networks, numbers_of
from minigan.speed.steps import fields_of
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
tnn = torch.nn
pytestmark = pytest.mark.torch

STEPS, N, LATENT, SHAPE = 10, 8, 3, (1, 16, 16)
MODEL = model_named("vae-gan")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Products as small as these only make threads wait for each other."""
    with threadpool_limits(1):
        yield


def down():
    return [
        tnn.Conv2d(1, 4, 4, 2, 1),
        tnn.LeakyReLU(0.2),
        tnn.Conv2d(4, 8, 4, 2, 1, bias=False),
        tnn.BatchNorm2d(8),
        tnn.LeakyReLU(0.2),
    ]


class Judge(tnn.Module):
    def __init__(self):
        super().__init__()
        self.features, self.real = tnn.Sequential(*down()), tnn.Sequential(tnn.Conv2d(8, 1, 4), tnn.Flatten())

    def forward(self, x):
        return self.real(self.features(x))


def theirs():
    encoder = tnn.Sequential(*down(), tnn.Conv2d(8, 2 * LATENT, 4), tnn.Flatten())
    decoder = tnn.Sequential(
        tnn.Unflatten(1, (LATENT, 1, 1)),
        tnn.ConvTranspose2d(LATENT, 8, 4, bias=False),
        tnn.BatchNorm2d(8),
        tnn.ReLU(),
        tnn.ConvTranspose2d(8, 4, 4, 2, 1, bias=False),
        tnn.BatchNorm2d(4),
        tnn.ReLU(),
        tnn.ConvTranspose2d(4, 1, 4, 2, 1),
        tnn.Tanh(),
    )
    return {"encoder": encoder.double(), "decoder": decoder.double(), "D": Judge().double()}


@pytest.mark.parametrize("gamma", [0.0, 0.05])
def test_ten_steps_are_those_of_a_twin_in_pytorch(gamma):
    cfg, rng = MODEL.Config(batch_size=N, latent=LATENT, width=4, gamma=gamma), Generator(0)
    data = [rng.uniform((N, *SHAPE), -1, 1, np.float64) for _ in range(STEPS)]
    noise = [rng.normal((N, LATENT), dtype=np.float64) for _ in range(2 * STEPS)]
    parts, nets = MODEL.parts(cfg, fields_of(SHAPE), rng), theirs()
    for name, own in networks(parts).items():
        state = own.to(np.float64).state_dict()
        nets[name].load_state_dict({k: torch.from_numpy(a.copy()) for k, a in state.items()})
    encoder, decoder, D = nets.values()
    rates = {"encoder": cfg.lr, "decoder": cfg.lr, "D": cfg.lr_d}
    opts = {
        name: torch.optim.Adam(net.parameters(), lr=rates[name], betas=(0.5, 0.999))
        for name, net in nets.items()
    }
    bce = tnn.functional.binary_cross_entropy_with_logits

    loop = MODEL.train(parts, iter(data), GivenFirst(noise), cfg)
    for i, (seen, x) in enumerate(zip(loop, data, strict=True)):
        x, eps, z = (torch.from_numpy(a) for a in (x, noise[2 * i], noise[2 * i + 1]))
        mean, log_var = encoder(x).chunk(2, 1)
        again, fake = decoder(mean + torch.exp(0.5 * log_var) * eps), decoder(z)
        of_x, of_again = D.features(x), D.features(again)
        d_real, d_again, d_fake = D.real(of_x), D.real(of_again), D(fake)
        ones, zeros = torch.ones_like(d_real), torch.zeros_like(d_real)
        prior = -0.5 * (1 + log_var - mean**2 - log_var.exp()).sum() / N
        like = 0.5 * ((of_x - of_again) ** 2).sum() / N
        d_loss = bce(d_real, ones) + bce(d_again, zeros) + bce(d_fake, zeros)
        g_loss = bce(d_again, ones) + bce(d_fake, ones)
        losses = {"encoder": prior + like, "decoder": gamma * like + g_loss, "D": d_loss}
        found = {
            name: torch.autograd.grad(loss, [*nets[name].parameters()], retain_graph=True)
            for name, loss in losses.items()
        }
        for name, gradients in found.items():
            for p, g in zip(nets[name].parameters(), gradients, strict=True):
                p.grad = g
            opts[name].step()
        expected = {"prior": prior, "unlikeness": like, "d_loss": d_loss, "g_loss": g_loss}
        expected |= {"d_real": torch.sigmoid(d_real).mean(), "d_fake": torch.sigmoid(d_fake).mean()}
        numbers, _ = numbers_of(seen, critic=False)
        assert numbers == pytest.approx({name: v.item() for name, v in expected.items()}, rel=1e-8)
    for name, own in networks(parts).items():
        now = nets[name].state_dict()
        for key, array in own.state_dict().items():
            assert_close(array, now[key].numpy(), rtol=1e-8, atol=1e-8)
