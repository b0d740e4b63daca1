"""PatchGAN: a discriminator that judges each patch of an image, and the image by the mean over them.

Isola et al. 2017, section 3.2.2 and appendix 6.1.2. A fully convolutional network: its receptive field is the
patch, 70 x 70 pixels for three halvings, 34 for two, 16 for one.
"""

from minigan import nn


def patch_discriminator(channels, width, layers, norm):
    """Images (N, channels, H, W) -> (N, 1, h, w), a number for each patch. layers: halvings. norm(channels)
    makes a layer; the first convolution has none."""
    down = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    n = width
    for i in range(1, layers + 1):
        m = min(2**i, 8) * width
        stride = 2 if i < layers else 1
        down += [nn.Conv2d(n, m, 4, stride, 1, bias=False), norm(m), nn.LeakyReLU(0.2)]
        n = m
    return nn.Sequential(*down, nn.Conv2d(n, 1, 4, 1, 1))
