"""Sounds as pictures of their pitches over time, for whoever looks at pictures alone."""

import numpy as np

FORMAT = 1  # of the pictures, by which classifiers of them are kept
PITCHES, MOMENTS = 64, 16  # rows and columns of a picture
PICTURE = 1, PITCHES, MOMENTS
RANGE = 60.0  # decibels from the loudest, 1, to -1
BLOCK = 500  # sounds at once


def spectrograms(sounds: np.ndarray) -> np.ndarray:
    """Sounds (N, 1, L) -> float32 (N, 1, 64, 16) in [-1, 1]: how loud each of 64 bands of pitch, the lowest
    first, is at 16 moments, in decibels below the loudest of the sound; all -1 of silence.

    The Fourier transforms of parts of an eighth of the sound, or of 128 numbers where that is more, under a
    Hann window; a band is the mean power of as many of its frequencies.
    """
    length = max(sounds.shape[-1], 2 * PITCHES)
    wide = length // 8 // (2 * PITCHES) or 1  # frequencies a band
    window = 2 * PITCHES * wide
    starts = np.linspace(0, length - window, MOMENTS).astype(np.int64)
    parts, hann = starts[:, None] + np.arange(window), np.hanning(window).astype(np.float32)
    found = np.empty((len(sounds), *PICTURE), np.float32)
    for start in range(0, len(sounds), BLOCK):
        some = sounds[start : start + BLOCK, 0].astype(np.float32)
        some = np.pad(some, ((0, 0), (0, length - some.shape[1])))
        power = np.square(np.abs(np.fft.rfft(some[:, parts] * hann, axis=2)[..., :-1]))
        power = power.reshape(len(some), MOMENTS, PITCHES, wide).mean(axis=3).transpose(0, 2, 1)
        loudest = np.maximum(power.max(axis=(1, 2), keepdims=True), 1e-12)
        decibels = 10 * np.log10(np.maximum(power / loudest, 10 ** (-RANGE / 10)))
        found[start : start + BLOCK, 0] = np.maximum(1 + 2 * decibels / RANGE, -1)
    return found
