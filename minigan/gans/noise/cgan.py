"""CGAN: a GAN that is told what to make.

Mirza, Osindero, "Conditional generative adversarial nets", 2014. Both networks are given the label y
as well (figure 1), and play

    min_G max_D  E_x[log D(x|y)] + E_z[log(1 - D(G(z|y)|y))]                  (equation 2)

An image that looks real but is not what its label says is as easy to tell from the data as a bad
image, so G learns to make what it is asked for. Generated images take the labels of the real batch.

    --net conv      DCGAN's networks and settings (`dcgan.py`), y joined to z, and to x as a learned
                    picture of its class; images of 16, 32 or 64 pixels
    --net mlp       the paper's layers, section 4.1, for images of any size; normal noise and tanh, where
                    the paper has uniform noise and a sigmoid
                      G: z -> 200, y -> 1000, both -> 1200 -> image, ReLU
                      D: x -> maxout 240 x 5, y -> maxout 50 x 5, both -> maxout 240 x 4 -> logit,
                      dropout 1/2
    points          128-128, y joined to z and to x; whatever --net says
    Adam 1e-3 for G, 1e-4 for D, betas 0.5, 0.999, batch 128: as `dcgan.py`, bench/studies/defaults.md; the
    paper: SGD, 0.1 decayed, batch 100

`--loss hinge`, `--smoothing`, `--r1`, `--minibatch-features` and `--augment` are those of `gan.py`.
"""

import math
from dataclasses import dataclass
from typing import Literal

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, grad
from minigan.errors import MiniganError, require
from minigan.graph import graph
from minigan.optim import Adam

from ..parts import convolutions
from ..parts.augment import augmentation
from ..parts.conditioning import Conditional, label_plane, labels_of, one_hot
from ..parts.game import judge_loss
from ..parts.latent import normal
from ..parts.minibatch import judged
from ..parts.mlp import mlp
from ..parts.packing import pack, packed
from ..parts.penalties import r1_penalty
from ..settings import GameSettings, LabelledSettings

TAKES = "image or point", "label"


