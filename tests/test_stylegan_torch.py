"""StyleGAN's loop against the same written in PyTorch: ten steps in float64, with steps of both penalties.

Both start from the same weights and see the same numbers. The networks are written out as functions of the
weights by their names, with a convolution a sample where styles scale weights; so is Adam.
"""

import math

import numpy as np
import pytest

from minigan import Generator
from minigan.gans import model_named
from minigan.speed.steps import fields_of
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
pytestmark = pytest.mark.torch
TF = torch.nn.functional

STYLEGAN = model_named("stylegan")
STEPS, N, SHAPE, ROOT = 10, 4, (1, 16, 16), math.sqrt(2)
SETTINGS = {"batch_size": N, "latent": 5, "mapping": 3, "width": 3, "r1": 2.0, "lr": 1e-2}
LAZY = {"r1_every": 4, "path_every": 3, "path_weight": 2.0}


class Given:
    """Random numbers as a Generator draws them, all in float64, and those that were drawn."""

    def __init__(self, seed):
        self.rng, self.drawn = Generator(seed), []

    def _noted(self, array):
        self.drawn.append(array)
        return array

    def normal(self, shape):
        return self._noted(self.rng.normal(shape, dtype=np.float64))

    def uniform(self, shape):
        return self._noted(self.rng.uniform(shape, dtype=np.float64))


def resampled(x, up, before, after, gain):
    """Zeros between the pixels, a border, and the blur."""
    n, c, h, w = x.shape
    wide = x.new_zeros(n, c, h, up, w, up)
    wide[:, :, :, 0, :, 0] = x
    wide = TF.pad(wide.reshape(n, c, h * up, w * up), (before, after, before, after))
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype)
    f = (torch.outer(taps, taps) * gain / 64).expand(c, 1, 4, 4)
    return TF.conv2d(wide, f, groups=c)


def linear(p, name, x, multiplier=1.0, gain=1.0):
    weight = p[f"{name}.weight"] * (multiplier * gain / math.sqrt(x.shape[1]))
    return TF.linear(x, weight, p[f"{name}.bias"] * multiplier)


def mapping(p, z):
    x = z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()
    for i in range(SETTINGS["mapping"]):
        x = TF.leaky_relu(linear(p, f"mapping.layers.{i}", x, 0.01, ROOT), 0.2)
    return x


