"""`check_model` finds what a model file does wrong, in a file that does one thing wrong at a time."""

import pytest

from minigan.testing import check_model

DRAWN = 'return {"z": rng.normal((n, cfg.latent))}'
GOOD = '''"""A game of two lines, in the plane."""

from dataclasses import dataclass

import numpy as np

from minigan import Tensor, grad, nn
from minigan import functional as F
from minigan.gans.settings import NoiseSettings
from minigan.optim import SGD

TAKES = ("point",)
DATA = "ring8"


@dataclass(frozen=True, kw_only=True)
class Config(NoiseSettings):
    latent: int = 2


def parts(cfg, data, rng):
    G, D = nn.Linear(cfg.latent, 2, generator=rng), nn.Linear(2, 1, generator=rng)
    return {"G": G, "D": D, "opt_g": SGD(G.parameters(), 0.01), "opt_d": SGD(D.parameters(), 0.01)}


def inputs(n, rng, cfg):
    return {"z": rng.normal((n, cfg.latent))}


def make(z, G):
    return G(z)


def train(data, rng, cfg, G, D, opt_g, opt_d):
    bce, count = F.binary_cross_entropy_with_logits, 0
    for real in data:
        count += 1
        fake = G(Tensor(rng.normal((len(real), cfg.latent))))
        d_real, d_fake = D(Tensor(real)), D(fake.detach())
        d_loss = bce(d_real, 1.0) + bce(d_fake, 0.0)
        opt_d.step(grad(d_loss, opt_d.params))
        g_loss = bce(D(fake), 1.0)
        opt_g.step(grad(g_loss, opt_g.params))
        yield {"d_loss": d_loss, "g_loss": g_loss, "d_real": d_real, "d_fake": d_fake}
'''


def check(tmp_path, old="", new="", **settings):
    assert old in GOOD
    path = tmp_path / "lines.py"
    path.write_text(GOOD.replace(old, new, 1) if old else GOOD, encoding="utf-8")
    check_model(str(path), **settings)


@pytest.mark.slow
def test_a_good_file_passes(tmp_path):
    check(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        # a schedule of the loop's own begins anew after a resume
        (
            "        g_loss = bce(D(fake), 1.0)\n",
            "        g_loss = bce(D(fake), 1.0) * (1.0 if count < 15 else 2.0)\n",
            "remembers something that is in no part",
        ),
        # one that shows in the weights alone
        (
            "        yield {",
            "        if count % 16 == 0:\n            G.bias.data[...] *= 0.5\n        yield {",
            "remembers something that is in no part",
        ),
        # random numbers of nobody
        (
            "fake = G(Tensor(rng.normal((len(real), cfg.latent))))",
            "fake = G(Tensor(np.random.normal(size=(len(real), cfg.latent)).astype(np.float32)))",
            "remembers something that is in no part",
        ),
        (DRAWN, DRAWN.replace("rng.normal(", "np.random.standard_normal("), "differs for one seed"),
        (DRAWN, DRAWN.replace("rng.normal(", "np.ones("), "the same for two seeds"),
        (
            "    return G(z)\n",
            "    G.bias.data[...] += 1\n    return G(z)\n",
            "making samples changes G.bias",
        ),
        ("    return G(z)\n", "    return G(z)[:, :1]\n", "has shape"),
        ("    return G(z)\n", "    return F.concat([G(z)] * 2, axis=0)\n", "samples of the 3 asked for"),
    ],
)
def test_a_file_that_does_one_thing_wrong_is_told_what(tmp_path, old, new, says):
    with pytest.raises(AssertionError, match=says):
        check(tmp_path, old, new)


@pytest.mark.slow
def test_a_schedule_that_asks_the_optimiser_passes(tmp_path):
    check(
        tmp_path,
        "        g_loss = bce(D(fake), 1.0)\n",
        "        g_loss = bce(D(fake), 1.0) * (1.0 if opt_d.steps < 15 else 2.0)\n",
    )
