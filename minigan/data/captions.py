"""Captions: a shape on a dark ground, and a sentence that says its size, colour, shape and place.

size     small, large: the radius of the disc of its area, 3.7 or 5.5 units, of which a picture has 32 a side
colour   red, yellow, green, blue, pink, white
shape    circle, square, triangle, of one area
place    left, right, top, bottom, middle: the shape's middle is that of the picture, or 5.75 units from it

What no sentence says varies from picture to picture: how dark the ground is, and a little the size, the
colour and the place; all of a shape is always in the picture. A sentence has one of several wordings, each as
often as the others, and so have the words that mean the same: small and little, large and big, circle and
disc, square and box, middle and centre. In the training data one sentence in four leaves something open, as
in "a red circle"; in the test all say all four.

One combination in five is held out: those whose four values, numbered from 0 as they stand above, add up to a
multiple of 5. So of each size, colour and shape, one place is never seen in training. Half of the test
pictures are of combinations that are in the training data, and half of those that are not: `is_held_out`.
"""

import itertools
from functools import partial

import numpy as np

from minigan.data.dataset import Drawn
from minigan.errors import MiniganError
from minigan.random import Generator

ATTRIBUTES = {
    "size": ("small", "large"),
    "colour": ("red", "yellow", "green", "blue", "pink", "white"),
    "shape": ("circle", "square", "triangle"),
    "place": ("left", "right", "top", "bottom", "middle"),
}
VALUES = {name: len(values) for name, values in ATTRIBUTES.items()}  # how many each has
ALSO = {"small": "little", "large": "big", "circle": "disc", "square": "box", "middle": "centre"}
WORDINGS = (
    "a {size} {colour} {shape} {at} the {place}",
    "{at} the {place} is a {size} {colour} {shape}",
    "a {colour} {shape} {at} the {place} and it is {size}",
    "the {shape} {at} the {place} is {size} and {colour}",
    "there is a {size} {shape} in {colour} {at} the {place}",
)
OPEN = (
    "a {shape}",
    "a {colour} {shape}",
    "a {size} {colour} {shape}",
    "there is a {size} {shape} {at} the {place}",
    "it is {colour} and {at} the {place}",
)
SHARE_OPEN = 0.25  # of the sentences of the training data
AT = {"left": ("at", "on"), "right": ("at", "on"), "middle": ("in", "in")}  # ("at", "at") of the others
WORDS = (  # of all sentences; the first fills them up
    "",
    *itertools.chain(*ATTRIBUTES.values()),
    *ALSO.values(),
    *dict.fromkeys(word for line in WORDINGS for word in line.split() if word.isalpha()),
    *("at", "on"),
)
LONGEST = max(len(line.split()) for line in WORDINGS)

PICTURES = {"train": 20_000, "test": 5_000}
SEEDS = {"train": 0, "test": 1}  # a stream for each split
UNITS, SMALLEST, USUAL = 32, 16, 32
RADII = np.array([3.7, 5.5], np.float32)  # in units, as all lengths here
COLOURS = np.array(  # as levels of red, green and blue
    [(225, 45, 40), (235, 215, 40), (40, 180, 65), (45, 90, 230), (235, 80, 200), (235, 235, 235)], np.float32
)
PLACES = np.array([(-1, 0), (1, 0), (0, -1), (0, 1), (0, 0)], np.float32) * 5.75 + UNITS / 2  # right, down
VARIED = {"radius": 0.04, "colour": 12, "place": 0.75}  # up to how far: a share, levels, units
GROUND = 10, 45  # levels
EDGE = 1.0  # units over which a shape fades, or a pixel where that is more
HELD_OUT = 5  # one combination in so many
BLOCK = 1 << 17  # pixels drawn at once


def load_captions(size: int | None = None, split: str = "train") -> Drawn:
    """20,000 pictures, or 5,000 others for the test, always the same: images (3, size, size), `text` a
    sentence about each, and `factors` what it says, or would if it said all.

    size: by default 32. In another one (`to_size`) they are drawn anew, not resized. MiniganError below 16.
    """
    n, rng = PICTURES[split], Generator(SEEDS[split])
    held = np.arange(n) % 2 == 1 if split == "test" else np.zeros(n, bool)
    factors, varied = combinations(held, rng), rng.uniform((n, 7)).astype(np.float32)
    size, draw = USUAL if size is None else size, partial(pictures, factors, varied)
    return Drawn(
        "captions",
        draw(size),
        factors=factors,
        values=VALUES,
        text=sentences(factors, rng, SHARE_OPEN if split == "train" else 0.0),
        text_words=WORDS,
        draw=draw,
    )


def is_held_out(factors: np.ndarray) -> np.ndarray:
    """Whether combinations, integers (N, 4), are none of the training data: bool (N,)."""
    return factors.sum(axis=1) % HELD_OUT == 0


def combinations(held: np.ndarray, rng: Generator) -> np.ndarray:
    """int64 (N, 4): combinations that are held out where `held`, bool (N,), says so, and of the others
    elsewhere; all of either equally likely."""
    all_of_them = np.array([*itertools.product(*map(range, VALUES.values()))])
    out = is_held_out(all_of_them)
    u, found = rng.uniform(len(held)), np.empty((len(held), len(VALUES)), np.int64)
    for which in (False, True):
        these = all_of_them[out == which]
        found[held == which] = these[(u[held == which] * len(these)).astype(int)]
    return found


