"""Animals: brown ones, and others with stripes, on meadows. Nothing says which belong together: no animal is
in both domains, and a model that is to turn the one into the other has to find out what they have in common.

Bodies, poses and meadows are drawn alike for both; only the coats differ. Stripes follow the body: across the
trunk and the neck, round the legs. Where the animal is in a picture, its silhouette, is known, so that can be
measured whether a translated one stands where it stood, in front of the meadow that was there.

An animal is drawn at the size that is asked for. All lengths are in units of which a picture has 32 a side.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from minigan.data.dataset import Drawn
from minigan.data.domains import Domains
from minigan.errors import MiniganError
from minigan.random import Generator

ANIMALS = {"train": 2000, "test": 500}  # of each coat
SEEDS = {("train", "brown"): 0, ("train", "striped"): 1, ("test", "brown"): 2, ("test", "striped"): 3}
SMALLEST = UNITS = 32
BLOCK = 1 << 17  # pixels drawn at once

# What colours are drawn from: one of these, and a little beside it. In a meadow green or blue is well above
# red, in an animal it is not: that tells them apart.
MEADOWS = [(96, 160, 64), (116, 172, 74), (72, 136, 62), (104, 150, 58), (62, 148, 84)]
SKIES = [(128, 184, 236), (98, 150, 216), (164, 204, 236), (112, 170, 206)]
HILLS = [(78, 126, 88), (92, 140, 116), (60, 108, 96)]
BROWNS = [(150, 94, 52), (124, 76, 42), (172, 114, 66), (138, 80, 54)]
PALE, DARK = (238, 234, 228), (36, 32, 32)
FLOWER = (136, 96, 214)
ABOVE_RED = 14  # grey levels by which green or blue is above red in a meadow; half of the least of any
COATS = "brown", "striped"
STEP = 0.35  # of the whole range, between a dark and a pale pixel beside each other
STRIPES = 0.16  # such pairs in a unit, of all that lie within the animal; striped ones have 0.27 and more
WARM = 0.14  # by how much of the range red is above blue; brown ones have 0.25 and more, striped ones 0.03


def load_animals(size: int | None = None, split: str = "train") -> Domains:
    """2,000 brown animals, x, and 2,000 striped ones, y, or 500 of each for the test, always the same: images
    (3, size, size). Both are datasets of `Animals`, which know the silhouettes.

    size: by default 32. In another one (`to_size`) they are drawn anew, not resized.
    MiniganError for a size below 32.
    """
    return Domains(*(_of_coat(coat, size or SMALLEST, split) for coat in COATS))


@dataclass(eq=False)
class Animals(Drawn):
    """Pictures of animals of one coat, drawn anew where another size is asked for.

    outline(size): where the animals are, bool (N, size, size).
    """

    outline: Callable[[int], np.ndarray] = field(kw_only=True, repr=False)

    def silhouettes(self, indices: Any) -> np.ndarray:
        """bool (N, H, W): where the animals at `indices` are in the pictures that `batch` gives."""
        return self.outline(self.shape[-1])[indices if self.rows is None else self.rows[indices]]


def read_silhouettes(pictures: np.ndarray) -> np.ndarray:
    """bool (N, H, W): which pixels are of an animal, by their colour: neither green nor blue is well above
    red. pictures: (N, 3, H, W), uint8, or floats in [-1, 1]. MiniganError for another shape."""
    if pictures.ndim != 4 or pictures.shape[1] != 3:
        raise MiniganError(f"read_silhouettes: pictures are (N, 3, H, W), got {pictures.shape}")
    levels = 1.0 if pictures.dtype == np.uint8 else 127.5
    red, *others = (pictures[:, c].astype(np.float32) for c in range(3))
    return np.maximum(*others) - red < ABOVE_RED / levels


def read_coats(pictures: np.ndarray) -> np.ndarray:
    """int64 (N,): the number in COATS of the coat that each animal has, -1 for neither. Striped is a grey
    animal with half as many steps from dark to pale as real ones have, or more; brown a brown one with at
    most a quarter as many. pictures: (N, 3, H, W), floats in [-1, 1]. MiniganError for another shape."""
    where, light = read_silhouettes(pictures), pictures.mean(axis=1) / 2
    steps = pairs = np.zeros(len(pictures), np.int64)
    for axis in (1, 2):
        both = np.logical_and(*_beside(where, axis))
        pairs = pairs + both.sum(axis=(1, 2))
        steps = steps + ((np.abs(np.subtract(*_beside(light, axis))) > STEP) & both).sum(axis=(1, 2))
    stripes = steps / np.maximum(pairs, 1) * (pictures.shape[-1] / UNITS)
    redder = (pictures[:, 0] - pictures[:, 2]) / 2 * where
    warm = redder.sum(axis=(1, 2)) / np.maximum(where.sum(axis=(1, 2)), 1) >= WARM
    return np.select([~warm & (stripes >= STRIPES), warm & (stripes <= STRIPES / 2)], [1, 0], -1)


def _beside(a, axis):
    """The pixels that have a next one along an axis, and those next ones."""
    return np.take(a, range(a.shape[axis] - 1), axis), np.take(a, range(1, a.shape[axis]), axis)


def _of_coat(coat, size, split):
    herd = Herd.drawn_by(Generator(SEEDS[split, coat]), ANIMALS[split])
    draw, outline = (partial(_at_size, herd, paint) for paint in (partial(_picture, coat), _outline))
    return Animals("animals", draw(size), draw=draw, outline=outline)


@dataclass(eq=False)
class Herd:
    """What N animals and their meadows look like. Lengths are in units, (N, 1, 1); y grows downwards. Of an
    animal, u runs from the middle of its trunk to the side that it faces, v downwards."""

    x: np.ndarray  # of the trunk's middle
    y: np.ndarray
    faces: np.ndarray  # 1 to the right, -1 to the left
    length: np.ndarray  # half of the trunk's
    height: np.ndarray
    leg: np.ndarray  # from the trunk's middle to the ground
    steps: np.ndarray  # (N, 1, 1, 4): how far to the fore each foot is of its hip
    head: np.ndarray  # (N, 1, 1, 2): u and v of the upper end of the neck
    nods: np.ndarray  # v of the muzzle below that end
    tail: np.ndarray  # u of its tip behind its root
    period: np.ndarray  # of a dark and a pale stripe
    horizon: np.ndarray  # y at which the meadow begins
    hill: np.ndarray  # (N, 1, 1, 3): x of its top, height, steepness
    flowers: np.ndarray  # (N, 1, 1, 6, 2): x and y of each
    colours: np.ndarray  # (N, 4, 3), in 0..255: of meadow, sky, hill and brown coat

    @classmethod
    def drawn_by(cls, rng: Generator, n: int) -> "Herd":
        """n animals at random."""

        def between(low, high, *more):
            return low + rng.uniform((n, 1, 1, *more)) * (high - low)

        length, height, faces = between(5.2, 7.2), between(2.5, 3.5), np.where(between(0, 1) < 0.5, -1.0, 1.0)
        fore, rear = length + 6.4, length + 2.8  # what there is on either side of its middle, and a margin
        left, right = np.where(faces > 0, rear, fore), np.where(faces > 0, fore, rear)
        leg = height + between(3.6, 5.6)
        horizon = between(8, 17)
        lengths = {
            "x": left + between(0, 1) * (UNITS - left - right),
            "y": between(25, 30) - leg,
            "faces": faces,
            "length": length,
            "height": height,
            "leg": leg,
            "steps": between(-1.3, 1.3, 4),
            "head": np.stack([length + between(0.4, 2.2), -height - between(0.6, 3.2)], axis=-1),
            "nods": between(0.2, 1.8),
            "tail": between(0.2, 1.5),
            "period": between(3.7, 4.3),
            "horizon": horizon,
            "hill": np.stack([between(0, UNITS), between(0, 5), between(0.15, 0.5)], axis=-1),
            "flowers": np.stack([between(0, UNITS, 6), horizon[..., None] + between(2, 24, 6)], axis=-1),
        }
        colours = np.empty((n, 4, 3), np.float32)
        for i, choice in enumerate((MEADOWS, SKIES, HILLS, BROWNS)):
            chosen = np.array(choice, np.float32)[rng.integers(0, len(choice), n)]
            colours[:, i] = chosen + rng.uniform((n, 3), -6, 6)
        return cls(**{name: a.astype(np.float32) for name, a in lengths.items()}, colours=colours)

    def part(self, rows: slice) -> "Herd":
        """The animals of a slice of the rows."""
        return Herd(**{name: values[rows] for name, values in vars(self).items()})


def _at_size(herd, paint, size):
    """What `paint` makes of some animals at that size: uint8 pictures, or bool outlines."""
    if size < SMALLEST:
        raise MiniganError(f"animals are drawn from {SMALLEST} pixels on, got size {size}")
    step, n = max(1, BLOCK // size**2), len(herd.x)
    centres = ((np.arange(size) + 0.5) * (UNITS / size)).astype(np.float32)
    x, y = centres[None, None, :], centres[None, :, None]
    return np.concatenate([paint(herd.part(slice(i, i + step)), x, y) for i in range(0, n, step)])


def _outline(herd, x, y):
    return _animal(herd, x, y)[0]


def _picture(coat, herd, x, y):
    where, along, shade = _animal(herd, x, y)
    painted = _meadow(herd, x, y)
    if coat == "brown":
        fur = herd.colours[:, 3][:, None, None] * shade[..., None]
    else:
        pale = np.sin(along * (2 * np.pi / herd.period)) > 0
        fur = np.where(pale[..., None], np.float32(PALE), np.float32(DARK)) * (0.6 + 0.4 * shade[..., None])
    np.copyto(painted, fur, where=where[..., None])
    return np.rint(painted).clip(0, 255).astype(np.uint8).transpose(0, 3, 1, 2)


def _meadow(h, x, y):
    """float32 (n, size, size, 3): what is behind the animals."""
    meadow, sky, hill, _ = (h.colours[:, i][:, None, None] for i in range(4))
    at, height, steep = np.moveaxis(h.hill, -1, 0)
    painted = sky * (0.92 + 0.16 * y / h.horizon)[..., None] + 0 * x[..., None]
    top = h.horizon - np.maximum(height - steep * np.abs(x - at), 0)
    np.copyto(painted, hill, where=(y >= top)[..., None])
    tufts = (3 * np.floor(x) + 7 * np.floor(y) ** 2) % 11 < 2
    grass = np.where(tufts, 0.9, 1) * (0.88 + 0.2 * (y - h.horizon) / (UNITS - h.horizon))
    np.copyto(painted, meadow * grass[..., None], where=(y >= h.horizon + 0 * x)[..., None])
    for flower in np.moveaxis(h.flowers, -2, 0):
        at, height = np.moveaxis(flower, -1, 0)
        np.copyto(painted, np.float32(FLOWER), where=(_round(x - at, y - height, 0.6))[..., None])
    return painted.astype(np.float32)


def _animal(h, x, y):
    """(bool: where it is, how far along its part each pixel is, in units, how bright), each (n, size, size).
    Stripes are where it is farther along by half a period."""
    u, v = h.faces * (x - h.x), y - h.y
    where = np.zeros(np.broadcast_shapes(u.shape, v.shape), bool)
    along, shade = np.zeros((2, *where.shape), np.float32)

    def part(inside, coordinate, brightness):
        where[inside] = True
        np.copyto(along, coordinate + 0 * along, where=inside)
        np.copyto(shade, brightness + 0 * shade, where=inside)

    def limb(from_u, from_v, to_u, to_v, radius, brightness=1.0):
        """A line with round ends; it is brighter above."""
        du, dv = to_u - from_u, to_v - from_v
        square = du**2 + dv**2
        at = (((u - from_u) * du + (v - from_v) * dv) / square).clip(0, 1)
        inside = _round(u - from_u - at * du, v - from_v - at * dv, radius)
        part(inside, at * np.sqrt(square), brightness)

    limb(-h.length + 0.4, -0.3 * h.height, -h.length - h.tail, 0.8 * h.height, 0.6, 0.75)
    for i, (at, dark, short) in enumerate(
        ((0.72, 0.72, 0.5), (-0.78, 0.72, 0.5), (0.5, 0.92, 0), (-0.55, 0.92, 0))
    ):
        hip = at * h.length
        limb(hip, 0.3 * h.height, hip + h.steps[..., i], h.leg - short - 0.4, 0.85, dark)
    up = (-v / h.height).clip(-1, 1)  # 1 on the back, -1 on the belly
    part((u / h.length) ** 2 + (v / h.height) ** 2 < 1, u + 0.3 * v * u / h.length, 0.95 + 0.15 * up)
    head_u, head_v = np.moveaxis(h.head, -1, 0)
    limb(h.length - 2.2, -0.35 * h.height, head_u, head_v, 1.5, 1.05)
    limb(head_u - 0.7, head_v - 1.3, head_u - 0.9, head_v - 1.9, 0.55, 0.8)
    limb(head_u, head_v, head_u + 2.4, head_v + h.nods, 1.15, 1.0)
    return where, along, shade


def _round(x, y, radius):
    return x**2 + y**2 < radius**2
