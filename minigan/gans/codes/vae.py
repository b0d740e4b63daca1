"""VAE: an autoencoder whose code is a distribution, and a generator.

Kingma, Welling, "Auto-encoding variational Bayes", 2014. An encoder gives for each image x a normal
distribution q(z|x) of codes, a decoder for each code the probabilities p(x|z) of an image. Together they
maximise a lower bound of log p(x), the evidence lower bound,

    E_q[log p(x|z)] - KL(q(z|x) ‖ p(z)),    p(z) = N(0, 1)                    (equation 3)

The gradient goes through the sample z = μ + σ ε, ε from N(0, 1) (section 2.4): the noise is an input, so that
the code is a smooth function of μ and σ. The divergence has a formula (appendix B):

    KL = ½ Σ (μ² + σ² - 1 - log σ²)

Pixels from 0 to 1 are taken as the probabilities of coins, so log p(x|z) is a cross-entropy (appendix C.1).
There is no discriminator: the samples are as good as the bound makes them, and blurred where the decoder
cannot know.

    encoder, decoder      one hidden layer each, 400 units, ReLU; appendix C: tanh, section 5: 500 units
    code                  20 numbers; section 5 tries 3 to 200
    one sample of z       section 2.3: enough if the batch is large
    Adam 1e-3, batch 128  section 5: Adagrad, 0.01 to 0.02, batch 100

`--likelihood gaussian` takes pixels from normal distributions of one σ, learned or given:
`parts/likelihood.py`.

Burda, Grosse, Salakhutdinov, "Importance weighted autoencoders", 2016: `--draws 50` maximises a bound that is
nearer to log p(x), by 50 codes of each image (IWAE; `parts/importance.py`). Their networks of one stochastic
layer, of MNIST in black and white, each image drawn anew whenever it is seen:

    --layers 2 --hidden 200 --activation tanh --latent 50 --binarise    section 5
    --centred                                   the authors' code; without, thousands of steps go by in which
                                                coins of so deep a network say no more than the mean image
    --batch-size 20 --lr 1e-3 --lr-last 1e-4    section 5: the rate falls in eight stages of 3^i epochs
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from minigan import backend, nn
from minigan.autograd import Tensor, grad, no_grad
from minigan.errors import MiniganError, require
from minigan.graph import graph
from minigan.optim import Adam
from minigan.optim.lr_scheduler import ExponentialLR

from ..parts.gaussian import divergence, drawn, mean_and_log_var
from ..parts.held_out import all_of, first_of
from ..parts.importance import AT_ONCE, IMAGES, held_out_bounds, log_weights, weighted_bound
from ..parts.latent import normal
from ..parts.likelihood import Gaussian, bernoulli, binarised, shown
from ..parts.mlp import mlp
from ..settings import Settings

TAKES = ("image",)


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    steps: int = 10_000
    batch_size: int = 128
    latent: int = 20
    """Numbers of a code."""
    hidden: int = 400
    """Units of a hidden layer of encoder and decoder."""
    layers: int = 1
    """Hidden layers of the encoder, and of the decoder."""
    activation: Literal["relu", "tanh"] = "relu"
    """What follows a hidden layer."""
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli"
    """How pixels come from what the decoder says: as coins, or normally distributed around it."""
    sigma: float | None = None
    """σ of the gaussian likelihood, of pixels in [-1, 1]; by default learned, one for all pixels."""
    binarise: bool = False
    """Whether images are black and white: whenever one is seen, each pixel is drawn anew, white with the
    probability of its brightness."""
    centred: bool = False
    """Whether the decoder begins with the mean image: the bias of its last layer is then at the logits of the
    mean of the first batch."""
    draws: int = 1
    """Codes drawn for an image: of more than one the importance-weighted bound is maximised."""
    lr: float = 1e-3
    """Adam's learning rate."""
    lr_last: float | None = None
    """The learning rate after the last step, to which it falls by the same factor in each; by default it
    stays."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "latent", "hidden", "layers", "draws", at_least=1)
        require(self, "lr")
        for name in ("sigma", "lr_last"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise MiniganError(f"{name} must be above 0, got {value}")
        if self.lr_last and not self.lr:
            raise MiniganError(f"lr must be above 0 to fall to lr_last = {self.lr_last}, got {self.lr}")
        if self.sigma and self.likelihood != "gaussian":
            raise MiniganError(
                f"sigma = {self.sigma} is of the gaussian likelihood, and coins have none: add "
                "likelihood = 'gaussian'"
            )
        if self.binarise and self.likelihood == "gaussian":
            raise MiniganError("binarise makes coins of pixels, which the gaussian likelihood is not for")

    def default_size(self, pixels: int) -> int:
        """The image size to train at on data of `pixels` pixels a side: its own, and 16 at least."""
        return max(pixels, 16)


def parts(cfg: Config, data, rng):
    """encoder: images -> (N, 2 · latent), μ and log σ². decoder: codes (N, latent) -> logits of the
    pixels. likelihood: of normal pixels, (logits, images) -> log p(x|z)."""
    pixels, hidden = math.prod(data.shape), [cfg.hidden] * cfg.layers
    activation = {"relu": nn.ReLU, "tanh": nn.Tanh}[cfg.activation]()
    encoder = nn.Sequential(nn.Flatten(), *mlp([pixels, *hidden, 2 * cfg.latent], activation, rng))
    decoder = nn.Sequential(*mlp([cfg.latent, *hidden, pixels], activation, rng), nn.Unflatten(*data.shape))
    networks = {"encoder": encoder, "decoder": decoder}
    if cfg.likelihood == "gaussian":
        networks["likelihood"] = Gaussian(cfg.sigma)
    opt = Adam([p for net in networks.values() for p in net.parameters()], cfg.lr)
    if cfg.lr_last is None:
        return networks | {"opt": opt}
    return networks | {"opt": opt, "schedule": ExponentialLR(opt, (cfg.lr_last / cfg.lr) ** (1 / cfg.steps))}


def inputs(n, rng, cfg: Config, truncation: float | None = None):
    """n codes from the prior.

    truncation: keep the code within this distance of 0: below 2, say, samples are better and less diverse
    """
    return {"z": normal(n, cfg.latent, rng, truncation)}


def make(z, decoder):
    """Codes (n, latent) -> images (n, *shape) in [-1, 1]: the probability of each pixel, or its mean."""
    return shown(decoder(z))


def encode(x, encoder):
    """The code of each image, (N, latent): the mean of q(z|x)."""
    mean, _ = mean_and_log_var(encoder(x))
    return {"z": mean}


def bound(x, noise, encoder, decoder, likelihood=bernoulli):
    """(log p(x|z), KL) of each sample, in nats, for one z of q(z|x), made from noise (N, latent). x:
    images."""
    mean, log_var = mean_and_log_var(encoder(x))
    z = drawn(mean, log_var, noise)
    return likelihood(decoder(z), x), divergence(mean, log_var)


def centre(decoder, x):
    """Put the bias of the decoder's last layer to the logits of the mean of images x, an array."""
    mean = np.clip(0.5 * (backend.to_numpy(x).mean(axis=0) + 1), 0.01, 0.99).ravel()
    bias = decoder[-2].bias
    bias.data[...] = bias.device.put(np.log(mean / (1 - mean)).astype(bias.dtype))


