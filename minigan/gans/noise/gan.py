"""GAN, by multi-layer perceptrons.

Goodfellow et al., "Generative adversarial nets", 2014. A generator G turns noise into images; a
discriminator D says how likely an image is real. They play

    min_G max_D  E_x[log D(x)] + E_z[log(1 - D(G(z)))]                        (equation 1)

by one step of gradient ascent for D and one of descent for G in turn (Algorithm 1). As section 3
advises, G maximises log D(G(z)) in place of minimising log(1 - D(G(z))): the same fixed point, and
a gradient that does not vanish while D still wins. `--loss minimax` is equation 1 to the letter. D
gives logits, so that no logarithm is taken of a rounded probability.

The networks and settings are today's usual ones for small images, not the paper's maxout networks:

    latent 100, normal              the paper's size
    G 128-256-512-1024, batch norm  LeakyReLU 0.2, tanh at the end; for points of the plane
                                    128-128, ReLU
    D 512-256, LeakyReLU 0.2        one logit; for points 128-128
    Adam 2e-4, betas 0.5, 0.999     Radford et al. 2016, section 4
    batch 64

`--net pacgan` takes, for points, those of Lin et al. 2018, section 4.1: G of four layers of 400 with
batch norm and ReLU, D of three maxout layers of 200 units with 5 pieces, first weights N(0, 0.02);
there with latent 2, batch 100, Adam 1e-4, betas 0.8, 0.999.
"""

import math
from dataclasses import dataclass
from typing import Literal

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, grad
from minigan.errors import MiniganError
from minigan.graph import graph
from minigan.nn import init
from minigan.optim import Adam

from ..parts.latent import normal
from ..parts.mlp import mlp
from ..parts.packing import packed
from ..settings import NoiseSettings

TAKES = ("image or point",)


@dataclass(frozen=True, kw_only=True)
class Config(NoiseSettings):
    loss: Literal["non-saturating", "minimax"] = "non-saturating"
    """What G minimises: -log D(G(z)), or log(1 - D(G(z)))."""
    net: Literal["mlp", "pacgan"] = "mlp"
    """The networks: the usual ones, or for points of the plane those of the PacGAN paper."""


def parts(cfg: Config, data, rng):
    """G: z (N, latent) -> samples (N, *shape), images in [-1, 1]. D: samples -> logits (N / pack, 1)."""
    G, D = (pacgan_networks if cfg.net == "pacgan" else networks)(cfg, data.shape, rng)
    D, (lr_g, lr_d) = packed(D, cfg.pack), cfg.rates
    return {
        "G": G,
        "D": D,
        "opt_g": Adam(G.parameters(), lr_g, cfg.betas),
        "opt_d": Adam(D.parameters(), lr_d, cfg.betas),
    }


def networks(cfg, shape, rng):
    """Perceptrons, wider for images than for points."""
    values = cfg.pack * math.prod(shape)
    if len(shape) == 1:  # points of the plane
        G = nn.Sequential(*mlp([cfg.latent, 128, 128, *shape], nn.ReLU(), rng))
        return G, nn.Sequential(*mlp([values, 128, 128, 1], nn.LeakyReLU(0.2), rng))
    G = nn.Sequential(
        *mlp([cfg.latent, 128, 256, 512, 1024, math.prod(shape)], nn.LeakyReLU(0.2), rng, norm=True),
        nn.Tanh(),
        nn.Unflatten(*shape),
    )
    return G, nn.Sequential(nn.Flatten(), *mlp([values, 512, 256, 1], nn.LeakyReLU(0.2), rng))


def pacgan_networks(cfg, shape, rng):
    """Lin et al. 2018, section 4.1."""
    if len(shape) != 1:
        raise MiniganError(f"net = 'pacgan' is for points of the plane, not for samples of shape {shape}")
    up = []
    for n in (cfg.latent, 400, 400, 400):
        up += [nn.Linear(n, 400, bias=False), nn.BatchNorm1d(400), nn.ReLU()]
    down = []
    for n in (cfg.pack * shape[0], 200, 200):
        down += [nn.Linear(n, 200 * 5), nn.Maxout(5)]
    G, D = nn.Sequential(*up, nn.Linear(400, *shape)), nn.Sequential(*down, nn.Linear(200, 1))
    for layer in (*G, *D):
        if isinstance(layer, nn.Linear):
            init.normal_(layer.weight, 0.0, 0.02, rng)
            if layer.bias is not None:
                init.zeros_(layer.bias)
    return G, D


def inputs(n, rng, cfg: Config, truncation: float | None = None):
    """n latent vectors.

    truncation: keep the noise within this distance of 0: below 2, say, samples are better and less diverse
    """
    return {"z": normal(n, cfg.latent, rng, truncation)}


def make(z, G):
    """(n, latent) -> samples (n, *shape)."""
    return G(z)


def judge(x, D):
    """Samples -> the logits of being real (N / pack, 1)."""
    return D(x)


def train(data, rng, cfg: Config, G, D, opt_g, opt_d):
    """Algorithm 1. Yields the losses of each step, and what D said."""
    bce = F.binary_cross_entropy_with_logits
    generator_loss = {
        "non-saturating": lambda logits: bce(logits, 1.0),  # -log D(G(z))
        "minimax": lambda logits: -bce(logits, 0.0),  # log(1 - D(G(z)))
    }[cfg.loss]

    @graph  # on a GPU, the whole step is one launch
    def step(real):
        fake = G(Tensor(rng.normal((len(real), cfg.latent))))

        d_real, d_fake = D(Tensor(real)), D(fake.detach())
        d_loss = bce(d_real, 1.0) + bce(d_fake, 0.0)
        opt_d.step(grad(d_loss, opt_d.params))

        g_loss = generator_loss(D(fake))
        opt_g.step(grad(g_loss, opt_g.params))

        return {"d_loss": d_loss, "g_loss": g_loss, "d_real": d_real, "d_fake": d_fake}

    for real in data:
        yield step(real)
