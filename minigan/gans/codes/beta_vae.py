"""β-VAE: a VAE whose codes come to stand for one factor each.

Higgins, Matthey, Pal, Burgess, Glorot, Botvinick, Mohamed, Lerchner, "beta-VAE: learning basic visual
concepts with a constrained variational framework", 2017. The bound of `vae.py`, with a weight on the
divergence:

    L = -E_q[log p(x|z)] + β KL(q(z|x) ‖ N(0, 1))                             (equation 4)

With β > 1 a code has to save: what lowers the first term most for each nat goes into numbers that are
independent, as those of the prior are. Less is left of the picture. β = 1 is the VAE. Three terms may be
added or exchanged, the loss being L + weight · regulariser each time:

--capacity C           γ |KL - C| in place of β KL, C rising from 0 over the steps: the code has few nats
                       first, which the largest factors take, and then more, so that pictures get sharp in the
                       end. Burgess et al., "Understanding disentangling in β-VAE", 2018, equation 8
--total-correlation w  + w TC(z): of the divergence, only the part that is of numbers which depend on each
                       other. β-TCVAE, Chen et al. 2018, whose β is 1 + w here, with --beta 1
--supervision w        + w Σ_k (μ_k - v_k)²: the first codes are to be the factors v of those pictures of
                       which they are known, scaled to mean 0 and variance 1. Locatello et al.,
                       "Disentangling factors of variation using few labels", 2020, section 3. With
                       --data factors:known=0.01, say

    β 4                            the paper: another for each data set, 4 for 2-D shapes
    code                           10 numbers; the paper, for 2-D shapes
    encoder                        4x4 convolutions of stride 2, 32, 32, 64, 64 channels, 256 units, ReLU;
                                   appendix, table 1, for 64 pixels; one layer less for each halving. Here
                                   half as many by default, `--width 32 --hidden 256` has these
    decoder                        the reverse
    pixels                         coins, whose probabilities those of the data are, from 0 to 1
    Adam 1e-3, batch 64            Burgess et al. 2018, appendix A: 5e-4; the first paper: 1e-4. Here faster,
                                   for minutes of training
    γ 10, C over all steps         Burgess et al. 2018: 1000, C to 25 over 100,000 steps. In the thousands of
                                   steps here, 1000 outweighs the pictures: the codes get their C nats by
                                   means that are the same of all of them. C should be below the nats of
                                   β = 1, which are about 10 on `factors`

Images have 16, 32 or 64 pixels a side.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from minigan import backend, nn
from minigan import functional as F
from minigan.autograd import Tensor, grad, no_grad
from minigan.errors import MiniganError, require
from minigan.graph import graph
from minigan.optim import Adam

from ..parts import convolutions
from ..parts.correlation import total_correlation
from ..parts.gaussian import divergences, drawn, mean_and_log_var
from ..parts.held_out import all_of, first_of
from ..parts.latent import normal
from ..parts.likelihood import bernoulli, shown
from ..settings import Settings

TAKES = ("image",)
DATA = "factors"
FAR = 3.0  # deviations of the prior that walks go to
ROWS = 8  # codes that are walked along, as many as a sheet has rows
ACTIVE = 0.01  # the variance of a code's mean over the data, from which on it is used: Burda et al. 2016


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    steps: int = 5000
    batch_size: int = 64
    size: Literal[16, 32, 64] | None = None
    """Pixels a side; by default the smallest that the data fits in, 64 for a folder."""
    latent: int = 10
    """Numbers of a code."""
    beta: float = 4.0
    """β, the weight of the divergence; 1 is a VAE."""
    capacity: float | None = None
    """C, the nats that the divergence is led to, from 0 over all steps, in place of β; by default none."""
    gamma: float = 10.0
    """γ, the weight of how far the divergence is from C, with a capacity."""
    total_correlation: float = 0.0
    """The weight of the codes' total correlation; β-TCVAE's β is 1 above it, with beta 1."""
    supervision: float = 0.0
    """The weight of the distance of the first codes to the known factors; 0 needs none of the data."""
    width: int = 16
    """Channels of the two layers next to the image; the inner ones have twice as many."""
    hidden: int = 128
    """Units of the layer beside the code."""
    lr: float = 1e-3
    """Adam's learning rate."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "latent", "width", "hidden", at_least=1)
        require(self, "lr", "beta", "capacity", "gamma", "total_correlation", "supervision")

    def fitted(self, data):
        if self.supervision and (k := data["factors"].shape[0]) > self.latent:
            raise MiniganError(
                f"supervision gives each of {k} factors a number of the code, which has latent = "
                f"{self.latent} of them"
            )
        return super().fitted(data)

    def default_size(self, pixels: int) -> int:
        """The image size to train at on data of `pixels` pixels a side: the smallest it fits in."""
        return convolutions.default_size(pixels)


def BESIDE(cfg: Config):
    """The factors of each image, where some of them are learned from."""
    return ("factors",) if cfg.supervision else ()


