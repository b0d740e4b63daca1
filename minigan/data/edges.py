"""Outlines of pictures, and the pictures: what a model that colours drawings learns from.

A picture's gradient is taken by Sobel's filters, in the channel where it is largest. Outlines are black on
white, where the gradient is that of an upright step of STEP grey levels or more; three kinds of them:

thin      of those only the pixels that have the largest gradient across the line, as in Canny's detector
          (Canny, "A computational approach to edge detection", 1986): about a pixel wide
thick     all of those: 2 to 4 pixels, more where the picture is soft
dilated   the thin ones, grown by a pixel on every side: 3 pixels everywhere
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigan.data.dataset import Dataset
from minigan.data.pairs import Pairs

KINDS = "thin", "thick", "dilated"
STEP = 48  # grey levels of 255
STEEP = np.tan(3 * np.pi / 8)  # a gradient nearer to upright, or level, than to a diagonal


def outlined(pictures: Dataset, kind: str = "thin") -> Pairs:
    """Pairs of the outlines of `pictures`, (1, H, W), and the pictures. kind: one of KINDS."""
    x = Outlines(pictures.name, pictures.samples, rows=pictures.rows, flip=pictures.flip, outline=kind)
    own = "edges" if kind == "thin" else f"edges-{kind}"
    return Pairs(x, pictures, f"{own}:{pictures.name}")


@dataclass(eq=False)
class Outlines(Dataset):
    """The outlines of a dataset's images, drawn when they are asked for: what `stored`, `batch` and `blocks`
    give. `samples` are the images.

    outline: the kind, one of KINDS.
    """

    outline: str = field(default="thin", kw_only=True)

    @property
    def shape(self) -> tuple[int, ...]:
        """(1, H, W)."""
        return 1, *self.samples.shape[2:]

    def stored(self, indices: Any) -> np.ndarray:
        """The outlines of the images at `indices`, uint8 (N, 1, H, W)."""
        return outlines(super().stored(indices), self.outline)


def outlines(images: np.ndarray, kind: str = "thin") -> np.ndarray:
    """uint8 (N, 1, H, W), 0 on outlines and 255 elsewhere, of uint8 images (N, C, H, W)."""
    right, down = _gradient(images)
    square = right**2 + down**2
    on = square >= (4 * STEP) ** 2  # Sobel's weights add up to 4 on either side
    if kind != "thick":
        on[on] = _is_crest(square, right, down, on)
    if kind == "dilated":
        on = _grown(on)
    return np.where(on, np.uint8(0), np.uint8(255))[:, None]


def _gradient(images):
    """(to the right, downwards), each int32 (N, H, W)."""
    around = np.pad(images.astype(np.int16), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    across, along = around[..., 2:] - around[..., :-2], around[..., 2:, :] - around[..., :-2, :]
    right = across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]
    down = along[..., :-2] + 2 * along[..., 1:-1] + along[..., 2:]
    right, down = right.astype(np.int32), down.astype(np.int32)
    largest = (right**2 + down**2).argmax(axis=1)[:, None]
    return (np.take_along_axis(each, largest, axis=1)[:, 0] for each in (right, down))


def _is_crest(square, right, down, on):
    """Of each pixel of `on`, whether the gradient is larger than the next one on one side of it, across the
    line, and as large as that on the other."""
    n, y, x = np.nonzero(on)
    right, down = right[on], down[on]
    i = np.where(np.abs(down) > STEEP * np.abs(right), 0, 1)
    j = np.where(np.abs(right) > STEEP * np.abs(down), 0, np.where((right < 0) == (down < 0), 1, -1))
    around = np.pad(square, ((0, 0), (1, 1), (1, 1)))
    here, before, after = (
        around[n, y + 1, x + 1],
        around[n, y + 1 - j, x + 1 - i],
        around[n, y + 1 + j, x + 1 + i],
    )
    return (here > before) & (here >= after)


def _grown(on):
    """`on` and all pixels next to it."""
    wide = on.copy()
    wide[..., 1:] |= on[..., :-1]
    wide[..., :-1] |= on[..., 1:]
    tall = wide.copy()
    tall[:, 1:] |= wide[:, :-1]
    tall[:, :-1] |= wide[:, 1:]
    return tall
