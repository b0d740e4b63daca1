"""What a page shows of a trained model, and of the data it learned from."""

from dataclasses import dataclass, field

import numpy as np

from minigan.data import Field
from minigan.report.samples import as_pixels, picture_of, side_by_side, tiles
from minigan.report.shown import SHOWN, heard, lines, moving, picture

from .pictures import embedded

IMAGES = 4  # dimensions of an array of images


@dataclass
class Exhibits:
    """Images are float32 (..., C, H, W) in [-1, 1]; None is what could not be had.

    field: of the samples. played: samples that are no images, to be heard, read or seen to move.
    walks, labelled: (n, steps, ...), walks in the noise, or in_code in the model's code, and from class to
    class. samples: some samples, and
    neighbours: the training image nearest to each. distances: between the two. between_real: what it is on
    average from one training image to the nearest of the others. points: of data in the plane, (N, 2).
    own: (text, arrays) that the model shows itself, of images, or of samples such as the data are; of several
    arrays the samples of one number stand together.
    missing: sentences that say what is not there, and why.
    """

    field: Field
    played: np.ndarray | None = None
    walks: np.ndarray | None = None
    in_code: bool = False
    labelled: np.ndarray | None = None
    samples: np.ndarray | None = None
    neighbours: np.ndarray | None = None
    distances: np.ndarray | None = None
    between_real: float | None = None
    points: np.ndarray | None = None
    own: list[tuple[str, list[np.ndarray]]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def shown(self) -> list[tuple[str, str]]:
        """(what it is, picture) of the model's own."""
        return [(text, embedded(self._drawn(arrays))) for text, arrays in self.own]

    def _drawn(self, arrays):
        if arrays[0].ndim == IMAGES:
            return tiles(*side_by_side(arrays))
        return picture(arrays, self.field, len(arrays) if len(arrays) > 1 else None)

    @property
    def kind(self) -> str:
        """How what is played is played: "heard", "read" or "moving"; "" where nothing is."""
        return SHOWN[self.field.kind].played if self.played is not None else ""

    def heard(self) -> list[str]:
        """A sound each of what is played, as data: URIs."""
        return heard(self.played, self.field)

    def read(self) -> list[str]:
        """The lines of what is played."""
        return lines(self.played, self.field)

    def moving(self) -> str:
        """What is played, as the data: URI of a film."""
        return moving(self.played, self.field)

    def strips(self) -> list[tuple[str, str]]:
        """(what it is, picture) of the walks."""
        way = "straight through its code" if self.in_code else "through the noise along a great circle"
        told = (
            (f"From one sample to another: a walk a row, {way}.", self.walks),
            ("From class to class, with the noise of a row standing still.", self.labelled),
        )
        return [
            (text, embedded(tiles(walks.reshape(-1, *walks.shape[2:]), walks.shape[1])))
            for text, walks in told
            if walks is not None
        ]

    def pairs(self) -> list[tuple[str, str, float]]:
        """(sample, nearest training image, distance)."""
        if self.samples is None:
            return []
        pictures = (
            [embedded(picture_of(image)) for image in as_pixels(images)]
            for images in (self.samples, self.neighbours)
        )
        return list(zip(*pictures, self.distances.tolist(), strict=True))
