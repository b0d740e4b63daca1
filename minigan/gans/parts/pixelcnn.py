"""Gated PixelCNN: how likely each value of a grid is, given those before it, from the top left on.

Van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves, Kavukcuoglu, "Conditional image generation with
PixelCNN decoders", 2016. Two stacks of convolutions are masked so that none sees what it is to tell
(section 2.2, figure 2): one looks at all rows above, the other along the row, at what lies to the left, and
at what the first one says. A mask that hides all taps but some is here a smaller kernel, and a border on the
side of what may be seen. Taken together they have no blind spot, as one stack of masked kernels has.
"""

import numpy as np

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, no_grad
from minigan.backend import to_numpy
from minigan.nn import init

CHUNK = 500  # grids drawn at once


class PixelCNN(nn.Module):
    """Codes, integers (N, H, W) in [0, codes), -> logits (N, codes, H, W) of the code at each place, which
    depend on those in the rows above and to the left alone. At first they are all 0: all codes are as likely.

    width: channels. layers: each sees one place farther to the left and to the right, and one row higher.
    """

    def __init__(self, codes, width, layers, rng):
        super().__init__()
        self.table = nn.Embedding(codes, width, generator=rng)
        self.layers = nn.ModuleList([Gated(width, i == 0, rng) for i in range(layers)])
        self.end = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 1, generator=rng),
            nn.ReLU(),
            nn.Conv2d(2 * width, codes, 1, generator=rng),
        )
        for p in self.end[-1].parameters():
            init.zeros_(p)

    def forward(self, codes):
        return self.along(codes, self.above(codes))

    def embedded(self, codes):
        return self.table(codes).permute(0, 3, 1, 2)

    def above(self, codes):
        """What the rows above say to each layer, (N, 2 · width, H, W) each."""
        v, said = self.embedded(codes), []
        for layer in self.layers:
            v, told = layer.above(v)
            said.append(told)
        return said

    def along(self, codes, said):
        """The logits, by what lies to the left in some rows, and what is said above of these rows."""
        h = self.embedded(codes)
        for layer, told in zip(self.layers, said, strict=True):
            h = layer.along(h, told)
        return self.end(h)

    def draw(self, u, temperature=1.0):
        """Codes, int64 (N, H, W), drawn place by place by numbers u (N, H, W), uniform in [0, 1): the code at
        which the sum of the probabilities passes u. temperature: what logits are divided by; below 1, likely
        codes become more likely.

        What the rows above say is computed once a row, not once a place.
        """
        device = self.table.weight.device
        u = to_numpy(u)
        chunks = [self._drawn(u[i : i + CHUNK], temperature, device) for i in range(0, len(u), CHUNK)]
        return np.concatenate(chunks)

    def _drawn(self, u, temperature, device):
        codes = np.zeros(u.shape, np.int64)
        _, H, W = u.shape
        with no_grad():
            for i in range(H):
                said = [told[:, :, i:] for told in self.above(Tensor(codes[:, : i + 1], device=device))]
                for k in range(W):
                    row = Tensor(codes[:, i : i + 1], device=device)
                    logits = self.along(row, said)[:, :, 0, k].numpy() / temperature
                    codes[:, i, k] = chosen(logits, u[:, i, k])
        return codes


def chosen(logits, u):
    """The class of each row of logits (N, classes) that u (N,) falls into: at which the sum of the
    probabilities passes u."""
    p = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    passed = (p / p.sum(axis=1, keepdims=True)).cumsum(axis=1) <= u[:, None]
    return np.minimum(passed.sum(axis=1), p.shape[1] - 1)  # the last sum may be below 1 by rounding


class Gated(nn.Module):
    """One layer of both stacks. first: sees the codes themselves, and so not the place that it is to tell."""

    def __init__(self, width, first, rng):
        super().__init__()
        self.first = first
        self.rows = nn.Conv2d(width, 2 * width, (2, 3), generator=rng)
        self.row = nn.Conv2d(width, 2 * width, (1, 2), generator=rng)
        self.link = nn.Conv2d(2 * width, 2 * width, 1, generator=rng)
        self.out = nn.Conv2d(width, width, 1, generator=rng)

    def above(self, v):
        """(what the next layer gets, what `along` is told). The first layer's kernel has the two rows above
        each place, that of others the row above and its own, which tells of the rows above it."""
        rows = self.rows(F.pad(v, (1, 1, 2 if self.first else 1, 0)))[:, :, : v.shape[2]]
        return gate(rows), self.link(rows)

    def along(self, h, told):
        """What the next layer gets. The first layer's kernel has the two places to the left of each, that of
        others the one to the left and its own."""
        row = self.row(F.pad(h, (2 if self.first else 1, 0, 0, 0)))[:, :, :, : h.shape[3]]
        out = self.out(gate(row + told))
        return out if self.first else h + out


def gate(x):
    """tanh of the one half of the channels, times how far the other half lets it through (equation 2)."""
    n = x.shape[1] // 2
    return F.tanh(x[:, :n]) * F.sigmoid(x[:, n:])
