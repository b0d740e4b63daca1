"""The models' training loops against the same written in PyTorch: ten steps, number by number.

Both start from the same weights and see the same noise and batches. The networks are spelled out
layer by layer, so that nothing of what `parts` builds is taken on trust. Trained weights go into those
networks from a checkpoint, and make the same images.
"""

import numpy as np
import pytest
from given import GivenFirst
from rich.console import Console
from threadpoolctl import threadpool_limits

from minigan import Generator
from minigan.gans import model_named
from minigan.gans.model import networks
from minigan.speed.steps import fields_of
from minigan.testing import assert_close
from minigan.training import Options, Sampler, train
from minigan.training.session import numbers_of

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
load_file = pytest.importorskip("safetensors.torch").load_file
tnn = torch.nn
pytestmark = pytest.mark.torch

STEPS, LATENT = 10, 6


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Products as small as these only make threads wait for each other."""
    with threadpool_limits(1):
        yield


def dcgan_networks(classes=0):
    """For images of one channel and 16 pixels a side, width 8; G's noise has `classes` more channels."""
    G = tnn.Sequential(
        tnn.Unflatten(1, (LATENT + classes, 1, 1)),
        tnn.ConvTranspose2d(LATENT + classes, 16, 4, bias=False),
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


def mlp_networks(side=4):
    """For images of one channel and `side` pixels a side."""
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
        tnn.Linear(1024, side * side),
        tnn.Tanh(),
        tnn.Unflatten(1, (1, side, side)),
    )
    D = tnn.Sequential(
        tnn.Flatten(),
        tnn.Linear(side * side, 512),
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


def train_in_torch(G, D, data, noise, rates, betas):
    """A list of the metrics of each step."""
    opt_g = torch.optim.Adam(G.parameters(), lr=rates[0], betas=betas)
    opt_d = torch.optim.Adam(D.parameters(), lr=rates[1], betas=betas)
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
        ("dcgan", (1, 16, 16), {"width": 8}, dcgan_networks),
        ("gan", (1, 4, 4), {}, mlp_networks),
        ("gan", (2,), {"lr": 1e-3, "beta1": 0.8, "beta2": 0.9}, point_networks),
    ],
    ids=["dcgan", "gan", "points"],
)
def test_training_goes_as_in_pytorch(model, shape, settings, their_networks, dtype, rtol):
    model = model_named(model)
    cfg, rng = model.Config(latent=LATENT, batch_size=8, **settings), Generator(0)
    data = [rng.uniform((8, *shape), -1, 1, dtype) for _ in range(STEPS)]
    noise = [rng.normal((8, LATENT), dtype=dtype) for _ in range(STEPS)]

    parts = model.parts(cfg, fields_of(shape), rng)
    ours = [net.to(dtype) for net in networks(parts).values()]
    theirs = [net.to(torch.from_numpy(data[0]).dtype) for net in their_networks()]
    for our, their in zip(ours, theirs, strict=True):
        their.load_state_dict({name: torch.from_numpy(a.copy()) for name, a in our.state_dict().items()})

    loop = model.train(parts, iter(data), GivenFirst(noise), cfg)
    found = [numbers_of(seen, critic=False)[0] for seen in loop]
    expected = train_in_torch(*theirs, data, noise, cfg.rates, (cfg.beta1, cfg.beta2))

    assert len(found) == STEPS
    for step, (our, their) in enumerate(zip(found, expected, strict=True)):
        assert our == pytest.approx(their, rel=rtol), f"step {step}"
    for our, their in zip(ours, theirs, strict=True):
        state = their.state_dict()
        for name, array in our.state_dict().items():
            assert_close(array, state[name].numpy(), rtol=rtol, atol=rtol)


class LabelledGenerator(tnn.Module):
    """Noise and a label's one-hot vector, side by side, into the DCGAN's generator."""

    def __init__(self):
        super().__init__()
        self.net, _ = dcgan_networks(classes=10)

    def forward(self, z, labels):
        return self.net(torch.cat([z, tnn.functional.one_hot(labels, 10).to(z.dtype)], 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings", "their_generator"),
    [
        ("gan", {}, lambda: mlp_networks(side=8)[0]),
        ("dcgan", {"width": 8}, lambda: dcgan_networks()[0]),
        ("cgan", {"width": 8}, LabelledGenerator),
        ("wgan-gp", {"width": 8, "n_critic": 1}, lambda: dcgan_networks()[0]),
    ],
)
def test_a_checkpoint_loads_into_pytorch_and_makes_the_same_images(name, settings, their_generator, tmp_path):
    """By the library `safetensors` and the names in the file, and nothing of minigan."""
    cfg = model_named(name).Config(steps=3, batch_size=8, latent=LATENT, **settings)
    run = train(name, Options(), cfg, tmp_path / "run", Console(quiet=True))
    weights = load_file(run.checkpoints.latest())
    prefix = "G."
    theirs = their_generator()
    theirs.load_state_dict({n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)})
    sampler = Sampler.of(run)
    inputs = sampler.inputs(20, Generator(0))
    with torch.no_grad():
        images = theirs.eval()(*map(torch.from_numpy, inputs.values()))
    assert images.std() > 0
    assert_close(sampler.make(inputs)["samples"], images.numpy(), rtol=1e-4, atol=1e-5)
