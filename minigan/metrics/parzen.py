"""Parzen windows: the log-likelihood of the test data under a density drawn around the samples.

Breuleux, Bengio, Vincent, "Quickly generating representative samples from an RBM-derived process", 2011;
the protocol is that of Goodfellow et al., "Generative adversarial nets", 2014, section 5. Theis et al., "A
note on the evaluation of generative models", 2016, show that it misleads: the centres of k-means score higher
than real images. So both stand beside a model's number, by the same function. Of a conditional model,
`minigan evaluate` draws classes as often as the data have them; Mirza and Osindero, 2014, took 1,000 of each.
"""

from dataclasses import dataclass

import numpy as np

from minigan.errors import MiniganError, did_you_mean

from . import checks
from .distances import BLOCK, squared_distances

WIDTHS = tuple(np.logspace(-1, 0, 10))  # of pixels in [0, 1], as in 2014
PYRAMID_WIDTHS = tuple(np.logspace(-1.5, 0.25, 15))  # details are smaller, and means of many pixels larger
WINDOWS = "gaussian", "hypercube"


def log_density(x, samples, width: float, window: str = "gaussian") -> np.ndarray:
    """log p of each x (N, d) under the mean of windows around samples (M, d): float64 (N,), in nats.

    gaussian: normal densities of standard deviation `width`. hypercube: uniform ones on cubes with edges of
    length `width`, -inf where no sample is near: of images nearly everywhere (23 of 2,000 of MNIST's test
    images have one of 10,000 training images in a cube of edge 1).

    MiniganError for arrays, a width or a window that cannot be.
    """
    return log_densities(x, samples, [width], window)[0]


def log_densities(x, samples, widths, window: str = "gaussian") -> np.ndarray:
    """`log_density` at several widths, from distances taken once: (len(widths), N)."""
    x, samples = checks.features("a Parzen window", x, samples)
    checks.count("a Parzen window", len(samples), 0)
    if min(widths) <= 0:
        raise MiniganError(f"the width of a Parzen window must be above 0, got {min(widths)}")
    if window not in WINDOWS:
        raise MiniganError(f"unknown window {window!r}; {did_you_mean(window, WINDOWS)}")
    return (_gaussian if window == "gaussian" else _hypercube)(x, samples, np.asarray(widths))


@dataclass(frozen=True)
class ParzenScore:
    """mean: nats an image. error: its standard error over the test images. width: the one chosen."""

    mean: float
    error: float
    width: float


def parzen_score(samples, validation, test, widths=WIDTHS) -> ParzenScore:
    """The mean log-likelihood of `test` at the width that `validation` likes best. All (N, d)."""
    width = float(widths[int(log_densities(validation, samples, widths).mean(axis=1).argmax())])
    return _score(log_density(test, samples, width), width)


def pyramid_scores(images, samples, finer, choosing: int, widths=PYRAMID_WIDTHS) -> list[ParzenScore]:
    """The log-likelihood of images level by level, from the coarsest on; the sum is that of the images.

    images: (N, C, H, W) in [0, 1], of which the first `choosing` choose the width of each level's windows and
        the others are measured. samples: (M, C, h, w) of the coarsest level. finer: for each level above it a
        function of one true image of the level below, (C, h, w), to samples (M, C, 2h, 2w).

    log p(I) = log p_K(I_K) + Σ log p_k(h_k | I_{k+1}): windows around the samples of the coarsest level, and
    around the details that are made for the true image below. For the densities to multiply, I_{k+1} are here
    the means of blocks of 2 x 2, and h_k the rest in an orthonormal basis, each level scaled so that image to
    levels is unitary. Denton, Chintala, Szlam, Fergus, "Deep generative image models using a Laplacian
    pyramid of adversarial networks", 2015, section 4.1 and appendix.
    """
    lows, missing, scale = [images], [], 2.0 ** len(finer)
    for _ in finer:
        low, details = blocks(lows[-1])
        lows.append(low)
        missing.append(details)
    known, made = (scale * x.reshape(len(x), -1) for x in (lows[-1], samples))
    scores = [parzen_score(made, known[:choosing], known[choosing:], widths)]
    for samples_for, details in zip(finer, reversed(missing), strict=True):
        below, scale = lows.pop(), scale / 2
        logs = np.concatenate(
            [
                log_densities(scale * h[None], scale * blocks(samples_for(low))[1], widths)
                for low, h in zip(below, details, strict=True)
            ],
            axis=1,
        )
        best = int(logs[:, :choosing].mean(axis=1).argmax())
        scores.append(_score(logs[best, choosing:], float(widths[best])))
    return scores


def blocks(images) -> tuple[np.ndarray, np.ndarray]:
    """(the means of blocks of 2 x 2 pixels, (N, C, H, W), of images (N, C, 2H, 2W); the rest as rows
    (N, 3 · C · H · W), in an orthonormal basis)."""
    a, b, c, d = (images[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1))
    rest = np.stack([a + b - c - d, a - b + c - d, a - b - c + d], axis=1) / 2
    return (a + b + c + d) / 4, rest.reshape(len(images), -1)


def kmeans_centres(pixels, centres: int = 10_000, seed: int = 0) -> np.ndarray:
    """float32 (centres, d): the centres of mini-batch k-means in pixels (N, d), begun at random images."""
    from sklearn.cluster import MiniBatchKMeans

    checks.count(f"k-means with {centres} centres", len(pixels), centres - 1)
    means = MiniBatchKMeans(
        centres,
        init="random",
        n_init=1,
        batch_size=10_000,
        max_iter=4,
        random_state=seed,
        compute_labels=False,
    )
    return means.fit(np.ascontiguousarray(pixels, np.float32)).cluster_centers_.astype(np.float32)


def _score(logs, width):
    """The ParzenScore of log-likelihoods (N,)."""
    return ParzenScore(float(logs.mean()), float(logs.std() / np.sqrt(len(logs))), width)


def _gaussian(x, samples, widths):
    """log 1/M Σ exp(-|x - s|² / 2σ²) - d/2 log 2πσ², the largest term taken out of the sum."""
    out = np.empty((len(widths), len(x)))
    M, d = samples.shape
    for rows, squares in squared_distances(x, samples):
        least = squares.min(axis=1, keepdims=True)
        squares -= least
        for i, width in enumerate(widths):
            terms = np.exp(squares / (-2 * width**2))
            norm = np.log(M) + d / 2 * np.log(2 * np.pi * width**2)
            out[i, rows] = np.log(terms.sum(axis=1)) - least[:, 0] / (2 * width**2) - norm
    return out


def _hypercube(x, samples, widths):
    from scipy.spatial.distance import cdist

    out = np.empty((len(widths), len(x)))
    M, d = samples.shape
    height = max(1, BLOCK // M)
    for start in range(0, len(x), height):
        rows = slice(start, start + height)
        reach = cdist(x[rows], samples, "chebyshev")
        for i, width in enumerate(widths):
            inside = (reach <= width / 2).sum(axis=1)
            with np.errstate(divide="ignore"):
                out[i, rows] = np.log(inside) - np.log(M) - d * np.log(width)
    return out