def by_sample(x, weight, styles, padding, demodulate):
    """A convolution by weights of its own for each sample."""
    images = []
    for image, style in zip(x, styles, strict=True):
        own = weight * style.reshape(1, -1, 1, 1)
        if demodulate:
            own = own / (own.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        images.append(TF.conv2d(image[None], own, padding=padding))
    return torch.cat(images)


def synthesis(p, w, noise, adain):
    x = p["synthesis.constant"].expand(len(w), -1, -1, -1)
    used = 0
    for i in range(6 if adain else 5):
        name = f"synthesis.layers.{i}"
        if i in ((2, 4) if adain else (1, 3)):
            x = resampled(x, 2, 2, 1, 4)
        style = linear(p, f"{name}.affine", w[:, i])
        if f"{name}.weight" in p:
            weight = p[f"{name}.weight"] * (ROOT / math.sqrt(9 * x.shape[1]))
            x = TF.conv2d(x, weight, padding=1) if adain else ROOT * by_sample(x, weight, style, 1, True)
        side = x.shape[2]
        plane = noise[:, used : used + side * side].reshape(-1, 1, side, side)
        used += side * side
        x = x + p[f"{name}.strength"].reshape(1, -1, 1, 1) * plane + p[f"{name}.bias"].reshape(1, -1, 1, 1)
        x = TF.leaky_relu(x, 0.2)
        if adain:
            mean, var = x.mean((2, 3), keepdim=True), x.var((2, 3), correction=0, keepdim=True)
            scale, shift = style[:, :, None, None].chunk(2, 1)
            x = (x - mean) / (var + 1e-5).sqrt() * scale + shift
    assert used == noise.shape[1]
    weight = p["synthesis.weight"] / math.sqrt(x.shape[1])
    if not adain:
        x = by_sample(x, weight, linear(p, "synthesis.affine", w[:, -1]), 0, False)
    else:
        x = TF.conv2d(x, weight)
    return x + p["synthesis.bias"].reshape(1, -1, 1, 1)


def judged(p, x):
    def conv(i, x, stride=1, padding=0):
        weight = p[f"{i}.weight"]
        y = TF.conv2d(x, weight * (ROOT / math.sqrt(weight[0].numel())), p[f"{i}.bias"], stride, padding)
        return TF.leaky_relu(y, 0.2)

    x = conv(0, x)
    for i in (1, 3):
        x = conv(i + 1, resampled(conv(i, x, 1, 1), 1, 2, 2, 1), 2)
    n = len(x)
    apart = x.reshape(4, n // 4, *x.shape[1:]).var(0, correction=0)
    deviation = (apart + 1e-8).sqrt().mean((1, 2, 3)).repeat(4)
    x = conv(6, torch.cat([x, deviation.reshape(n, 1, 1, 1).expand(n, 1, 4, 4)], 1), 1, 1)
    return linear(p, "9", conv(7, x).flatten(1))


class Adam:
    """Kingma, Ba 2015, with one count of steps for all; what has no gradient stays."""

    def __init__(self, p, every):
        c = every / (every + 1)
        self.lr, self.beta2, self.steps, self.p = c * SETTINGS["lr"], 0.99**c, 0, p
        self.v = {name: torch.zeros_like(a) for name, a in p.items()}

    def step(self, loss):
        self.steps += 1
        grads = torch.autograd.grad(loss, list(self.p.values()), allow_unused=True)
        with torch.no_grad():
            for (name, a), g in zip(self.p.items(), grads, strict=True):
                if g is None or not g.any():
                    continue
                self.v[name] = self.beta2 * self.v[name] + (1 - self.beta2) * g * g
                a -= self.lr * g / ((self.v[name] / (1 - self.beta2**self.steps)).sqrt() + 1e-8)


class Twin:
    def __init__(self, G, D, adain):
        self.g, self.d = (
            {k: torch.tensor(v.numpy(), requires_grad=True) for k, v in net.named_parameters()}
            for net in (G, D)
        )
        self.adain = adain
        self.opt_g, self.opt_d = Adam(self.g, LAZY["path_every"]), Adam(self.d, LAZY["r1_every"])
        self.average, self.path_mean = torch.zeros(5, dtype=torch.float64), 0.0

    def styles(self, z, other, u, layers=6):
        w, other = mapping(self.g, z), mapping(self.g, other)
        self.average += 0.005 * (w.detach().mean(0) - self.average)
        styles = []
        for i in range(layers):
            crossed = [float(x) < 0.9 and i >= 1 + math.floor(float(x) / 0.9 * (layers - 1)) for x in u]
            styles.append(torch.where(torch.tensor(crossed)[:, None], other, w))
        return torch.stack(styles, 1)

    def step(self, real, drawn):
        seen, z, other, u, noise = {}, *drawn[:4]
        fake = synthesis(self.g, self.styles(z, other, u), noise, self.adain)
        d_loss = TF.softplus(-judged(self.d, real)).mean() + TF.softplus(judged(self.d, fake.detach())).mean()
        self.opt_d.step(d_loss)
        g_loss = TF.softplus(-judged(self.d, fake)).mean()
        self.opt_g.step(g_loss)
        seen = {"d_loss": d_loss, "g_loss": g_loss}
        if self.opt_d.steps % (LAZY["r1_every"] + 1) == LAZY["r1_every"]:
            x = real.clone().requires_grad_()
            (slope,) = torch.autograd.grad(judged(self.d, x).sum(), x, create_graph=True)
            seen["r1"] = slope.square().sum((1, 2, 3)).mean()
            self.opt_d.step(LAZY["r1_every"] * SETTINGS["r1"] / 2 * seen["r1"])
        if self.opt_g.steps % (LAZY["path_every"] + 1) == LAZY["path_every"]:
            z, other, u, noise, y = drawn[4:]
            w = self.styles(z, other, u)
            images = synthesis(self.g, w, noise, self.adain)
            (slope,) = torch.autograd.grad((images * y / 16).sum(), w, create_graph=True)
            lengths = slope.square().sum(2).mean(1).sqrt()
            self.path_mean += 0.01 * (lengths.mean().item() - self.path_mean)
            seen["path_length"] = lengths.mean()
            seen["path_penalty"] = (lengths - self.path_mean).square().mean()
            self.opt_g.step(LAZY["path_every"] * LAZY["path_weight"] * seen["path_penalty"])
        return {name: value.item() for name, value in seen.items()}


@pytest.mark.slow
@pytest.mark.parametrize("synthesis", ["demodulation", "adain"])
def test_ten_steps_are_those_of_a_twin_in_pytorch(synthesis):
    cfg = STYLEGAN.Config(synthesis=synthesis, **SETTINGS, **LAZY)
    parts = STYLEGAN.parts(cfg, fields_of(SHAPE), Generator(0))
    for name in ("G", "D", "path_mean"):
        parts[name].to(np.float64)
    for layer in parts["G"].synthesis.layers:  # noise that counts from the first step on
        layer.strength.data[:] = 0.3
    twin, given, rng = Twin(parts["G"], parts["D"], synthesis == "adain"), Given(3), Generator(1)
    data = [rng.uniform((N, *SHAPE), -1, 1, np.float64) for _ in range(STEPS)]

    met = set()
    for seen, real in zip(STYLEGAN.train(parts, iter(data), given, cfg), data, strict=True):
        theirs = twin.step(*(torch.from_numpy(real), [torch.from_numpy(a) for a in given.drawn]))
        given.drawn.clear()
        ours = {name: seen[name].item() for name in theirs}
        assert ours == pytest.approx(theirs, rel=1e-8)
        assert seen.keys() - theirs.keys() == {"d_real", "d_fake"}
        met |= theirs.keys()
    assert met == {"d_loss", "g_loss", "r1", "path_length", "path_penalty"}
    for net, their in (("G", twin.g), ("D", twin.d)):
        for name, p in parts[net].named_parameters():
            assert_close(p.numpy(), their[name].detach().numpy(), rtol=1e-8, atol=1e-8)
    assert_close(parts["G"].mapping.average.mean.numpy(), twin.average.numpy(), rtol=1e-8, atol=1e-10)
    assert parts["path_mean"].mean.item() == pytest.approx(twin.path_mean, rel=1e-8)
