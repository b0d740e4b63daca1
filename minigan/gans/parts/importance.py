"""The importance-weighted bound: below log p(x), and nearer to it the more codes are drawn.

Burda, Grosse, Salakhutdinov, "Importance weighted autoencoders", 2016. Of k codes z_i from q(z|x),

    L_k(x) = E[log 1/k Σ w_i],   w_i = p(x, z_i) / q(z_i|x)                   (equation 8)

L_1 is the evidence lower bound, L_k does not fall with k, and goes to log p(x) (theorem 1).
"""

import math

import numpy as np

from minigan import functional as F
from minigan.autograd import Tensor

from .gaussian import drawn, mean_and_log_var, prior_over_posterior

CODES, IMAGES = 500, 1000  # of each image, and how many images: 10,000 would take minutes
PIECE, AT_ONCE = 50, 100  # codes and images at a time


def log_weights(x, noise, encoder, decoder, likelihood):
    """log w of k codes of each image, in nats: (k, N). x: images (N, *shape). noise: (k, N, latent), which
    the codes are made from. likelihood: (logits, images) -> log p(x|z). Order of derivative: any."""
    k, n, latent = noise.shape
    mean, log_var = mean_and_log_var(encoder(x))
    z = drawn(mean, log_var, noise)
    likely = likelihood(decoder(F.reshape(z, k * n, latent)), F.concat([x] * k, axis=0))
    return F.reshape(likely, k, n) + prior_over_posterior(z, log_var, noise)


def weighted_bound(log_w):
    """L_k of each image by one draw of k codes: log w (k, N) -> (N,). Order of derivative: any."""
    return F.logsumexp(log_w, axis=0) - math.log(log_w.shape[0])


def held_out_bounds(images, latent, rng, *networks):
    """{k: L_k}, means over all images in nats, for k of 1, 50 and 500, by 500 codes an image: L_1 as the mean
    of 500 draws, L_50 as that of ten.

    images: some at a time, (N, *shape) each. latent: numbers of a code. rng: draws, on the device of the
    networks: encoder, decoder and likelihood, as `log_weights` takes them. Memory stays flat.
    """
    sums, n = dict.fromkeys((1, PIECE, CODES), 0.0), 0
    for x in images:
        n += len(x)
        noise = (rng.normal((PIECE, len(x), latent)) for _ in range(CODES // PIECE))
        found = [log_weights(x, Tensor(eps), *networks).numpy() for eps in noise]
        log_w = np.concatenate(found).astype(np.float64)
        for k in sums:
            grouped = log_w.reshape(CODES // k, k, len(x))
            bounds = np.logaddexp.reduce(grouped, axis=1) - math.log(k)
            sums[k] += float(bounds.mean(axis=0).sum())
    return {k: total / n for k, total in sums.items()}
