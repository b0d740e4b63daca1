"""Melodies (N, L), numbers of words: as piano rolls, as MIDI files, and to be heard."""

import io
import math
import re

import numpy as np
from PIL import Image

from minigan.errors import MiniganError

HOLD, REST = "-", "."
NOTE = re.compile(r"([a-g])(#?)(-?\d)")
SEMITONES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
STEP = 0.25  # seconds
TICKS, TEMPO = 240, 500_000  # of a step, half a beat; µs of a beat
VOLUME = 80
REST_AT_END = 2  # steps between two melodies of a file

CELL, BAR = (4, 8), 4  # pixels (high, wide) of a step of one note; steps from one line to the next
BETWEEN = 8  # pixels between two rolls
PAPER, LINE, INK = (244, 246, 250), (214, 220, 230), (30, 60, 120)
RATE = 8000  # of what is heard
HARMONICS, DECAY = (1.0, 0.4, 0.2), 4.0  # their loudness, and how fast a note fades, a second


def midi_number(word: str) -> int | None:
    """The number of a note as MIDI has it, 60 for "c4", None for a rest. MiniganError for any other word."""
    if word == REST:
        return None
    if not (found := NOTE.fullmatch(word)):
        raise MiniganError(f"{word!r} is no note, as c4 or f#4 is, and neither {HOLD!r} nor {REST!r}")
    return 12 * (int(found[3]) + 1) + SEMITONES[found[1]] + bool(found[2])


def notes(melody: np.ndarray, words: tuple[str, ...]) -> list[tuple[int, int, int]]:
    """(first step, how many steps, number in MIDI) of each note of a melody (L,). What is held after a rest,
    or from the beginning, is a rest."""
    found: list[tuple[int, int, int]] = []
    sounding = False
    for step, word in enumerate(words[i] for i in melody):
        if word == HOLD:
            if sounding:
                start, length, pitch = found[-1]
                found[-1] = (start, length + 1, pitch)
        else:
            sounding = (number := midi_number(word)) is not None
            if number is not None:
                found.append((step, 1, number))
    return found


def rolls(melodies: np.ndarray, words: tuple[str, ...], columns: int | None = None) -> Image.Image:
    """Piano rolls side by side, by default in a square: time to the right, pitch upwards, a line every four
    steps. All have the range of all notes that there are."""
    columns = columns or math.ceil(math.sqrt(len(melodies)))
    pitches = [midi_number(word) for word in words if word not in (HOLD, REST)]
    low, pitch_range = min(pitches), max(pitches) - min(pitches) + 1
    steps, rows = melodies.shape[1], math.ceil(len(melodies) / columns)
    high, wide = pitch_range * CELL[0], steps * CELL[1]
    size = rows * (high + BETWEEN) + BETWEEN, columns * (wide + BETWEEN) + BETWEEN
    canvas = np.full((*size, 3), 255, np.uint8)
    for i, melody in enumerate(melodies):
        top, left = BETWEEN + i // columns * (high + BETWEEN), BETWEEN + i % columns * (wide + BETWEEN)
        roll = canvas[top : top + high, left : left + wide]
        roll[:] = PAPER
        roll[:, :: BAR * CELL[1]] = LINE
        for start, length, pitch in notes(melody, words):
            bottom = high - (pitch - low) * CELL[0]
            roll[bottom - CELL[0] : bottom, start * CELL[1] : (start + length) * CELL[1] - 1] = INK
    return Image.fromarray(canvas)


def midi(melodies: np.ndarray, words: tuple[str, ...]) -> bytes:
    """A MIDI file of one track: the melodies one after another, a step half a beat, at 120 beats a minute."""
    from mido import Message, MetaMessage, MidiFile, MidiTrack

    track = MidiTrack([MetaMessage("set_tempo", tempo=TEMPO)])
    now = 0  # in ticks
    for i, melody in enumerate(melodies):
        begin = i * (len(melody) + REST_AT_END) * TICKS
        for start, length, pitch in notes(melody, words):
            on, off = begin + start * TICKS, begin + (start + length) * TICKS
            track.append(Message("note_on", note=pitch, velocity=VOLUME, time=on - now))
            track.append(Message("note_off", note=pitch, velocity=0, time=off - on))
            now = off
    file, buffer = MidiFile(ticks_per_beat=2 * TICKS, tracks=[track]), io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def played(melodies: np.ndarray, words: tuple[str, ...]) -> np.ndarray:
    """What melodies sound like on a plucked string, float32 (N, 1, length) at RATE."""
    sounds = np.zeros((len(melodies), 1, round(melodies.shape[1] * STEP * RATE)), np.float32)
    for (sound,), melody in zip(sounds, melodies, strict=True):
        for start, length, pitch in notes(melody, words):
            t = np.arange(round(length * STEP * RATE)) / RATE
            hertz = 440 * 2 ** ((pitch - 69) / 12)
            tone = sum(a * np.sin(2 * np.pi * k * hertz * t) for k, a in enumerate(HARMONICS, 1))
            fading = np.exp(-DECAY * t) * np.minimum(1, (t[-1] - t) / 0.01)
            first = round(start * STEP * RATE)
            sound[first : first + len(t)] += (tone * fading / sum(HARMONICS)).astype(np.float32)
    return sounds
