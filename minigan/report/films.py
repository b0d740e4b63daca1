"""Clips (N, T, C, H, W) in [-1, 1]: a strip of frames each on a sheet, and as moving pictures."""

import numpy as np
from PIL import Image

from .samples import LARGE_SHEET, SHEET, magnified, tiles


def strips(arrays: list[np.ndarray]) -> Image.Image:
    """A sheet with a clip a row; of several arrays the first clips of all below each other, then the second
    ones. Frames are of one size; clips may differ in how many they have."""
    longest = max(a.shape[1] for a in arrays)
    padded = [
        np.pad(a, [(0, 0), (0, longest - a.shape[1])] + [(0, 0)] * 3, constant_values=1.0) for a in arrays
    ]
    rows = np.stack(padded, axis=1).reshape(-1, *arrays[0].shape[2:])
    return magnified(tiles(rows, longest), LARGE_SHEET)


def frames(clips: np.ndarray) -> list[Image.Image]:
    """Clips side by side, moment by moment."""
    return [magnified(tiles(moment), SHEET) for moment in clips.swapaxes(0, 1)]
