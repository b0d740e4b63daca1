"""Laplacian pyramids: an image as a small one, and what each enlargement of it lacks.

Burt, Adelson, "The Laplacian pyramid as a compact image code", 1983; Denton, Chintala, Szlam, Fergus, "Deep
generative image models using a Laplacian pyramid of adversarial networks", 2015, section 2.2. With d, which
blurs an image and keeps every second pixel, and u, which enlarges and smooths it,

    I_0 = I,  I_{k+1} = d(I_k),  h_k = I_k - u(I_{k+1}),  h_K = I_K            (equations 2 and 3)
    I_k = u(I_{k+1}) + h_k                                                     (equation 4)

which gives the image back whatever d and u are. Here both have the taps 1, 3, 3, 1, an even number, so that
a pixel of the small image lies in the middle of four of the large one, and no level is moved.
"""

import itertools

from minigan import functional as F
from minigan.errors import MiniganError

TAPS = (1 / 8, 3 / 8, 3 / 8, 1 / 8)
SMALLEST = 4  # pixels a side of a level


def reduced(x):
    """d: images (N, C, 2H, 2W) -> (N, C, H, W), blurred and every second pixel kept. At the rim the outermost
    pixels are drawn out. Linear; order of derivative: any."""
    return F.upfirdn2d(F.pad(x, (1, 1, 1, 1), "replicate"), TAPS, down=2)


def expanded(x):
    """u: images (N, C, H, W) -> (N, C, 2H, 2W), with the same taps: 3/4 of a pixel and 1/4 of its neighbour,
    along each axis. Linear; order of derivative: any."""
    return F.interpolate(x, scale_factor=2, mode="bilinear")


def gaussian_pyramid(x, levels):
    """[I_0, ..., I_K] of images x, K = levels - 1, each half as high and wide as the one before."""
    images = [x]
    for _ in range(levels - 1):
        images.append(reduced(images[-1]))
    return images


def laplacian_pyramid(x, levels):
    """[h_0, ..., h_K] of images x, K = levels - 1: the last is an image, the others what is missing."""
    images = gaussian_pyramid(x, levels)
    return [image - expanded(small) for image, small in itertools.pairwise(images)] + images[-1:]


def rebuilt(pyramid):
    """The images of which `laplacian_pyramid` gave [h_0, ..., h_K]."""
    *missing, x = pyramid
    for h in reversed(missing):
        x = expanded(x) + h
    return x


def sides_of(size, levels):
    """The pixels a side of each level, from the coarsest on. MiniganError for a size that cannot be halved so
    often, or leaves less than SMALLEST."""
    halved = 2 ** (levels - 1)
    if size % halved or size // halved < SMALLEST:
        raise MiniganError(
            f"a pyramid of {levels} levels is of images of {halved} · n pixels a side, n being {SMALLEST} or "
            f"more for the coarsest; {size} is no such number"
        )
    return [size // 2**k for k in reversed(range(levels))]
