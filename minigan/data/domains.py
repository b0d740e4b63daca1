"""Two domains of images that belong together as a whole, not image by image: horses and zebras."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from minigan.backend import Device
from minigan.checks import flag, shown
from minigan.data.pairs import TwoOfImages
from minigan.errors import MiniganError
from minigan.random import Generator


@dataclass(eq=False)
class Domains(TwoOfImages):
    """Images of two domains, x and y. Nothing says which of y belongs to one of x: each domain is shuffled,
    and mirrored, by itself.

    Its length is that of the longer domain, so that every image has an index; the shorter one starts anew
    where it ends.
    x, y: datasets of images of one height and width; their channels may differ. Labels of theirs are not
        among what a batch holds.
    name: by default theirs.
    MiniganError for other data than images, or images of two sizes.
    """

    kind: ClassVar[str] = "domains"

    def __len__(self) -> int:
        return max(len(self.x), len(self.y))

    def part(self, indices: Any) -> "Domains":
        """The images of each domain at those of `indices` that it has: no image comes twice by itself, and
        parts of different indices have none in common."""
        chosen = np.arange(len(self))[indices]
        x, y = (one.part(chosen[chosen < len(one)]) for one in (self.x, self.y))
        return replace(self, x=x, y=y)

    def batch(self, indices: Any) -> tuple[np.ndarray, np.ndarray]:
        """(x, y) at `indices`, each modulo the length of its domain: float32 (N, C, H, W) in [-1, 1],
        channels-last in memory."""
        chosen = np.arange(len(self))[indices]
        return self.x.batch(chosen % len(self.x)), self.y.batch(chosen % len(self.y))

    def batches(
        self, batch_size: int, seed: int = 0, labels: bool = False, device: str | Device = "cpu"
    ) -> "DomainBatches":
        """Endless batches (x, y) on `device`, float32 (batch_size, C, H, W), each domain shuffled by itself.
        MiniganError for a batch size that does not fit either domain, or for labels, which there are none
        of."""
        return DomainBatches(self, batch_size, seed, labels, device)


class DomainBatches(Iterator):
    """An infinite iterator over two `domains`: `Batches` of each, x by `seed` as it would come alone, y by a
    key drawn from it. Each domain has epochs of its own; batches are pairs (x, y).

    MiniganError, TypeError, ValueError: as of `Batches`, for either domain.
    """

    def __init__(
        self,
        dataset: Domains,
        batch_size: int,
        seed: int = 0,
        labels: bool = False,
        device: str | Device = "cpu",
    ) -> None:
        if flag("Batches", "labels", labels):
            raise MiniganError(f"{dataset.name} has no labels")
        self.dataset = dataset
        self.x = dataset.x.batches(batch_size, seed, device=device)
        self.y = dataset.y.batches(batch_size, Generator(seed).spawn().key, device=device)

    def __next__(self) -> tuple[Any, Any]:
        return next(self.x), next(self.y)

    def state_dict(self) -> dict[str, dict[str, int]]:
        """The places in the two streams of batches."""
        return {"x": self.x.state_dict(), "y": self.y.state_dict()}

    def load_state_dict(self, state: dict[str, dict[str, int]]) -> None:
        """Go on from the place `state`. MiniganError when that is no place in these domains."""
        if not isinstance(state, dict) or state.keys() != {"x", "y"}:
            raise MiniganError(f"a place in two domains has x, y; got {shown(state)}")
        places = self.state_dict()
        try:
            self.x.load_state_dict(state["x"])
            self.y.load_state_dict(state["y"])
        except MiniganError:
            self.x.load_state_dict(places["x"])
            self.y.load_state_dict(places["y"])
            raise
