"""Chimes: eight notes of a major scale, struck, a quarter of a second each.

A chime is four partials at the multiples of its pitch, all of which begin at phase 0 with the stroke and die
away, the higher the sooner. How loud each partial is, how fast it dies and how far the chime is out of tune
are drawn for each; the last is at most 10 cents, so that the note is known, and the label is its number.
"""

import numpy as np

from minigan.data.dataset import Dataset
from minigan.data.tones import as_pcm, tones
from minigan.random import Generator

NOTES = "c4", "d4", "e4", "f4", "g4", "a4", "b4", "c5"
KEYS = 60, 62, 64, 65, 67, 69, 71, 72  # of the notes, as MIDI counts them
PITCHES = 440.0 * 2.0 ** ((np.array(KEYS) - 69) / 12)  # in Hz
RATE, LENGTH = 4000, 1024
CHIMES = {"train": 4000, "test": 1000}
SEEDS = {"train": 0, "test": 1}  # a stream for each split
CENTS = 10.0  # how far out of tune a chime may be
PARTIALS = 1.0, 0.5, 0.3, 0.15  # how loud each is, on average
DECAY = 0.08, 0.2  # seconds in which the lowest partial falls to 1/e
ATTACK = 0.003  # seconds in which the stroke rises


def load_chimes(split: str = "train") -> Dataset:
    """4,000 chimes, or 1,000 others for the test, always the same: sounds (1, 1024) of 4,000 Hz. The label is
    the number of the note in NOTES."""
    n, rng = CHIMES[split], Generator(SEEDS[split])
    labels = rng.integers(0, len(NOTES), n)
    return Dataset("chimes", struck(tuned(labels, rng), rng), labels, kind="sound", rate=RATE)


def tuned(labels: np.ndarray, rng: Generator) -> np.ndarray:
    """Pitches in Hz, float64 (n,), of notes with these numbers, each a little out of tune."""
    return PITCHES[labels] * 2.0 ** (rng.uniform(len(labels), -CENTS, CENTS) / 1200)


def struck(pitches: np.ndarray, rng: Generator) -> np.ndarray:
    """int16 (n, 1, 1024): chimes of these pitches."""
    n = len(pitches)
    decay, strength = rng.uniform(n, *DECAY), rng.uniform((n, 1), 0.5, 0.9)
    loud = np.array(PARTIALS) * rng.uniform((n, len(PARTIALS)), 0.7, 1.3) / sum(PARTIALS)
    loud *= np.arange(1, len(PARTIALS) + 1) * pitches[:, None] < RATE / 2  # no more can be told at this rate
    sounds = tones((2j * np.pi * pitches - 1 / decay) / RATE, -1j * loud, LENGTH)
    return as_pcm(sounds * strength * (1 - np.exp(-np.arange(LENGTH) / (RATE * ATTACK))))
