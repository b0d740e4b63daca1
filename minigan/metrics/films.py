"""What films show: how their ink moves, whether a digit stays itself, and which of two futures comes."""

import numpy as np

from minigan.data import Dataset
from minigan.data.futures import FUTURE, PAST, truths
from minigan.data.moving import UNITS
from minigan.errors import MiniganError

from .pictures import sharpness

FAINT = 0.25  # of the most ink that there can be: below, it is ground, not ink
DECIDED = 0.25  # of the distance between the two truths: as near a decided frame is to one of them
LEAST = 1e-12  # squared error, so that a logarithm is finite


def centres(films: np.ndarray) -> np.ndarray:
    """The centre of the ink in each frame, x and y in sixteenths of the side, float64 (N, T, 2).

    films: (N, T, C, S, S) in [-1, 1], -1 being paper. Ink is what a pixel has above a quarter of the most
    there can be. Of a frame without ink it is the middle.
    """
    ink = ((films.mean(axis=2, dtype=np.float64) + 1) / 2 - FAINT).clip(0)
    mass, side = ink.sum(axis=(2, 3)), films.shape[-1]
    places = (np.arange(side) + 0.5) * (UNITS / side)
    found = np.stack([ink.sum(axis=2) @ places, ink.sum(axis=3) @ places], axis=-1)
    return np.where(mass[..., None] > 0, found / np.maximum(mass, LEAST)[..., None], UNITS / 2)


def motion(films: np.ndarray) -> dict[str, float]:
    """How the centre of the ink moves, in sixteenths of the side: its speed, the mean distance from frame to
    frame; the speed's deviation over all frames and films; and the jerk, the mean length of the third
    differences. films: as of `centres`, of four frames at least; MiniganError for fewer."""
    if films.ndim != 5 or films.shape[1] < 4:
        raise MiniganError(f"motion is of films (N, T, C, S, S) of 4 frames at least, got {films.shape}")
    steps = np.diff(centres(films), axis=1)
    speeds, jerk = np.linalg.norm(steps, axis=-1), np.linalg.norm(np.diff(steps, n=2, axis=1), axis=-1)
    return {"speed": float(speeds.mean()), "speed-deviation": float(speeds.std()), "jerk": float(jerk.mean())}


def shuffled(films: np.ndarray, rng) -> np.ndarray:
    """The frames of each film in random order."""
    order = rng.uniform(films.shape[:2]).argsort(axis=1)
    return np.take_along_axis(films, order.reshape(*films.shape[:2], 1, 1, 1), axis=1)


def same_in_all(read: np.ndarray) -> float:
    """The share of films in all of whose frames the same is read. read: int64 (N, T)."""
    return float((read == read[:, :1]).all(axis=1).mean())


def frames_of(films: Dataset) -> Dataset:
    """All frames of a dataset of clips, one after the other, as images with the labels of their clips."""
    stored = films.stored(slice(None))
    labels = None if films.labels is None else films.labels.repeat(stored.shape[1])
    return Dataset(f"frames-of-{films.name}", stored.reshape(-1, *stored.shape[2:]), labels)


def two_futures(films: np.ndarray) -> dict[str, float]:
    """What comes after the first four frames of films (N, T, C, S, S) in [-1, 1], beside the two truths that
    these four leave (see `minigan.data.futures`).

    decided: the share whose first frame after is nearer to one of the truths than a quarter of the distance
        between the two, all by the root of the sum of squares; the mean of the truths is half of it away.
    left, right: the shares of all that are decided for either side.
    goes-on: the share of all whose second frame after is as near to the truth of the same side.
    future-sharpness: of the first frame after, over that of the truths, see `sharpness`.
    future-psnr: of that frame, in decibel, where either truth comes to pass in half of the cases.
    MiniganError for films of fewer than six frames.
    """
    if films.ndim != 5 or films.shape[1] < PAST + FUTURE:
        raise MiniganError(
            f"two futures are seen in films (N, T, C, S, S) of {PAST + FUTURE} frames, got {films.shape}"
        )
    true, made = truths(films), films[:, None, PAST : PAST + FUTURE]
    errors = ((made - true).astype(np.float64) ** 2).sum(axis=(3, 4, 5))  # of each side and frame
    apart = ((true[:, 0] - true[:, 1]).astype(np.float64) ** 2).sum(axis=(2, 3, 4))
    near = np.sqrt(errors) < DECIDED * np.sqrt(apart)[:, None]
    side = errors[:, :, 0].argmin(axis=1)
    decided = near[:, :, 0].any(axis=1)
    on = near[np.arange(len(near)), side, 1]
    squares = errors[:, :, 0].mean(axis=1) / np.prod(films.shape[2:])
    return {
        "decided": float(decided.mean()),
        "left": float((decided & (side == 0)).mean()),
        "right": float((decided & (side == 1)).mean()),
        "goes-on": float(on.mean()),
        "future-sharpness": sharpness(films[:, PAST], true[:, :, 0].reshape(-1, *films.shape[2:])),
        "future-psnr": float((10 * np.log10(4 / squares.clip(LEAST))).mean()),
    }
