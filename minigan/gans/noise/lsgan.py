"""LSGAN: least squares in place of logarithms.

Mao, Li, Xie, Lau, Wang, Smolley, "Least squares generative adversarial networks", 2017. D gives a number, and
is to give b for what is real and a for what is made; G is to make D give c:

    min_D  ½ E_x[(D(x) - b)²] + ½ E_z[(D(G(z)) - a)²]                          (equation 2)
    min_G  ½ E_z[(D(G(z)) - c)²]

The gradient of a logarithm vanishes for a sample that D takes for real, however far it lies from the data.
The square pulls it on, to where D says c. The best D is (b p + a q) / (p + q) for densities p of the data and
q of the samples; against it, with b - c = 1 and b - a = 2, what G minimises is Pearson's

    χ²(p + q ‖ 2q) = ∫ (2q - (p + q))² / (p + q)                               (equation 6)

but for half of it, and for a term that is not G's (section 3.2).

    a, b, c: 0, 1, 1                            equation 9, with which the paper trains
    `--a=-1 --b=1 --c=0`                        equation 8, Pearson's, which does as well there
    images: networks and rates of `dcgan.py`    section 4 has layers of its own for images of 112 pixels, and
                                                Adam at 1e-3 or 2e-4
    points: 128-128, LeakyReLU 0.2 in D, ReLU in G, as `gan.py`

`--batch-norm` takes batch norm away from G, from D or from both, as section 4 does to see what fails.
"""

import math
from dataclasses import dataclass
from typing import Literal

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, grad
from minigan.errors import MiniganError
from minigan.graph import graph
from minigan.optim import Adam

from ..parts.augment import augmentation
from ..parts.held_out import first_of
from ..parts.latent import normal
from ..parts.mlp import mlp
from ..parts.packing import packed
from ..parts.ranking import ranked
from ..settings import ConvolutionSettings
from . import dcgan

TAKES = ("image or point",)
CRITIC = True  # D gives numbers between a and b, not the logits of being real


@dataclass(frozen=True, kw_only=True)
class Config(ConvolutionSettings):
    steps: int = 1000
    batch_size: int = 128
    lr: float = 1e-3
    lr_d: float | None = 1e-4
    batch_norm: Literal["both", "G", "D", "none"] = "both"
    """Which convolutional networks have batch norm; of one without, all convolutions have a bias."""
    a: float = 0.0
    """What D is to give for samples that are made."""
    b: float = 1.0
    """What D is to give for samples of the data."""
    c: float = 1.0
    """What G is to make D give for its samples."""

    def __post_init__(self):
        super().__post_init__()
        for name in ("a", "b", "c"):
            if not math.isfinite(getattr(self, name)):
                raise MiniganError(f"{name} must be a finite number, got {getattr(self, name)}")
        if self.a == self.b:
            raise MiniganError(
                f"a and b must differ, got {self.a} for both: D would have nothing to tell apart"
            )
        if self.a == self.c:
            raise MiniganError(f"a and c must differ, got {self.a} for both: G would help D")


def parts(cfg: Config, data, rng):
    """G: z (N, latent) -> samples (N, *shape), images in [-1, 1]. D: samples -> numbers (N / pack, 1)."""
    channels, *pixels = data.shape
    if pixels:
        G, D = dcgan.networks(cfg, data.shape, cfg.batch_norm, rng)
    else:  # points of the plane
        G = nn.Sequential(*mlp([cfg.latent, 128, 128, channels], nn.ReLU(), rng))
        widths, kernels = [cfg.pack * channels, 128, 128, 1], cfg.minibatch_features
        D = nn.Sequential(*mlp(widths, nn.LeakyReLU(0.2), rng, minibatch=kernels))
    D, (lr_g, lr_d) = packed(D, cfg.pack), cfg.rates
    return {
        "G": G,
        "D": D,
        "opt_g": Adam(G.parameters(), lr_g, cfg.betas),
        "opt_d": Adam(D.parameters(), lr_d, cfg.betas),
    }


def inputs(n, rng, cfg: Config, truncation: float | None = None):
    """n latent vectors.

    truncation: keep the noise within this distance of 0: below 2, say, samples are better and less diverse
    """
    return {"z": normal(n, cfg.latent, rng, truncation)}


def make(z, G):
    """(n, latent) -> samples (n, *shape)."""
    return G(z)


def judge(x, D):
    """Samples -> numbers (N / pack, 1), near b for what looks real, near a for what does not."""
    return D(x)


def train(data, rng, cfg: Config, G, D, opt_g, opt_d):
    """One step of D, then one of G, on each batch. Yields the losses of each step, and what D said."""
    T = augmentation(cfg.augment, rng)

    @graph  # on a GPU, the whole step is one launch
    def step(real):
        fake = G(Tensor(rng.normal((len(real), cfg.latent))))

        d_real, d_fake = D(T(Tensor(real))), D(T(fake.detach()))
        d_loss = 0.5 * (F.mse_loss(d_real, cfg.b) + F.mse_loss(d_fake, cfg.a))
        opt_d.step(grad(d_loss, opt_d.params))

        g_loss = 0.5 * F.mse_loss(D(T(fake)), cfg.c)
        opt_g.step(grad(g_loss, opt_g.params))

        return {"d_loss": d_loss, "g_loss": g_loss, "d_real": d_real, "d_fake": d_fake}

    for real in data:
        yield step(real)


def pictures(show, data, rng, cfg: Config, G, D):
    """Samples, and held-out images, in the order that D puts them in."""
    if cfg.pack > 1 or not cfg.judges_each_alone:  # what D says of a sample depends on those beside it
        return
    made = G(Tensor(rng.normal((40, cfg.latent))))
    ranked(show, D, made, first_of(data))
