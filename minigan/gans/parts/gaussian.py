"""A code that is a normal distribution: what an encoder says of it, a draw, and how far it is from the prior.

Kingma, Welling, "Auto-encoding variational Bayes", 2014. Its numbers are independent: q(z|x) has a mean μ and
a variance σ² for each of them. The prior is N(0, 1).
"""

from minigan import functional as F


def mean_and_log_var(said):
    """What an encoder says of each sample, (N, 2 · latent) -> μ and log σ² of q(z|x), each (N, latent)."""
    latent = said.shape[1] // 2
    return said[:, :latent], said[:, latent:]


def drawn(mean, log_var, noise):
    """z = μ + σ ε, all (N, latent): a smooth function of μ and σ, the noise ε from N(0, 1) is an input
    (section 2.4)."""
    return mean + F.exp(0.5 * log_var) * noise


def divergence(mean, log_var):
    """KL(q(z|x) ‖ N(0, 1)) of each sample, in nats: appendix B. mean, log_var: (N, latent) -> (N,)."""
    return divergences(mean, log_var).sum(axis=1)


def divergences(mean, log_var):
    """KL(q(z|x) ‖ N(0, 1)) of each number of a code by itself, in nats: mean, log_var (N, latent)
    -> (N, latent). They add up to that of the code."""
    return 0.5 * (mean * mean + F.exp(log_var) - 1.0 - log_var)


def prior_over_posterior(z, log_var, noise):
    """log p(z) - log q(z|x) of codes that were `drawn`, in nats: what the divergence is minus the mean of.
    All (..., latent) -> (...)."""
    return 0.5 * (noise * noise + log_var - z * z).sum(axis=-1)
