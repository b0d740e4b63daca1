"""How an image's ink lies: how much there is, its slant, and its width, by its moments."""

import numpy as np

from minigan import backend
from minigan import functional as F
from minigan.autograd import Tensor, no_grad
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
    with no_grad():
        slant, width = slants_and_widths(Tensor(x.astype(np.float64)))
    return slant.numpy(), width.numpy()


def slants_and_widths(x: Tensor) -> tuple[Tensor, Tensor]:
    """(slant, width) of each image of a Tensor (N, C, H, W), as Tensors (N,) of its dtype, on its device.

    Derivatives of every order, but where a pixel has just half of the most ink, or the image none; those of
    the width also end where it is 0. MiniganError for another shape.
    """
    if x.ndim != 4:
        raise MiniganError(f"slant_and_width: images are (N, C, H, W), got {x.shape}")
    ink = 0.5 * (x.mean(axis=1) + 1.0)  # (N, H, W)
    ink = F.relu(ink - 0.5 * F.relu(ink.max(axis=(1, 2), keepdims=True)))
    total = ink.sum(axis=(1, 2), keepdims=True)
    ink = ink / F.where(total.data > 0, total, 1.0)
    rows, columns = ink.sum(axis=2), ink.sum(axis=1)
    dy, dx = _from_the_middle(rows), _from_the_middle(columns)
    yy, xx = (rows * dy * dy).sum(axis=1), (columns * dx * dx).sum(axis=1)
    xy = (ink * dy[:, :, None] * dx[:, None, :]).sum(axis=(1, 2))
    upright = yy.data > 0
    down = F.where(upright, yy, 1.0)
    slant = F.where(upright, -xy / down, 0.0)
    square = xx - xy * xy / down
    wide = upright & (square.data > 0)
    return slant, F.where(wide, F.sqrt(F.where(wide, square, 1.0)), 0.0)


def _from_the_middle(mass):
    """How far each place is from the mean one. mass: (N, places) that sum to 1 -> (N, places)."""
    ticks = Tensor(np.arange(mass.shape[1], dtype=mass.dtype), device=mass.device)
    return ticks - (mass * ticks).sum(axis=1, keepdims=True)
