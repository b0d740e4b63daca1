"""PatchGAN: a discriminator that judges each patch of an image, and the image by the mean over them.

Isola et al. 2017, section 3.2.2 and appendix 6.1.2. A fully convolutional network: its receptive field is the
patch, 70 x 70 pixels for three halvings, 34 for two, 16 for one. A patch of one pixel sees colours alone.
"""

from minigan import nn

HALVINGS = {16: 1, 34: 2, 70: 3}  # by the pixels of a patch, a side


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


def pixel_discriminator(channels, width, norm):
    """PixelGAN: images (N, channels, H, W) -> (N, 1, H, W), a number for each pixel by itself. norm: as of
    `patch_discriminator`."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 1, bias=False),
        norm(2 * width),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 1, 1),
    )


def image_discriminator(channels, width, size, norm):
    """ImageGAN: images (N, channels, size, size) -> (N, 1, 1, 1), a number for the whole of each, which is
    halved to 4 x 4 first. size: 8, 16, 32, ... norm: as of `patch_discriminator`."""
    down, n, side = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)], width, size // 2
    while side > 4:
        m, side = min(2 * n, 8 * width), side // 2
        down += [nn.Conv2d(n, m, 4, 2, 1, bias=False), norm(m), nn.LeakyReLU(0.2)]
        n = m
    return nn.Sequential(*down, nn.Conv2d(n, 1, 4))
