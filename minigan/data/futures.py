"""Two futures: films of a digit that falls to the floor, and leaves to the left or to the right.

Each way has the probability 1/2, and nothing in the frames before tells which: the next frame has two truths,
and no mean of them is one. The digits are scikit-learn's of 8x8 pixels, the box is 16 units wide and high,
and all moves are by whole units. So both truths can be had of any film, also of one that somebody else made:
they are the frame in which the digit arrives, moved to either side (`truths`).

Every fifth digit is held out: the films of the test split are of digits that those of the other have not.
"""

from functools import partial

import numpy as np

from minigan.data.dataset import Drawn
from minigan.data.moving import DIGIT, UNITS, held_digits
from minigan.errors import MiniganError
from minigan.random import Generator

PAST, FUTURE = 4, 2  # frames until it arrives, the last one in that place; and after that
KICK = 3  # units to the side from frame to frame
FLOOR = 1  # units at the bottom, of this brightness
BRIGHTNESS = 128
VALUES = {"side": 2, "x": 3, "fall": 2}  # hidden facts, and how many values each has
LEFTMOST, SLOWEST = 3, 1  # the first values of x, in units, and of the fall, in units a frame
FILMS = {"train": 8000, "test": 2000}
SEEDS = {"train": 0, "test": 1}  # a stream for each split


def load_two_futures(size: int | None = None, split: str = "train") -> Drawn:
    """8,000 films, or 2,000 others for the test, always the same: clips (6, 1, size, size), of which the
    first four are the fall. The label is the digit; the factors are the side (0 left, 1 right), where the
    digit falls, and how fast.

    size: by default 16, or a multiple of that, in which each pixel is a square.
    MiniganError for another one.
    """
    digits, rng = held_digits(split), Generator(SEEDS[split])
    chosen = rng.integers(0, len(digits), FILMS[split])
    factors = np.stack([rng.integers(0, count, FILMS[split]) for count in VALUES.values()], axis=1)
    draw = partial(films, digits.samples[digits.rows][chosen, 0], factors)
    return Drawn(
        "two-futures",
        draw(UNITS if size is None else size),
        labels=digits.labels[chosen],  # type: ignore[index]  # digits have them
        factors=factors,
        values=VALUES,
        draw=draw,
    )


def films(digits: np.ndarray, factors: np.ndarray, size: int) -> np.ndarray:
    """uint8 (N, 6, 1, size, size) of digits (N, 8, 8) and factors (N, 3), see `VALUES`. MiniganError for a
    size that is no multiple of 16."""
    if size < UNITS or size % UNITS:
        raise MiniganError(f"two futures are drawn at {UNITS} pixels or a multiple of that, got size {size}")
    side, x, fall = factors.T
    frames = np.arange(PAST + FUTURE)
    until, after = np.maximum(PAST - 1 - frames, 0), np.maximum(frames - (PAST - 1), 0)
    across = (x + LEFTMOST)[:, None] + KICK * (2 * side - 1)[:, None] * after
    down = UNITS - FLOOR - DIGIT - (fall + SLOWEST)[:, None] * until
    drawn = np.zeros((len(digits), len(frames), UNITS, UNITS + 2 * DIGIT), np.uint8)  # and what is not seen
    for at in range(DIGIT):
        for n in range(DIGIT):
            np.put_along_axis(
                drawn.reshape(*drawn.shape[:2], -1),
                ((down + at) * drawn.shape[-1] + DIGIT + across + n)[..., None],
                digits[:, at, n][:, None, None],
                axis=-1,
            )
    drawn[:, :, UNITS - FLOOR :] = BRIGHTNESS
    drawn, zoom = drawn[..., DIGIT:-DIGIT], size // UNITS
    return drawn.repeat(zoom, axis=2).repeat(zoom, axis=3)[:, :, None]


def truths(films: np.ndarray) -> np.ndarray:
    """What may come after the first four frames of films (N, T, C, S, S), by themselves: (N, 2, 2, C, S, S),
    to the left and to the right, two frames each. The side is a multiple of 16."""
    arrived, unit = films[:, PAST - 1], films.shape[-1] // UNITS
    digit = arrived[..., : -FLOOR * unit, :]
    nothing = digit[..., :1, :1]  # the upper left corner, where no digit comes
    found = np.repeat(np.repeat(arrived[:, None, None], 2, axis=1), FUTURE, axis=2)
    for frame in range(FUTURE):
        pixels = KICK * unit * (frame + 1)
        for side, (to, of) in enumerate(
            ((np.s_[..., :-pixels], np.s_[..., pixels:]), (np.s_[..., pixels:], np.s_[..., :-pixels]))
        ):
            place = found[:, side, frame, :, : -FLOOR * unit]
            place[...] = nothing
            place[to] = digit[of]
    return found
