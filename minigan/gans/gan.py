"""GAN, by multi-layer perceptrons.

Goodfellow et al., "Generative adversarial nets", 2014. A generator G turns noise into images; a
discriminator D says how likely an image is real. They play

    min_G max_D  E_x[log D(x)] + E_z[log(1 - D(G(z)))]                        (equation 1)

by one step of gradient ascent for D and one of descent for G in turn (Algorithm 1). As section 3
advises, G maximises log D(G(z)) in place of minimising log(1 - D(G(z))): the same fixed point, and
a gradient that does not vanish while D still wins. D gives logits, so that no logarithm is taken of
a rounded probability.

The networks and settings are today's usual ones for small images, not the paper's maxout networks:

    latent 100, normal              the paper's size
    G 128-256-512-1024, batch norm  LeakyReLU 0.2, tanh at the end; for points of the plane
                                    128-128, ReLU
    D 512-256, LeakyReLU 0.2        one logit; for points 128-128
    Adam 2e-4, betas 0.5, 0.999     Radford et al. 2016, section 4
    batch 64
"""

import itertools
import math
from dataclasses import dataclass

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, grad
from minigan.errors import require
from minigan.graph import graph
from minigan.optim import Adam


@dataclass(frozen=True, kw_only=True)
class Config:
    steps: int = 5000
    """Training steps, each one of D and one of G."""
    batch_size: int = 64
    """Real images, and fakes, in a step."""
    size: int | None = None
    """Pixels a side; by default those of the data, 64 for a folder."""
    latent: int = 100
    """Length of the noise vector z."""
    lr: float = 2e-4
    """Adam's learning rate, of both networks."""
    beta1: float = 0.5
    """Adam's first decay rate, that of the momentum."""
    beta2: float = 0.999
    """Adam's second decay rate, that of the squared gradients."""

    def __post_init__(self):
        require(self, "steps", "size", "latent", at_least=1)
        require(self, "batch_size", at_least=2)  # batch norm
        require(self, "lr")
        require(self, "beta1", "beta2", below=1)


def default_size(size: int) -> int:
    """The image size to train at on data of `size` pixels: its own."""
    return size


def networks(cfg: Config, shape, rng):
    """G: z (N, latent) -> samples (N, *shape), images in [-1, 1]. D: samples -> logits (N, 1)."""
    if len(shape) == 1:  # points of the plane
        G = nn.Sequential(*mlp([cfg.latent, 128, 128, *shape], nn.ReLU(), rng))
        D = nn.Sequential(*mlp([*shape, 128, 128, 1], nn.LeakyReLU(0.2), rng))
        return G, D
    pixels = math.prod(shape)
    G = nn.Sequential(
        *mlp([cfg.latent, 128, 256, 512, 1024, pixels], nn.LeakyReLU(0.2), rng, norm=True),
        nn.Tanh(),
        nn.Unflatten(*shape),
    )
    D = nn.Sequential(nn.Flatten(), *mlp([pixels, 512, 256, 1], nn.LeakyReLU(0.2), rng))
    return G, D


def mlp(widths, activation, rng, norm=False):
    """Linear layers with activations between them; with batch norm on all but the first."""
    layers = []
    for i, (n, m) in enumerate(itertools.pairwise(widths)):
        if i:
            layers += [nn.BatchNorm1d(n)] * (norm and i > 1) + [activation]
        layers += [nn.Linear(n, m, generator=rng)]
    return layers


def optimizers(cfg: Config, G, D):
    """(opt_g, opt_d)."""
    betas = cfg.beta1, cfg.beta2
    return Adam(G.parameters(), cfg.lr, betas), Adam(D.parameters(), cfg.lr, betas)


def noise(cfg: Config, n, rng):
    """n latent vectors: (n, latent)."""
    return Tensor(rng.normal((n, cfg.latent)))


def train(G, D, opt_g, opt_d, data, rng, cfg: Config):
    """Algorithm 1, with the non-saturating generator loss. Yields the losses of each step."""
    bce = F.binary_cross_entropy_with_logits

    @graph  # on a GPU, the whole step is one launch
    def step(real):
        fake = G(noise(cfg, len(real), rng))

        d_real, d_fake = D(Tensor(real)), D(fake.detach())
        d_loss = bce(d_real, 1.0) + bce(d_fake, 0.0)
        opt_d.step(grad(d_loss, opt_d.params))

        g_loss = bce(D(fake), 1.0)
        opt_g.step(grad(g_loss, opt_g.params))

        p_real, p_fake = (F.sigmoid(logits.detach()).mean() for logits in (d_real, d_fake))
        return {"d_loss": d_loss, "g_loss": g_loss, "d_real": p_real, "d_fake": p_fake}

    for real in data:
        yield {name: value.item() for name, value in step(real).items()}
