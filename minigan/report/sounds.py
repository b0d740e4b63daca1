"""Sounds (N, 1, L) in [-1, 1]: as pictures of their waves and spectra, and as WAV files."""

import io
import itertools
import math
import wave

import numpy as np
from PIL import Image

from minigan.data.kinds import LOUDEST

WIDE, WAVE, SPECTRUM = 128, 32, 64  # pixels: of a sound, and of the two pictures of it, one above the other
BETWEEN = 8  # pixels between two sounds of a sheet
DECIBEL = 60.0  # from the loudest to what is black in a spectrogram
PAUSE = 0.15  # seconds between two sounds in a file
INK = (30, 60, 120)
COLOURS = np.array([(0, 0, 4), (81, 18, 124), (183, 55, 121), (252, 137, 97), (252, 253, 191)])


def sheet(sounds: np.ndarray, columns: int | None = None) -> Image.Image:
    """Sounds side by side, by default in a square: of each its wave over time, and below that its
    spectrogram: time to the right, pitch upwards to half the rate, on a scale of decibels."""
    columns = columns or math.ceil(math.sqrt(len(sounds)))
    high, wide = WAVE + SPECTRUM + BETWEEN, WIDE + BETWEEN
    rows = math.ceil(len(sounds) / columns)
    canvas = np.full((rows * high + BETWEEN, columns * wide + BETWEEN, 3), 255, np.uint8)
    for i, (sound,) in enumerate(sounds):
        top, left = BETWEEN + i // columns * high, BETWEEN + i % columns * wide
        canvas[top : top + WAVE, left : left + WIDE] = _wave(sound)
        canvas[top + WAVE : top + WAVE + SPECTRUM, left : left + WIDE] = _spectrogram(sound)
    return Image.fromarray(canvas)


def _wave(sound):
    """How far the sound goes up and down in each column, (WAVE, WIDE, 3)."""
    edges = np.linspace(0, len(sound), WIDE + 1).astype(int)
    parts = [sound[a : max(b, a + 1)] for a, b in itertools.pairwise(edges)]
    high, low = ((np.clip([f(p) for p in parts], -1, 1) + 1) / 2 * (WAVE - 1) for f in (np.max, np.min))
    y = (WAVE - 1 - np.arange(WAVE))[:, None]
    inked = (np.floor(low) <= y) & (y <= np.ceil(high))
    return np.where(inked[..., None], INK, 255).astype(np.uint8)


def _spectrogram(sound):
    """How loud each pitch is in each column, (SPECTRUM, WIDE, 3)."""
    hop = max(len(sound) // WIDE, 1)
    window = 8 * 2 ** math.ceil(math.log2(hop))
    padded = np.pad(sound.astype(np.float64), window // 2)
    starts = np.linspace(0, len(padded) - window, WIDE).astype(int)
    parts = padded[starts[:, None] + np.arange(window)] * np.hanning(window)
    loud = np.abs(np.fft.rfft(parts, axis=1)).T[::-1]
    db = 20 * np.log10(loud / max(loud.max(), 1e-9) + 1e-9)
    shares = np.clip(1 + db / DECIBEL, 0, 1)
    rows = shares[np.linspace(0, len(shares) - 1, SPECTRUM).round().astype(int)]
    at = np.linspace(0, 1, len(COLOURS))
    return np.stack([np.interp(rows, at, channel) for channel in COLOURS.T], axis=-1).astype(np.uint8)


def wav(sounds: np.ndarray, rate: int) -> bytes:
    """A WAV file of 16 bits, mono: the sounds one after another, with a pause between."""
    pause = np.zeros(round(PAUSE * rate), np.int16)
    parts = [part for (sound,) in sounds for part in (pause, _pcm(sound))][1:]
    buffer = io.BytesIO()
    with wave.Wave_write(buffer) as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.concatenate(parts).astype("<i2").tobytes())
    return buffer.getvalue()


def _pcm(sound):
    return np.clip(np.rint(sound * LOUDEST), -LOUDEST, LOUDEST - 1).astype(np.int16)
