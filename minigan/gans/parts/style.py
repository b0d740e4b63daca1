"""StyleGAN's networks: a code w, made of noise, says how each layer makes the image.

Karras, Laine, Aila, "A style-based generator architecture for generative adversarial networks", 2019, and
Karras et al., "Analyzing and improving the image quality of StyleGAN", 2020; below by their years. Images
have 16, 32 or 64 pixels a side. Two layers a resolution, from 4 x 4 on; channels double as the image halves,
up to four times those next to the image.

All weights are drawn from N(0, 1) and scaled whenever they are used, by √(2 / inputs) before a LeakyReLU:
Adam's steps are as long for all weights, and so each layer's move as far in proportion to what they are
(equalised learning rates; Karras et al., "Progressive growing of GANs", 2018, section 4.1).
"""

import itertools
import math

import numpy as np

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor
from minigan.nn import Parameter

from .convolutions import layer_widths

SLOPE, GAIN = 0.2, math.sqrt(2)  # of the LeakyReLU; what keeps the spread through it
BLUR = 1.0, 3.0, 3.0, 1.0  # 2020; in 2019 1, 2, 1
EPS = 1e-8


class Linear(nn.Module):
    """(N, n) -> (N, m), at an equalised rate.

    bias: the first one, a number or m of them. multiplier: of the rate. slope: of a LeakyReLU after it.
    """

    def __init__(self, n, m, rng, bias=0.0, multiplier=1.0, slope=None):
        super().__init__()
        self.weight = Parameter(rng.normal((m, n), std=1 / multiplier))
        self.bias = Parameter(np.full(m, bias, np.float32) / np.float32(multiplier))
        self.multiplier, self.slope = multiplier, slope
        self.scale = multiplier * (1.0 if slope is None else GAIN) / math.sqrt(n)

    def forward(self, x):
        bias = self.bias if self.multiplier == 1 else self.bias * self.multiplier
        return F.linear(x, self.weight * self.scale, bias, self.slope)


class Convolution(nn.Module):
    """A k x k convolution at an equalised rate, and a LeakyReLU. halving: of blurred images, at every other
    pixel."""

    def __init__(self, n, m, k, rng, padding=0, halving=False):
        super().__init__()
        self.weight, self.bias = kernel(n, m, k, rng), Parameter(np.zeros(m, np.float32))
        self.scale, self.padding, self.halving = GAIN / math.sqrt(n * k * k), padding, halving

    def forward(self, x):
        x = blurred(x) if self.halving else x
        weight, stride = self.weight * self.scale, 2 if self.halving else 1
        return F.conv2d(x, weight, self.bias, stride, self.padding, negative_slope=SLOPE)


def kernel(n, m, k, rng):
    """(m, n, k, k) from N(0, 1), channels-last in memory."""
    return Parameter(np.moveaxis(rng.normal((m, k, k, n)), -1, 1))


def blurred(x):
    """(N, C, H, W) -> (N, C, H + 1, W + 1): what a 3 x 3 convolution of stride 2 halves to H / 2."""
    return F.upfirdn2d(x, BLUR, padding=2, gain=1 / 64)


def doubled(x):
    """(N, C, H, W) -> (N, C, 2H, 2W): zeros between the pixels, and a blur over them."""
    return F.upfirdn2d(x, BLUR, up=2, padding=(2, 1, 2, 1), gain=4 / 64)


# The generator


class MovingMean(nn.Module):
    """mean: of all values of this shape, moved by `rate` of the way to each batch's."""

    def __init__(self, shape, rate):
        super().__init__()
        self.rate = rate
        self.register_buffer("mean", Tensor(np.zeros(shape, np.float32)))

    def follow(self, values):
        """Move towards the mean of values (N, *shape)."""
        self.mean.copy_(self.mean + self.rate * (values.detach().mean(axis=0) - self.mean))


