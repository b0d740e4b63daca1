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
"""

import math
from dataclasses import dataclass

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, grad, no_grad
from minigan.errors import require
from minigan.graph import graph
from minigan.optim import Adam

from ..parts.gaussian import divergence, drawn, mean_and_log_var
from ..parts.latent import normal
from ..parts.likelihood import bernoulli
from ..settings import Settings

TAKES = ("image",)


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    steps: int = 10_000
    batch_size: int = 128
    latent: int = 20
    """Numbers of a code."""
    hidden: int = 400
    """Units of the hidden layer of encoder and decoder."""
    lr: float = 1e-3
    """Adam's learning rate."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "latent", "hidden", at_least=1)
        require(self, "lr")

    def default_size(self, pixels: int) -> int:
        """The image size to train at on data of `pixels` pixels a side: its own, and 16 at least."""
        return max(pixels, 16)


def parts(cfg: Config, data, rng):
    """encoder: images -> (N, 2 · latent), μ and log σ². decoder: codes (N, latent) -> logits of the
    pixels."""
    pixels = math.prod(data.shape)
    encoder = nn.Sequential(
        nn.Flatten(),
        nn.Linear(pixels, cfg.hidden, generator=rng),
        nn.ReLU(),
        nn.Linear(cfg.hidden, 2 * cfg.latent, generator=rng),
    )
    decoder = nn.Sequential(
        nn.Linear(cfg.latent, cfg.hidden, generator=rng),
        nn.ReLU(),
        nn.Linear(cfg.hidden, pixels, generator=rng),
        nn.Unflatten(*data.shape),
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
    return 2.0 * F.sigmoid(decoder(z)) - 1.0


def encode(x, encoder):
    """The code of each image, (N, latent): the mean of q(z|x)."""
    mean, _ = mean_and_log_var(encoder(x))
    return {"z": mean}


def bound(x, noise, encoder, decoder):
    """(log p(x|z), KL) of each sample, in nats, for one z of q(z|x), made from noise (N, latent). x:
    images."""
    mean, log_var = mean_and_log_var(encoder(x))
    z = drawn(mean, log_var, noise)
    return bernoulli(decoder(z), x), divergence(mean, log_var)


def train(data, rng, cfg: Config, encoder, decoder, opt):
    """Algorithm 1. Yields the negative bound in nats an image, and what it consists of."""

    @graph  # on a GPU, the whole step is one launch
    def step(x):
        noise = Tensor(rng.normal((len(x), cfg.latent)))
        likelihood, kl = (term.mean() for term in bound(Tensor(x), noise, encoder, decoder))
        loss = kl - likelihood
        opt.step(grad(loss, opt.params))
        return {"loss": loss, "reconstruction": -likelihood, "kl": kl}

    for x in data:
        yield step(x)


def pictures(show, data, encoder, decoder):
    """Held-out images and what is left of them in the code."""
    x = Tensor(data.batch(range(min(40, len(data)))))
    show(
        "Images of the test split, and each beside it as the decoder makes it from its code.",
        x,
        make(**encode(x, encoder), decoder=decoder),
    )


def numbers(data, rng, encoder, decoder, cfg: Config):
    """The bound on the held-out images, in nats an image."""
    likelihood, kl, n = 0.0, 0.0, len(data)
    with no_grad():
        for first in range(0, n, 500):
            x = Tensor(data.batch(slice(first, min(first + 500, n))), device=rng.device)
            terms = bound(x, Tensor(rng.normal((len(x), cfg.latent))), encoder, decoder)
            likelihood, kl = (
                total + term.sum().item() for total, term in zip((likelihood, kl), terms, strict=True)
            )
    return {"bound": (likelihood - kl) / n, "reconstruction": -likelihood / n, "kl": kl / n}
