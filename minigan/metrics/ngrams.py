"""Texts by their n-grams: how far those of two sets of texts are apart, and a model of n-grams.

Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, "Improved training of Wasserstein GANs", 2017, section 5.4
and appendix.
"""

import numpy as np

from minigan.errors import MiniganError
from minigan.random import Generator


def ngram_divergence(texts: np.ndarray, others: np.ndarray, n: int) -> float:
    """The Jensen-Shannon divergence of the n-grams of two sets of texts, in bits: 0 for equal shares of each
    n-gram, 1 where no n-gram is in both.

    texts, others: integers (N, L), numbers of words, 0 for none; any N and L each. A text has as many n-grams
    as words, the last of them with the end, which is 0, n - 1 times: how texts end counts, too. MiniganError
    for arrays of another kind, sets without a word, and n below 1.
    """
    counts = [_counted(each, n) for each in (texts, others)]
    grams = np.unique(np.concatenate([found for found, _ in counts]), axis=0, return_inverse=True)[1].reshape(
        -1
    )
    shares = np.zeros((2, grams.max() + 1))
    for share, rows, (_, number) in zip(shares, np.split(grams, [len(counts[0][0])]), counts, strict=True):
        share[rows] = number / number.sum()
    p, q = shares
    return float((_divergence(p, (p + q) / 2) + _divergence(q, (p + q) / 2)) / 2)


def _counted(texts, n):
    """(the n-grams (K, n) of texts, each once, and how often each is there)."""
    texts = np.asarray(texts)
    if texts.ndim != 2 or texts.dtype.kind not in "iu" or n < 1:
        raise MiniganError(
            f"n-grams, with n from 1 on, are of texts (N, L), numbers of words; got n = {n} and "
            f"{texts.dtype} {texts.shape}"
        )
    ended = np.concatenate([texts, np.zeros((len(texts), n - 1), texts.dtype)], axis=1)
    grams = np.lib.stride_tricks.sliding_window_view(ended, n, axis=1).reshape(-1, n)
    grams = grams[grams[:, 0] != 0].astype(np.int64)
    if not len(grams):
        raise MiniganError("n-grams are counted in texts that have words, and these have none")
    return np.unique(grams, axis=0, return_counts=True)


def _divergence(p, q):
    """Kullback and Leibler's, in bits."""
    there = p > 0
    return (p[there] * np.log2(p[there] / q[there])).sum()


def ngram_texts(texts: np.ndarray, n: int, count: int, rng: Generator) -> np.ndarray:
    """`count` texts by a model of n-grams, int64 (count, L): each word is drawn as often as it follows the
    n - 1 words before it in `texts`, integers (N, L), whose ends it learns with them.

    MiniganError for an n below 2, or no texts.
    """
    texts = np.asarray(texts, np.int64)
    if n < 2 or texts.ndim != 2 or not len(texts):
        raise MiniganError(
            f"a model of n-grams has n from 2 on and learns of texts (N, L), got n = {n}, {texts.shape}"
        )
    N, L = texts.shape
    words = int(texts.max()) + 1
    before = np.full((N, n - 1), words)  # a word of its own for what is before a text
    whole = np.concatenate([before, texts], axis=1)
    grams = np.lib.stride_tricks.sliding_window_view(whole, n, axis=1).reshape(-1, n)
    contexts, which = np.unique(grams[:, :-1], axis=0, return_inverse=True)
    counts = np.zeros((len(contexts), words))
    np.add.at(counts, (which.reshape(-1), grams[:, -1]), 1)
    upto = np.cumsum(counts, axis=1)
    places = {tuple(context): i for i, context in enumerate(contexts.tolist())}
    made = np.concatenate([np.full((count, n - 1), words), np.zeros((count, L), np.int64)], axis=1)
    for place in range(n - 1, n - 1 + L):
        context = np.array([places.get(tuple(row), -1) for row in made[:, place - n + 1 : place].tolist()])
        drawn = rng.uniform((count, 1)) * upto[context, -1:]
        following = (drawn >= upto[context]).sum(axis=1)
        made[:, place] = np.where((context < 0), 0, following)
    ended = np.cumsum(made[:, n - 1 :] == 0, axis=1) > 0
    return np.where(ended, 0, made[:, n - 1 :])
