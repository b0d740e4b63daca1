"""How far the numbers of a code are from being independent of each other: their total correlation.

Chen, Li, Grosse, Duvenaud, "Isolating sources of disentanglement in variational autoencoders", 2018. The mean
divergence of a VAE's codes from the prior consists of three terms (equation 2): what a code tells of its
sample; how far the numbers are from independent, KL(q(z) ‖ Π q(z_j)), q(z) being the codes of all data; and
how far each by itself is from the prior. It is the second one that keeps a factor from being spread.
"""

import math

from minigan import functional as F


def total_correlation(z, mean, log_var):
    """KL(q(z) ‖ Π q(z_j)) in nats, (): of codes z (N, latent), each drawn from the normal distribution with
    its mean and log σ², (N, latent), q(z) taken as the mixture of those of the batch.

    Section 4.1's weighted sampling has the number of all data in this estimate, as a constant; the gradient
    is the same. At most (latent - 1) log N. Order of derivative: any.
    """
    apart = z.unsqueeze(1) - mean.unsqueeze(0)  # [i, j]: code i from the mean of sample j
    log_var = log_var.unsqueeze(0)
    each = -0.5 * (math.log(2 * math.pi) + log_var + apart * apart * F.exp(-log_var))  # (N, N, latent)
    together = F.logsumexp(each.sum(axis=2), axis=1)  # (N,)
    alone = F.logsumexp(each, axis=1).sum(axis=1)
    return (together - alone).mean() + (z.shape[1] - 1) * math.log(len(z))
