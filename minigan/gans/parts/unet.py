"""U-Net: an encoder and a decoder, with a skip from each layer of the one to its mirror image in the other.

Isola, Zhu, Zhou, Efros, "Image-to-image translation with conditional adversarial networks", 2017, section
3.2.1 and appendix 6.1.1. Their noise is dropout in the decoder's first three layers of eight, up to 8 x 8 of
256 pixels; of fewer layers in fewer, one at least. Here its coins are an input, so that an output is a
function of the inputs alone: the same seed gives the same picture.
"""

import math

from minigan import functional as F
from minigan import nn

SHARP = 2.0**25  # makes 0 or 1 of the difference of a number of 24 bits to 1/2


class UNet(nn.Module):
    """Images (N, in_channels, H, W), noise (N, noise_size) in [0, 1) -> images (N, out_channels, H, W) in
    [-1, 1].

    depth: halvings; H and W are multiples of 2 ** depth. width: channels of the layer next to the image; they
    double as it halves, up to 8 times that. norm(channels) makes a layer; the innermost has none.
    """

    def __init__(self, in_channels, out_channels, width, depth, size, norm):
        super().__init__()
        widths = [min(2**i, 8) * width for i in range(depth)]  # from the image inwards
        down, n = [], in_channels
        for i, m in enumerate(widths):
            inside = 0 < i < depth - 1
            layers = block(nn.Conv2d, n, m, norm if inside else None)
            down += [nn.Sequential(*([nn.LeakyReLU(0.2)] if i else []), *layers)]
            n = m
        up = []
        for i, m in enumerate([*widths[-2::-1], out_channels]):
            layers = block(nn.ConvTranspose2d, n, m, norm if i < depth - 1 else None)
            up += [nn.Sequential(nn.ReLU(), *layers)]
            n = 2 * m  # with the skip
        self.down, self.up = nn.Sequential(*down), nn.Sequential(*up)
        self.size, self.dropped = size, widths[-2::-1][: max(depth - 5, 1)]

    @property
    def noise_size(self):
        """How many numbers decide what is dropped, of images of the size that it was made for."""
        return self.noise_for(self.size, self.size)

    def noise_for(self, height, width):
        """How many numbers decide what is dropped of images of this size, multiples of 2 ** depth."""
        inner = height * width // 4 ** len(self.down)
        return inner * sum(channels * 4 ** (i + 1) for i, channels in enumerate(self.dropped))

    def forward(self, x, noise):
        skips = []
        for layer in self.down:
            x = layer(x)
            skips.append(x)
        x, used = skips.pop(), 0
        for i, layer in enumerate(self.up):
            x = layer(x)
            if i < len(self.dropped):
                coins = noise[:, used : used + math.prod(x.shape[1:])]
                used += coins.shape[1]
                kept = F.clip((coins - 0.5) * SHARP, 0.0, 1.0)
                x = x * F.reshape(2.0 * kept, *x.shape)
            if skips:
                x = F.concat([x, skips.pop()], axis=1)
        return F.tanh(x)


def block(conv, n, m, norm):
    """A convolution of 4x4 that halves, or doubles, the sides; and its norm."""
    return [conv(n, m, 4, 2, 1, bias=norm is None)] + ([norm(m)] if norm else [])
