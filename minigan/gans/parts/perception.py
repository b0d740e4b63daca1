"""A network whose features say how alike two pictures look, in the place of one trained on photographs.

SRGAN's perceptual loss compares pictures by the features of VGG19, which has learned to name a million
photographs (Ledig et al. 2017, section 2.2.1). This one learns within the run, from the same pictures, to
tell what was done to one: nothing; or made small and large again, smoothly or in blocks; or sharpened. So its
features are of what a picture gains and loses by being enlarged, and need no labels and no other data.
"""

from minigan import functional as F
from minigan import nn

from .srresnet import bicubic

KINDS = 4


class Perception(nn.Module):
    """Images (N, C, H, W) of at least 4 pixels a side -> logits (N, KINDS) of what was done to each."""

    def __init__(self, channels, width, rng):
        super().__init__()

        def convolution(n, m, *window):
            return [nn.Conv2d(n, m, *window, generator=rng), nn.LeakyReLU(0.2)]

        self.fine = nn.Sequential(*convolution(channels, width, 3, 1, 1), *convolution(width, width, 4, 2, 1))
        self.coarse = nn.Sequential(
            *convolution(width, 2 * width, 3, 1, 1), *convolution(2 * width, 2 * width, 4, 2, 1)
        )
        self.kind = nn.Linear(2 * width, KINDS, generator=rng)

    def features(self, x):
        """Two maps: (N, width, H / 2, W / 2) and (N, 2 · width, H / 4, W / 4)."""
        fine = self.fine(x)
        return fine, self.coarse(fine)

    def forward(self, x):
        return self.kind(self.features(x)[1].mean(axis=(2, 3)))


def told_apart(perception, y, x, scale):
    """The cross-entropy of what it says of pictures y, of which x are the small ones, when one of KINDS was
    done to each, in turn."""
    smooth, blocks = bicubic(x, scale), F.interpolate(x, scale_factor=scale)
    done = [pictures[kind::KINDS] for kind, pictures in enumerate((y, smooth, blocks, 2.0 * y - smooth))]
    said, start, surprise = F.log_softmax(perception(F.concat(done, axis=0)), axis=1), 0, []
    for kind, pictures in enumerate(done):
        surprise.append(-said[start : start + len(pictures), kind].sum())
        start += len(pictures)
    return sum(surprise[1:], surprise[0]) / start


def difference(made, true, perception):
    """How far the features of pictures are from those of true ones: the squared distance over the variance of
    the true ones' features, each channel around its mean; the mean of both maps. A number, 0 for equal ones
    and about 2 for any others of their kind. Order of derivative: any."""
    shares = [
        F.mse_loss(a, b) / ((b - b.mean(axis=(0, 2, 3), keepdims=True)) ** 2).mean()
        for a, b in zip(perception.features(made), perception.features(true), strict=True)
    ]
    return sum(shares[1:], shares[0]) / len(shares)
