"""DCGAN's convolutions: Radford, Metz, Chintala 2016, figure 1 and section 4.

Images have 16, 32 or 64 pixels a side: 2, 3 or 4 doublings of 4. Widths double as the image halves.
"""

import itertools
import math

from minigan import nn
from minigan.errors import MiniganError
from minigan.nn import init

SIZES = 16, 32, 64


def default_size(pixels: int) -> int:
    """The smallest of SIZES that `pixels` fit in."""
    return next((s for s in SIZES if s >= pixels), SIZES[-1])


def generator(latent, width, shape):
    """(N, latent) -> images (N, *shape)."""
    widths = layer_widths(width, shape)[::-1]
    up = [nn.Unflatten(latent, 1, 1), nn.ConvTranspose2d(latent, widths[0], 4, bias=False)]
    for n, m in itertools.pairwise(widths):
        up += [nn.BatchNorm2d(n), nn.ReLU(), nn.ConvTranspose2d(n, m, 4, 2, 1, bias=False)]
    up += [nn.BatchNorm2d(width), nn.ReLU(), nn.ConvTranspose2d(width, shape[0], 4, 2, 1), nn.Tanh()]
    return nn.Sequential(*up)


def discriminator(width, channels, shape, norm=nn.BatchNorm2d):
    """Images (N, channels, H, W), H and W those of `shape`, -> (N, 1). norm(channels) makes a layer."""
    widths = layer_widths(width, shape)
    down = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for n, m in itertools.pairwise(widths):
        down += [nn.Conv2d(n, m, 4, 2, 1, bias=False), norm(m), nn.LeakyReLU(0.2)]
    return nn.Sequential(*down, nn.Conv2d(widths[-1], 1, 4), nn.Flatten())


def layer_widths(width, shape):
    """The channels of each layer, from the image inwards. MiniganError for images of another size."""
    if len(shape) != 3 or shape[1] != shape[2] or shape[1] not in SIZES:
        raise MiniganError(
            f"convolutional networks make images of 16, 32 or 64 pixels a side, not samples of shape {shape}"
            + "; points of the plane are for gan and wgan-gp" * (len(shape) == 1)
        )
    return [width * 2**i for i in range(int(math.log2(shape[1] // 4)))]


def initialise(layer, rng):
    """Section 4: weights from N(0, 0.02), batch norm's scale around 1, biases 0."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        init.normal_(layer.weight, 0.0, 0.02, rng)
        if layer.bias is not None:
            init.zeros_(layer.bias)
    elif isinstance(layer, nn.BatchNorm2d):
        init.normal_(layer.weight, 1.0, 0.02, rng)
