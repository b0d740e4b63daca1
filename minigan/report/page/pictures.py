"""Pictures inside a page: small, and written into it."""

import base64
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from minigan.errors import MiniganError
from minigan.report.drawing import encoded

from .charts import thinned

FRAMES = 60  # of a film, at most
FILM = 2_500_000  # bytes of a film, about
LARGE = 60_000  # bytes: a larger PNG is written as WebP, which loses what hardly shows


def film(sheets: dict[int, Path], frames=FRAMES, size=FILM) -> dict | None:
    """{"steps", "pictures"} of sample sheets, thinned to `frames` and to `size` bytes; None without any."""
    steps = list(sheets)
    kept = [steps[i] for i in thinned(len(steps), frames - 1)]
    pictures = {step: embedded(opened(sheets[step])) for step in kept}
    if total := sum(map(len, pictures.values())):
        kept = [kept[i] for i in thinned(len(kept), max(int(len(kept) * min(size / total, 1)), 1))]
    return {"steps": kept, "pictures": [pictures[step] for step in kept]} if kept else None


def opened(path: Path) -> Image.Image:
    """The picture at `path`, as small as it can be had without loss. MiniganError if it is none."""
    try:
        with Image.open(path) as picture:
            return shrunk(picture.copy())
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise MiniganError(f"{path} is no picture that can be read: {error}") from error


def shrunk(picture: Image.Image) -> Image.Image:
    """A picture that was magnified by a whole number, before that."""
    pixels = np.asarray(picture)
    for by in range(8, 1, -1):
        small = pixels[::by, ::by]
        whole = not any(side % by for side in pixels.shape[:2])
        if whole and np.array_equal(small.repeat(by, axis=0).repeat(by, axis=1), pixels):
            return Image.fromarray(small)
    return picture


def embedded(picture: Image.Image) -> str:
    """A data: URI."""
    content, kind = encoded(picture, "PNG"), "png"
    if len(content) > LARGE:
        content, kind = encoded(picture.convert("RGB"), "WEBP", quality=85), "webp"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
