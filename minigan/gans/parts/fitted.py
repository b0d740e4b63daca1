"""A normal distribution fitted to codes that have no prior, so that new ones can be drawn.

Ghosh, Sajjadi, Vergari, Black, Schölkopf, "From variational to deterministic autoencoders", 2020, section
4.1: ex-post density estimation. There it is fitted to the codes of all training images when these are
learned; here it follows the codes while they are, so that a run can sample at any time.
"""

import numpy as np

from minigan import backend, nn
from minigan import functional as F
from minigan.autograd import Tensor, no_grad

RATE = 0.01  # of following: the codes of about the last hundred batches count
LEAST = 1e-6  # variance in any direction, so that a code that does not vary has a density


class FittedNormal(nn.Module):
    """Called with noise from N(0, 1), (N, latent), it gives codes from N(mean, covariance). `noise_of` is the
    inverse, `follow` learns from a batch of codes. Its state is mean (latent,) and covariance (latent,
    latent)."""

    def __init__(self, latent):
        super().__init__()
        self.register_buffer("mean", Tensor(np.zeros(latent, np.float32)))
        self.register_buffer("covariance", Tensor(np.eye(latent, dtype=np.float32)))

    def follow(self, codes):
        """Go a little of the way to the mean and the covariance of a batch of codes (N, latent)."""
        with no_grad():
            mean = codes.mean(axis=0)
            far = codes - mean
            covariance = F.transpose(far, 0, 1) @ far / (len(codes) - 1)
            for kept, seen in ((self.mean, mean), (self.covariance, covariance)):
                with backend.beside(kept.data):
                    kept.data[...] += RATE * (seen.data - kept.data)

    def forward(self, noise):
        return self.mean + noise @ self._root(lambda root: root.T)

    def noise_of(self, codes):
        """What `forward` makes the codes (N, latent) of."""
        return (codes - self.mean) @ self._root(lambda root: np.linalg.inv(root).T)

    def _root(self, form):
        """What `form` makes of the lower triangle whose square is the covariance, by LAPACK on the CPU."""
        covariance = backend.to_numpy(self.covariance.data).astype(np.float64)
        root = np.linalg.cholesky(covariance + LEAST * np.eye(len(covariance)))
        dtype, device = self.covariance.dtype, self.covariance.device
        return Tensor(np.ascontiguousarray(form(root)).astype(dtype), device=device)
