"""VAE-GAN: a VAE whose images are compared by what a discriminator sees in them.

Larsen, Sønderby, Larochelle, Winther, "Autoencoding beyond pixels using a learned similarity metric", 2016.
The error of single pixels is no measure of likeness: an edge that is moved a little is as wrong as one that
is blurred away. A discriminator that learns to tell real images from made ones has layers that know better.
So the decoder of a VAE (`vae.py`) is a GAN's generator, too, and what a hidden layer of D says, D_l(x), is
taken as normally distributed around what it says of the image that is made again, x̃ = Dec(z), z from
q(z|x):

    L_prior = KL(q(z|x) ‖ p(z))
    L_like = -E_q[log p(D_l(x)|z)] = ½‖D_l(x) - D_l(x̃)‖² + a constant
    L_GAN = the cross-entropy of D on x, x̃ and x_p = Dec(z_p), z_p from p(z)

Each network learns by its own share of the three (algorithm 1): the encoder by L_prior + L_like, not by the
game; the decoder by γ L_like + its loss in the game; D by L_GAN alone, or it would learn to see no
difference. All three gradients are of the same weights, before any moves.

    encoder, decoder, D      DCGAN's convolutions; the paper: 5x5 kernels, for images of 64 pixels
    D_l                      D's last layer but one; the paper: one of its middle
    γ 1e-3                   for a sum over D_l's numbers; the paper does not say its own
    the decoder's game       -log D(x̃) - log D(x_p), as `gan.py`; algorithm 1 has log(1 - D)
    Adam 1e-3, for D 1e-4, betas 0.5, 0.999    `dcgan.py`; the paper: RMSProp, 3e-4
    batch 64                 the paper; code of 32

Images have 16, 32 or 64 pixels a side: 2, 3 or 4 doublings of 4.
"""

import math
from dataclasses import dataclass
from typing import Literal

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, grad, no_grad
from minigan.errors import require
from minigan.graph import graph
from minigan.optim import Adam

from ..parts import convolutions
from ..parts.gaussian import divergence, drawn, mean_and_log_var
from ..parts.held_out import all_of, first_of
from ..parts.latent import normal
from ..settings import Settings

