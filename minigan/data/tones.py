"""Tones of a pitch and its multiples, as voices and bells have them."""

import numpy as np

from minigan.data.kinds import LOUDEST

BLOCK = 256  # tones at once


def tones(turns: np.ndarray, levels: np.ndarray, length: int) -> np.ndarray:
    """float32 (n, length): Σ over k of levels[:, k] · z^((k + 1) t), its real part, with z = exp(turns).

    turns: complex (n,), in radians a step of t; a negative real part lets a tone die away, its multiples the
    sooner. levels: complex (n, K).
    """
    found = np.empty((len(turns), length), np.float32)
    side = int(np.ceil(np.sqrt(length)))
    steps = np.arange(side)
    for start in range(0, len(turns), BLOCK):
        rows = slice(start, start + BLOCK)
        turn, of_tone = turns[rows, None], levels[rows].astype(np.complex64)
        coarse, fine = np.exp(turn * (side * steps)), np.exp(turn * steps)
        z = (coarse[:, :, None] * fine[:, None, :]).astype(np.complex64).reshape(len(turn), -1)[:, :length]
        wave = np.zeros_like(z)
        for level in of_tone.T[::-1]:  # Horner's rule
            wave += level[:, None]
            wave *= z
        found[rows] = wave.real
    return found


def as_pcm(sounds: np.ndarray) -> np.ndarray:
    """Sounds (n, L) in [-1, 1] as a dataset stores them: int16 (n, 1, L)."""
    return np.rint(sounds * (LOUDEST - 1)).astype(np.int16)[:, None]
