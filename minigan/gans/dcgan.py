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

Images have 16, 32 or 64 pixels a side: 2, 3 or 4 doublings of 4.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Literal

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, grad
from minigan.errors import MiniganError, require
from minigan.graph import graph
from minigan.nn import init
from minigan.optim import Adam

from .packing import packed
from .settings import Settings

SIZES = 16, 32, 64


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    steps: int = 1000
    batch_size: int = 128
    lr: float = 1e-3
    lr_d: float | None = 1e-4
    size: Literal[16, 32, 64] | None = None
    """Pixels a side; by default the smallest that the data fits in, 64 for a folder."""
    width: int = 64
    """Channels of the layer next to the image; each layer inwards has twice as many."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "width", at_least=1)

    def default_size(self, pixels: int) -> int:
        """The image size to train at on data of `pixels` pixels a side: the smallest it fits in."""
        return default_size(pixels)


def default_size(pixels: int) -> int:
    """The smallest of SIZES that `pixels` fit in."""
    return next((s for s in SIZES if s >= pixels), SIZES[-1])


def networks(cfg: Config, shape, rng):
    """G: z (N, latent) -> images (N, *shape) in [-1, 1]. D: images -> logits (N / pack, 1)."""
    G = generator(cfg.latent, cfg.width, shape)
    D = packed(discriminator(cfg.width, cfg.pack * shape[0], shape), cfg.pack)
    for net in (G, D):
        net.apply(lambda layer: initialise(layer, rng))
    return G, D


def generator(latent, width, shape):
    """(N, latent) -> images (N, *shape)."""
    widths = layer_widths(width, shape)[::-1]
    up = [nn.Unflatten(latent, 1, 1), nn.ConvTranspose2d(latent, widths[0], 4, bias=False)]
    for n, m in itertools.pairwise(widths):
        up += [nn.BatchNorm2d(n), nn.ReLU(), nn.ConvTranspose2d(n, m, 4, 2, 1, bias=False)]
    up += [nn.BatchNorm2d(width), nn.ReLU(), nn.ConvTranspose2d(width, shape[0], 4, 2, 1), nn.Tanh()]
    return nn.Sequential(*up)


def discriminator(width, channels, shape, norm=nn.BatchNorm2d):
    """Images (N, channels, H, W), H and W those of `shape`, -> (N, 1). norm(channels) makes a layer."""
    widths = layer_widths(width, shape)
    down = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for n, m in itertools.pairwise(widths):
        down += [nn.Conv2d(n, m, 4, 2, 1, bias=False), norm(m), nn.LeakyReLU(0.2)]
    return nn.Sequential(*down, nn.Conv2d(widths[-1], 1, 4), nn.Flatten())


def layer_widths(width, shape):
    """The channels of each layer, from the image inwards. MiniganError for images of another size."""
    if len(shape) != 3 or shape[1] != shape[2] or shape[1] not in SIZES:
        raise MiniganError(
            f"convolutional networks make images of 16, 32 or 64 pixels a side, not samples of shape {shape}"
            + "; points of the plane are for gan and wgan-gp" * (len(shape) == 1)
        )
    return [width * 2**i for i in range(int(math.log2(shape[1] // 4)))]


def initialise(layer, rng):
    """Section 4: weights from N(0, 0.02), batch norm's scale around 1, biases 0."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        init.normal_(layer.weight, 0.0, 0.02, rng)
        if layer.bias is not None:
            init.zeros_(layer.bias)
    elif isinstance(layer, nn.BatchNorm2d):
        init.normal_(layer.weight, 1.0, 0.02, rng)


def optimizers(cfg: Config, G, D):
    """(opt_g, opt_d)."""
    betas = cfg.beta1, cfg.beta2
    lr_g, lr_d = cfg.rates
    return Adam(G.parameters(), lr_g, betas), Adam(D.parameters(), lr_d, betas)


def noise(cfg: Config, n, rng):
    """n latent vectors: (n, latent)."""
    return Tensor(rng.normal((n, cfg.latent)))


def train(G, D, opt_g, opt_d, data, rng, cfg: Config):
    """One step of D, then one of G, on each batch. Yields the losses of each step.

    Real and generated images go through D in batches of their own, so that each is normalised by
    its own statistics.
    """
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
