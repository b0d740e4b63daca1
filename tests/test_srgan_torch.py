"""SRGAN's loop against the same written in PyTorch: ten steps in float64, across the change of stage."""

import math

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from minigan import Generator
from minigan.data import Field, Fields
from minigan.gans.images import srgan
from minigan.gans.model import networks, numbers_of
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
tnn, tF = torch.nn, torch.nn.functional
pytestmark = pytest.mark.torch

STEPS, FIRST, N, SIDE, WIDTH = 10, 6, 4, 16, 4


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Products as small as these only make threads wait for each other."""
    with threadpool_limits(1):
        yield


class Residual(tnn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return x + self.body(x)


def conv3(n, m, norm):
    return [tnn.Conv2d(n, m, 3, padding=1, bias=not norm), *([tnn.BatchNorm2d(m)] if norm else [])]


class SRResNet(tnn.Module):
    def __init__(self, channels, scale, norm, onto_bicubic):
        super().__init__()
        self.scale, self.onto_bicubic, w = scale, onto_bicubic, WIDTH
        self.head = tnn.Sequential(tnn.Conv2d(channels, w, 9, padding=4), tnn.PReLU())
        inner = tnn.Sequential(*conv3(w, w, norm), tnn.PReLU(), *conv3(w, w, norm))
        self.blocks = tnn.Sequential(Residual(inner))
        self.end = tnn.Sequential(*conv3(w, w, norm))
        up = []
        for _ in range(scale // 2):
            up += [tnn.Conv2d(w, 2 * w, 3, padding=1), tnn.PixelShuffle(2), tnn.PReLU()]
            w //= 2
        self.up, self.tail = tnn.Sequential(*up), tnn.Conv2d(w, channels, 9, padding=4)

    def forward(self, x):
        h = self.head(x)
        made = self.tail(self.up(self.end(self.blocks(h)) + h))
        return made + bicubic(x, self.scale) if self.onto_bicubic else made


class Perception(tnn.Module):
    def __init__(self, channels):
        super().__init__()

        def conv(n, m, *window):
            return [tnn.Conv2d(n, m, *window), tnn.LeakyReLU(0.2)]

        w = WIDTH
        self.fine = tnn.Sequential(*conv(channels, w, 3, 1, 1), *conv(w, w, 4, 2, 1))
        self.coarse = tnn.Sequential(*conv(w, 2 * w, 3, 1, 1), *conv(2 * w, 2 * w, 4, 2, 1))
        self.kind = tnn.Linear(2 * w, 4)

    def maps(self, x):
        fine = self.fine(x)
        return fine, self.coarse(fine)

    def forward(self, x):
        return self.kind(self.maps(x)[1].mean((2, 3)))


def judge(channels):
    return tnn.Sequential(
        *(tnn.Conv2d(channels, WIDTH, 4, 2, 1), tnn.LeakyReLU(0.2)),
        *(tnn.Conv2d(WIDTH, 8, 4, 2, 1, bias=False), tnn.BatchNorm2d(8), tnn.LeakyReLU(0.2)),
        *(tnn.Conv2d(8, 16, 4, 1, 1, bias=False), tnn.BatchNorm2d(16), tnn.LeakyReLU(0.2)),
        tnn.Conv2d(16, 1, 4, 1, 1),
    )


def bicubic(x, scale):
    return tF.interpolate(x, scale_factor=scale, mode="bicubic", antialias=True)


def difference(V, made, true):
    shares = []
    for a, b in zip(V.maps(made), V.maps(true), strict=True):
        around = b - b.mean((0, 2, 3), keepdim=True)
        shares.append(((a - b) ** 2).mean() / (around**2).mean())
    return sum(shares) / 2


def rate(cfg, n):
    """G's rate of step n, from 0."""
    first = n < FIRST
    start, share = (cfg.lr, n / FIRST) if first else (cfg.lr_game, (n - FIRST) / (STEPS - FIRST))
    return start * (0.1 + 0.9 * (1 + math.cos(math.pi * share)) / 2)


