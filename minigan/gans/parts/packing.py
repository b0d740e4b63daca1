"""PacGAN: a discriminator that judges several samples together sees that they are all alike.

Lin, Khetan, Fanti, Oh, "PacGAN: the power of two samples in generative adversarial networks", 2018.
A generator that drops modes makes packs of samples that vary less than packs of data; so nothing has
to change but D's input, which is `n` samples joined along the channels (section 2).
"""

from minigan import functional as F
from minigan import nn


def pack(x, n):
    """x (N, C, ...) -> (N / n, n · C, ...): samples N / n apart are joined.

    ValueError if n does not divide N.
    """
    if n == 1:
        return x
    packs, rest = divmod(x.shape[0], n)
    if rest:
        raise ValueError(f"pack: {x.shape[0]} samples do not make packs of {n}")
    return F.concat([x[i * packs : (i + 1) * packs] for i in range(n)], axis=1)


class Pack(nn.Module):
    """`pack` as the first layer of a discriminator."""

    def __init__(self, n):
        super().__init__()
        self.n = n

    def forward(self, x):
        return pack(x, self.n)

    def extra_repr(self):
        return f"{self.n}"


def packed(discriminator, n):
    """A discriminator (a Sequential) of packs, from one whose first layer takes n times the channels."""
    return discriminator if n == 1 else nn.Sequential(Pack(n), *discriminator)