TAKES = ("image",)


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    steps: int = 1500
    batch_size: int = 64
    size: Literal[16, 32, 64] | None = None
    """Pixels a side; by default the smallest that the data fits in, 64 for a folder."""
    latent: int = 32
    """Numbers of a code."""
    width: int = 32
    """Channels of the layer next to the image; each layer inwards has twice as many."""
    gamma: float = 1e-3
    """γ: what likeness in the eyes of D counts for the decoder, beside its game."""
    lr: float = 1e-3
    """Adam's learning rate for encoder and decoder."""
    lr_d: float = 1e-4
    """Adam's learning rate for D."""
    beta1: float = 0.5
    """Adam's first decay rate, that of the momentum."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "latent", "width", at_least=1)
        require(self, "gamma", "lr", "lr_d")
        require(self, "beta1", below=1)

    def default_size(self, pixels: int) -> int:
        """The image size to train at on data of `pixels` pixels a side: the smallest it fits in."""
        return convolutions.default_size(pixels)


class Discriminator(nn.Module):
    """Images -> logits (N, 1). `features`: images -> D_l, (N, channels, 4, 4); `real`: what D makes of
    them."""

    def __init__(self, width, shape):
        super().__init__()
        *layers, last, flat = convolutions.discriminator(width, shape[0], shape)
        self.features, self.real = nn.Sequential(*layers), nn.Sequential(last, flat)

    def forward(self, x):
        return self.real(self.features(x))


def parts(cfg: Config, data, rng):
    """encoder: images -> (N, 2 · latent), μ and log σ². decoder: codes (N, latent) -> images in [-1, 1]. D:
    images -> logits (N, 1)."""
    encoder = convolutions.discriminator(cfg.width, data.shape[0], data.shape, outputs=2 * cfg.latent)
    decoder = convolutions.generator(cfg.latent, cfg.width, data.shape)
    networks = {"encoder": encoder, "decoder": decoder, "D": Discriminator(cfg.width, data.shape)}
    for net in networks.values():
        net.apply(lambda layer: convolutions.initialise(layer, rng))
    rates = {"encoder": cfg.lr, "decoder": cfg.lr, "D": cfg.lr_d}
    optimisers = {
        f"opt_{name.lower()}": Adam(net.parameters(), rates[name], (cfg.beta1, 0.999))
        for name, net in networks.items()
    }
    return networks | optimisers


def inputs(n, rng, cfg: Config, truncation: float | None = None):
    """n codes from the prior.

    truncation: keep the code within this distance of 0: below 2, say, samples are better and less diverse
    """
    return {"z": normal(n, cfg.latent, rng, truncation)}


def make(z, decoder):
    """Codes (n, latent) -> images (n, *shape)."""
    return decoder(z)


def encode(x, encoder):
    """The code of each image, (N, latent): the mean of q(z|x)."""
    mean, _ = mean_and_log_var(encoder(x))
    return {"z": mean}


def judge(x, D):
    """Images -> the logits of being real (N, 1)."""
    return D(x)


def unlikeness(seen, again):
    """½‖D_l(x) - D_l(x̃)‖² of what D sees in images and in those made again, (N, ...) both -> (N,). Order of
    derivative: any."""
    return 0.5 * F.flatten((seen - again) ** 2, 1).sum(axis=1)


def train(data, rng, cfg: Config, encoder, decoder, D, opt_encoder, opt_decoder, opt_d):
    """Algorithm 1. Yields the three losses, that of the decoder in its game, and what D said of real images
    and of samples."""
    bce = F.binary_cross_entropy_with_logits

    @graph  # on a GPU, the whole step is one launch
    def step(x):
        x, n = Tensor(x), len(x)
        mean, log_var = mean_and_log_var(encoder(x))
        again = decoder(drawn(mean, log_var, Tensor(rng.normal((n, cfg.latent)))))
        fake = decoder(Tensor(rng.normal((n, cfg.latent))))

        of_x, of_again = D.features(x), D.features(again)
        d_real, d_again, d_fake = D.real(of_x), D.real(of_again), D(fake)
        prior, like = divergence(mean, log_var).mean(), unlikeness(of_x, of_again).mean()
        d_loss = bce(d_real, 1.0) + bce(d_again, 0.0) + bce(d_fake, 0.0)
        g_loss = bce(d_again, 1.0) + bce(d_fake, 1.0)

        of_encoder = grad(prior + like, opt_encoder.params)
        of_decoder = grad(cfg.gamma * like + g_loss, opt_decoder.params)
        of_d = grad(d_loss, opt_d.params)
        opt_encoder.step(of_encoder)
        opt_decoder.step(of_decoder)
        opt_d.step(of_d)

        losses = {"prior": prior, "unlikeness": like, "d_loss": d_loss, "g_loss": g_loss}
        return {**losses, "d_real": d_real, "d_fake": d_fake}

    for x in data:
        yield step(x)


def pictures(show, data, encoder, decoder):
    """Held-out images and what is left of them in the code."""
    x = first_of(data)
    show(
        "Images of the test split, and each beside it as the decoder makes it from its code.",
        x,
        make(**encode(x, encoder), decoder=decoder),
    )


def numbers(data, rng, encoder, decoder, D):
    """How near held-out images are to those made again from the means of their q(z|x).

    kl: how far q(z|x) is from the prior, in nats an image. error: the mean squared error of a pixel in
    [-1, 1]. unlikeness: how far what D sees in both is apart, ½‖D_l(x) - D_l(x̃)‖².
    """
    totals, n = dict.fromkeys(("kl", "error", "unlikeness"), 0.0), len(data)
    with no_grad():
        for x in all_of(data, rng.device):
            mean, log_var = mean_and_log_var(encoder(x))
            again = decoder(mean)
            totals["kl"] += divergence(mean, log_var).sum().item()
            totals["error"] += 2 * unlikeness(x, again).sum().item() / math.prod(data.shape)
            totals["unlikeness"] += unlikeness(D.features(x), D.features(again)).sum().item()
    return {name: total / n for name, total in totals.items()}
