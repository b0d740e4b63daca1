"""Factors: a bar, a wedge or a bowl on black, each picture the outcome of six numbers that are known.

shape         bar, wedge, bowl: a rectangle, a triangle and half a disc, of one area
size          the radius of the disc of that area, 2.8 to 5.2 units of which a picture has 32 a side
orientation   -45° to 45°. None of the shapes comes to itself again by a turn that lies within this range, as
              a square would by 90°: so the angle is in the picture, and its two ends are far apart
x, y          of the middle, 9.5 to 22.5 units: every shape is whole in every picture
shade         of the shape, 0.5 to 1

After the pictures of Matthey, Higgins, Hassabis, Lerchner, "dSprites", 2017, drawn anew. All factors are
independent, and the values of each are equally likely. Edges are soft, and wider than a step of x or y, so
that a picture changes smoothly with all factors but the shape.

A picture is drawn at the size that is asked for. In the training data two factors may be made to correlate,
combinations may be left out, and most of the factors be unknown; the test pictures are always the same.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from minigan.data.asked import words_in
from minigan.data.dataset import Drawn
from minigan.errors import MiniganError, did_you_mean
from minigan.random import Generator

VALUES = {"shape": 3, "size": 6, "orientation": 15, "x": 16, "y": 16, "shade": 5}  # how many each has
RANGES = {"size": (2.8, 5.2), "orientation": (-45, 45), "x": (9.5, 22.5), "y": (9.5, 22.5), "shade": (0.5, 1)}
SHAPES = "bar", "wedge", "bowl"
PICTURES = {"train": 20_000, "test": 5_000}
SEEDS = {"train": 0, "test": 1}  # a stream for each split
KNOWN_SEED = 2
UNITS, SMALLEST, USUAL = 32, 16, 32
EDGE = 1.5  # units over which a shape fades, or a pixel where that is more
SPREAD = 0.15  # of the range: how far two correlated factors are apart
WORDS = "correlated", "without", "known"
BLOCK = 1 << 17  # pixels drawn at once


def load_factors(how: str = "", size: int | None = None, split: str = "train") -> Drawn:
    """20,000 pictures, or 5,000 others for the test, always the same: images (1, size, size). `factors` are
    all six of each, the label is its shape.

    how: what is done to the training data, words with a value each, as in "correlated=size-x,known=0.1":
        correlated=A-B   high values of the factor A come with high ones of B: by a Gaussian of their distance
        without=A-B      no picture has A and B both in the upper half of their range; so one, three or more
        known=SHARE      of all other pictures no factor is known (-1): what there is for supervision
        By default nothing.
    size: by default 32. In another one (`to_size`) they are drawn anew, not resized.
    MiniganError for a size below 16, and for words that say nothing.
    """
    told = Told.parsed(how)
    factors = told.drawn(PICTURES[split], Generator(SEEDS[split])) if split == "train" else drawn_test()
    size = USUAL if size is None else size
    draw = partial(pictures, factors)
    return Drawn(
        f"factors:{how}" if how else "factors",
        draw(size),
        labels=factors[:, 0],
        factors=told.known_of(factors) if split == "train" else factors,
        values=VALUES,
        draw=draw,
    )


def drawn_test():
    """The factors of the test pictures, int64 (N, 6)."""
    return Told().drawn(PICTURES["test"], Generator(SEEDS["test"]))


def scaled(factors: np.ndarray) -> np.ndarray:
    """Factors as numbers of their values, (N, 6), -> float64 (N, 6), from 0 to 1 over the range of each."""
    return factors / (np.array([*VALUES.values()]) - 1)


@dataclass(frozen=True)
class Told:
    """What is done to the training data; see `load_factors`."""

    correlated: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    known: float = 1.0

    @classmethod
    def parsed(cls, how: str) -> "Told":
        """What the words say. MiniganError for a word or a factor that is unknown, or a value it cannot
        have."""
        told = words_in("factors", how, WORDS, "known=0.1,without=x-y")
        return cls(
            **{word: share(value) if word == "known" else named(word, value) for word, value in told.items()}
        )

    def drawn(self, n: int, rng: Generator) -> np.ndarray:
        """int64 (n, 6): the factors of n pictures, as the numbers of their values."""
        names, most = [*VALUES], 4 * n if self.without else n
        factors = np.stack([rng.integers(0, count, most) for count in VALUES.values()], axis=1)
        if self.correlated:
            a, b = (VALUES[name] for name in self.correlated)
            apart = np.linspace(0, 1, a)[:, None] - np.linspace(0, 1, b)
            upto = np.cumsum(np.exp(-0.5 * (apart / SPREAD) ** 2))
            both = np.searchsorted(upto, rng.uniform(most) * upto[-1], side="right").clip(0, a * b - 1)
            for name, values in zip(self.correlated, np.divmod(both, b), strict=True):
                factors[:, names.index(name)] = values
        if self.without:
            high = scaled(factors)[:, [names.index(name) for name in self.without]] > 0.5
            factors = factors[~high.all(axis=1)][:n]
        return factors.astype(np.int64)

    def known_of(self, factors: np.ndarray) -> np.ndarray:
        """The factors, and -1 in place of those that are not known: of most pictures, at random."""
        place = Generator(KNOWN_SEED).permutation(len(factors))
        return np.where((place < round(self.known * len(factors)))[:, None], factors, -1)


def named(word, value):
    """The factors in a value "size-x"."""
    names = tuple(value.split("-"))
    for name in names:
        if name not in VALUES:
            raise MiniganError(f"factors: {word}={value}: no factor {name!r}; {did_you_mean(name, VALUES)}")
    if len({*names}) != len(names) or (word == "correlated" and len(names) != 2):
        expected = "two factors" if word == "correlated" else "each factor once"
        raise MiniganError(f"factors: {word} takes {expected}, as in {word}=size-x, got {value!r}")
    return names


def share(value):
    """The number in a text, above 0 and up to 1."""
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number <= 1:
        raise MiniganError(f"factors: known is a share above 0 and up to 1, as in known=0.1, got {value!r}")
    return number


def pictures(factors: np.ndarray, size: int) -> np.ndarray:
    """uint8 (N, 1, size, size) of factors, integers (N, 6), as the numbers of their values. MiniganError for
    a size below 16."""
    if size < SMALLEST:
        raise MiniganError(f"factors are drawn from {SMALLEST} pixels on, got size {size}")
    drawn = np.empty((len(factors), 1, size, size), np.uint8)
    centres = ((np.arange(size) + 0.5) * (UNITS / size)).astype(np.float32)
    edge, step = max(EDGE, UNITS / size), max(1, BLOCK // size**2)
    for shape, apart in enumerate((_bar, _wedge, _bowl)):
        rows = np.flatnonzero(factors[:, 0] == shape)
        for first in range(0, len(rows), step):
            chosen = rows[first : first + step]
            r, turn, x, y, shade = _measures(factors[chosen])
            cos, sin = np.cos(turn), np.sin(turn)
            right, down = centres[None, None, :] - x, centres[None, :, None] - y
            u, v = cos * right + sin * down, cos * down - sin * right
            inside = (0.5 - apart(u, v, r) / np.float32(edge)).clip(0, 1)
            inside *= inside * (3 - 2 * inside)
            drawn[chosen, 0] = np.rint(255 * shade * inside)
    return drawn


def _measures(factors):
    """What the factors but the shape are in units, radians and shares, float32 (N, 1, 1) each."""
    places = dict(zip(VALUES, scaled(factors).T, strict=True))
    found = {name: low + (high - low) * places[name] for name, (low, high) in RANGES.items()}
    found["orientation"] = np.deg2rad(found["orientation"])
    return (values.astype(np.float32)[:, None, None] for values in found.values())


# How far a point is outside a shape, in units; below 0 within it. u to the right, v down, of a shape that is
# not turned, around its centre of mass; r: the radius of the disc of its area. By lines and circles that it
# lies within: so corners are a little sharper than by the distance to the shape.


def _bar(u, v, r):
    """2.4 times as long as high."""
    high = np.sqrt(np.float32(np.pi / 4 / 2.4))
    return np.maximum(np.abs(u) - 2.4 * high * r, np.abs(v) - high * r)


def _wedge(u, v, r):
    """As high as it is wide below, with its tip up."""
    wide = np.sqrt(np.float32(2 * np.pi))
    high, slope = wide, np.hypot(1, 0.5)
    side = (np.abs(u) - 0.5 * (v + 2 / 3 * high * r)) / slope
    return np.maximum(side, v - high / 3 * r)


def _bowl(u, v, r):
    """Half a disc, flat above."""
    radius = np.sqrt(np.float32(2)) * r
    below = v + 4 / (3 * np.pi) * radius  # its flat side
    return np.maximum(np.hypot(u, below) - radius, -below)
