"""Whether pictures are what their captions say: each is read, by what it was drawn from, and compared.

The ground is the median of the border, and the colour that of what is most unlike it. By these two each pixel
says how much of it is covered; the sum of that is an area, and where its middle is a place. Of the three
shapes of that area, drawn there, the one that is most alike is the shape. A picture in which no shape is
alike, or nothing is, is none: it has neither attribute.
"""

import numpy as np

from minigan.data.captions import (
    ATTRIBUTES,
    BLOCK,
    COLOURS,
    PLACES,
    RADII,
    UNITS,
    covering,
    is_held_out,
    said_in,
)

UNLIKE = 0.25  # of its area may be covered otherwise than by the shape, before it is none
FAINT = 0.1  # what covers less of a pixel is taken for the ground
FAINTEST = 40  # levels between the ground and a shape


def caption_accuracy(images, text, words) -> dict[str, float]:
    """The shares of images, float32 (N, 3, H, W) in [-1, 1], that have each attribute, and all that they were
    asked for: by name, of combinations that are in the training data as "caption-colour" and "caption-all",
    and of others as "unseen-colour" and "unseen-all"; where there are none of either, nothing of it.

    text: (N, L), the numbers of the words that they were asked for in. What these leave open is right in any
    picture in which there is a shape.
    """
    asked, found = said_in(text, words), read_attributes(images)
    right = ((asked == found) | (asked < 0)) & (found >= 0)
    unseen = is_held_out(asked) & (asked >= 0).all(axis=1)
    shares = {}
    for beginning, rows in (("caption", right[~unseen]), ("unseen", right[unseen])):
        if len(rows):
            each = dict(zip(ATTRIBUTES, rows.mean(axis=0), strict=True), all=rows.all(axis=1).mean())
            shares |= {f"{beginning}-{name}": float(share) for name, share in each.items()}
    return shares


def read_attributes(images: np.ndarray) -> np.ndarray:
    """int64 (N, 4), the values of size, colour, shape and place of images, float32 (N, 3, H, W) in [-1, 1];
    -1 in all four of a picture in which there is no shape."""
    step = max(1, BLOCK // images.shape[-1] ** 2)
    parts = [_read(images[first : first + step]) for first in range(0, len(images), step)]
    return np.concatenate(parts)


def _read(images):
    levels, size = (images.astype(np.float32) + 1) * 127.5, images.shape[-1]
    rim = (levels[:, :, 0], levels[:, :, -1], levels[:, :, 1:-1, 0], levels[:, :, 1:-1, -1])
    ground = np.median(np.concatenate(rim, axis=2), axis=2)
    over = levels - ground[:, :, None, None]
    far = np.abs(over).max(axis=1)
    inner = far > 0.75 * far.max(axis=(1, 2), keepdims=True)
    colour = np.einsum("nchw,nhw->nc", over, inner) / inner.sum(axis=(1, 2)).clip(1)[:, None]
    covered = np.einsum("nchw,nc->nhw", over, colour) / (colour**2).sum(axis=1).clip(1)[:, None, None]
    covered = np.where(covered < FAINT, 0, covered.clip(0, 1))

    ticks, area = (np.arange(size, dtype=np.float32) + 0.5) * (UNITS / size), covered.sum(axis=(1, 2)).clip(1)
    place = np.stack([covered.sum(axis=axis) @ ticks / area for axis in (1, 2)], axis=1)
    radius = np.sqrt(area / np.pi) * (UNITS / size)
    shapes = (np.full(len(images), shape) for shape in range(len(ATTRIBUTES["shape"])))
    apart = [np.abs(covered - covering(shape, radius, place, size)).sum(axis=(1, 2)) for shape in shapes]
    unlike = np.stack(apart) / area
    found = np.stack(
        [
            np.abs(radius[:, None] - RADII).argmin(axis=1),
            np.linalg.norm((ground + colour)[:, None] - COLOURS, axis=2).argmin(axis=1),
            unlike.argmin(axis=0),
            np.linalg.norm(place[:, None] - PLACES, axis=2).argmin(axis=1),
        ],
        axis=1,
    )
    there = (unlike.min(axis=0) < UNLIKE) & (np.abs(colour).max(axis=1) > FAINTEST)
    return np.where(there[:, None], found, -1)
