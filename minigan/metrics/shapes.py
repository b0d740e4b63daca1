"""How an image's ink lies: its slant, and its width, by its second moments."""

import numpy as np

from minigan import backend
from minigan.autograd import Tensor
from minigan.errors import MiniganError


def slant_and_width(images) -> tuple[np.ndarray, np.ndarray]:
    """The slant and the width of each image, float64 (N,) each, in which -1 is paper and 1 is ink.

    slant: how far the ink moves to the right for each pixel upwards, -σxy / σyy with y downwards: shearing an
        image by s adds s. Positive for writing that leans to the right.
    width: the deviation of the ink along x once the slant is taken out, √(σxx - σxy² / σyy), in pixels:
        shearing does not change it, stretching along x by a factor multiplies it by that.

    Of each pixel that ink counts which it has above half of the most in the image: a faint ground, as young
    generators make it, would pull at the moments from afar.

    images: arrays or Tensors (N, C, H, W) in [-1, 1], on any device; channels count together. Of an image
    without ink, or with all of it in one row, both are 0. MiniganError for another shape.
    """
    x = backend.to_numpy(images.data if isinstance(images, Tensor) else backend.as_array(images))
    if x.ndim != 4:
        raise MiniganError(f"slant_and_width: images are (N, C, H, W), got {x.shape}")
    ink = 0.5 * (x.astype(np.float64).mean(axis=1) + 1.0)  # (N, H, W)
    ink = (ink - 0.5 * ink.max(axis=(1, 2), keepdims=True, initial=0)).clip(0)
    total = ink.sum(axis=(1, 2))
    ink /= np.where(total > 0, total, 1.0)[:, None, None]
    rows, columns = ink.sum(axis=2), ink.sum(axis=1)
    y, x = np.arange(rows.shape[1]), np.arange(columns.shape[1])
    dy, dx = (ticks - (mass @ ticks)[:, None] for ticks, mass in ((y, rows), (x, columns)))
    yy, xx = (rows * dy**2).sum(axis=1), (columns * dx**2).sum(axis=1)
    xy = np.einsum("nhw,nh,nw->n", ink, dy, dx)
    upright = yy > 0
    down = np.where(upright, yy, 1.0)
    slant = np.where(upright, -xy / down, 0.0)
    return slant, np.sqrt(np.where(upright, (xx - xy**2 / down).clip(0), 0.0))