def parts(cfg: Config, data, rng):
    """encoder: images -> (N, 2 · latent), μ and log σ². decoder: codes (N, latent) -> logits of the
    pixels."""
    channels, side, _ = data.shape
    layers = len(convolutions.layer_widths(cfg.width, data.shape))
    widths = [channels, *(cfg.width * w for w in (1, 1, 2, 2)[:layers])]
    inner = (widths[-1], side // 2**layers, side // 2**layers)
    down, up = [], []
    for n, m in itertools.pairwise(widths):
        down += [nn.Conv2d(n, m, 4, 2, 1, generator=rng), nn.ReLU()]
    for n, m in itertools.pairwise(widths[::-1]):
        up += [nn.ReLU(), nn.ConvTranspose2d(n, m, 4, 2, 1, generator=rng)]
    encoder = nn.Sequential(
        *down,
        nn.Flatten(),
        nn.Linear(math.prod(inner), cfg.hidden, generator=rng),
        nn.ReLU(),
        nn.Linear(cfg.hidden, 2 * cfg.latent, generator=rng),
    )
    decoder = nn.Sequential(
        nn.Linear(cfg.latent, cfg.hidden, generator=rng),
        nn.ReLU(),
        nn.Linear(cfg.hidden, math.prod(inner), generator=rng),
        nn.Unflatten(*inner),
        *up,
    )
    opt = Adam([*encoder.parameters(), *decoder.parameters()], cfg.lr)
    return {"encoder": encoder, "decoder": decoder, "opt": opt}


def inputs(n, rng, cfg: Config, truncation: float | None = None):
    """n codes from the prior.

    truncation: keep the code within this distance of 0: below 2, say, samples are better and less diverse
    """
    return {"z": normal(n, cfg.latent, rng, truncation)}


def make(z, decoder):
    """Codes (n, latent) -> images (n, *shape) in [-1, 1]: the probability of each pixel."""
    return shown(decoder(z))


def encode(x, encoder):
    """The code of each image, (N, latent): the mean of q(z|x)."""
    mean, _ = mean_and_log_var(encoder(x))
    return {"z": mean}


def capacity(cfg: Config, opt) -> float:
    """C, in nats, of the next step: it rises with the steps that were taken. 0 without one."""
    return cfg.capacity * min(opt.steps / cfg.steps, 1.0) if cfg.capacity else 0.0


def distance(mean, factors):
    """Σ_k (μ_k - v_k)² over the factors that are known, the mean over the images that have any; 0 without.

    mean: (N, latent) of q(z|x). factors: array (N, k), from 0 to 1 over the values of each, which makes a
    uniform one of variance 1/12 around ½; -1 where one is not known. Order of derivative: any.
    """
    known = (factors >= 0).astype(mean.dtype)
    images = known.max(axis=1).sum().clip(1)
    apart = (mean[:, : factors.shape[1]] - (factors - 0.5) * math.sqrt(12)) * known
    return (apart * apart).sum() / Tensor(images)


def train(data, rng, cfg: Config, encoder, decoder, opt):
    """Yields the loss, and what it consists of, in nats an image."""

    @graph  # on a GPU, the whole step is one launch
    def step(x, C, *factors):
        mean, log_var = mean_and_log_var(encoder(Tensor(x)))
        z = drawn(mean, log_var, Tensor(rng.normal(mean.shape)))
        reconstruction = -bernoulli(decoder(z), Tensor(x)).mean()
        kl = divergences(mean, log_var).sum(axis=1).mean()
        limit = cfg.beta * kl if cfg.capacity is None else cfg.gamma * F.abs(kl - Tensor(C))
        loss, seen = reconstruction + limit, {"reconstruction": reconstruction, "kl": kl}
        if cfg.total_correlation:
            seen["total_correlation"] = total_correlation(z, mean, log_var)
            loss = loss + cfg.total_correlation * seen["total_correlation"]
        for known in factors:
            seen["distance"] = distance(mean, known)
            loss = loss + cfg.supervision * seen["distance"]
        opt.step(grad(loss, opt.params))
        return {"loss": loss, **seen}

    for batch in data:
        x, *factors = batch if BESIDE(cfg) else (batch,)
        C = np.full((), capacity(cfg, opt), x.dtype)  # an array: a captured step keeps numbers
        yield step(x, backend.device_of(x).put(C), *factors)


def pictures(show, data, rng, encoder, decoder):
    """Held-out images and what is left of them in the code; walks along each number of a code."""
    x = first_of(data)
    show(
        "Images of the test split, and each beside it as the decoder makes it from its code.",
        x,
        make(**encode(x, encoder), decoder=decoder),
    )
    _, kl, _ = seen(data, rng, encoder, decoder)
    rows = np.argsort(-kl, kind="stable")[:ROWS]
    code, ticks = encode(x[:1], encoder)["z"].numpy(), np.linspace(-FAR, FAR, 9, dtype=np.float32)
    columns = [np.repeat(code, len(rows), axis=0) for _ in ticks]
    for column, tick in zip(columns, ticks, strict=True):
        column[np.arange(len(rows)), rows] = tick
    nats = ", ".join(f"{kl[i]:.2g}" for i in rows)
    show(
        f"The first of them; along a row one number of its code goes from {-FAR:g} to {FAR:g}, and the "
        f"others stay. A row a number, those first in which most is said of an image: {nats} nats.",
        *(make(Tensor(column), decoder) for column in columns),
    )


def numbers(data, rng, encoder, decoder):
    """The bound on the held-out images, in nats an image, and how many numbers of the code are used."""
    reconstruction, kl, means = seen(data, rng, encoder, decoder)
    return {
        "bound": -reconstruction - kl.sum(),
        "reconstruction": reconstruction,
        "kl": kl.sum(),
        "active-codes": int((means.var(axis=0) > ACTIVE).sum()),
    }


def seen(data, rng, encoder, decoder):
    """What a dataset's images come to, in nats an image: -log p(x|z) for one z each, and the divergence of
    each number of the code, (latent,). And the means of their codes, (N, latent)."""
    n, reconstruction, kl, means = len(data), 0.0, 0.0, []
    with no_grad():
        for x in all_of(data, rng.device):
            mean, log_var = mean_and_log_var(encoder(x))
            z = drawn(mean, log_var, Tensor(rng.normal(mean.shape)))
            reconstruction -= bernoulli(decoder(z), x).sum().item()
            kl = kl + divergences(mean, log_var).sum(axis=0).numpy().astype(np.float64)
            means.append(mean.numpy())
    return reconstruction / n, kl / n, np.concatenate(means)
