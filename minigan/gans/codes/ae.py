"""AE: a network that has to give its input again, through a code of fewer numbers.

Rumelhart, Hinton, Williams, "Learning internal representations by error propagation", 1986; Hinton,
Salakhutdinov, "Reducing the dimensionality of data with neural networks", 2006. An encoder f gives each
image a code, a decoder g an image again, and both learn by the error of that:

    min E‖g(f(x)) - x‖²

Without hidden layers, `--layers 0`, both are linear, and the best that they can do is what principal
component analysis does with as many components (Baldi, Hornik, "Neural networks and principal component
analysis", 1989): the codes span the same plane. With hidden layers the plane may bend.

Nothing says how codes are distributed, and what the decoder makes of any other vector is not known: an
autoencoder is no generator. Its samples are made of codes that come from a normal distribution fitted to
those of the data (`parts/fitted.py`), and are the worse the less normal these are.

    encoder, decoder      one hidden layer each, 400 units, ReLU, as `vae.py`; the paper of 2006 has three of
                          logistic units, each pair trained by itself first
    code                  20 numbers, linear; the paper of 2006 has 30 for MNIST
    the error             squares; `--error bernoulli` is the cross-entropy, which the paper of 2006 has
    Adam 1e-3, batch 128

`--masked 0.25` makes a denoising autoencoder: a share of the pixels of what the encoder sees is made black,
and the image is to be given whole (Vincent, Larochelle, Bengio, Manzagol, "Extracting and composing robust
features with denoising autoencoders", 2008, section 2.3). `--sparse 0.1` adds Σ|z| times that, by which a
code has few numbers far from 0; the scale of codes is then the smaller, and the decoder's weights are the
larger.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, grad, no_grad
from minigan.backend import device_of
from minigan.errors import require
from minigan.graph import graph
from minigan.optim import Adam

from ..parts.fitted import FittedNormal
from ..parts.held_out import all_of, first_of
from ..parts.latent import lerp, normal
from ..parts.likelihood import bernoulli, shown
from ..parts.mlp import mlp
from ..settings import Settings

TAKES = ("image",)
BLACK = -1.0


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    steps: int = 5000
    batch_size: int = 128
    latent: int = 20
    """Numbers of a code."""
    hidden: int = 400
    """Units of a hidden layer of encoder and decoder."""
    layers: int = 1
    """Hidden layers of the encoder, and of the decoder; with 0 both are linear."""
    activation: Literal["relu", "tanh"] = "relu"
    """What follows a hidden layer."""
    error: Literal["squared", "bernoulli"] = "squared"
    """How far an image is from the input: by the squares of pixels in [-1, 1], or as the cross-entropy of
    coins."""
    masked: float = 0.0
    """The share of pixels, chosen at random, that are black in what the encoder sees while it learns."""
    sparse: float = 0.0
    """What the size of the numbers of a code, without their signs, counts in the loss."""
    lr: float = 1e-3
    """Adam's learning rate."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "latent", "hidden", at_least=1)
        require(self, "masked", below=1)
        require(self, "layers", "sparse", "lr")

    def default_size(self, pixels: int) -> int:
        """The image size to train at on data of `pixels` pixels a side: its own, and 16 at least."""
        return max(pixels, 16)


def parts(cfg: Config, data, rng):
    """encoder: images -> codes (N, latent). decoder: codes -> pixels, or their logits. prior: the normal
    distribution that is fitted to the codes."""
    pixels, hidden = math.prod(data.shape), [cfg.hidden] * cfg.layers
    activation = {"relu": nn.ReLU, "tanh": nn.Tanh}[cfg.activation]()
    encoder = nn.Sequential(nn.Flatten(), *mlp([pixels, *hidden, cfg.latent], activation, rng))
    decoder = nn.Sequential(*mlp([cfg.latent, *hidden, pixels], activation, rng), nn.Unflatten(*data.shape))
    opt = Adam([*encoder.parameters(), *decoder.parameters()], cfg.lr)
    return {"encoder": encoder, "decoder": decoder, "prior": FittedNormal(cfg.latent), "opt": opt}


