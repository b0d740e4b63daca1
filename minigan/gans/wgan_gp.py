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
    Adam 1e-4, betas 0, 0.9             Algorithm 1
    no batch norm in D                  section 4: the penalty is each sample's own; instance norm here,
                                        or the paper's layer norm
    images: networks of `dcgan.py`      of 16, 32 or 64 pixels
    points: 512-512-512, ReLU           the authors' toy code
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, enable_grad, grad
from minigan.errors import require
from minigan.graph import graph
from minigan.optim import Adam

from . import dcgan
from .gan import mlp
from .packing import pack, packed

EPS = 1e-12  # under the root of a norm: it has a slope also where the gradient is 0


@dataclass(frozen=True, kw_only=True)
class Config(dcgan.Config):
    steps: int = 1500
    batch_size: int = 64
    lr: float = 1e-4
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

    def fitted(self, shape, classes):
        default = 10.0 if len(shape) == 3 else 0.1
        cfg = super().fitted(shape, classes)
        return replace(cfg, penalty=default if self.penalty is None else self.penalty)


def networks(cfg: Config, shape, rng):
    """G: z (N, latent) -> samples (N, *shape), images in [-1, 1]. D: samples -> numbers (N / pack, 1)."""
    if len(shape) == 1:  # points of the plane
        G = nn.Sequential(*mlp([cfg.latent, 512, 512, 512, *shape], nn.ReLU(), rng))
        D = nn.Sequential(*mlp([cfg.pack * shape[0], 512, 512, 512, 1], nn.ReLU(), rng))
        return G, packed(D, cfg.pack)
    G = dcgan.generator(cfg.latent, cfg.width, shape)
    D = dcgan.discriminator(cfg.width, cfg.pack * shape[0], shape, NORMS[cfg.norm])
    for net in (G, D):
        net.apply(lambda layer: dcgan.initialise(layer, rng))
    return G, packed(D, cfg.pack)


NORMS = {
    "instance": partial(nn.InstanceNorm2d, affine=True),
    "layer": partial(nn.GroupNorm, 1),
    "none": lambda channels: nn.Identity(),
}


def optimizers(cfg: Config, G, D):
    """(opt_g, opt_d)."""
    betas = cfg.beta1, cfg.beta2
    lr_g, lr_d = cfg.rates
    return Adam(G.parameters(), lr_g, betas), Adam(D.parameters(), lr_d, betas)


def noise(cfg: Config, n, rng):
    """n latent vectors: (n, latent)."""
    return Tensor(rng.normal((n, cfg.latent)))


def gradient_penalty(D, real, fake, u, packs=1):
    """E[(‖∇D(x̂)‖ - 1)²] at x̂ = u · real + (1 - u) · fake: a Tensor of shape (), to be differentiated.

    real, fake: (N, ...), taken as constants. u: (N / packs, 1, ...), numbers in [0, 1], one a pack.
    packs: how many samples D judges together; the gradient is then that in all of them.

    The norm is √(Σ + 1e-12), over all values of a pack. Order of derivative: any that D has.
    """
    u = F.concat([u] * packs, axis=0) if packs > 1 else u
    with enable_grad():
        mixed = (u * real.detach() + (1.0 - u) * fake.detach()).requires_grad_()
        (slope,) = grad(D(mixed).sum(), mixed, create_graph=True)
        return ((F.row_norms(pack(slope, packs), EPS) - 1.0) ** 2).mean()


def train(G, D, opt_g, opt_d, data, rng, cfg: Config):
    """Algorithm 1. Yields the losses after each step of G, those of D from the last of its steps."""

    @graph  # on a GPU, a whole step is one launch
    def critic_step(real):
        real, fake = Tensor(real), G(noise(cfg, len(real), rng)).detach()
        u = Tensor(rng.uniform((len(real) // cfg.pack, *(1,) * (real.ndim - 1))))

        penalty = gradient_penalty(D, real, fake, u, cfg.pack)
        wasserstein = D(real).mean() - D(fake).mean()
        d_loss = cfg.penalty * penalty - wasserstein
        opt_d.step(grad(d_loss, opt_d.params))
        return {"d_loss": d_loss, "wasserstein": wasserstein, "penalty": penalty}

    @graph
    def generator_step(real):
        g_loss = -D(G(noise(cfg, len(real), rng))).mean()
        opt_g.step(grad(g_loss, opt_g.params))
        return {"g_loss": g_loss}

    for i, real in enumerate(data, start=1):
        losses = critic_step(real)
        if i % cfg.n_critic == 0:
            losses = {**losses, **generator_step(real)}
            yield {name: value.item() for name, value in losses.items()}