@dataclass(frozen=True, kw_only=True)
class Config(LabelledSettings, GameSettings):
    steps: int = 1000
    batch_size: int = 128
    lr: float = 1e-3
    lr_d: float | None = 1e-4
    net: Literal["conv", "mlp"] = "conv"
    """The networks for images: DCGAN's, or the paper's perceptrons."""
    width: int = 64
    """Channels of the convolution next to the image; each layer inwards has twice as many."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "width", at_least=1)
        if self.net == "conv" and self.size not in (None, *convolutions.SIZES):
            raise MiniganError(
                f"size cannot be {self.size}; there are: {convolutions.SIZES}, and any for net = 'mlp'"
            )

    def default_size(self, pixels: int) -> int:
        """The image size to train at on data of `pixels` pixels a side."""
        return convolutions.default_size(pixels) if self.net == "conv" else pixels


def CRITIC(cfg: Config):
    """Whether D gives numbers, not logits."""
    return cfg.loss == "hinge"


def parts(cfg: Config, data, rng):
    """G: z (N, latent), labels (N,) -> samples (N, *shape). D: samples, labels -> logits (N / pack, 1).

    Labels are integers, or weights (N, classes).
    """
    G, D = networks(cfg, data.shape, rng)
    lr_g, lr_d = cfg.rates
    return {
        "G": G,
        "D": D,
        "opt_g": Adam(G.parameters(), lr_g, cfg.betas),
        "opt_d": Adam(D.parameters(), lr_d, cfg.betas),
    }


def networks(cfg, shape, rng):
    """(G, D): for points perceptrons, for images what `net` says."""
    K, B = cfg.classes, cfg.minibatch_features
    if len(shape) == 1:  # points of the plane
        G = nn.Sequential(*mlp([cfg.latent + K, 128, 128, *shape], nn.ReLU(), rng))
        D = nn.Sequential(*mlp([cfg.pack * (shape[0] + K), 128, 128, 1], nn.LeakyReLU(0.2), rng, minibatch=B))
        return Conditional(G, K), Conditional(packed(D, cfg.pack), K)
    if cfg.net == "mlp":
        return PaperGenerator(cfg, shape, rng), PaperDiscriminator(cfg, shape, rng)
    G = convolutions.generator(cfg.latent + K, cfg.width, shape)
    norm = None if cfg.r1 else nn.BatchNorm2d
    D = convolutions.discriminator(cfg.width, cfg.pack * (shape[0] + 1), shape, norm, minibatch=B)
    for net in (G, D):
        net.apply(lambda layer: convolutions.initialise(layer, rng))
    return Conditional(G, K), Conditional(packed(D, cfg.pack), K, label_plane(K, shape, rng))


class PaperGenerator(nn.Module):
    """Section 4.1: noise and label have a layer of their own each, and then share one."""

    def __init__(self, cfg, shape, rng):
        super().__init__()
        self.classes = cfg.classes
        self.noise = nn.Linear(cfg.latent, 200, generator=rng)
        self.label = nn.Linear(cfg.classes, 1000, generator=rng)
        self.joint = nn.Linear(1200, 1200, generator=rng)
        self.image = nn.Sequential(
            nn.Linear(1200, math.prod(shape), generator=rng), nn.Tanh(), nn.Unflatten(*shape)
        )

    def forward(self, z, labels):
        y = one_hot(labels, self.classes)
        h = F.concat([F.relu(self.noise(z)), F.relu(self.label(y))], axis=1)
        return self.image(F.relu(self.joint(h)))


class PaperDiscriminator(nn.Module):
    """Section 4.1: maxout layers for image and label, and one for both."""

    def __init__(self, cfg, shape, rng):
        super().__init__()
        self.classes, self.pack = cfg.classes, cfg.pack

        def maxout(n, units, pieces):
            return nn.Sequential(
                nn.Linear(n, units * pieces, generator=rng), nn.Maxout(pieces), nn.Dropout(generator=rng)
            )

        self.image = maxout(cfg.pack * math.prod(shape), 240, 5)
        self.label = maxout(cfg.pack * cfg.classes, 50, 5)
        self.joint = nn.Sequential(maxout(290, 240, 4), *judged(240, cfg.minibatch_features, rng))

    def forward(self, x, labels):
        x, y = pack(F.flatten(x, 1), self.pack), pack(one_hot(labels, self.classes), self.pack)
        return self.joint(F.concat([self.image(x), self.label(y)], axis=1))


def inputs(n, rng, cfg: Config, label: int | None = None, truncation: float | None = None):
    """n latent vectors, and n labels.

    label: the class to make; by default every class in turn
    truncation: keep the noise within this distance of 0: below 2, say, samples are better and less diverse
    """
    z = normal(n, cfg.latent, rng, truncation)
    return {"z": z, "labels": labels_of(n, label, cfg.classes)}


def make(z, labels, G):
    """(n, latent), and labels (n,) or weights (n, classes) -> samples (n, *shape)."""
    return G(z, labels)


def judge(x, labels, D):
    """Samples and labels -> the logits of being real (N / pack, 1)."""
    return D(x, labels)


def train(data, rng, cfg: Config, G, D, opt_g, opt_d):
    """One step of D, then one of G, on each batch (real, labels). Yields the losses, and what D said."""
    bce, T = F.binary_cross_entropy_with_logits, augmentation(cfg.augment, rng)
    for layer in D.modules():
        if isinstance(layer, nn.Dropout):
            layer.generator = rng  # of the device, which draws there within a graph

    @graph  # on a GPU, the whole step is one launch
    def step(real, labels):
        real, fake = Tensor(real), G(Tensor(rng.normal((len(real), cfg.latent))), labels)

        d_real, d_fake = D(T(real), labels), D(T(fake.detach()), labels)
        d_loss = judge_loss(d_real, d_fake, cfg)
        if cfg.r1:
            d_loss = d_loss + cfg.r1 / 2 * r1_penalty(lambda x: D(T(x), labels), real, cfg.pack)
        opt_d.step(grad(d_loss, opt_d.params))

        d_of_g = D(T(fake), labels)
        g_loss = -d_of_g.mean() if cfg.loss == "hinge" else bce(d_of_g, 1.0)
        opt_g.step(grad(g_loss, opt_g.params))

        return {"d_loss": d_loss, "g_loss": g_loss, "d_real": d_real, "d_fake": d_fake}

    for real, labels in data:
        yield step(real, labels)