def train(data, rng, cfg: Config, encoder, decoder, opt, likelihood=bernoulli, schedule=None):
    """Algorithm 1. Yields the negative bound in nats an image, and what it consists of; of several codes an
    image the negative weighted bound, and that of one code."""

    @graph  # on a GPU, the whole step is one launch
    def step(x):
        x = Tensor(binarised(x, rng) if cfg.binarise else x)
        if cfg.draws > 1:
            noise = Tensor(rng.normal((cfg.draws, len(x), cfg.latent)))
            log_w = log_weights(x, noise, encoder, decoder, likelihood)
            loss = -weighted_bound(log_w).mean()
            opt.step(grad(loss, opt.params))
            return {"loss": loss, "loss_of_one": -log_w.mean()}
        noise = Tensor(rng.normal((len(x), cfg.latent)))
        likely, kl = (term.mean() for term in bound(x, noise, encoder, decoder, likelihood))
        loss = kl - likely
        opt.step(grad(loss, opt.params))
        return {"loss": loss, "reconstruction": -likely, "kl": kl}

    for x in data:
        if cfg.centred and not opt.steps:
            centre(decoder, x)
        seen = step(x)
        if schedule is not None:
            schedule.step()  # after the launch, which takes the rate of the day
        yield seen


def pictures(show, data, rng, cfg: Config, encoder, decoder):
    """Held-out images and what is left of them in the code."""
    x = first_of(data)
    x = Tensor(binarised(x.data, rng)) if cfg.binarise else x
    show(
        "Images of the test split, and each beside it as the decoder makes it from its code.",
        x,
        make(**encode(x, encoder), decoder=decoder),
    )


def numbers(data, rng, encoder, decoder, cfg: Config, likelihood=bernoulli):
    """The bound on the held-out images, in nats an image, and what it consists of; the importance-weighted
    bounds of 50 and of 500 codes on 1,000 of them at most, spread over all."""
    likely, kl, n = 0.0, 0.0, len(data)

    def seen(data, n):
        images = all_of(data, rng.device, n)
        return (Tensor(binarised(x.data, rng)) for x in images) if cfg.binarise else images

    with no_grad():
        for x in seen(data, 500):
            terms = bound(x, Tensor(rng.normal((len(x), cfg.latent))), encoder, decoder, likelihood)
            likely, kl = (total + term.sum().item() for total, term in zip((likely, kl), terms, strict=True))
        m = min(n, IMAGES)
        some = seen(data.part([i * n // m for i in range(m)]), AT_ONCE)
        found = held_out_bounds(some, cfg.latent, rng, encoder, decoder, likelihood)
    weighted = {f"iw-bound-{k}": (bound, m) for k, bound in found.items() if k > 1}
    return {"bound": (likely - kl) / n, "reconstruction": -likely / n, "kl": kl / n, **weighted}
