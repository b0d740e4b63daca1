"""log p(x|z), in nats: how likely a decoder takes an image to be.

A decoder gives a number a pixel, its logit. Pixels are coins that it says the probabilities of (`bernoulli`),
or come from normal distributions around what it says (`Gaussian`). `shown` is the image that is to be
expected, of both. Kingma, Welling, "Auto-encoding variational Bayes", 2014, appendix C.
"""

import math

import numpy as np

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor
from minigan.backend import device_of

SIGMA = 0.3  # that is learned, at first


def shown(logits):
    """The mean of x given z, in [-1, 1]: of coins, from black, 0, to white, 1, and of normal pixels."""
    return 2.0 * F.sigmoid(logits) - 1.0


def bernoulli(logits, x):
    """Pixels of x in [-1, 1], taken from 0 to 1, are the probabilities of coins, and the decoder gives their
    logits: Kingma, Welling 2014, appendix C.1. Both (N, *shape) -> (N,)."""
    surprise = F.binary_cross_entropy_with_logits(logits, 0.5 * (x + 1.0), reduction="none")
    return -F.flatten(surprise, 1).sum(axis=1)


class Gaussian(nn.Module):
    """Pixels of x in [-1, 1] come from N(`shown`(logits), σ²), with one σ for all: appendix C.2. Called with
    logits and x, (N, *shape) both -> (N,), the logarithm of a density of such pixels, which may be above 0.

    sigma: σ; None for one that is learned with the networks, as Rybkin, Daniilidis, Levine, "Simple and
    effective VAE training with calibrated decoders", 2021, section 3.2, have it.
    """

    def __init__(self, sigma=None):
        super().__init__()
        log_var = np.full(1, 2 * math.log(sigma or SIGMA), np.float32)
        if sigma is None:
            self.log_var = nn.Parameter(log_var)
        else:
            self.register_buffer("log_var", Tensor(log_var))

    def forward(self, logits, x):
        squares = F.flatten((x - shown(logits)) ** 2, 1)
        surprise = squares * F.exp(-self.log_var) + self.log_var + math.log(2 * math.pi)
        return -0.5 * surprise.sum(axis=1)


def binarised(x, rng):
    """Arrays (N, *shape) in [-1, 1] -> as many of -1 and 1: each pixel is white with the probability that its
    brightness stands for. rng: tosses the coins."""
    coins = rng.uniform(x.shape, device=device_of(x))
    return (2 * (coins < 0.5 * (x + 1)) - 1).astype(x.dtype)
