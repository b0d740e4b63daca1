"""WGAN-GP: a critic of bounded slope in place of a discriminator.

Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, "Improved training of Wasserstein GANs", 2017. D gives
a number, not a probability. If its slope is nowhere above 1, the difference between what it gives real
and generated samples on average is at most their Wasserstein distance (Arjovsky et al. 2017), and the
best such D reaches it. D is kept to slope 1 by a penalty on the norm of its gradient, at random points
x̂ = ε x + (1 - ε) x̃ between a real sample x and a generated one x̃:

    L_D = E[D(x̃)] - E[D(x)] + λ E[(‖∇D(x̂)‖ - 1)²]                             (equation 3)
    L_G = -E[D(G(z))]

The gradient of L_D holds a gradient of a gradient: `create_graph=True` records the inner one.
-(L_D - penalty), reported as `wasserstein`, rises while D learns, and then falls as samples get better: a
loss that can be read.

    λ 10, 5 steps of D a step of G      Algorithm 1; λ 0.1 for points, as in the authors' toy code
    Adam 5e-4, betas 0, 0.9             Algorithm 1 has 1e-4: further from small data in as many steps,
                                        bench/studies/defaults.md
    no batch norm in D                  section 4: the penalty is each sample's own; instance norm here,
                                        or the paper's layer norm
    images: networks of `dcgan.py`      of 16, 32 or 64 pixels
    points: 512-512-512, ReLU           the authors' toy code
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from minigan import nn
from minigan.autograd import Tensor, grad
from minigan.errors import require
from minigan.graph import graph
from minigan.optim import Adam

from ..parts import convolutions
from ..parts.latent import normal
from ..parts.mlp import mlp
from ..parts.packing import packed
from ..parts.penalties import gradient_penalty
from . import dcgan

TAKES = ("image or point",)
CRITIC = True  # D gives numbers, not the logits of being real
SLOPE = 1  # what the penalty wants of D


@dataclass(frozen=True, kw_only=True)
class Config(dcgan.Config):
    steps: int = 1500
    batch_size: int = 64
    lr: float = 5e-4
    lr_d: float | None = None
    beta1: float = 0.0
    beta2: float = 0.9
    n_critic: int = 5
    """Steps of D in a step, before the one of G."""
    penalty: float | None = None
    """λ, the weight of the gradient penalty; by default 10, for points of the plane 0.1."""
    norm: Literal["instance", "layer", "none"] = "instance"
    """How D's convolutions are normalised: over each channel of an image, or over all of an image."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "n_critic", at_least=1)
        require(self, "penalty")

    def fitted(self, data):
        default = 10.0 if len(data.shape) == 3 else 0.1
        return replace(super().fitted(data), penalty=default if self.penalty is None else self.penalty)


NORMS = {
    "instance": partial(nn.InstanceNorm2d, affine=True),
    "layer": partial(nn.GroupNorm, 1),
    "none": lambda channels: nn.Identity(),
}


def parts(cfg: Config, data, rng):
    """G: z (N, latent) -> samples (N, *shape), images in [-1, 1]. D: samples -> numbers (N / pack, 1)."""
    channels, *pixels = data.shape
    if pixels:
        G = convolutions.generator(cfg.latent, cfg.width, data.shape)
        D = convolutions.discriminator(cfg.width, cfg.pack * channels, data.shape, NORMS[cfg.norm])
        for net in (G, D):
            net.apply(lambda layer: convolutions.initialise(layer, rng))
    else:  # points of the plane
        G = nn.Sequential(*mlp([cfg.latent, 512, 512, 512, channels], nn.ReLU(), rng))
        D = nn.Sequential(*mlp([cfg.pack * channels, 512, 512, 512, 1], nn.ReLU(), rng))
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
    """Samples -> numbers (N / pack, 1), higher for what looks real."""
    return D(x)


def train(data, rng, cfg: Config, G, D, opt_g, opt_d):
    """Algorithm 1. Yields the losses after each step of G; those of D are from the last of its steps."""

    @graph  # on a GPU, a whole step is one launch
    def critic_step(real):
        real, fake = Tensor(real), G(Tensor(rng.normal((len(real), cfg.latent)))).detach()
        u = Tensor(rng.uniform((len(real) // cfg.pack, *(1,) * (real.ndim - 1))))

        penalty = gradient_penalty(D, real, fake, u, cfg.pack)
        d_real, d_fake = D(real), D(fake)
        wasserstein = d_real.mean() - d_fake.mean()
        d_loss = cfg.penalty * penalty - wasserstein
        opt_d.step(grad(d_loss, opt_d.params))
        said = {"d_real": d_real, "d_fake": d_fake}
        return {"d_loss": d_loss, "wasserstein": wasserstein, "penalty": penalty, **said}

    @graph
    def generator_step(real):
        g_loss = -D(G(Tensor(rng.normal((len(real), cfg.latent))))).mean()
        opt_g.step(grad(g_loss, opt_g.params))
        return {"g_loss": g_loss}

    for i, real in enumerate(data, start=1):
        seen = critic_step(real)
        if i % cfg.n_critic == 0:
            yield {**seen, **generator_step(real)}
