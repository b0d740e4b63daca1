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

from dataclasses import dataclass
from typing import Literal

from minigan import functional as F
from minigan.autograd import Tensor, grad
from minigan.errors import require
from minigan.graph import graph
from minigan.optim import Adam

from ..parts import convolutions
from ..parts.latent import normal
from ..parts.packing import packed
from ..settings import NoiseSettings

TAKES = ("image",)


@dataclass(frozen=True, kw_only=True)
class Config(NoiseSettings):
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
        return convolutions.default_size(pixels)


def parts(cfg: Config, data, rng):
    """G: z (N, latent) -> images (N, *shape) in [-1, 1]. D: images -> logits (N / pack, 1)."""
    channels, *_ = data.shape
    G = convolutions.generator(cfg.latent, cfg.width, data.shape)
    D = packed(convolutions.discriminator(cfg.width, cfg.pack * channels, data.shape), cfg.pack)
    for net in (G, D):
        net.apply(lambda layer: convolutions.initialise(layer, rng))
    lr_g, lr_d = cfg.rates
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
    bce = F.binary_cross_entropy_with_logits

    @graph  # on a GPU, the whole step is one launch
    def step(real):
        fake = G(Tensor(rng.normal((len(real), cfg.latent))))

        d_real, d_fake = D(Tensor(real)), D(fake.detach())
        d_loss = bce(d_real, 1.0) + bce(d_fake, 0.0)
        opt_d.step(grad(d_loss, opt_d.params))

        g_loss = bce(D(fake), 1.0)
        opt_g.step(grad(g_loss, opt_g.params))

        return {"d_loss": d_loss, "g_loss": g_loss, "d_real": d_real, "d_fake": d_fake}

    for real in data:
        yield step(real)
