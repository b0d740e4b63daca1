"""DVD-GAN's loop against the same written in PyTorch: ten steps, number by number, in float64."""

import itertools

import numpy as np
import pytest
from given import GivenFirst
from threadpoolctl import threadpool_limits

from minigan import Generator
from minigan.data import Field, Fields
from minigan.gans import model_named
from minigan.gans.model import networks, numbers_of
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
tnn, tF = torch.nn, torch.nn.functional
norm = torch.nn.utils.parametrizations.spectral_norm
pytestmark = pytest.mark.torch

STEPS, N, T, LATENT, CLASSES, WIDTH = 10, 4, 5, 3, 3, 2
MODEL = model_named("dvdgan")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Products as small as these only make threads wait for each other."""
    with threadpool_limits(1):
        yield


def each_frame(f, x):
    """f of every frame of films (N, T, ...)."""
    return torch.stack([f(x[:, t]) for t in range(x.shape[1])], 1)


def all_frames(f, x):
    """f of all frames of films (N, T, ...) as one batch."""
    return f(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class ConvGRU(tnn.Module):
    def __init__(self, n):
        super().__init__()
        self.n, self.of_x = n, tnn.Conv2d(n, 3 * n, 3, padding=1)
        self.of_h = tnn.Conv2d(n, 2 * n, 3, padding=1, bias=False)
        self.of_reset = tnn.Conv2d(n, n, 3, padding=1, bias=False)

    def forward(self, x):
        h, states = torch.zeros_like(x[:, 0]), []
        for t in range(x.shape[1]):
            r, u, c = self.of_x(x[:, t]).split(self.n, 1)
            of_r, of_u = self.of_h(h).split(self.n, 1)
            reset, keep = torch.sigmoid(r + of_r), torch.sigmoid(u + of_u)
            h = keep * h + (1 - keep) * torch.relu(c + self.of_reset(reset * h))
            states.append(h)
        return torch.stack(states, 1)


class ToldNorm(tnn.Module):
    def __init__(self, n, said):
        super().__init__()
        self.norm = tnn.BatchNorm2d(n, affine=False)
        self.scale, self.shift = tnn.Linear(said, n), tnn.Linear(said, n)

    def forward(self, x, said):
        scale, shift = (f(said)[:, None, :, None, None] for f in (self.scale, self.shift))
        return all_frames(self.norm, x) * (1 + scale) + shift


class G(tnn.Module):
    def __init__(self, size, channels):
        super().__init__()
        widths, said = {16: [2 * WIDTH, WIDTH], 32: [4 * WIDTH, 2 * WIDTH, WIDTH]}[size], LATENT + CLASSES
        self.first = tnn.Linear(said, widths[0] * 16)
        self.memories = tnn.ModuleList(ConvGRU(n) for n in widths)
        self.larger = tnn.ModuleList(tnn.ConvTranspose2d(n, n // 2, 4, 2, 1) for n in widths[:-1])
        self.norms = tnn.ModuleList(ToldNorm(n, said) for n in widths)
        self.last = tnn.ConvTranspose2d(widths[-1], channels, 4, 2, 1)

    def forward(self, z, y):
        said = torch.cat([z, y], 1)
        first = self.first(said).reshape(len(z), -1, 4, 4)
        h = first[:, None].expand(-1, 2 + T, -1, -1, -1)
        for i, (memory, of) in enumerate(zip(self.memories, self.norms, strict=True)):
            h = all_frames(self.larger[i - 1], h) if i else h
            h = torch.relu(of(memory(h), said))
        return torch.tanh(all_frames(self.last, h[:, 2:]))


def features(widths):
    layers = []
    for n, m in itertools.pairwise(widths):
        layers += [norm(tnn.Conv2d(n, m, 4, 2, 1)), tnn.LeakyReLU(0.2)]
    n = widths[-1]
    return tnn.Sequential(*layers, norm(tnn.Conv2d(n, 2 * n, 4)), tnn.LeakyReLU(0.2), tnn.Flatten())


class Projection(tnn.Module):
    def __init__(self, n):
        super().__init__()
        self.linear, self.of_class = tnn.Linear(n, 1), tnn.Linear(CLASSES, n, bias=False)

    def forward(self, h, y):
        return self.linear(h) + (h * self.of_class(y)).sum(1, keepdim=True)


class FrameJudge(tnn.Module):
    def __init__(self, size, channels):
        super().__init__()
        widths = [channels, 2 * WIDTH, 4 * WIDTH, *([8 * WIDTH] if size == 32 else [])]
        self.image, self.said = features(widths), Projection(2 * widths[-1])

    def forward(self, x, y):
        return self.said(all_frames(self.image, x).mean(1), y)


class MotionJudge(tnn.Module):
    def __init__(self, size, channels):
        super().__init__()
        widths = [2 * WIDTH, *([4 * WIDTH] if size == 32 else [])]
        self.film = tnn.Sequential(
            norm(tnn.Conv3d(channels, WIDTH, (3, 4, 4), (1, 2, 2), 1)),
            tnn.LeakyReLU(0.2),
            norm(tnn.Conv3d(WIDTH, 2 * WIDTH, 3, 1, 1)),
            tnn.LeakyReLU(0.2),
        )
        self.image, self.said = features(widths), Projection(2 * widths[-1])

    def forward(self, x, y):
        x = each_frame(lambda frame: tF.avg_pool2d(frame, 2), x)
        x = self.film(x.transpose(1, 2)).transpose(1, 2)
        return self.said(all_frames(self.image, x).mean(1), y)


JUDGES = {"D_S": FrameJudge, "D_T": MotionJudge}


def chosen(films, drawn, k):
    """The k frames of each film with the smallest numbers."""
    places = torch.from_numpy(drawn).argsort(1)[:, :k]
    return films[torch.arange(len(films))[:, None], places]


@pytest.mark.parametrize(
    ("judges", "size", "channels"), [("both", 16, 1), ("frames", 16, 1), ("motion", 32, 2)]
)
def test_ten_steps_are_those_of_a_twin_in_pytorch(judges, size, channels):
    fields = Fields({"clip": Field("clip", (T, channels, size, size)), "label": Field("label", (), CLASSES)})
    settings = {
        "batch_size": N,
        "latent": LATENT,
        "width": WIDTH,
        "width_d": 2 * WIDTH,
        "seen": 3,
        "lr_d": 2e-3,
    }
    cfg, rng = MODEL.Config(judges=judges, **settings).fitted(fields), Generator(0)
    data = [rng.uniform((N, T, channels, size, size), -1, 1, np.float64) for _ in range(STEPS)]
    labels = np.eye(CLASSES)[[0, 2, 1, 1]]  # as weights, which are in float64
    parts = MODEL.parts(cfg, fields, rng)
    ours, theirs = networks(parts), {"G": G(size, channels)}
    theirs |= {name: JUDGES[name](size, channels) for name in ours if name != "G"}
    for name, net in theirs.items():
        state = ours[name].to(np.float64).state_dict()
        tracked = {k: a for k, a in net.state_dict().items() if k.endswith("num_batches_tracked")}
        net.load_state_dict({k: torch.from_numpy(a.copy()) for k, a in state.items()} | tracked)
        net.double()
    noise = []
    for _ in range(STEPS):
        noise += [rng.normal((N, LATENT), dtype=np.float64)]
        noise += [rng.uniform((N, T), dtype=np.float64) for _ in range(3 if "D_S" in ours else 0)]
    of_judges = [p for name in ("D_S", "D_T") if name in theirs for p in theirs[name].parameters()]
    opt_g = torch.optim.Adam(theirs["G"].parameters(), lr=cfg.lr, betas=(cfg.beta1, 0.999))
    opt_d = torch.optim.Adam(of_judges, lr=cfg.lr_d, betas=(cfg.beta1, 0.999))
    given = iter([a.copy() for a in noise])

    def said(films, y):
        found = {}
        if "D_S" in theirs:
            found["d"] = theirs["D_S"](chosen(films, next(given), cfg.seen), y)
        if "D_T" in theirs:
            found["motion"] = theirs["D_T"](films, y)
        return found

    def moved(opt, loss):
        opt.zero_grad()
        loss.backward()
        opt.step()

    loop = MODEL.train(parts, ((real, labels) for real in data), GivenFirst(noise), cfg)
    for seen, real in zip(loop, data, strict=True):
        y = torch.from_numpy(labels)
        fake = theirs["G"](torch.from_numpy(next(given)), y)
        of_real, of_fake = said(torch.from_numpy(real), y), said(fake.detach(), y)
        d_loss = sum(
            torch.relu(1 - of_real[name]).mean() + torch.relu(1 + of_fake[name]).mean() for name in of_real
        )
        moved(opt_d, d_loss)
        g_loss = -sum(score.mean() for score in said(fake, y).values())
        moved(opt_g, g_loss)
        expected = {"d_loss": d_loss, "g_loss": g_loss}
        for name in of_real:
            expected |= {f"{name}_real": of_real[name].mean(), f"{name}_fake": of_fake[name].mean()}
        found, _ = numbers_of(seen, critic=True)
        assert found == pytest.approx({name: v.item() for name, v in expected.items()}, rel=1e-8, abs=1e-10)
    for name, net in theirs.items():
        now = net.state_dict()
        for key, array in ours[name].state_dict().items():
            assert_close(array, now[key].numpy(), rtol=1e-8, atol=1e-8)
