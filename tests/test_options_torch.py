"""The options of the models from noise against the same written in PyTorch: ten steps, number by number."""

import itertools

import numpy as np
import pytest
from given import GivenFirst

from minigan import Generator
from minigan.data import Field, Fields
from minigan.gans import model_named
from minigan.gans.model import networks, numbers_of
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
tnn, TF = torch.nn, torch.nn.functional
pytestmark = pytest.mark.torch

STEPS, LATENT, N, SHAPE = 10, 6, 8, (2, 16, 16)
FIELDS = Fields({"image": Field("image", SHAPE), "label": Field("label", (), 3)})


class Minibatch(tnn.Module):
    """Minibatch discrimination, with the array of all differences that it asks for."""

    def __init__(self, features, kernels):
        super().__init__()
        self.T = tnn.Parameter(torch.empty(features, kernels * 5))

    def forward(self, f):
        M = (f @ self.T).reshape(len(f), -1, 5)
        close = torch.exp(-(M[:, None] - M[None]).abs().sum(3))
        return torch.cat([f, close.sum(1)], 1)


class Packed(tnn.Module):
    """Packs of two."""

    def forward(self, x):
        return torch.cat(x.chunk(2), 1)


def networks_in_torch(cfg, conditional):
    """DCGAN's, of width 8 for images of two channels and 16 pixels."""
    norm = [] if cfg.r1 else [tnn.BatchNorm2d(16)]
    kernels = cfg.minibatch_features
    last = [tnn.Conv2d(16, 1, 4), tnn.Flatten()]
    if kernels:
        last = [tnn.Flatten(), Minibatch(256, kernels), tnn.Linear(256 + kernels, 1)]
    G = tnn.Sequential(
        tnn.Unflatten(1, (LATENT + 3 * conditional, 1, 1)),
        tnn.ConvTranspose2d(LATENT + 3 * conditional, 16, 4, bias=False),
        tnn.BatchNorm2d(16),
        tnn.ReLU(),
        tnn.ConvTranspose2d(16, 8, 4, stride=2, padding=1, bias=False),
        tnn.BatchNorm2d(8),
        tnn.ReLU(),
        tnn.ConvTranspose2d(8, 2, 4, stride=2, padding=1),
        tnn.Tanh(),
    )
    D = tnn.Sequential(
        *[Packed()] * (cfg.pack > 1),
        tnn.Conv2d(cfg.pack * (2 + conditional), 8, 4, stride=2, padding=1),
        tnn.LeakyReLU(0.2),
        tnn.Conv2d(8, 16, 4, stride=2, padding=1, bias=not norm),
        *norm,
        tnn.LeakyReLU(0.2),
        *last,
    )
    return G, D


class Told(tnn.Module):
    """A network and labels (N, 3): beside the noise as it is, beside an image as a learned picture."""

    def __init__(self, net, picture):
        super().__init__()
        self.net = net
        if picture:
            self.label = tnn.Sequential(tnn.Linear(3, 256, bias=False), tnn.Unflatten(1, (1, 16, 16)))

    def forward(self, x, labels):
        return self.net(torch.cat([x, self.label(labels) if hasattr(self, "label") else labels], 1))


# Augmentation, from the numbers that were drawn


def colour(x, numbers):
    x = x + next(numbers)
    x = x.mean(1, keepdim=True) + (x - x.mean(1, keepdim=True)) * next(numbers)
    middle = x.mean((1, 2, 3), keepdim=True)
    return middle + (x - middle) * next(numbers)


def shift(x, numbers):
    """By a border of zeros and a look at another place of it, as in the authors' code."""
    down, right = (torch.floor(next(numbers)).long().flatten() for _ in range(2))
    wide = TF.pad(x, (2, 2, 2, 2))
    return torch.stack(
        [wide[i, :, 2 - d : 18 - d, 2 - r : 18 - r] for i, (d, r) in enumerate(zip(down, right, strict=True))]
    )


def cutout(x, numbers):
    kept = torch.ones_like(x)
    tops, lefts = (torch.floor(next(numbers)).long().flatten() - 4 for _ in range(2))
    for i, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        kept[i, :, max(top, 0) : top + 8, max(left, 0) : left + 8] = 0
    return x * kept


def flip(x, numbers):
    return torch.where(next(numbers) < 0.5, x.flip(3), x)


IN_TORCH = {"colour": colour, "shift": shift, "cutout": cutout, "flip": flip}
DRAWS = {  # the ranges of a word's numbers
    "colour": [(-0.5, 0.5), (0, 2), (0.5, 1.5)],
    "shift": [(-2, 3), (-2, 3)],
    "cutout": [(0, 17), (0, 17)],
    "flip": [(0, 1)],
}


