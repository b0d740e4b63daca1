"""Vowels: five of them, said by many, as a source and a filter.

The source is the voice: pulses, that is all multiples of a pitch, as strong as each other, and some breath
beside, which is noise. The filter is the mouth: three resonances, the formants, whose places tell the vowel
(the averages of men in Peterson, Barney, "Control methods used in a study of the vowels", 1952). A speaker
has a pitch, and a mouth whose length shifts all formants by one factor; each is a little off beside. A sound
begins with a pulse, swells and dies away. The label is the number of the vowel.
"""

import numpy as np

from minigan.data.dataset import Dataset
from minigan.data.tones import as_pcm, tones
from minigan.random import Generator

FORMANTS = {  # of each vowel, in Hz
    "a": (730, 1090, 2440),
    "e": (530, 1840, 2480),
    "i": (270, 2290, 3010),
    "o": (570, 840, 2410),
    "u": (300, 870, 2240),
}
VOWELS = tuple(FORMANTS)
WIDTHS = 60.0, 90.0, 150.0  # of the formants, in Hz
RATE, LENGTH = 6000, 1024
SAID = {"train": 4000, "test": 1000}
SEEDS = {"train": 0, "test": 1}  # a stream for each split
PITCH = 100.0, 140.0  # Hz
BREATH = 0.02  # the deviation of the noise beside the voice, of its peak
MOUTH = 0.9, 1.1  # by what a speaker's formants are higher
OFF = 0.03  # how far a formant is off, beside that
SWELL = 0.02  # seconds


def load_vowels(split: str = "train") -> Dataset:
    """4,000 vowels, or 1,000 others for the test, always the same: sounds (1, 1024) of 6,000 Hz. The label is
    the number of the vowel in VOWELS."""
    n, rng = SAID[split], Generator(SEEDS[split])
    labels = rng.integers(0, len(VOWELS), n)
    return Dataset("vowels", spoken(labels, rng), labels, kind="sound", rate=RATE)


def spoken(labels: np.ndarray, rng: Generator) -> np.ndarray:
    """int16 (n, 1, 1024): vowels with these numbers, each by a speaker of its own."""
    n = len(labels)
    pitch = PITCH[0] * (PITCH[1] / PITCH[0]) ** rng.uniform((n, 1))
    formants = np.array([*FORMANTS.values()])[labels] * rng.uniform((n, 1), *MOUTH)
    formants = formants * rng.uniform((n, 3), 1 - OFF, 1 + OFF)
    harmonics = np.arange(1, int(RATE / 2 / PITCH[0]) + 1)
    heard = harmonics * pitch  # (n, harmonics), in Hz
    levels = np.where(heard < 0.98 * RATE / 2, filtered(heard, formants), 0)

    sounds = tones(2j * np.pi * pitch[:, 0] / RATE, levels, LENGTH)
    time = np.arange(LENGTH) / RATE
    sounds *= np.minimum(1, np.minimum(time, time[-1] - time) / SWELL)
    sounds /= np.abs(sounds).max(axis=1, keepdims=True)
    sounds += BREATH * rng.normal(sounds.shape)
    return as_pcm((sounds * rng.uniform((n, 1), 0.6, 0.9)).clip(-1, 1))


def filtered(heard: np.ndarray, formants: np.ndarray) -> np.ndarray:
    """complex (n, k): what resonances at the formants (n, 3) make of frequencies (n, k), all in Hz."""
    gain = np.ones(heard.shape, complex)
    for centre, width in zip(formants.T[..., None], WIDTHS, strict=True):
        pole = width / 2 + 1j * centre
        gain *= np.abs(pole) ** 2 / ((1j * heard + pole) * (1j * heard + pole.conj()))
    return gain
