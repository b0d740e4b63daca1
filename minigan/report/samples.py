"""Pictures of samples: sheets of images, clouds of points, and a film of either."""

import math
from pathlib import Path

import numpy as np
from PIL import Image

from minigan.files import write_atomically

from .drawing import encoded, figure, save_picture, to_image

BORDER = 2  # pixels between two images of a sheet
SHEET = 512  # a sheet is magnified to about this many pixels,
LARGE_SHEET = 800  # one of samples that are several pictures each to this many
LAST_FRAME = 2000  # ms that the end of a film stands still
FRAME = 120  # ms for the others


def save_samples(path: Path, samples: np.ndarray, columns: int | None = None):
    """A PNG of samples: images (N, C, H, W) in [-1, 1] as a sheet, points (N, 2) as a cloud.

    columns: of a sheet; by default as many as rows.
    """
    save_picture(path, sheet(samples, columns) if samples.ndim == 4 else cloud(samples))


def side_by_side(arrays: list[np.ndarray], rows: int = 8) -> tuple[np.ndarray, int]:
    """(images, columns) of a sheet on which the first images of all arrays (N, C, H, W) stand side by side,
    then the second ones, in at most so many rows. Grey ones come in three channels beside coloured ones."""
    channels = max(a.shape[1] for a in arrays)
    alike = [np.broadcast_to(a, (len(a), channels, *a.shape[2:])) for a in arrays]
    images = np.stack(alike, axis=1).reshape(-1, *alike[0].shape[1:])
    return images, len(arrays) * math.ceil(len(arrays[0]) / rows)


def sheet(images: np.ndarray, columns: int | None = None) -> Image.Image:
    """`tiles` magnified to about SHEET pixels."""
    return magnified(tiles(images, columns), SHEET)


def magnified(picture: Image.Image, about: int) -> Image.Image:
    """The picture by a whole number larger, about so many pixels."""
    scale = max(round(about / max(picture.size)), 1)
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def tiles(images: np.ndarray, columns: int | None = None) -> Image.Image:
    """Images (N, C, H, W) in [-1, 1], of one or three channels, side by side, by default in a square."""
    N, C, H, W = images.shape
    columns = columns or math.ceil(math.sqrt(N))
    rows = math.ceil(N / columns)
    canvas = np.full((rows * (H + BORDER) + BORDER, columns * (W + BORDER) + BORDER, C), 255, np.uint8)
    for i, image in enumerate(as_pixels(images)):
        top, left = BORDER + i // columns * (H + BORDER), BORDER + i % columns * (W + BORDER)
        canvas[top : top + H, left : left + W] = image
    return picture_of(canvas)


def as_pixels(images: np.ndarray) -> np.ndarray:
    """Images (N, C, H, W) in [-1, 1] as bytes (N, H, W, C)."""
    return np.clip(np.rint((images + 1) * 127.5), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def picture_of(pixels: np.ndarray) -> Image.Image:
    """Bytes (H, W, C), of one or three channels, for Pillow."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else np.ascontiguousarray(pixels))


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


def readable(paths: list[Path]) -> tuple[list[Image.Image], list[Path]]:
    """(the pictures in the files, those files that have none that can be read)."""
    pictures, damaged = [], []
    for path in paths:
        try:
            with Image.open(path) as picture:
                pictures.append(picture.copy())
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # as Pillow says it
            damaged.append(path)
    return pictures, damaged


def save_gif(path: Path, pictures: list[Path] | list[Image.Image]):
    """An animated GIF of pictures of one size, or of their files; the last of them held."""
    write_atomically(path, gif([p if isinstance(p, Image.Image) else Image.open(p) for p in pictures]))


def gif(pictures: list[Image.Image], last: int = LAST_FRAME) -> bytes:
    """An animated GIF, over and over, of pictures of one size. last: ms that the last of them is held."""
    frames = [_few_colours(picture) for picture in pictures]
    durations = [FRAME] * (len(frames) - 1) + [last]
    film = {"save_all": True, "append_images": frames[1:], "duration": durations, "loop": 0}
    return encoded(frames[0], "GIF", **film)


def _few_colours(picture):
    return picture.quantize(32 if picture.mode == "L" else 128, dither=Image.Dither.NONE)
