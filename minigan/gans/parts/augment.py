"""Differentiable augmentation: D would learn a few pictures by heart, so it never sees the same one twice.

Zhao, Liu, Lin, Zhu, Han, "Differentiable augmentation for data-efficient GAN training", 2020, section 3.2.
All that D sees, real and generated, in its own step and in G's, has gone through a random T: G learns through
it, and has nothing to gain by what only looks real after it. In the order and with the measures of the
authors' code:

    colour    brightness + U(-1/2, 1/2); of coloured images saturation by U(0, 2); contrast by U(1/2, 3/2)
    shift     up to an eighth of the sides, by whole pixels; what comes in is grey, 0
    cutout    a square of half the sides around any pixel, grey
    flip      left and right exchanged, of every other image; not the paper's. Mirrored samples then look as
              real as others do: for data of which the mirror image is one of the data, too

All numbers are drawn from `rng` as arrays, so that a captured step draws new ones in every replay.
"""

import numpy as np

from minigan import functional as F
from minigan.autograd import Tensor
from minigan.errors import MiniganError, did_you_mean

SHIFT, CUT = 1 / 8, 1 / 2  # of the sides


def augmentation(policy, rng):
    """T, of images (N, C, H, W) to such: what the words of `policy` name, one after the other; without any,
    T(x) = x. rng: draws what T does, anew in each call. Order of derivative: any; T is linear but for what it
    adds."""
    words = words_of(policy)

    def T(x):
        for word in words:
            x = POLICIES[word](x, rng)
        return x

    return T


def words_of(policy):
    """The words of a policy "shift,cutout", in the order in which they are applied. MiniganError for one that
    is unknown, or there twice."""
    words = [word.strip() for word in policy.split(",")] if policy is not None else []
    for word in words:
        if word not in POLICIES:
            raise MiniganError(f"augment: {word!r} is nothing to augment by; {did_you_mean(word, POLICIES)}")
        if words.count(word) > 1:
            raise MiniganError(f"augment: {word!r} is there twice")
    return [word for word in POLICIES if word in words]


def colour(x, rng):
    """Brighter or darker; of several channels paler or stronger; of more or less contrast."""
    x = x + drawn(x, rng, -0.5, 0.5)
    if x.shape[1] > 1:
        x = scaled(x, x.mean(axis=1, keepdims=True), drawn(x, rng, 0.0, 2.0))
    return scaled(x, x.mean(axis=(1, 2, 3), keepdims=True), drawn(x, rng, 0.5, 1.5))


def shift(x, rng):
    """Images moved by whole pixels, up or down and left or right: products with 0 and 1, exact in float32."""
    H, W = x.shape[2:]
    down, right = (np.floor(drawn(x, rng, -reach, reach + 1)) for reach in (eighth(H), eighth(W)))
    with x.device.active():
        places = [x.device.xp.arange(n, dtype=x.dtype) for n in (H, W)]
        rows, columns = (
            Tensor((n[:, None] - move == n).astype(x.dtype))
            for n, move in zip(places, (down, right), strict=True)
        )
    return rows @ x @ F.transpose(columns, 2, 3)


def cutout(x, rng):
    """A square of half the sides, or what lies of it inside the image."""
    H, W = x.shape[2:]
    inside = []
    for n, axis in ((H, 2), (W, 3)):
        size = int(n * CUT + 0.5)
        first = np.floor(drawn(x, rng, 0, n + 1 - size % 2)) - size // 2
        with x.device.active():
            place = x.device.xp.arange(n, dtype=x.dtype).reshape([n if a == axis else 1 for a in range(4)])
            inside.append((place >= first) & (place < first + size))
    return F.masked_fill(x, inside[0] & inside[1], 0.0)


def flip(x, rng):
    """Left and right exchanged, of about half of the images."""
    return F.where(drawn(x, rng, 0.0, 1.0) < 0.5, F.flip(x, 3), x)


POLICIES = {"colour": colour, "shift": shift, "cutout": cutout, "flip": flip}


def drawn(x, rng, low, high):
    """A number in [low, high) for each image, (N, 1, 1, 1): an array."""
    return rng.uniform((x.shape[0], 1, 1, 1), low, high, x.dtype)


def scaled(x, middle, factors):
    """x, its distance to `middle` multiplied."""
    return middle + (x - middle) * factors


def eighth(side):
    """The furthest that an image of `side` pixels is shifted."""
    return int(side * SHIFT + 0.5)
