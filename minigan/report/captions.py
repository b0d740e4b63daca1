"""A sheet on which a line of text stands below each sample."""

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from .drawing import save_picture
from .samples import BORDER, as_pixels, picture_of

SIDE = 64  # pixels that a picture is magnified to, about
LINE = 14  # pixels of a line of text
GAP = 8  # between two samples


def save_captioned(path: Path, arrays: list[np.ndarray], captions: list[str], columns: int = 8):
    """A PNG: of each sample its pictures side by side, one of each array (N, C, H, W) in [-1, 1], and its
    caption below."""
    pixels = [as_pixels(a) for a in arrays]
    _, height, width, _ = pixels[0].shape
    times = max(round(SIDE / max(height, width)), 1)
    height, width = times * height, times * width
    across = len(arrays) * (width + BORDER) + GAP
    down = height + LINE + GAP
    columns = min(columns, len(captions))
    rows = math.ceil(len(captions) / columns)
    canvas = Image.new("RGB", (columns * across + GAP, rows * down + GAP), "white")
    draw = ImageDraw.Draw(canvas)
    for i, caption in enumerate(captions):
        left, top = GAP + i % columns * across, GAP + i // columns * down
        for k, images in enumerate(pixels):
            picture = picture_of(images[i]).resize((width, height), Image.Resampling.NEAREST)
            canvas.paste(picture, (left + k * (width + BORDER), top))
        draw.text((left, top + height + 1), caption, fill="black")
    save_picture(path, canvas)