def sentences(factors: np.ndarray, rng: Generator, share_open: float = 0.0) -> np.ndarray:
    """uint8 (N, 10), a sentence for each combination (N, 4), as the numbers of its words in WORDS; a share of
    them leave something open."""
    numbers = {word: i for i, word in enumerate(WORDS)}
    open_, which = rng.uniform(len(factors)) < share_open, rng.uniform(len(factors))
    others = rng.integers(0, 2, (len(factors), len(ATTRIBUTES) + 1))
    text = np.zeros((len(factors), LONGEST), np.uint8)
    for i, combination in enumerate(factors):
        values = [values[k] for values, k in zip(ATTRIBUTES.values(), combination, strict=True)]
        *also, at = others[i]
        said = [ALSO.get(value, value) if other else value for value, other in zip(values, also, strict=True)]
        wordings = OPEN if open_[i] else WORDINGS
        wording = wordings[int(which[i] * len(wordings))]
        where = AT.get(values[-1], ("at", "at"))[at]
        words = wording.format(**dict(zip(ATTRIBUTES, said, strict=True)), at=where).split()
        text[i, : len(words)] = [numbers[word] for word in words]
    return text


def said_in(text: np.ndarray, words: tuple[str, ...] = WORDS) -> np.ndarray:
    """What sentences, numbers of words (N, L), say of a picture: int64 (N, 4), -1 for what they leave open or
    say two things of."""
    meant = {also: value for value, also in ALSO.items()}
    found = np.empty((len(text), len(ATTRIBUTES)), np.int64)
    for column, values in zip(found.T, ATTRIBUTES.values(), strict=True):
        value_of = np.array(
            [values.index(value) if (value := meant.get(w, w)) in values else -1 for w in words]
        )[text]
        most = value_of.max(axis=1)
        column[:] = np.where(((value_of == most[:, None]) | (value_of < 0)).all(axis=1), most, -1)
    return found


def pictures(factors: np.ndarray, varied: np.ndarray, size: int) -> np.ndarray:
    """uint8 (N, 3, size, size) of combinations, integers (N, 4). varied: (N, 7), from 0 to 1, what varies
    beside: the radius, three levels, two lengths of the place, the ground. MiniganError for a size below
    16."""
    if size < SMALLEST:
        raise MiniganError(f"captions are drawn from {SMALLEST} pixels on, got size {size}")
    more = 2 * varied[:, :6] - 1
    radius = RADII[factors[:, 0]] * (1 + VARIED["radius"] * more[:, 0])
    colour = COLOURS[factors[:, 1]] + VARIED["colour"] * more[:, 1:4]
    place = PLACES[factors[:, 3]] + VARIED["place"] * more[:, 4:]
    ground = GROUND[0] + (GROUND[1] - GROUND[0]) * varied[:, 6, None]
    drawn, step = np.empty((len(factors), 3, size, size), np.uint8), max(1, BLOCK // size**2)
    for first in range(0, len(factors), step):
        some = slice(first, first + step)
        covered = covering(factors[some, 2], radius[some], place[some], size)[:, None]
        over = (colour - ground)[some, :, None, None]
        drawn[some] = np.rint(ground[some, :, None, None] + over * covered)
    return drawn


def covering(shape: np.ndarray, radius: np.ndarray, place: np.ndarray, size: int) -> np.ndarray:
    """How much of each pixel a shape covers, from 0 to 1: float32 (N, size, size). shape: integers (N,).
    radius: (N,), of the disc of its area. place: (N, 2), its middle, to the right and down; all in units."""
    centres = ((np.arange(size) + 0.5) * (UNITS / size)).astype(np.float32)
    edge, covered = np.float32(max(EDGE, UNITS / size)), np.empty((len(shape), size, size), np.float32)
    for number, apart in enumerate((_circle, _square, _triangle)):
        rows = np.flatnonzero(shape == number)
        r, x, y = (of[rows, None, None] for of in (radius, place[:, 0], place[:, 1]))
        covered[rows] = (0.5 - apart(centres - x, centres[:, None] - y, r) / edge).clip(0, 1)
    return covered


# How far a point is outside a shape, in units; below 0 within it. u to the right, v down, from its centre of
# mass; r: the radius of the disc of its area. By lines that it lies within: so corners are a little sharper
# than by the distance to the shape.


def _circle(u, v, r):
    return np.hypot(u, v) - r


def _square(u, v, r):
    return np.maximum(np.abs(u), np.abs(v)) - np.sqrt(np.float32(np.pi / 4)) * r


def _triangle(u, v, r):
    """With its tip up, and 1.25 times as wide below as it is high."""
    high, slope = np.sqrt(np.float32(2 * np.pi / 1.25)) * r, np.float32(1.25 / 2)
    side = (np.abs(u) - slope * (v + 2 / 3 * high)) / np.hypot(np.float32(1), slope)
    return np.maximum(side, v - high / 3)
