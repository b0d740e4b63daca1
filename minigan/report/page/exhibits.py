"""What a page shows of a trained model, and of the data it learned from."""

from dataclasses import dataclass, field

import numpy as np

from minigan.report.samples import as_pixels, picture_of, side_by_side, tiles

from .pictures import embedded


@dataclass
class Exhibits:
    """Images are float32 (..., C, H, W) in [-1, 1]; None is what could not be had.

    walks, labelled: (n, steps, ...), walks in the noise, or in_code in the model's code, and from class to
    class. samples: some samples, and
    neighbours: the training image nearest to each. distances: between the two. between_real: what it is on
    average from one training image to the nearest of the others. points: of data in the plane, (N, 2).
    own: (text, arrays of images) that the model shows itself; of several arrays the images side by side.
    missing: sentences that say what is not there, and why.
    """

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
        return [(text, embedded(tiles(*side_by_side(arrays)))) for text, arrays in self.own]

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