@pytest.mark.parametrize(
    ("channels", "settings"),
    [
        (3, {}),
        (1, {"scale": 2, "onto": "nothing", "norm": "batch", "weight": 0.5, "weight_pixels": 1.0}),
        (1, {"game": "none"}),
    ],
    ids=["default", "the-paper's-network", "squares-alone"],
)
def test_ten_steps_are_those_of_a_twin_in_pytorch(channels, settings):
    fields, rng = Fields({"image": Field("image", (channels, SIDE, SIDE))}), Generator(0)
    cfg = srgan.Config(steps=STEPS, first=FIRST / STEPS, width=WIDTH, blocks=1, batch_size=N, **settings)
    data = [rng.uniform((N, channels, SIDE, SIDE), -1, 1, np.float64) for _ in range(STEPS)]
    parts = srgan.parts(cfg, fields, rng)
    G = SRResNet(channels, cfg.scale, cfg.norm == "batch", cfg.onto == "bicubic")
    theirs = {"G": G, "V": Perception(channels), "D": judge(channels)}
    ours = networks(parts)
    theirs = {name: net.double() for name, net in theirs.items() if name in ours}
    for net in ours.values():
        net.to(np.float64)
    for name, net in theirs.items():
        net.load_state_dict({k: torch.from_numpy(a.copy()) for k, a in ours[name].state_dict().items()})
    opt_g, opt_v = (torch.optim.Adam(theirs[name].parameters(), lr=cfg.lr) for name in "GV")
    if "D" in theirs:
        opt_d = torch.optim.Adam(theirs["D"].parameters(), lr=cfg.lr_game)
    bce = tF.binary_cross_entropy_with_logits

    def moved(opt, loss):
        opt.zero_grad()
        loss.backward()
        opt.step()

    def by_squares(y, x):
        loss = ((G(x) - y) ** 2).mean()
        moved(opt_g, loss)
        smooth, blocks = bicubic(x, cfg.scale), tF.interpolate(x, scale_factor=cfg.scale)
        done = torch.cat([y[:1], smooth[1:2], blocks[2:3], 2 * y[3:] - smooth[3:]])
        v_loss = tF.cross_entropy(theirs["V"](done), torch.arange(4))
        moved(opt_v, v_loss)
        return {"g_loss": loss, "squares": loss, "v_loss": v_loss}

    def by_the_game(y, x):
        D, fake = theirs["D"], G(x)
        real, made = D(y), D(fake.detach())
        d_loss = 0.5 * (bce(real, torch.ones_like(real)) + bce(made, torch.zeros_like(made)))
        moved(opt_d, d_loss)
        squares, far, said = ((fake - y) ** 2).mean(), difference(theirs["V"], fake, y), D(fake)
        g_loss = far + cfg.weight * bce(said, torch.ones_like(said)) + cfg.weight_pixels * squares
        moved(opt_g, g_loss)
        return {
            "d_loss": d_loss,
            "g_loss": g_loss,
            "squares": squares,
            "features": far,
            "d_real": torch.sigmoid(real).mean(),
            "d_fake": torch.sigmoid(made).mean(),
        }

    kept = None
    for n, (seen, y) in enumerate(zip(srgan.train(iter(data), cfg, **parts), data, strict=True)):
        if cfg.game != "none" and n == FIRST:
            kept = {k: a.detach().clone() for k, a in G.state_dict().items()}
        y = torch.from_numpy(y)
        x = tF.interpolate(y, size=SIDE // cfg.scale, mode="bicubic", antialias=True)
        share = n / STEPS
        opt_g.param_groups[0]["lr"] = (
            cfg.lr * (0.1 + 0.45 * (1 + math.cos(math.pi * share))) if cfg.game == "none" else rate(cfg, n)
        )
        expected = (by_squares if cfg.game == "none" or n < FIRST else by_the_game)(y, x)
        found, _ = numbers_of(seen, critic=False)
        assert found == pytest.approx({name: a.item() for name, a in expected.items()}, rel=1e-8)
    for name, net in theirs.items():
        now = net.state_dict()
        for key, array in ours[name].state_dict().items():
            assert_close(array, now[key].numpy(), rtol=1e-8, atol=1e-8)
    assert (kept is None) == (cfg.game == "none")
    for key, array in parts["R"].state_dict().items() if kept else ():
        assert_close(array, kept[key].numpy(), rtol=1e-8, atol=1e-8)
