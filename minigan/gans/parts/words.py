"""Words as a network sees them: weights, one for each word there is, at each place of a sequence.

A sample is numbers of words; a generator gives scores, of which a critic is to see something through which
gradients flow.
"""

import numpy as np

from minigan import backend
from minigan import functional as F

SMALLEST = 2.0**-25  # in the place of a uniform number of 0: half of the next one


def as_weights(numbers, like):
    """Numbers of words, integers (N, L), as weights (N, words, L), 1 for the word and 0 for the others: as
    many words, and of the dtype, that `like`, (N, words, L), has. A constant."""
    return F.one_hot(numbers, like.shape[1], like.dtype).permute(0, 2, 1)


def chosen(scores, cfg, rng):
    """Scores of words (N, words, L) -> weights of them, of the same shape. cfg: WordSettings.

    The softmax, which has something of each word; or one word at each place, drawn by its chance, 1 and 0,
    with the gradient of the softmax at temperature tau that the draw is the largest entry of. Order of
    derivative: any, the latter's being those of the softmax.
    """
    if cfg.choice == "softmax":
        return F.softmax(scores, axis=1)
    return F.gumbel_softmax(scores, cfg.tau, hard=True, axis=1, generator=rng)


def gumbel_noise(u):
    """Noise of Gumbel's distribution from uniform numbers: an array of their shape. The largest of scores
    with such noise is that of a word as often as the softmax of the scores says."""
    with backend.beside(u):
        return -np.log(-np.log(np.maximum(u, SMALLEST)))
