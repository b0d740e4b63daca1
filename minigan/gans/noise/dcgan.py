"""DCGAN: a GAN of convolutions.

Radford, Metz, Chintala, "Unsupervised representation learning with deep convolutional generative
adversarial networks", 2016. The game is that of `gan.py`; what makes it stable on images is the
architecture (section 3): strided convolutions in place of pooling, batch norm in both networks but
for G's output and D's input, no hidden dense layers, ReLU and tanh in G, LeakyReLU in D.

    latent 100, normal              section 4 (there uniform)
    G, D: 4x4 kernels, stride 2     figure 1 (there 5x5); widths double as the image halves
    LeakyReLU slope 0.2             section 4
    weights N(0, 0.02)              section 4; batch norm's γ N(1, 0.02)
    Adam, betas 0.5, 0.999          section 4
    Adam 1e-3 for G, 1e-4 for D     section 4 has 2e-4 for both, with which D learns small data by heart, and
                                    the two swing: bench/studies/digits.md
    batch 128                       section 4

The game may be another one, `--loss hinge` or `feature-matching`, with `--smoothing`, `--r1`,
`--minibatch-features`, `--augment`: see `gan.py`.

Images have 16, 32 or 64 pixels a side: 2, 3 or 4 doublings of 4. `--batch-norm` takes batch norm away, to see
what it is worth.
"""

from dataclasses import dataclass
from typing import Literal

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, grad
from minigan.errors import MiniganError
from minigan.graph import graph
from minigan.optim import Adam

from ..parts import convolutions
from ..parts.augment import augmentation
from ..parts.game import judge_loss
from ..parts.latent import normal
from ..parts.matching import feature_matching
from ..parts.packing import packed
from ..parts.penalties import r1_penalty
from ..settings import ConvolutionSettings, GameSettings

TAKES = ("image",)


@dataclass(frozen=True, kw_only=True)
class Config(ConvolutionSettings, GameSettings):
    steps: int = 1000
    batch_size: int = 128
    lr: float = 1e-3
    lr_d: float | None = 1e-4
    batch_norm: Literal["both", "G", "D", "none"] = "both"
    """Which networks have batch norm; of a network without, all convolutions have a bias."""
    loss: Literal["non-saturating", "hinge", "feature-matching"] = "non-saturating"
    """What G minimises: -log D(G(z)); -D(G(z)), where D's numbers are to be above 1 and below -1; or how far
    D's last layer but one is, on average, from what the data give."""

    def __post_init__(self):
        super().__post_init__()
        if self.r1 and self.batch_norm == "D":
            raise MiniganError(
                "batch_norm = 'D' does not go with r1, which is on D's slope at each sample by itself"
            )


def CRITIC(cfg: Config):
    """Whether D gives numbers, not logits."""
    return cfg.loss == "hinge"


def parts(cfg: Config, data, rng):
    """G: z (N, latent) -> images (N, *shape) in [-1, 1]. D: images -> logits (N / pack, 1)."""
    normed = "G" if cfg.r1 and cfg.batch_norm == "both" else cfg.batch_norm
    G, D = networks(cfg, data.shape, normed, rng)
    D, (lr_g, lr_d) = packed(D, cfg.pack), cfg.rates
    return {
        "G": G,
        "D": D,
        "opt_g": Adam(G.parameters(), lr_g, cfg.betas),
        "opt_d": Adam(D.parameters(), lr_d, cfg.betas),
    }


def networks(cfg, shape, normed, rng):
    """G, and D before it is packed, for images. normed: which have batch norm, as `batch_norm` says."""
    norm_g, norm_d = (nn.BatchNorm2d if normed in ("both", name) else None for name in ("G", "D"))
    G = convolutions.generator(cfg.latent, cfg.width, shape, norm_g)
    channels, kernels = cfg.pack * shape[0], cfg.minibatch_features
    D = convolutions.discriminator(cfg.width, channels, shape, norm_d, minibatch=kernels)
    for net in (G, D):
        net.apply(lambda layer: convolutions.initialise(layer, rng))
    return G, D


def inputs(n, rng, cfg: Config, truncation: float | None = None):
    """n latent vectors.

    truncation: keep the noise within this distance of 0: below 2, say, samples are better and less diverse
    """
    return {"z": normal(n, cfg.latent, rng, truncation)}


def make(z, G):
    """(n, latent) -> images (n, *shape)."""
    return G(z)


def judge(x, D):
    """Images -> the logits of being real (N / pack, 1)."""
    return D(x)


def train(data, rng, cfg: Config, G, D, opt_g, opt_d):
    """One step of D, then one of G, on each batch. Yields the losses of each step, and what D said.

    Real and generated images go through D in batches of their own, so that each is normalised by
    its own statistics.
    """
    bce, T = F.binary_cross_entropy_with_logits, augmentation(cfg.augment, rng)
    generator_loss = {
        "non-saturating": lambda real, fake: bce(D(T(fake)), 1.0),
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
