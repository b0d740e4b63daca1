"""SRResNet: a residual network that enlarges pictures by pixel shuffle.

Ledig et al., "Photo-realistic single image super-resolution using a generative adversarial network", 2017,
section 2.1.1 and figure 4.
"""

import math

from minigan import functional as F
from minigan import nn
from minigan.nn import init

from .residual import Residual


class SRResNet(nn.Module):
    """Images (N, channels, H, W) -> (N, channels, scale · H, scale · W).

    width: channels of the residual blocks; each doubling halves them. scale: a power of 2. norm(channels)
    makes a layer of the blocks, None is for none. onto_bicubic: whether it makes what is to be added to the
    picture enlarged by cubic convolution, at first nothing, or the picture itself.
    """

    def __init__(self, channels, width, blocks, scale, norm, onto_bicubic, rng):
        super().__init__()
        self.scale, self.onto_bicubic = scale, onto_bicubic
        self.head = nn.Sequential(nn.Conv2d(channels, width, 9, padding=4, generator=rng), nn.PReLU())
        self.blocks = nn.Sequential(*(Residual(block(width, norm, rng)) for _ in range(blocks)))
        self.end = nn.Sequential(*convolution(width, width, norm, rng))
        up, n = [], width
        for _ in range(int(math.log2(scale))):
            m = max(n // 2, 1)
            up += [nn.Conv2d(n, 4 * m, 3, padding=1, generator=rng), nn.PixelShuffle(2), nn.PReLU()]
            n = m
        self.up, self.tail = nn.Sequential(*up), nn.Conv2d(n, channels, 9, padding=4, generator=rng)
        if onto_bicubic:
            init.zeros_(self.tail.weight)
            init.zeros_(self.tail.bias)

    def forward(self, x):
        h = self.head(x)
        made = self.tail(self.up(self.end(self.blocks(h)) + h))
        return made + bicubic(x, self.scale) if self.onto_bicubic else made


def reach(blocks, scale):
    """Up to how many pixels away a pixel of x has an influence: the head 4, a block 2, the end 1; a doubling
    1 and the tail 4 of the pixels that they see, which are smaller than those of x."""
    doublings = int(math.log2(scale))
    return math.ceil(4 + 2 * blocks + 1 + sum(1 / 2**i for i in range(doublings)) + 4 / scale)


def block(width, norm, rng):
    """What a residual block adds to what it gets."""
    return nn.Sequential(
        *convolution(width, width, norm, rng), nn.PReLU(), *convolution(width, width, norm, rng)
    )


def convolution(n, m, norm, rng):
    """A convolution of 3x3, and its norm."""
    return [nn.Conv2d(n, m, 3, padding=1, bias=norm is None, generator=rng)] + ([norm(m)] if norm else [])


def bicubic(x, scale):
    """Images enlarged by cubic convolution, scale times."""
    return F.interpolate(x, scale_factor=scale, mode="bicubic", antialias=True)


def lowered(y, scale):
    """The small pictures that large ones (N, C, H, W) are to be made of: by cubic convolution, antialiased,
    as MATLAB's imresize makes those of the paper (section 3.1)."""
    H, W = y.shape[2:]
    return F.interpolate(y, size=(H // scale, W // scale), mode="bicubic", antialias=True)
