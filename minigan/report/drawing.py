"""Figures to draw on, and pictures as bytes and files."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from minigan.files import write_atomically


def figure(width, height, rows=1):
    """(figure, axes) of a size in inches, at 100 pixels an inch."""
    from matplotlib.figure import Figure  # takes half a second to import

    fig = Figure(figsize=(width, height), dpi=100, layout="constrained")
    return fig, fig.subplots(rows, 1, sharex=True)


def to_image(fig) -> Image.Image:
    """The figure as an RGB picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    """The picture as a file of that kind would have it; options: those of Pillow."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def save_picture(path: Path, picture: Image.Image, kind: str = "PNG", **options):
    """Write that file, whole or not at all. OSError if the disk does not take it."""
    write_atomically(path, encoded(picture, kind, **options))
