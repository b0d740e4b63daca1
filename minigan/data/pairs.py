"""Pairs of images: what is given, and what is to be made of it."""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from minigan.backend import Device
from minigan.checks import shown
from minigan.data.batches import Batches
from minigan.data.dataset import Dataset
from minigan.data.fields import Field, Fields
from minigan.data.kinds import plural
from minigan.errors import MiniganError


@dataclass(eq=False)
class TwoOfImages:
    """What `Pairs` and `Domains` have in common: two datasets of images of one height and width, x and y.

    name: by default theirs. TypeError or MiniganError for any others.
    """

    x: Dataset = field(repr=False)
    y: Dataset = field(repr=False)
    name: str = ""

    def __post_init__(self) -> None:
        who, halves = type(self).__name__, {"x": self.x, "y": self.y}
        for argument, dataset in halves.items():
            if not isinstance(dataset, Dataset):
                raise TypeError(f"{who}: {argument} must be a Dataset, got {shown(dataset)}")
        if not isinstance(self.name, str):
            raise TypeError(f"{who}: name must be a text, got {shown(self.name)}")
        self.name = self.name or " and ".join(dict.fromkeys((self.x.name, self.y.name)))
        for argument, dataset in halves.items():
            if dataset.kind != "image":
                made_of = plural(dataset.kind)
                raise MiniganError(
                    f"{self.name}: {argument} must be of images, {dataset.name} is made of {made_of}"
                )
        sizes = [f"{height}x{width}" for _, height, width in (self.x.shape, self.y.shape)]
        if sizes[0] != sizes[1]:
            raise MiniganError(
                f"{self.name}: x and y must be of one height and width, got {sizes[0]} and {sizes[1]} pixels"
            )

    @property
    def fields(self) -> Fields:
        """What a batch holds: the images "x" and "y"."""
        return Fields({"x": Field("image", self.x.shape), "y": Field("image", self.y.shape)})

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W) of x."""
        return self.x.shape

    @property
    def classes(self) -> int:
        """0: two images have no labels."""
        return 0

    def mirrored(self) -> Self:
        """Both datasets with `flip`: `Batches` have images mirrored in half of the epochs, both of a pair or
        neither, those of domains each by itself."""
        return replace(self, x=self.x.mirrored(), y=self.y.mirrored())

    def to_size(self, size: int) -> Self:
        """Both datasets with images `size` pixels high and wide, as `Dataset.to_size` makes them: small
        borders are added, other sizes resized. MiniganError for a size below 1."""
        return replace(self, x=self.x.to_size(size), y=self.y.to_size(size))


@dataclass(eq=False)
class Pairs(TwoOfImages):
    """Two images of each sample, x and y: sample i is image i of either. There is one order for both, and
    they are mirrored together.

    x, y: datasets of images of one height and width; their channels may differ. Labels of theirs are not
        among what a batch holds.
    name: by default theirs.
    MiniganError for other data than images, datasets of two lengths or two sizes, or if one only is to be
        mirrored.
    """

    kind: ClassVar[str] = "pair"
    labels: ClassVar[None] = None
    factors: ClassVar[None] = None
    text: ClassVar[None] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.x) != len(self.y):
            raise MiniganError(
                f"{self.name}: the halves of pairs are equally many, got {len(self.x):,} images for x and "
                f"{len(self.y):,} for y"
            )
        if self.x.flip != self.y.flip:
            raise MiniganError(f"{self.name}: the halves of pairs are mirrored together, or neither")

    def __len__(self) -> int:
        return len(self.x)

    @property
    def flip(self) -> bool:
        """Whether `Batches` have some mirrored; see `Dataset`."""
        return self.x.flip

    def part(self, indices: Any) -> "Pairs":
        """The pairs at `indices` alone, without a copy."""
        return replace(self, x=self.x.part(indices), y=self.y.part(indices))

    def batch(self, indices: Any) -> tuple[np.ndarray, np.ndarray]:
        """(x, y) at `indices`, each float32 (N, C, H, W) in [-1, 1], channels-last in memory."""
        return self.x.batch(indices), self.y.batch(indices)

    def batches(
        self, batch_size: int, seed: int = 0, labels: bool = False, device: str | Device = "cpu"
    ) -> Batches:
        """Endless shuffled batches (x, y) on `device`, each float32 (batch_size, C, H, W). MiniganError for a
        batch size that does not fit, or for labels, which there are none of; see `Batches`."""
        return Batches(self, batch_size, seed, labels, device)
