"""Minibatch discrimination: D sees how close the samples of a batch are to each other, beside each by itself.

Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, "Improved techniques for training GANs", 2016, section
3.2. A G that makes one point makes batches whose samples are all close, and D tells those from batches of
data. Features f(x_i) in R^A, times a tensor T in R^(A x B x C), are B rows M_i,b of C numbers each; and

    c_b(x_i, x_j) = exp(-‖M_i,b - M_j,b‖₁)        o(x_i)_b = Σ_j c_b(x_i, x_j)

are joined to f(x_i). A network with this layer says of a sample what it says of it in its batch, which is one
of real samples, or one of made ones.
"""

import math

import numpy as np

from minigan import functional as F
from minigan import nn
from minigan.nn import init

C = 5  # numbers of a row: the paper does not say, the authors' code has 5


class MinibatchDiscrimination(nn.Module):
    """Features (N, A) -> the same and `kernels` more, (N, A + kernels): to how many samples each is close,
    itself among them.

    T, (A, kernels * C), is first drawn with the deviation 1 / √A, so that its products are as wide as the
    features: the authors' 0.05 for their 192. Order of derivative: any.
    """

    def __init__(self, features, kernels, generator=None):
        super().__init__()
        self.kernels = kernels
        self.T = nn.Parameter(np.empty((features, kernels * C), np.float32))
        self.reset(generator)

    def reset(self, generator):
        """Draw T anew."""
        init.normal_(self.T, 0.0, 1 / math.sqrt(self.T.shape[0]), generator)

    def forward(self, f):
        rows = F.unflatten(f @ self.T, 1, (self.kernels, C)).permute(1, 0, 2)
        close = F.exp(-F.cdist(rows, rows))
        return F.concat([f, close.sum(axis=2).T], axis=1)

    def extra_repr(self):
        return f"{self.kernels}"


def judged(features, kernels, generator=None, outputs=1):
    """The last layers of a discriminator, features (N, A) -> (N, outputs): with `kernels` of minibatch
    discrimination in front of the linear one, or none."""
    closeness = [MinibatchDiscrimination(features, kernels, generator)] if kernels else []
    return [*closeness, nn.Linear(features + kernels, outputs, generator=generator)]
