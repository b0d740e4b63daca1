"""A picture to be drawn by hand, for a model that makes pictures of pictures."""

import numpy as np
from PIL import Image, ImageDraw

from minigan.data.facades import LABELS
from minigan.report.samples import picture_of

GREYS = {"black": (0, 0, 0), "white": (255, 255, 255)}
COLOURS = GREYS | {
    "grey": (128, 128, 128),
    "red": (214, 39, 40),
    "orange": (255, 127, 14),
    "yellow": (255, 221, 51),
    "green": (44, 160, 44),
    "blue": (31, 119, 180),
    "brown": (121, 75, 38),
}


def paints_of(data: str, channels: int) -> dict[str, tuple[int, int, int]]:
    """The colours to draw with, by name: the labels of a map, for data that has some."""
    if data == "facades":
        return LABELS
    return GREYS if channels == 1 else COLOURS


class Canvas:
    """pixels: uint8 (C, size, size), which strokes change; first all of the first paint, or of white where
    there is one, as outlines are on white."""

    def __init__(self, channels: int, size: int, paints: dict[str, tuple[int, int, int]]):
        self.paints = paints
        self.blank = "white" if "white" in paints else next(iter(paints))
        self.pixels = np.empty((channels, size, size), np.uint8)
        self.clear()

    def clear(self):
        """All of it blank again."""
        self.pixels[:] = np.array(self.paints[self.blank], np.uint8)[: len(self.pixels), None, None]

    def show(self, pixels: np.ndarray):
        """Go on from a picture, uint8 (C, H, W) of the channels and size of this one."""
        self.pixels[:] = pixels

    def stroke(self, start: tuple[float, float], end: tuple[float, float], paint: str, width: int):
        """A line of a paint from (x, y) to (x, y), in pixels from the upper left, with round ends and with no
        colour between two: a pixel of a map is of one label."""
        image = picture_of(self.pixels.transpose(1, 2, 0))
        colour = self.paints[paint] if len(self.pixels) == 3 else self.paints[paint][0]
        pen, ends = ImageDraw.Draw(image), [tuple(int(v) for v in point) for point in (start, end)]
        pen.line([*ends[0], *ends[1]], fill=colour, width=width)
        for x, y in ends:
            before, after = (width - 1) // 2, width // 2
            pen.ellipse([x - before, y - before, x + after, y + after], fill=colour)
        pixels = np.asarray(image)
        self.pixels[:] = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)

    @property
    def picture(self) -> Image.Image:
        """What is drawn, for Pillow."""
        return picture_of(self.pixels.transpose(1, 2, 0))
