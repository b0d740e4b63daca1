"""What a discriminator thinks of the plane, a picture of the game that is played there."""

import numpy as np
from PIL import Image

from minigan import functional as F
from minigan.autograd import Tensor, no_grad

from .drawing import figure, to_image

PIXELS = 128  # a side, of the grid that D is asked about
BANDS = 21  # of colour, from 0 to 1; the middle one, around 1/2, is white


def surface(D, points: np.ndarray, real: np.ndarray, title: str = "") -> Image.Image:
    """D's probability of being real over the plane, from red (0) by white (1/2) to blue (1), and on it the
    real points in black and the generated ones in yellow.

    D: points (N, 2) -> logits (N, 1), on any device. points: the generated ones (N, 2), those outside the
    picture are cut off. real: (M, 2), they set its scale.
    """
    from matplotlib import colormaps  # takes half a second to import

    extent = 1.5 * float(np.abs(real).max(initial=0)) or 1.0
    ticks = np.linspace(-extent, extent, PIXELS, dtype=np.float32)
    fig, ax = figure(6.4, 5.3)
    levels, colours = np.linspace(0, 1, BANDS + 1), colormaps["RdBu"](np.linspace(0.15, 0.85, BANDS))
    heights = ax.contourf(ticks, ticks, probability(D, ticks), levels, colors=colours)
    fig.colorbar(heights, ax=ax, ticks=[0, 0.25, 0.5, 0.75, 1], label="D, the probability of being real")
    ax.scatter(real[:, 0], real[:, 1], s=36, color="black", linewidths=0, label="real")
    style = {"s": 12, "color": "gold", "edgecolors": "black", "linewidths": 0.4}
    ax.scatter(points[:, 0], points[:, 1], **style, label="generated")
    ax.set(xlim=(-extent, extent), ylim=(-extent, extent), aspect="equal", title=title)
    ax.legend(loc="upper right")
    return to_image(fig)


def probability(D, ticks: np.ndarray) -> np.ndarray:
    """σ(D(x, y)) at y = ticks[i], x = ticks[j]: float32 (n, n). D's mode is left as it was."""
    x, y = np.meshgrid(ticks, ticks)
    grid = Tensor(np.stack([x.ravel(), y.ravel()], axis=1)).to(next(iter(D.parameters())).device)
    before = D.training
    D.eval()
    try:
        with no_grad():
            return F.sigmoid(D(grid)).numpy().reshape(x.shape)
    finally:
        D.train(before)
