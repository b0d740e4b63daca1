"""log p(x|z), in nats: how likely a decoder takes an image to be."""

from minigan import functional as F


def bernoulli(logits, x):
    """Pixels of x in [-1, 1], taken from 0 to 1, are the probabilities of coins, and the decoder gives their
    logits: Kingma, Welling 2014, appendix C.1. Both (N, *shape) -> (N,)."""
    surprise = F.binary_cross_entropy_with_logits(logits, 0.5 * (x + 1.0), reduction="none")
    return -F.flatten(surprise, 1).sum(axis=1)
