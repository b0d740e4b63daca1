"""Pictures of samples: sheets of images, clouds of points, and a film of either."""

import io
import math
from pathlib import Path

import numpy as np
from PIL import Image

from minigan.files import write_atomically

from .plots import figure, to_image

BORDER = 2  # pixels between two images of a sheet
SHEET = 512  # a sheet is magnified to about this many pixels
LAST_FRAME = 2000  # ms that the end of a film stands still
FRAME = 120  # ms for the others


def save_samples(path: Path, samples: np.ndarray, real: np.ndarray | None = None):
    """A PNG of samples: images (N, C, H, W) in [-1, 1] as a sheet, points (N, 2) as a cloud.

    real: samples of the data, to which points are drawn: in grey behind them, and on their scale.
    """
    picture = sheet(samples) if samples.ndim == 4 else cloud(samples, real)
    _save(path, picture, "PNG")


def sheet(images: np.ndarray) -> Image.Image:
    """Images (N, C, H, W) in [-1, 1], of one or three channels, side by side in a square."""
    N, C, H, W = images.shape
    columns = math.ceil(math.sqrt(N))
    rows = math.ceil(N / columns)
    pixels = np.clip(np.rint((images + 1) * 127.5), 0, 255).astype(np.uint8)
    canvas = np.full((rows * (H + BORDER) + BORDER, columns * (W + BORDER) + BORDER, C), 255, np.uint8)
    for i, image in enumerate(pixels):
        top, left = BORDER + i // columns * (H + BORDER), BORDER + i % columns * (W + BORDER)
        canvas[top : top + H, left : left + W] = image.transpose(1, 2, 0)
    picture = Image.fromarray(canvas[..., 0] if C == 1 else canvas)
    scale = max(round(SHEET / max(picture.size)), 1)
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def cloud(points: np.ndarray, real: np.ndarray | None = None) -> Image.Image:
    """Points (N, 2) of the plane, and the real ones behind them."""
    fig, ax = figure(5.12, 5.12)
    extent = 1.3 * float(np.abs(points if real is None else real).max(initial=0)) or 1.0
    if real is not None:
        ax.scatter(real[:, 0], real[:, 1], s=30, color="lightgrey", label="real")
    ax.scatter(points[:, 0], points[:, 1], s=6, alpha=0.5, linewidths=0, label="generated")
    ax.set(xlim=(-extent, extent), ylim=(-extent, extent), aspect="equal")
    ax.legend(loc="upper right")
    return to_image(fig)


def save_gif(path: Path, pictures: list[Path] | list[Image.Image]):
    """An animated GIF of pictures of one size, or of their files; the last of them held."""
    frames = [_few_colours(p if isinstance(p, Image.Image) else Image.open(p)) for p in pictures]
    durations = [FRAME] * (len(frames) - 1) + [LAST_FRAME]
    _save(path, frames[0], "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)


def _few_colours(picture):
    return picture.quantize(32 if picture.mode == "L" else 128, dither=Image.Dither.NONE)


def _save(path, picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    write_atomically(path, buffer.getvalue())