class Mapping(nn.Module):
    """z (N, latent), to be normalised -> w (N, latent): a perceptron of LeakyReLUs, at 0.01 of the rate.

    average: the moving mean of w, which is told them by the loop.
    """

    def __init__(self, latent, layers, rng):
        super().__init__()
        one = {"multiplier": 0.01, "slope": SLOPE}
        self.layers = nn.Sequential(*(Linear(latent, latent, rng, **one) for _ in range(layers)))
        self.average = MovingMean((latent,), 0.005)

    def forward(self, z):
        return self.layers(z / F.sqrt(F.square(z).mean(axis=1, keepdims=True) + EPS))

    def truncated(self, w, psi):
        """w (N, latent) pulled to the average, where psi is 0; at 1 it stays. 2019, appendix B."""
        return self.average.mean + psi * (w - self.average.mean)


class StyledLayer(nn.Module):
    """A layer of synthesis: x (N, n, H, W), w (N, latent), noise (N, 1, ...) -> (N, m, ...), of twice the
    side where it is `doubling`. strengths: of its noise, one for all channels or one each."""

    def __init__(self, n, m, affine, rng, doubling, strengths=1):
        super().__init__()
        self.affine, self.weight = affine, kernel(n, m, 3, rng) if n else None
        self.bias, self.strength = (Parameter(np.zeros(size, np.float32)) for size in (m, strengths))
        self.scale, self.doubling = GAIN / math.sqrt(9 * n) if n else None, doubling

    def activated(self, x, noise):
        """x with noise and bias, through the LeakyReLU."""
        noise = F.permute(F.permute(noise, 0, 2, 3, 1) * self.strength, 0, 3, 1, 2)  # channels-last in memory
        return F.leaky_relu(x + noise + F.reshape(self.bias, 1, -1, 1, 1), SLOPE)


class Adaptive(StyledLayer):
    """2019, figure 1b: convolution, noise of a strength a channel, and then each channel of an image gets the
    mean and the spread that w asks for. n is 0 for the first layer, which has no convolution."""

    def __init__(self, n, m, latent, rng, doubling=False):
        super().__init__(n, m, Linear(latent, 2 * m, rng, bias=np.repeat([1, 0], m)), rng, doubling, m)

    def forward(self, x, w, noise):
        x = doubled(x) if self.doubling else x
        if self.weight is not None:
            x = F.conv2d(x, self.weight * self.scale, padding=1)
        style = F.reshape(self.affine(w), len(w), -1, 1, 1)
        m = style.shape[1] // 2
        return F.instance_norm(self.activated(x, noise)) * style[:, :m] + style[:, m:]


class Modulated(StyledLayer):
    """2020, figure 2d: w scales the weights, and demodulation keeps the spread; no image is normalised. Noise
    has one strength for all channels."""

    def __init__(self, n, m, latent, rng, doubling=False):
        super().__init__(n, m, Linear(latent, n, rng, bias=1.0), rng, doubling)

    def forward(self, x, w, noise):
        x = doubled(x) if self.doubling else x
        x = F.modulated_conv2d(x, self.weight * self.scale, self.affine(w), padding=1, gain=GAIN)
        return self.activated(x, noise)


class Synthesis(nn.Module):
    """w of each layer (N, layers, latent), noise (N, noise_size) -> images (N, *shape), not bounded.

    It begins with a constant of 4 x 4. count: how many w can be chosen, the coarsest first, two a
    resolution. With "adain" the first is that of the constant, and the image is made without one; with
    "demodulation" it is that of the first convolution, and the last is that of the image.
    """

    def __init__(self, latent, width, shape, synthesis, rng):
        super().__init__()
        widths = widths_of(width, shape)[::-1]
        self.constant = Parameter(np.moveaxis(rng.normal((1, 4, 4, widths[0])), -1, 1))
        adain = synthesis == "adain"
        kind = Adaptive if adain else Modulated
        layers = [Adaptive(0, widths[0], latent, rng)] if adain else []
        layers += [kind(widths[0], widths[0], latent, rng)]
        for n, m in itertools.pairwise(widths):
            layers += [kind(n, m, latent, rng, doubling=True), kind(m, m, latent, rng)]
        self.layers = nn.ModuleList(layers)
        self.count = 2 * len(widths)
        sides = itertools.accumulate(layers, lambda side, layer: side * (1 + layer.doubling), initial=4)
        self.sides = [*sides][1:]
        self.weight, self.bias = kernel(width, shape[0], 1, rng), Parameter(np.zeros(shape[0], np.float32))
        self.affine = None if adain else Linear(latent, width, rng, bias=1.0)
        self.scale = 1 / math.sqrt(width)

    @property
    def noise_size(self):
        """How many numbers of noise an image takes."""
        return sum(side**2 for side in self.sides)

    def forward(self, w, noise):
        N, ends = len(w), [0, *itertools.accumulate(side**2 for side in self.sides)]
        x = F.expand(self.constant, N, *self.constant.shape[1:])
        for i, (layer, side) in enumerate(zip(self.layers, self.sides, strict=True)):
            x = layer(x, w[:, i], F.reshape(noise[:, ends[i] : ends[i + 1]], N, 1, side, side))
        weight = self.weight * self.scale
        if self.affine is None:
            return F.conv2d(x, weight, self.bias)
        image = F.modulated_conv2d(x, weight, self.affine(w[:, -1]), demodulate=False)
        return image + F.reshape(self.bias, 1, -1, 1, 1)


