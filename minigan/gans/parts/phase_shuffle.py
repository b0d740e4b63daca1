"""Phase shuffle: D must not tell made sounds by the phase at which its ripples stand.

Donahue, McAuley, Puckette, "Adversarial audio synthesis", 2019, section 3.3. A transposed convolution repeats
artefacts at fixed places, by which D could see at once what is made, whatever it sounds like. So the places
are moved: between two layers of D each sample is shifted by a random number of steps from -n to n, and what
comes in at an end is a mirror image of what is beside it.
"""

import numpy as np

from minigan import backend, nn, random
from minigan import functional as F
from minigan.autograd import Function


class PhaseShuffle(nn.Module):
    """(N, C, L) -> the same, each sample shifted along L by its own number of steps, -n to n, drawn in every
    call by `generator`, by default minigan's own; in evaluation, as it is. L must be above n. Order of
    derivative: any."""

    def __init__(self, n, generator=None):
        super().__init__()
        self.n, self.generator = n, generator

    def forward(self, x):
        if not (self.n and self.training):
            return x
        N, L = x.shape[0], x.shape[2]
        rng = self.generator or random.default_generator
        starts = np.floor(rng.uniform((N,), 0, 2 * self.n + 1, device=x.device)).astype(np.int64)
        return cut(F.pad(x, (self.n, self.n), "reflect"), starts, L)

    def extra_repr(self):
        return f"{self.n}"


def cut(x, starts, length):
    """x (N, C, L) -> (N, C, length): of each sample the part that begins at `starts`, integers (N,), from 0
    to L - length: an array where x is. Order of derivative: any; linear in x."""
    return Cut(starts, length)(x)


class Cut(Function):
    """Parts of sequences. Its adjoint puts them back, with 0 around: that is a cut of them with a border."""

    saves = ""

    def __init__(self, starts, length):
        self.starts, self.length = starts, length

    def forward(self, x):
        N, C, L = x.shape
        xp = backend.device_of(x).xp
        rows = (xp.arange(N) * L + self.starts)[:, None] + xp.arange(self.length)
        return x.transpose(0, 2, 1).reshape(N * L, C).take(rows, axis=0).transpose(0, 2, 1)

    def backward(self, gy):
        L = self.shapes[0][2]
        around = L - self.length
        return Cut(around - self.starts, L)(F.pad(gy, (around, around)))
