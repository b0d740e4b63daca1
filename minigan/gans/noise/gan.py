"""GAN, by multi-layer perceptrons.

Goodfellow et al., "Generative adversarial nets", 2014. A generator G turns noise into images; a
discriminator D says how likely an image is real. They play

    min_G max_D  E_x[log D(x)] + E_z[log(1 - D(G(z)))]                        (equation 1)

by one step of gradient ascent for D and one of descent for G in turn (Algorithm 1). As section 3
advises, G maximises log D(G(z)) in place of minimising log(1 - D(G(z))): the same fixed point, and
a gradient that does not vanish while D still wins. `--loss minimax` is equation 1 to the letter. D
gives logits, so that no logarithm is taken of a rounded probability. Of others the game is theirs:

    --loss hinge                D: max(0, 1 - D(x)) + max(0, 1 + D(x̃)), G: -D(x̃); numbers, not logits.
                                Lim, Ye, "Geometric GAN", 2017
    --loss feature-matching     G: ‖E f(x) - E f(x̃)‖², f D's last hidden layer. Salimans et al. 2016, 3.1
    --smoothing 0.1             D: log D(x) has the target 0.9, log(1 - D(x̃)) stays. The same, 3.4
    --r1 γ                      D: + γ/2 E[‖∇D(x)‖²]. Mescheder et al. 2018
    --minibatch-features 10     D sees how close the samples of a batch are. Salimans et al. 2016, 3.2
    --augment shift,cutout      D sees T(x) and T(x̃) in place of x and x̃. Zhao et al. 2020

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

from ..parts.augment import augmentation
from ..parts.game import judge_loss
from ..parts.latent import normal
from ..parts.matching import feature_matching
from ..parts.minibatch import judged
from ..parts.mlp import mlp
from ..parts.packing import packed
from ..parts.penalties import r1_penalty
from ..settings import GameSettings

TAKES = ("image or point",)


@dataclass(frozen=True, kw_only=True)
class Config(GameSettings):
    loss: Literal["non-saturating", "minimax", "hinge", "feature-matching"] = "non-saturating"
    """What G minimises: -log D(G(z)); log(1 - D(G(z))); -D(G(z)), where D's numbers are to be above 1 and
    below -1; or how far D's hidden layer is, on average, from what the data give."""
    net: Literal["mlp", "pacgan"] = "mlp"
    """The networks: the usual ones, or for points of the plane those of the PacGAN paper."""


def CRITIC(cfg: Config):
    """Whether D gives numbers, not logits."""
    return cfg.loss == "hinge"


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
    values, B = cfg.pack * math.prod(shape), cfg.minibatch_features
    if len(shape) == 1:  # points of the plane
        G = nn.Sequential(*mlp([cfg.latent, 128, 128, *shape], nn.ReLU(), rng))
        return G, nn.Sequential(*mlp([values, 128, 128, 1], nn.LeakyReLU(0.2), rng, minibatch=B))
    G = nn.Sequential(
        *mlp([cfg.latent, 128, 256, 512, 1024, math.prod(shape)], nn.LeakyReLU(0.2), rng, norm=True),
        nn.Tanh(),
        nn.Unflatten(*shape),
    )
    D = nn.Sequential(nn.Flatten(), *mlp([values, 512, 256, 1], nn.LeakyReLU(0.2), rng, minibatch=B))
    return G, D


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
    G = nn.Sequential(*up, nn.Linear(400, *shape))
    D = nn.Sequential(*down, *judged(200, cfg.minibatch_features, rng))
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
    bce, T = F.binary_cross_entropy_with_logits, augmentation(cfg.augment, rng)
    generator_loss = {
        "non-saturating": lambda real, fake: bce(D(T(fake)), 1.0),  # -log D(G(z))
        "minimax": lambda real, fake: -bce(D(T(fake)), 0.0),  # log(1 - D(G(z)))
        "hinge": lambda real, fake: -D(T(fake)).mean(),
        "feature-matching": lambda real, fake: feature_matching(D, T(real), T(fake)),
    }[cfg.loss]

    @graph  # on a GPU, the whole step is one launch
    def step(real):
        real, fake = Tensor(real), G(Tensor(rng.normal((len(real), cfg.latent))))

        d_real, d_fake = D(T(real)), D(T(fake.detach()))
        d_loss = judge_loss(d_real, d_fake, cfg)
        if cfg.r1:
            d_loss = d_loss + cfg.r1 / 2 * r1_penalty(lambda x: D(T(x)), real, cfg.pack)
        opt_d.step(grad(d_loss, opt_d.params))

        g_loss = generator_loss(real, fake)
        opt_g.step(grad(g_loss, opt_g.params))

        return {"d_loss": d_loss, "g_loss": g_loss, "d_real": d_real, "d_fake": d_fake}

    for real in data:
        yield step(real)