class StyleGenerator(nn.Module):
    """mapping and synthesis: z (N, latent), noise (N, noise_size) -> images (N, *shape)."""

    def __init__(self, latent, mapping, width, shape, synthesis, rng):
        super().__init__()
        self.mapping = Mapping(latent, mapping, rng)
        self.synthesis = Synthesis(latent, width, shape, synthesis, rng)

    def forward(self, z, noise):
        return self.synthesis(self.styles(self.mapping(z)), noise)

    @property
    def layers(self):
        """How many layers have a w."""
        return self.synthesis.count

    @property
    def noise_size(self):
        """How many numbers of noise an image takes."""
        return self.synthesis.noise_size

    def styles(self, w, other=None, fine=None):
        """w (N, latent) for all layers (N, layers, latent); or, mixed, `other` in those where fine
        (N, layers) is 1, and not 0."""
        w = F.expand(F.unsqueeze(w, 1), len(w), self.layers, w.shape[1])
        if other is None:
            return w
        return w + F.unsqueeze(fine, 2) * (F.unsqueeze(other, 1) - w)


def crossover(u, layers, mixing):
    """Which layers get the second of two styles: (N, layers), 0 up to a random layer and 1 from there on.

    u: an array (N, 1) of uniform numbers. mixing: the share of samples that change styles, each of the layers
    from 1 on being as likely to be where; the others are 0. 2019, section 3.1.
    """
    where = 1 + u * ((layers - 1) / mixing)  # beyond the last layer for the others
    return F.concat([Tensor((where < i + 1).astype(where.dtype)) for i in range(layers)], axis=1)


# The discriminator


class MinibatchDeviation(nn.Module):
    """x (N, C, H, W) with one more channel: how much samples differ within their group, on average over all
    values. Groups are of four samples, or as many below that as divide N.

    Karras et al. 2018, section 3; a deviation is √(variance + 1e-8).
    """

    def forward(self, x):
        N, C, H, W = x.shape
        size = next(n for n in (4, 3, 2, 1) if N % n == 0)
        groups = F.reshape(F.permute(x, 0, 2, 3, 1), size, N // size, H, W, C)  # as they lie in memory
        apart = F.square(groups - groups.mean(axis=0, keepdims=True)).mean(axis=0)
        deviation = F.sqrt(apart + EPS).mean(axis=(1, 2, 3))
        plane = F.expand(F.reshape(F.tile(deviation, size), N, 1, 1, 1), N, 1, H, W)
        return F.concat([x, plane], axis=1)


def style_discriminator(width, shape, rng):
    """Images (N, *shape) -> logits (N, 1): two convolutions a resolution, the second halves."""
    widths = widths_of(width, shape)
    layers = [Convolution(shape[0], width, 1, rng)]
    for n, m in itertools.pairwise(widths):
        layers += [Convolution(n, n, 3, rng, padding=1), Convolution(n, m, 3, rng, halving=True)]
    n = widths[-1]
    layers += [MinibatchDeviation(), Convolution(n + 1, n, 3, rng, padding=1)]
    return nn.Sequential(*layers, Convolution(n, n, 4, rng), nn.Flatten(), Linear(n, 1, rng))


def widths_of(width, shape):
    """The channels at each resolution, from the image to 4 x 4. MiniganError for images of another size."""
    return [min(2**i, 4) * width for i in range(len(layer_widths(width, shape)) + 1)]