def inputs(n, rng, cfg: Config, truncation: float | None = None):
    """n vectors of noise, which codes are made from.

    truncation: keep the noise within this distance of 0: below 2, say, samples are better and less diverse
    """
    return {"z": normal(n, cfg.latent, rng, truncation)}


def make(z, decoder, prior, cfg: Config):
    """Noise (n, latent) -> images (n, *shape) in [-1, 1]."""
    return decoded(prior(z), decoder, cfg)


def decoded(codes, decoder, cfg):
    """Codes (N, latent) -> images in [-1, 1]."""
    x = decoder(codes)
    return shown(x) if cfg.error == "bernoulli" else F.clip(x, -1.0, 1.0)


def encode(x, encoder, prior):
    """The noise that the code of each image is made from, (N, latent): the code itself, but for its place
    and spread among the others."""
    return {"z": prior.noise_of(encoder(x))}


def error(x, seen, encoder, decoder, cfg):
    """(how far each image is from what is made of it, (N,); Σ|z|, (N,); the codes). x: images; seen: what the
    encoder sees of them."""
    codes = encoder(seen)
    if cfg.error == "bernoulli":
        far = -bernoulli(decoder(codes), x)
    else:
        far = F.flatten((decoder(codes) - x) ** 2, 1).sum(axis=1)
    return far, F.abs(codes).sum(axis=1), codes


def masked(x, rng, share):
    """Arrays (N, *shape) with each pixel black with the probability `share`: all channels of it."""
    n, _, *sides = x.shape
    hidden = rng.uniform((n, 1, *sides), device=device_of(x)) < share
    return (hidden * BLACK + ~hidden * x).astype(x.dtype)


def train(data, rng, cfg: Config, encoder, decoder, prior, opt):
    """Yields the loss of each step, and the error of an image."""

    @graph  # on a GPU, the whole step is one launch
    def step(x):
        seen = masked(x, rng, cfg.masked) if cfg.masked else x
        far, size, codes = error(Tensor(x), Tensor(seen), encoder, decoder, cfg)
        loss = (far + cfg.sparse * size).mean()
        opt.step(grad(loss, opt.params))
        prior.follow(codes.detach())
        return {"loss": loss, "error": far.mean()}

    for x in data:
        yield step(x)


def pictures(show, data, rng, encoder, decoder, cfg: Config):
    """Held-out images and what is left of them in the code; walks from one to another."""
    x = first_of(data)
    again = decoded(encoder(x), decoder, cfg)
    show("Images of the test split, and each beside it as the decoder makes it from its code.", x, again)
    if cfg.masked:
        seen = Tensor(masked(x.data, rng, cfg.masked))
        whole = decoded(encoder(seen), decoder, cfg)
        show("The same with pixels made black, as in training, and what is made of those.", seen, whole)
    codes, half = encoder(x).numpy(), len(x) // 2
    ways = [lerp(codes[:half], codes[half : 2 * half], t) for t in np.linspace(0, 1, 9, dtype=np.float32)]
    show(
        "From one image of the test split to another, straight from code to code.",
        *(decoded(Tensor(way), decoder, cfg) for way in ways),
    )


def numbers(data, rng, encoder, decoder, cfg: Config):
    """How well held-out images are given again.

    error: the mean squared error of a pixel in [-1, 1].
    error-pca: the least that any linear code of as many numbers has, one fitted to these very images.
    """
    squares, n = 0.0, len(data)
    with no_grad():
        for x in all_of(data, rng.device):
            left = F.flatten((decoded(encoder(x), decoder, cfg) - x) ** 2, 1)
            squares += left.sum(axis=1).sum().item()
    pixels, m = math.prod(data.shape), min(n, FOR_PCA)
    found = {"error": squares / (n * pixels)}
    x = data.batch(slice(0, m)).reshape(m, pixels).astype(np.float64)
    left = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)[cfg.latent :]
    return found | {"error-pca": (float((left**2).sum()) / (m * pixels), m)}


FOR_PCA = 2000  # images
