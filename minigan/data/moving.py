"""Moving digits: films of handwritten digits that fly through a box, at one speed, and bounce off its walls.

After Srivastava, Mansimov, Salakhutdinov, "Unsupervised learning of video representations using LSTMs", 2015,
with scikit-learn's digits of 8x8 pixels in place of MNIST's. The box is 16 units wide and high, a digit 8.
Where it begins and where it flies to is random, each film's own. It is drawn between pixels, too, by linear
interpolation, so that the centre of its ink moves as far from frame to frame as it does.

Every fifth digit is held out: the films of the test split are of digits that those of the other have not.
"""

from dataclasses import dataclass, fields
from functools import partial

import numpy as np

from minigan.data.asked import words_in
from minigan.data.dataset import Dataset, Drawn
from minigan.data.digits import load_digits
from minigan.data.held import hold_out
from minigan.errors import MiniganError
from minigan.random import Generator

FILMS = {"train": 8000, "test": 2000}
SEEDS = {"train": 0, "test": 1}  # a stream for each split
UNITS, DIGIT = 16, 8  # sides of the box and of a digit
BLOCK = 1 << 24  # pixels drawn at once


def load_moving_digits(how: str = "", size: int | None = None, split: str = "train") -> Drawn:
    """8,000 films, or 2,000 others for the test, always the same: clips (frames, 1, size, size). The label is
    the digit, where there is one in a film.

    how: words with a value each, as in "digits=2,frames=12,speed=2":
        digits=1 or 2    how many fly in the box, through each other; by default 1
        frames=T         of a film, from 2 on; by default 8
        speed=V          how far they fly from frame to frame, in sixteenths of the box, above 0 and up to 4;
                         by default 1
    size: by default 16. In another one (`to_size`) they are drawn anew, not resized.
    MiniganError for a size below 16, and for words that say nothing.
    """
    told = Told.parsed(how)
    digits, rng = held_digits(split), Generator(SEEDS[split])
    chosen = rng.integers(0, len(digits), FILMS[split] * told.digits).reshape(-1, told.digits)
    places = told.flights(FILMS[split], rng)
    draw = partial(films, digits.samples[digits.rows][:, 0], chosen, places)
    return Drawn(
        f"moving-digits:{how}" if how else "moving-digits",
        draw(UNITS if size is None else size),
        labels=digits.labels[chosen[:, 0]]  # type: ignore[index]  # digits have them
        if told.digits == 1
        else None,
        draw=draw,
    )


def held_digits(split: str) -> Dataset:
    """The dataset of those digits that are in the films of a split."""
    return dict(zip(("train", "test"), hold_out(load_digits()), strict=True))[split]


@dataclass(frozen=True)
class Told:
    """What the films are to be; see `load_moving_digits`."""

    digits: int = 1
    frames: int = 8
    speed: float = 1.0

    @classmethod
    def parsed(cls, how: str) -> "Told":
        """What the words say. MiniganError for a word that is unknown or there twice, or a value it cannot
        have."""
        given = words_in("moving-digits", how, [f.name for f in fields(cls)], "digits=2,frames=12,speed=2")
        asked = cls(**{word: _number(value) for word, value in given.items()})
        digits, frames, speed = asked.digits, asked.frames, asked.speed
        for word, right, expected in (
            ("digits", digits in (1, 2), "1 or 2"),
            ("frames", frames % 1 == 0 and 2 <= frames <= 1000, "an integer from 2 to 1000"),
            ("speed", 0 < speed <= 4, "above 0 and up to 4"),
        ):
            if not right:
                raise MiniganError(f"moving-digits: {word} is {expected}, got {given[word]!r}")
        return cls(int(digits), int(frames), speed)

    def flights(self, n: int, rng: Generator) -> np.ndarray:
        """float64 (n, digits, frames, 2): where the left upper corner of each digit is, x and y in units."""
        room = UNITS - DIGIT
        begin = rng.uniform((n, self.digits, 1, 2), 0, room, np.float64)
        angle = rng.uniform((n, self.digits, 1), 0, 2 * np.pi, np.float64)
        step = self.speed * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        flown = (begin + step * np.arange(self.frames)[:, None]) % (2 * room)
        return np.minimum(flown, 2 * room - flown)


def _number(value):
    """The number in a text; NaN, which is no value of any word, if there is none."""
    try:
        return float(value)
    except ValueError:
        return float("nan")


def films(digits: np.ndarray, chosen: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    """uint8 (N, T, 1, size, size): in each film the digits (8, 8) that `chosen`, (N, k), names, at `places`
    (N, k, T, 2). Where two overlap, the brighter one is seen. MiniganError for a size below 16."""
    if size < UNITS:
        raise MiniganError(f"moving digits are drawn from {UNITS} pixels on, got size {size}")
    N, k, T, _ = places.shape
    drawn = np.empty((N, T, 1, size, size), np.uint8)
    step = max(1, BLOCK // (k * T * size * size))
    for first in range(0, N, step):
        part = slice(first, first + step)
        across, down = (seen(places[part, ..., axis], size) for axis in (0, 1))
        pictures = down @ digits[chosen[part]][:, :, None].astype(np.float32) @ across.swapaxes(-1, -2)
        drawn[part, :, 0] = np.rint(pictures.max(axis=1))
    return drawn


def seen(places: np.ndarray, size: int) -> np.ndarray:
    """float32 (..., size, 8): how much each pixel of a row, or of a column, has of each of those of a digit
    that begins at `places`, in units."""
    pixels = (np.arange(size) + 0.5) * (UNITS / size) - 0.5
    apart = pixels[:, None] - np.arange(DIGIT) - places[..., None, None]
    return (1 - np.abs(apart)).clip(0).astype(np.float32)
