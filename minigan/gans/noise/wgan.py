"""WGAN: a critic whose weights are clipped in place of a discriminator.

Arjovsky, Chintala, Bottou, "Wasserstein generative adversarial networks", 2017. How far the mass of one
distribution has to be moved to become the other, their Wasserstein distance, changes smoothly with G even
where the two have nothing in common, which no divergence does. By duality it is

    W = max_D E_x[D(x)] - E_z[D(G(z))]    over all D whose slope is nowhere above 1    (equation 2)

and G goes down its gradient, -E_z[∇D(G(z))], so that D ("the critic") is best trained to the end before each
step of G (section 3). Its slope is bounded by clipping: after each of its steps every weight is held within
[-c, c], so the slope is at most some K that nobody knows, and what D reaches at most K W. That is reported as
`wasserstein`: it rises while D learns, and falls as samples get better (section 4.2).

The authors call clipping a terrible way to bound a slope (section 3). `clipped` is the share of D's weights
that lie at ±c; `wgan_gp.py` has a penalty in its place.

    c 0.01, 5 steps of D a step of G, batch 64    Algorithm 1
    100 of D before each of G's first 25, and before each 500th           the authors' code
    RMSprop 2e-4              Algorithm 1 has 5e-5; with momentum it found training unstable (section 4.2),
                              which `--optimizer adam` shows
    images                    networks of `dcgan.py`, with batch norm in D as the authors' code has it; by the
                              other norms of `--norm` each sample is judged by itself
    points                    512-512-512, ReLU, as the toy code of WGAN-GP's authors, which clips as well
"""

import math
from dataclasses import dataclass
from typing import Literal

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, grad, no_grad
from minigan.errors import MiniganError, require
from minigan.graph import graph
from minigan.optim import Adam, RMSprop

from ..parts.augment import augmentation
from ..parts.held_out import first_of
from ..parts.latent import normal
from ..parts.ranking import ranked
from ..settings import ConvolutionSettings
from . import wgan_gp

TAKES = ("image or point",)
CRITIC = True  # D gives numbers, not the logits of being real

NORMS = {"batch": nn.BatchNorm2d, **wgan_gp.NORMS}


@dataclass(frozen=True, kw_only=True)
class Config(ConvolutionSettings):
    steps: int = 1500
    lr: float = 2e-4
    clip: float = 0.01
    """c: after each step of D its weights are held within [-c, c]."""
    n_critic: int = 5
    """Steps of D in a step, before the one of G."""
    n_critic_first: int = 100
    """Steps of D in each of the first 25 steps, and in every 500th; of no effect below n_critic."""
    optimizer: Literal["rmsprop", "adam"] = "rmsprop"
    """What moves both networks; beta1 and beta2 are Adam's alone."""
    norm: Literal["batch", "instance", "layer", "none"] = "batch"
    """How D's convolutions are normalised: over the batch, each channel of an image, or all of an image."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "n_critic", "n_critic_first", at_least=1)
        if not 0 < self.clip < math.inf:
            raise MiniganError(
                f"clip must be above 0 and finite, got {self.clip}: weights are held within [-clip, clip]"
            )


def parts(cfg: Config, data, rng):
    """G: z (N, latent) -> samples (N, *shape), images in [-1, 1]. D: samples -> numbers (N / pack, 1)."""
    G, D = wgan_gp.networks(cfg, data.shape, NORMS[cfg.norm], rng)
    opt_g, opt_d = (
        RMSprop(net.parameters(), lr) if cfg.optimizer == "rmsprop" else Adam(net.parameters(), lr, cfg.betas)
        for net, lr in zip((G, D), cfg.rates, strict=True)
    )
    return {"G": G, "D": D, "opt_g": opt_g, "opt_d": opt_d}


def inputs(n, rng, cfg: Config, truncation: float | None = None):
    """n latent vectors.

    truncation: keep the noise within this distance of 0: below 2, say, samples are better and less diverse
    """
    return {"z": normal(n, cfg.latent, rng, truncation)}


def make(z, G):
    """(n, latent) -> samples (n, *shape)."""
    return G(z)


def judge(x, D):
    """Samples -> numbers (N / pack, 1), higher for what looks real."""
    return D(x)


def critic_steps(cfg: Config, step: int) -> int:
    """How many steps of D there are before step `step` of G, counted from 0."""
    often = step < 25 or step % 500 == 0
    return max(cfg.n_critic, cfg.n_critic_first) if often else cfg.n_critic


def clipped(D, clip):
    """The share of D's weights that lie at ±clip: a Tensor of shape ()."""
    with no_grad():
        weights = D.parameters()
        return sum((F.abs(w) >= clip).sum() for w in weights) / sum(w.numel() for w in weights)


def train(data, rng, cfg: Config, G, D, opt_g, opt_d):
    """Algorithm 1. Yields the losses after each step of G; those of D are from the last of its steps."""
    T = augmentation(cfg.augment, rng)

    @graph  # on a GPU, a whole step is one launch
    def critic_step(real):
        real, fake = Tensor(real), G(Tensor(rng.normal((len(real), cfg.latent)))).detach()

        d_real, d_fake = D(T(real)), D(T(fake))
        wasserstein = d_real.mean() - d_fake.mean()
        opt_d.step(grad(-wasserstein, opt_d.params))
        opt_d.clamp_(-cfg.clip, cfg.clip)
        said = {"d_real": d_real, "d_fake": d_fake}
        return {"d_loss": -wasserstein, "wasserstein": wasserstein, **said}

    @graph
    def generator_step(real):
        g_loss = -D(T(G(Tensor(rng.normal((len(real), cfg.latent)))))).mean()
        opt_g.step(grad(g_loss, opt_g.params))
        return {"g_loss": g_loss, "clipped": clipped(D, cfg.clip)}

    left = critic_steps(cfg, opt_g.steps)
    for real in data:
        seen, left = critic_step(real), left - 1
        if not left:
            yield {**seen, **generator_step(real)}
            left = critic_steps(cfg, opt_g.steps)


def pictures(show, data, rng, cfg: Config, G, D):
    """Samples, and held-out images, in the order that the critic puts them in."""
    if cfg.pack > 1 or not cfg.judges_each_alone:  # what D says of a sample depends on those beside it
        return
    made = G(Tensor(rng.normal((40, cfg.latent))))
    ranked(show, D, made, first_of(data))


def numbers(cfg: Config, D):
    """The share of the critic's weights that lie at the clip, and of how many it is."""
    return {"clipped": (clipped(D, cfg.clip).item(), sum(w.numel() for w in D.parameters()))}
