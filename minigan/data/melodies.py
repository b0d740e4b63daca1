"""Melodies of a small grammar, each to be sung to a line of two phrases, whose syllables are stressed or not.

A phrase takes eight steps of time, and each of its two to five syllables one note. A melody keeps four rules:

    steps     its notes are of one major key, C, F or G, and none is farther from the one before than a third
    cadence   it ends on the tonic of that key, from the note below it or above it in the scale
    stress    each phrase has a note for each syllable: that of a stressed one begins on a beat, an even
              step, that of another between two beats
    rhythm    a phrase is sung without a gap: there are rests before its first note alone, each note is held
              until the next, the last one for two steps at least, and the last step is for breath

The key is heard at the end, as the tonic. A line is written with "/" for a stressed syllable, "u" for another
and "|" at the end of a phrase, as prosody does: "/u/u|u/u/|".
"""

import numpy as np

from minigan.data.dataset import Dataset
from minigan.random import Generator

PHRASES, STEPS = 2, 8  # of a melody, and of a phrase
LATEST = 5  # step of a phrase at which a note may begin
MOST = 5  # syllables of a phrase
WORDS = (
    "-",
    ".",
    "c4",
    "d4",
    "e4",
    "f4",
    "f#4",
    "g4",
    "a4",
    "a#4",
    "b4",
    "c5",
    "d5",
    "e5",
    "f5",
    "f#5",
    "g5",
)
HOLD, REST, LOWEST = 0, 1, 2  # numbers of words: the note goes on, none is sung, the lowest note
MARKS = ("", "u", "/", "|")
SLOTS = MOST + 1  # places of a phrase in a line, the last one used for its end
UNSTRESSED, STRESSED, END = 1, 2, 3
MELODIES = {"train": 20_000, "test": 5_000}
SEEDS = {"train": 0, "test": 1}  # a stream for each split

KEYS = {"c": "c d e f g a b", "f": "c d e f g a a#", "g": "c d e f# g a b"}
TONICS = {"c": "c5", "f": "f4", "g": "g4"}  # on which melodies end


def _places():
    """int64 (keys, words): the place of each note in the scale of each key, counted from c4; -1 for words
    that are no notes of it."""
    places = np.full((len(KEYS), len(WORDS)), -1)
    for row, names in zip(places, KEYS.values(), strict=True):
        of_key = [i for i, word in enumerate(WORDS) if word[:-1] in names.split()]
        row[of_key] = range(len(of_key))
    return places


PLACES = _places()
WIDTH = PLACES.max() + 1  # notes of a key


def load_melodies(split: str = "train") -> Dataset:
    """20,000 melodies of 16 steps with the lines that they are sung to, or 5,000 others for the test, always
    the same: numbers of WORDS, and as their text, of 12 places, numbers of MARKS."""
    melodies, lines = drawn(MELODIES[split], Generator(SEEDS[split]))
    return Dataset("melodies", melodies, kind="melody", words=WORDS, text=lines, text_words=MARKS)


def drawn(n: int, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """(melodies uint8 (n, 16), lines uint8 (n, 12)) at random.

    Where notes begin in a phrase is drawn first, and tells its stresses. Pitches are drawn from the end: the
    tonic, its neighbour, then steps, more often than thirds and repeated notes, within an octave and a half.
    """
    rhythms = np.array([[bits >> i & 1 for i in range(STEPS)] for bits in range(1 << (LATEST + 1))], bool)
    rhythms = rhythms[(rhythms.sum(axis=1) >= 2) & (rhythms.sum(axis=1) <= MOST)]
    begins = rhythms[rng.integers(0, len(rhythms), (n, PHRASES))]
    melodies = np.where(np.cumsum(begins, axis=2) > 0, HOLD, REST)
    melodies[:, :, -1] = REST
    melodies = melodies.reshape(n, -1).astype(np.uint8)

    key = rng.integers(0, len(KEYS), n)
    notes = np.argsort(np.where(PLACES >= 0, PLACES, len(WORDS)), axis=1)[:, :WIDTH]  # words by their places
    tonics = np.array([WORDS.index(word) for word in TONICS.values()])
    place, waiting = PLACES[key, tonics[key]], np.zeros(n, np.int64)  # notes that were drawn
    for step in reversed(range(PHRASES * STEPS)):
        begin = begins.reshape(n, -1)[:, step]
        chance, far = rng.uniform((2, n))
        move = np.where(waiting == 1, 1, np.select([far < 0.15, far < 0.75], [0, 1], 2)) * (waiting > 0)
        move = np.where(chance < 0.5, -move, move)
        move = np.where((place + move < 0) | (place + move >= WIDTH), -move, move)
        place = np.where(begin, place + move, place)
        melodies[:, step] = np.where(begin, notes[key, place], melodies[:, step])
        waiting += begin
    return melodies, lines_of(begins)


def lines_of(begins: np.ndarray) -> np.ndarray:
    """uint8 (N, 12): the line of melodies whose notes begin at these steps, bool (N, phrases, steps)."""
    on_beat = np.where(np.arange(STEPS) % 2, UNSTRESSED, STRESSED)
    lines = np.zeros((*begins.shape[:2], SLOTS), np.uint8)
    places = np.cumsum(begins, axis=2)
    for step in range(STEPS):
        sample, phrase = np.nonzero(begins[:, :, step])
        lines[sample, phrase, places[sample, phrase, step] - 1] = on_beat[step]
    np.put_along_axis(lines, places[:, :, -1:], END, axis=2)
    return lines.reshape(len(lines), PHRASES * SLOTS)


def read_melodies(melodies: np.ndarray, lines: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Which rules are kept by melodies, integers (N, 16), sung to lines, integers (N, 12): bool (N,) each, of
    steps, cadence, rhythm and stress; without lines, but for stress."""
    melodies = np.asarray(melodies, np.int64)
    steps, cadence = np.array([*map(_pitches, melodies)], bool).reshape(-1, 2).T
    begins = (melodies >= LOWEST).reshape(-1, PHRASES, STEPS)
    sung = np.cumsum(begins, axis=2)
    expected = np.where(sung > 0, HOLD, REST)
    expected[:, :, -1] = REST
    held = np.where(begins, expected, melodies.reshape(begins.shape)) == expected
    rhythm = (held & ~(begins & (np.arange(STEPS) > LATEST))).all(axis=(1, 2))
    rhythm &= (sung[:, :, -1] > 0).all(axis=1)
    kept = {"steps": steps, "cadence": cadence, "rhythm": rhythm}
    if lines is not None:
        kept["stress"] = np.zeros(len(melodies), bool)
        few = (sung[:, :, -1] <= MOST).all(axis=1)
        kept["stress"][few] = (lines_of(begins[few]) == lines[few]).all(axis=1)
    return kept


def _pitches(melody):
    """whether the steps, and whether the cadence of a melody are right, in the key on whose tonic it ends."""
    notes = melody[melody >= LOWEST]
    key = [*KEYS].index(name) if len(notes) > 1 and (name := WORDS[notes[-1]][:-1]) in KEYS else None
    if key is None:
        return any(_walk(PLACES[k, notes]) for k in range(len(KEYS))), False
    places = PLACES[key, notes]
    return _walk(places), places[-2] >= 0 and abs(places[-1] - places[-2]) == 1


def _walk(places):
    return bool(len(places) and (places >= 0).all() and (np.abs(np.diff(places)) <= 2).all())
