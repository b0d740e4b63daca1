"""Which note a chime is, told by its pitch: the judge of what models make of `chimes`."""

from functools import cache
from typing import NamedTuple

import numpy as np

from minigan.data.chimes import NOTES, PARTIALS, PITCHES, RATE

RANGE = 190.0, 640.0  # Hz, in which a pitch is looked for
STEP = 5.0  # cents between two pitches that are tried; the best is found between them
IN_TUNE = 30.0  # cents from a note
TONAL = 0.5  # the least share of a sound's energy that its partials carry
THERE = 0.1  # of its fair share, from which on a note is there
BLOCK = 1000  # sounds at once


class Heard(NamedTuple):
    """The notes of sounds. note: int64 (n,), the number in NOTES of the nearest; cents: float64 (n,), how far
    the pitch is above it; tonal: float64 (n,), the share of the energy that the partials of the pitch
    carry."""

    note: np.ndarray
    cents: np.ndarray
    tonal: np.ndarray

    @property
    def in_tune(self) -> np.ndarray:
        """bool (n,): which of them are a note."""
        return (np.abs(self.cents) <= IN_TUNE) & (self.tonal >= TONAL)


def heard(sounds: np.ndarray) -> Heard:
    """What notes sounds (n, 1, L) of 4,000 Hz are: of all pitches that are tried the one whose four partials
    have most power, among those whose lowest is the loudest, as it is of chimes. The octave below has every
    other of the same partials, and would be taken for the pitch where a little noise lies between."""
    pitch, tonal = (np.concatenate(parts) for parts in zip(*_blocks(sounds), strict=True))
    apart = 1200 * np.log2(pitch[:, None] / PITCHES)
    note = np.abs(apart).argmin(axis=1)
    return Heard(note, apart[np.arange(len(note)), note], tonal)


def chimes(sounds: np.ndarray) -> dict[str, float]:
    """in-tune: the share of sounds within 30 cents of a note that exists. notes: how many of the eight are
    there, with a tenth of their fair share at least."""
    found = heard(sounds)
    shares = np.bincount(found.note[found.in_tune], minlength=len(NOTES)) / len(sounds)
    return {
        "in-tune": float(found.in_tune.mean()),
        "notes": int((shares >= THERE / len(NOTES)).sum()),
    }


def _blocks(sounds):
    for start in range(0, len(sounds), BLOCK):
        yield _pitches(sounds[start : start + BLOCK, 0])


def _pitches(sounds):
    """(the pitch of each in Hz, the share of its energy in the partials of that)."""
    n, length = sounds.shape
    window, waves = _waves(length)
    weighed = sounds * window
    each = np.square(weighed @ waves).reshape(n, len(PARTIALS), 2, -1).sum(axis=2)
    power = each.sum(axis=1, dtype=np.float64)
    best = np.where(each[:, 0] >= each.max(axis=1), power, 0.0).argmax(axis=1)
    inner = best.clip(1, power.shape[1] - 2)
    low, mid, high = (power[np.arange(n), inner + i] for i in (-1, 0, 1))
    bend = np.minimum(low - 2 * mid + high, -1e-30)
    off = np.where(best == inner, 0.5 * (low - high) / bend, 0.0).clip(-1, 1)
    energy = np.maximum(np.square(weighed, dtype=np.float64).sum(axis=1), 1e-12)
    pitch = RANGE[0] * 2 ** ((best + off) * STEP / 1200)
    return pitch, power[np.arange(n), best] * 2 / np.square(window).sum() / energy


@cache
def _waves(length):
    """(a window, float32 (length,); float32 (length, 2 · partials · pitches), cosines and sines under it)."""
    octaves = np.log2(RANGE[1] / RANGE[0])
    tried = RANGE[0] * 2 ** (np.arange(int(octaves * 1200 / STEP)) * STEP / 1200)
    window = np.hanning(length)
    phase = 2 * np.pi * np.arange(length)[:, None] / RATE * tried
    waves = [
        f(number * phase) * window[:, None]
        for number in range(1, len(PARTIALS) + 1)
        for f in (np.cos, np.sin)
    ]
    return window.astype(np.float32), np.concatenate(waves, axis=1).astype(np.float32)
