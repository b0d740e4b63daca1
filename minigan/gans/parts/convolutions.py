"""DCGAN's convolutions: Radford, Metz, Chintala 2016, figure 1 and section 4.

Images have 16, 32 or 64 pixels a side: 2, 3 or 4 doublings of 4. Widths double as the image halves.
"""

import itertools
import math

from minigan import nn
from minigan.errors import MiniganError
from minigan.nn import init

from .minibatch import MinibatchDiscrimination, judged

SIZES = 16, 32, 64


def default_size(pixels: int) -> int:
    """The smallest of SIZES that `pixels` fit in."""
    return next((s for s in SIZES if s >= pixels), SIZES[-1])


def generator(latent, width, shape, norm=nn.BatchNorm2d):
    """(N, latent) -> images (N, *shape). norm(channels) makes a layer; None is for layers without."""
    widths = layer_widths(width, shape)[::-1]
    up = [nn.Unflatten(latent, 1, 1), *normed(nn.ConvTranspose2d, latent, widths[0], 4, norm=norm), nn.ReLU()]
    for n, m in itertools.pairwise(widths):
        up += [*normed(nn.ConvTranspose2d, n, m, 4, 2, 1, norm=norm), nn.ReLU()]
    return nn.Sequential(*up, nn.ConvTranspose2d(width, shape[0], 4, 2, 1), nn.Tanh())


def discriminator(width, channels, shape, norm=nn.BatchNorm2d, outputs=1, minibatch=0):
    """Images (N, channels, H, W), H and W those of `shape`, -> (N, outputs). norm: as of `generator`.
    minibatch: kernels of minibatch discrimination, 0 for none."""
    widths = layer_widths(width, shape)
    down = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for n, m in itertools.pairwise(widths):
        down += [*normed(nn.Conv2d, n, m, 4, 2, 1, norm=norm), nn.LeakyReLU(0.2)]
    if minibatch:
        return nn.Sequential(*down, nn.Flatten(), *judged(widths[-1] * 4 * 4, minibatch, outputs=outputs))
    return nn.Sequential(*down, nn.Conv2d(widths[-1], outputs, 4), nn.Flatten())


def normed(convolution, n, m, *window, norm):
    """A convolution and the norm of its channels; without a norm, whose place its bias takes."""
    layer = convolution(n, m, *window, bias=norm is None)
    return [layer] if norm is None else [layer, norm(m)]


def layer_widths(width, shape):
    """The channels of each layer, from the image inwards. MiniganError for images of another size."""
    if len(shape) != 3 or shape[1] != shape[2] or shape[1] not in SIZES:
        raise MiniganError(
            f"convolutional networks make images of 16, 32 or 64 pixels a side, not samples of shape {shape}"
        )
    return [width * 2**i for i in range(int(math.log2(shape[1] // 4)))]


def initialise(layer, rng):
    """Section 4: weights from N(0, 0.02), batch norm's scale around 1, biases 0."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        init.normal_(layer.weight, 0.0, 0.02, rng)
        if layer.bias is not None:
            init.zeros_(layer.bias)
    elif isinstance(layer, nn.BatchNorm1d):  # and BatchNorm2d, which is one
        init.normal_(layer.weight, 1.0, 0.02, rng)
    elif isinstance(layer, MinibatchDiscrimination):
        layer.reset(rng)
