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

With `--augment`, of Zhao et al. 2020, D sees T(x) and T(x̃) in place of x and x̃; its slope is bounded there.
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
from ..parts.augment import augmentation
from ..parts.latent import normal
from ..parts.mlp import mlp
from ..parts.packing import packed
from ..parts.penalties import gradient_penalty
from ..settings import ConvolutionSettings, require_each_alone

TAKES = ("image or point",)
CRITIC = True  # D gives numbers, not the logits of being real
SLOPE = 1  # what the penalty wants of D


@dataclass(frozen=True, kw_only=True)
class Config(ConvolutionSettings):
    steps: int = 1500
    batch_size: int = 64
    lr: float = 5e-4
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
        require_each_alone(self, "the gradient penalty")

    def fitted(self, data):
        default = 10.0 if len(data.shape) == 3 else 0.1
        return replace(super().fitted(data), penalty=default if self.penalty is None else self.penalty)


NORMS = {
    "instance": partial(nn.InstanceNorm2d, affine=True),
    "layer": partial(nn.GroupNorm, 1),
    "none": None,
}


def parts(cfg: Config, data, rng):
    """G: z (N, latent) -> samples (N, *shape), images in [-1, 1]. D: samples -> numbers (N / pack, 1)."""
    G, D = networks(cfg, data.shape, NORMS[cfg.norm], rng)
    lr_g, lr_d = cfg.rates
    return {
        "G": G,
        "D": D,
        "opt_g": Adam(G.parameters(), lr_g, cfg.betas),
        "opt_d": Adam(D.parameters(), lr_d, cfg.betas),
    }


def networks(cfg, shape, norm, rng):
    """(G, D): those of `dcgan.py` with a norm of D's own for images, perceptrons for points of the plane."""
    (channels, *pixels), kernels = shape, cfg.minibatch_features
    values = cfg.pack * channels
    if pixels:
        G = convolutions.generator(cfg.latent, cfg.width, shape)
        D = convolutions.discriminator(cfg.width, values, shape, norm, minibatch=kernels)
        for net in (G, D):
            net.apply(lambda layer: convolutions.initialise(layer, rng))
    else:
        G = nn.Sequential(*mlp([cfg.latent, 512, 512, 512, channels], nn.ReLU(), rng))
        D = nn.Sequential(*mlp([values, 512, 512, 512, 1], nn.ReLU(), rng, minibatch=kernels))
    return G, packed(D, cfg.pack)


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
    T = augmentation(cfg.augment, rng)

    @graph  # on a GPU, a whole step is one launch
    def critic_step(real):
        real, fake = T(Tensor(real)), T(G(Tensor(rng.normal((len(real), cfg.latent)))).detach())
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
        g_loss = -D(T(G(Tensor(rng.normal((len(real), cfg.latent)))))).mean()
        opt_g.step(grad(g_loss, opt_g.params))
        return {"g_loss": g_loss}

    for i, real in enumerate(data, start=1):
        seen = critic_step(real)
        if i % cfg.n_critic == 0:
            yield {**seen, **generator_step(real)}
