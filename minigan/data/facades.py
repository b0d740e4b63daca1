"""Facades: little houses, each a map of what is where, and a picture of it.

The map tells the places of sky, roof, door and so on; not the colours, which are drawn for each house. So one
map has many pictures, and a model that knows the average of them alone makes grey walls. Bricks and tiles are
small and sharp: how much of them is in a picture tells whether it is blurred.

A house is drawn at the size that is asked for. All lengths are in units of which a picture has 32 a side, and
lines of mortar and the like are at least a pixel wide.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from minigan.data.dataset import Drawn
from minigan.data.pairs import Pairs
from minigan.errors import MiniganError
from minigan.random import Generator

LABELS = {  # of a map, with the colour of each
    "sky": (120, 200, 255),
    "cloud": (255, 255, 255),
    "grass": (60, 180, 75),
    "path": (255, 225, 25),
    "tree": (0, 90, 30),
    "wall": (245, 130, 48),
    "roof": (200, 0, 60),
    "chimney": (110, 30, 150),
    "window": (0, 60, 220),
    "door": (110, 60, 10),
}
SKY, CLOUD, GRASS, PATH, TREE, WALL, ROOF, CHIMNEY, WINDOW, DOOR = range(len(LABELS))
COLOURS = np.array([*LABELS.values()], np.uint8)
HOUSES = {"train": 2000, "test": 500}
SEEDS = {"train": 0, "test": 1}  # a stream for each split
SMALLEST = UNITS = 32
BLOCK = 1 << 17  # pixels drawn at once

# What colours are drawn from: one of these, and a little beside it.
WALLS = [(178, 74, 58), (222, 184, 122), (236, 222, 196), (126, 148, 176), (160, 178, 138), (214, 146, 150)]
ROOFS = [(124, 52, 44), (72, 80, 98), (92, 66, 54), (58, 98, 92), (150, 84, 52)]
DOORS = [(44, 92, 62), (152, 34, 40), (38, 66, 126), (104, 64, 36), (206, 156, 44), (112, 60, 116)]
SKIES = [(108, 172, 232), (70, 122, 206), (238, 176, 142), (168, 186, 202), (52, 62, 112)]
LEAVES = [(58, 128, 58), (92, 146, 48), (206, 128, 40), (178, 70, 44), (232, 168, 184)]
PANES = [(58, 84, 116), (252, 222, 120), (150, 196, 220)]
TRUNK, BAR, KNOB = (96, 68, 46), (244, 240, 230), (240, 206, 90)


def load_facades(size: int | None = None, split: str = "train") -> Pairs:
    """2,000 pairs of a map and the picture of a house, or 500 others for the test, always the same: images
    (3, size, size). The colours of a map are those of LABELS, and `read_map` reads them.

    size: by default 32. In another one (`to_size`) they are drawn anew, not resized.
    MiniganError for a size below 32.
    """
    houses = Houses.drawn_by(Generator(SEEDS[split]), HOUSES[split])
    size = SMALLEST if size is None else size
    x, y = (partial(_pictures, houses, paint) for paint in (_map, _view))
    return Pairs(Drawn("facades", x(size), draw=x), Drawn("facades", y(size), draw=y))


def read_map(maps: np.ndarray) -> np.ndarray:
    """int64 (N, H, W): the number in LABELS of the label whose colour each pixel has, or comes nearest to.
    maps: (N, 3, H, W), uint8, or floats in [-1, 1]. MiniganError for another shape."""
    if maps.ndim != 4 or maps.shape[1] != 3:
        raise MiniganError(f"read_map: maps are (N, 3, H, W), got {maps.shape}")
    pixels = maps.astype(np.float32) if maps.dtype == np.uint8 else (maps + 1) * np.float32(127.5)
    far = [((pixels - colour[:, None, None]) ** 2).sum(axis=1) for colour in COLOURS.astype(np.float32)]
    return np.argmin(far, axis=0)


@dataclass(eq=False)
class Houses:
    """What N houses look like. Lengths are in units, (N, 1, 1); y grows downwards."""

    ground: np.ndarray  # y at which the wall ends
    left: np.ndarray  # x at which the wall begins
    width: np.ndarray  # of the wall
    top: np.ndarray  # y at which the wall begins
    roof: np.ndarray  # its height
    ridge: np.ndarray  # half the length of its upper edge
    chimney: np.ndarray  # x at which it begins; 99 for none
    columns: np.ndarray  # how many windows stand side by side
    door: np.ndarray  # in which column it is
    attic: np.ndarray  # the radius of the round window in the roof; 0 for none
    tree: np.ndarray  # (N, 1, 1, 3): x and y of the crown's middle, its radius; 0 for no tree
    clouds: np.ndarray  # (N, 1, 1, 2, 3): x, y and radius of each; 0 for no cloud
    colours: np.ndarray  # (N, labels, 3), in 0..255
    bricks: np.ndarray  # (N, 16, 16): how bright each is

    @classmethod
    def drawn_by(cls, rng: Generator, n: int) -> "Houses":
        """n houses at random."""

        def whole(low, high):  # both among them
            return low + (rng.uniform((n, 1, 1)) * (high - low + 1)).astype(np.int64)

        ground, width, height = whole(25, 28), whole(14, 22), whole(9, 14)
        left, roof, columns = whole(2, 30 - width), whole(5, 9), whole(2, width // 5)
        space = np.maximum(left, UNITS - left - width)  # beside the house, where it has more
        radius = np.minimum(whole(5, 8) / 2, space / 2) * ((space > 4) & (whole(0, 3) > 0))
        beside = np.where(left == space, left - space / 2, left + width + space / 2)
        crown = ground - radius - whole(2, 4)
        clouds = [np.stack([whole(3, 29), whole(3, 8), whole(2, 4) * 0.75], axis=-1) for _ in range(2)]
        clouds[1] = clouds[1] * (whole(0, 2) > 0)[..., None]
        lengths = {
            "ground": ground,
            "left": left,
            "width": width,
            "top": ground - height,
            "roof": roof,
            "ridge": whole(0, 2) * width / 8,
            "chimney": np.where(whole(0, 3) > 0, left + np.where(whole(0, 1) > 0, 2, width - 4), 99),
            "columns": columns,
            "door": whole(0, columns - 1),
            "attic": np.where((roof >= 7) & (whole(0, 1) > 0), 1.5, 0),
            "tree": np.stack([beside, crown, radius], axis=-1),
            "clouds": np.stack(clouds, axis=-2),
        }
        lengths = {name: values.astype(np.float32) for name, values in lengths.items()}
        return cls(**lengths, colours=_colours(rng, n), bricks=rng.uniform((n, 16, 16), 0.88, 1.06))

    def part(self, rows: slice) -> "Houses":
        """The houses of a slice of the rows."""
        return Houses(**{name: values[rows] for name, values in vars(self).items()})

    def windows(self) -> Iterator[tuple]:
        """(left, top, width, height) of the window in each place, (N, 1, 1) each; of width 0 where there is
        none."""
        for column in range(4):
            left = self.column(column)
            there = column < self.columns
            yield left, self.ground - 5, 3 * (there & (column != self.door)), 3
            yield left, self.top + 2, 3 * (there & (self.ground - self.top >= 11)), 3

    def column(self, number: int) -> np.ndarray:
        """The left end of a column of windows of width 3."""
        return self.left + np.floor(self.width * (number + 0.5) / self.columns - 1)


def _colours(rng, n):
    """(n, labels, 3): the colour that each house has for each label."""
    given = {CLOUD: [(250, 250, 252)], GRASS: [(104, 168, 76)], PATH: [(206, 190, 160)]}
    given |= {SKY: SKIES, TREE: LEAVES, WALL: WALLS, ROOF: ROOFS, WINDOW: PANES, DOOR: DOORS}
    colours = np.empty((n, len(LABELS), 3), np.float32)
    for label, choice in given.items():
        chosen = np.array(choice, np.float32)[rng.integers(0, len(choice), n)]
        colours[:, label] = chosen + rng.uniform((n, 3), -12, 12) * (len(choice) > 1)
    colours[:, CHIMNEY] = 0.8 * colours[:, WALL]
    return colours


def _pictures(houses, paint, size):
    """uint8 (N, 3, size, size) of what `paint` makes of some houses: (n, size, size, 3), in 0..255."""
    if size < SMALLEST:
        raise MiniganError(f"facades are drawn from {SMALLEST} pixels on, got size {size}")
    pictures = np.empty((len(houses.ground), 3, size, size), np.uint8)
    step = max(1, BLOCK // size**2)
    centres = ((np.arange(size) + 0.5) * (UNITS / size)).astype(np.float32)
    x, y = centres[None, None, :], centres[None, :, None]
    for start in range(0, len(pictures), step):
        rows = slice(start, start + step)
        painted = paint(houses.part(rows), x, y)
        pictures[rows] = painted.clip(0, 255).transpose(0, 3, 1, 2)
    return pictures


def _map(houses, x, y):
    return COLOURS[_labels(houses, x, y)]


def _labels(h, x, y):
    """uint8 (n, size, size): the number of the label of each pixel."""
    middle = h.left + h.width / 2
    labels = np.full(np.broadcast_shapes(h.ground.shape, x.shape, y.shape), SKY, np.uint8)
    for cloud in np.moveaxis(h.clouds, -2, 0):
        at, height, radius = np.moveaxis(cloud, -1, 0)
        labels[_round(x - at, 1.6 * (y - height), 2 * radius)] = CLOUD
        labels[_round(x - at + radius / 2, y - height + radius / 2, radius)] = CLOUD
    labels[y >= h.ground + 0 * x] = GRASS
    at, height, radius = np.moveaxis(h.tree, -1, 0)
    labels[_round(x - at, y - height, radius) | _trunk(h, x, y)] = TREE
    off = np.abs(x - middle)
    eaves = h.width / 2 + 1
    labels[_inside(x - h.chimney, y - h.top + h.roof + 1, 2, h.roof)] = CHIMNEY
    slope = h.ridge + (eaves - h.ridge) * (y - h.top + h.roof) / h.roof
    labels[(off < slope) & (y >= h.top - h.roof) & (y < h.top)] = ROOF
    labels[_round(off, y - h.top + np.floor(h.roof / 3) + 0.5, h.attic)] = WINDOW
    labels[(off < h.width / 2) & (y >= h.top) & (y < h.ground)] = WALL
    for left, top, width, height in h.windows():
        labels[_inside(x - left, y - top, width, height)] = WINDOW
    door = h.column(h.door)
    labels[_inside(x - door, y - h.ground + 5, 3, 5)] = DOOR
    labels[(np.abs(x - door - 1.5) < 1.5 + (y - h.ground) / 3) & (y >= h.ground)] = PATH
    return labels


def _view(h, x, y):
    """float (n, size, size, 3): the picture."""
    labels, line = _labels(h, x, y), max(2 * float(x[0, 0, 0]), 0.4)
    rows, columns = np.floor((h.ground - y) / 3).astype(np.int64), x - h.left
    columns = np.floor((columns + 3 * (rows % 2)) / 6).astype(np.int64)
    n = np.arange(len(labels))[:, None, None]
    mortar = ((h.ground - y) % 3 < line) | ((x - h.left + 3 * (rows % 2)) % 6 < line)
    tufts = (3 * np.floor(x) + 7 * np.floor(y) ** 2) % 11 < 2
    tree_x, tree_y, _ = np.moveaxis(h.tree, -1, 0)
    shade = np.ones(labels.shape, np.float32)
    for label, pattern in {
        SKY: 0.9 + 0.25 * y / UNITS,
        GRASS: np.where(tufts, 0.84, 1),
        PATH: np.where(tufts, 0.9, 1),
        TREE: np.where(tufts, 0.78, 1) * np.where(x - tree_x + y - tree_y > 0, 0.88, 1.08),
        WALL: np.where(mortar, 0.72, h.bricks[n, rows % 16, columns % 16]) * np.where(y < h.top + 1, 0.7, 1),
        ROOF: np.where((h.top - y) % 2 < line, 0.7, 1) * np.where((x + rows % 2) % 2 < 0.4, 0.8, 1),
        CHIMNEY: np.where((y - h.top) % 2 < line, 0.75, 1),
        DOOR: np.where((x - h.column(h.door)) % 1.5 < 0.4, 0.75, 1),
    }.items():
        np.copyto(shade, pattern, where=labels == label)
    painted = h.colours[n, labels] * shade[..., None]
    for left, top, width, height in h.windows():
        at, down = x - left - width / 2, y - top - height / 2
        edge = np.maximum(np.abs(at) - width / 2, np.abs(down) - height / 2)
        bars = (np.abs(at) < line / 2) | (np.abs(down) < line / 2) | (edge > -0.4)
        painted[_inside(x - left, y - top, width, height) & bars] = BAR
    door = h.column(h.door)
    painted[_round(x - door - 2.5, y - h.ground + 2.5, 0.6)] = KNOB
    painted[_trunk(h, x, y) & (labels == TREE)] = TRUNK
    return painted


def _trunk(h, x, y):
    """Where the trunk of the tree is."""
    at, height, radius = np.moveaxis(h.tree, -1, 0)
    return (np.abs(x - at) < 0.3 * radius) & (y >= height + 0.8 * radius) & (y < h.ground)


def _round(x, y, radius):
    return x**2 + y**2 < radius**2


def _inside(x, y, width, height):
    return (x >= 0) & (x < width) & (y >= 0) & (y < height)