def train_in_torch(cfg, G, D, data, numbers, words):
    """A list of the losses of each step."""
    opt_g = torch.optim.Adam(G.parameters(), lr=cfg.rates[0], betas=cfg.betas)
    opt_d = torch.optim.Adam(D.parameters(), lr=cfg.rates[1], betas=cfg.betas)
    numbers = map(torch.from_numpy, numbers)

    def T(x):
        for word in words:
            x = IN_TORCH[word](x, numbers)
        return x

    def bce(logits, target):
        return TF.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))

    def hidden(x):
        return D[:-2](x).mean(0)  # without the last convolution and what flattens it

    losses = []
    for real, *labels in data:
        fake = G(next(numbers), *labels)
        d_real, d_fake = D(T(real), *labels), D(T(fake.detach()), *labels)
        if cfg.loss == "hinge":
            d_loss = torch.relu(1 - d_real).mean() + torch.relu(1 + d_fake).mean()
        else:
            d_loss = bce(d_real, 1 - cfg.smoothing) + bce(d_fake, 0.0)
        if cfg.r1:
            x = real.clone().requires_grad_()
            (slope,) = torch.autograd.grad(D(T(x), *labels).sum(), x, create_graph=True)
            d_loss = d_loss + cfg.r1 / 2 * slope.square().sum((1, 2, 3)).mean()
        opt_d.zero_grad()
        d_loss.backward()
        opt_d.step()

        if cfg.loss == "feature-matching":
            with torch.no_grad():
                wanted = hidden(T(real))
            g_loss = (hidden(T(fake)) - wanted).square().sum()
        elif cfg.loss == "hinge":
            g_loss = -D(T(fake), *labels).mean()
        else:
            g_loss = bce(D(T(fake), *labels), 1.0)
        opt_g.zero_grad()
        g_loss.backward()
        opt_g.step()
        losses.append({"d_loss": d_loss.item(), "g_loss": g_loss.item()})
    return losses


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("dcgan", {"augment": "colour"}),
        ("dcgan", {"augment": "shift,cutout,flip", "smoothing": 0.1}),
        ("dcgan", {"augment": "colour,shift,cutout,flip", "loss": "hinge"}),
        ("dcgan", {"loss": "feature-matching", "augment": "shift"}),
        ("dcgan", {"r1": 2.0, "augment": "colour,shift"}),
        ("dcgan", {"minibatch_features": 7}),
        ("dcgan", {"minibatch_features": 3, "pack": 2, "loss": "hinge", "augment": "shift"}),
        ("cgan", {"minibatch_features": 2}),
        ("cgan", {"r1": 0.5, "loss": "hinge"}),
        ("cgan", {"augment": "shift,colour", "smoothing": 0.2}),
    ],
    ids=str,
)
def test_training_goes_as_in_pytorch(name, settings):
    model, rng = model_named(name), Generator(0)
    cfg = model.Config(latent=LATENT, batch_size=N, width=8, **settings).fitted(FIELDS)
    M = cfg.samples
    data = [rng.uniform((M, *SHAPE), -1, 1, np.float64) for _ in range(STEPS)]
    labels = [np.eye(3)[rng.integers(0, 3, M)] for _ in range(STEPS)]  # in float64, as the rest
    words = [word for word in DRAWS if word in (cfg.augment or "")]
    views = 3 + bool(cfg.r1) + (cfg.loss == "feature-matching")  # of images, in a step
    numbers = []
    for _ in range(STEPS):
        numbers.append(rng.normal((M, LATENT), dtype=np.float64))
        for word in words * views:
            numbers += [rng.uniform((M, 1, 1, 1), *of, np.float64) for of in DRAWS[word]]

    parts = model.parts(cfg, FIELDS, rng)
    ours = [net.to(np.float64) for net in networks(parts).values()]
    theirs = networks_in_torch(cfg, model.labelled)
    if model.labelled:
        theirs = [Told(net, picture) for net, picture in zip(theirs, (False, True), strict=True)]
    for our, their in zip(ours, theirs, strict=True):
        their.to(torch.float64).load_state_dict(
            {key: torch.from_numpy(a.copy()) for key, a in our.state_dict().items()}
        )

    batches = zip(data, labels, strict=True) if model.labelled else data
    loop = model.train(parts, iter(batches), given := GivenFirst(numbers), cfg)
    found = [numbers_of(seen, critic=True)[0] for seen in loop]
    assert next(given.given, None) is None, "fewer numbers were drawn than were given"
    their_data = [
        (torch.from_numpy(x), *[torch.from_numpy(y)] * model.labelled)
        for x, y in zip(data, labels, strict=True)
    ]
    expected = train_in_torch(cfg, *theirs, their_data, numbers, words)

    assert len(found) == STEPS
    for step, (our, their) in enumerate(zip(found, expected, strict=True)):
        assert {key: our[key] for key in their} == pytest.approx(their, rel=1e-8), f"step {step}"
    for our, their in zip(ours, theirs, strict=True):
        state = their.state_dict()
        for key, array in our.state_dict().items():
            assert_close(array, state[key].numpy(), rtol=1e-8, atol=1e-8)


def test_the_numbers_of_a_step_come_in_the_order_that_is_written_here():
    """What the twin above takes for granted: G's noise, then T of the real ones, of the fakes, and G's."""
    seen = []

    class Spy(Generator):
        def normal(self, shape, *args, **how):
            seen.append(shape)
            return super().normal(shape, *args, **how)

        def uniform(self, shape, low, high, *args, **how):
            seen.append((low, high))
            return super().uniform(shape, low, high, *args, **how)

    model = model_named("dcgan")
    cfg = model.Config(latent=LATENT, batch_size=N, width=8, augment=",".join(DRAWS)).fitted(FIELDS)
    parts = model.parts(cfg, FIELDS, Generator(0))
    next(model.train(parts, iter([np.zeros((N, *SHAPE), np.float32)]), Spy(), cfg))
    assert seen == [
        (N, LATENT),
        *itertools.chain(*DRAWS.values()),
        *itertools.chain(*DRAWS.values()),
        *itertools.chain(*DRAWS.values()),
    ]
