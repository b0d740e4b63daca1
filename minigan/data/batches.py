"""Endless shuffled batches that can stop anywhere and go on with the very same samples."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np

from minigan import backend
from minigan.backend import Device
from minigan.checks import flag, integer, is_integer, shown
from minigan.errors import MiniganError
from minigan.random import Generator


@runtime_checkable
class InOneOrder(Protocol):
    """What `Batches` need of a dataset. `Dataset` and `Pairs` have it."""

    @property
    def name(self) -> str:
        """What errors call it."""
        ...

    @property
    def labels(self) -> np.ndarray | None:
        """int64 (N,), or None where it has none."""
        ...

    @property
    def flip(self) -> bool:
        """Whether images come mirrored in half of the epochs."""
        ...

    @property
    def factors(self) -> np.ndarray | None:
        """int64 (N, k), or None where it has none."""
        ...

    @property
    def text(self) -> np.ndarray | None:
        """uint8 (N, L), numbers of words, or None where it has none."""
        ...

    def __len__(self) -> int: ...

    def batch(self, indices: Any) -> np.ndarray | tuple[np.ndarray, ...]:
        """The samples at `indices`, one array or several."""
        ...


class Batches(Iterator):
    """An infinite iterator over `dataset`, a `Dataset` or `Pairs`, shuffled anew in every epoch.

    Gives (batch_size, *dataset.shape) arrays on `device`, float32, or int64 of numbers of words; of `Pairs`,
    a tuple of such arrays (x, y). What else is asked for comes in a tuple behind it: with text=True its text,
    int64 (batch_size, L), with labels=True its int64 (batch_size,) labels, with factors=True the factors,
    float32 (batch_size, k) from 0 to 1 over the values of each, -1 where not known. What is left of an
    epoch after its last full batch is dropped. Of a dataset with `flip`, each image comes mirrored in half of
    the epochs, at random, and both of a pair or neither. The order and what is mirrored are functions of
    `seed` and the epoch alone.

    epoch: the epoch of the last batch given, from 0. position: the samples given in this epoch.
    MiniganError for a batch size outside 1..len(dataset), an empty dataset, or labels, factors or a text that
    it lacks; ValueError for a seed outside [0, 2**64).
    """

    def __init__(
        self,
        dataset: InOneOrder,
        batch_size: int,
        seed: int = 0,
        labels: bool = False,
        device: str | Device = "cpu",
        factors: bool = False,
        text: bool = False,
    ) -> None:
        if not isinstance(dataset, InOneOrder):
            raise TypeError(f"Batches: dataset must be a Dataset or Pairs, got {shown(dataset)}")
        integer("Batches", "batch_size", batch_size)
        integer("Batches", "seed", seed)
        flag("Batches", "labels", labels)
        flag("Batches", "factors", factors)
        flag("Batches", "text", text)
        if not len(dataset):
            raise MiniganError(f"{dataset.name} has no samples to make batches of")
        if not 1 <= batch_size <= len(dataset):
            raise MiniganError(
                f"batch size must be from 1 to the {len(dataset)} samples of {dataset.name}, got {batch_size}"
            )
        if labels and dataset.labels is None:
            raise MiniganError(f"{dataset.name} has no labels")
        if factors and dataset.factors is None:
            raise MiniganError(f"{dataset.name} has no factors")
        if text and dataset.text is None:
            raise MiniganError(f"{dataset.name} has no text beside its samples")
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed
        self.labels, self.factors, self.text = labels, factors, text
        self.device = backend.device(device)
        self._start(epoch=0)

    def __next__(self) -> Any:
        if self.position + self.batch_size > len(self.dataset):
            self._start(self.epoch + 1)
        indices = self._order[self.position : self.position + self.batch_size]
        self.position += self.batch_size
        batch = self.dataset.batch(indices)
        arrays = batch if isinstance(batch, tuple) else (batch,)
        if self.dataset.flip:
            for images in arrays:
                mirror(images, self._mirrored[indices])
        if self.text:
            arrays = (*arrays, self.dataset.text[indices].astype(np.int64))  # type: ignore[index]
        if self.labels:
            arrays = (*arrays, self.dataset.labels[indices])  # type: ignore[index]  # seen in __init__
        if self.factors:
            arrays = (*arrays, self.dataset.scaled_factors(indices))  # type: ignore[attr-defined]  # of a Dataset
        arrays = tuple(map(self.device.put, arrays))
        return arrays if len(arrays) > 1 else arrays[0]

    def state_dict(self) -> dict[str, int]:
        """The place in the stream of batches."""
        return {
            "seed": self.seed,
            "samples": len(self.dataset),
            "epoch": self.epoch,
            "position": self.position,
        }

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from the place `state`. MiniganError when that was in a dataset of another length, or is no
        place in this one."""
        own = self.state_dict()
        if not isinstance(state, dict) or state.keys() != own.keys():
            raise MiniganError(f"a place in the data has {', '.join(own)}; got {shown(state)}")
        for name, value in state.items():
            if not is_integer(value):
                raise MiniganError(f"{name} of a place in the data must be an integer, got {shown(value)}")
        if state["samples"] != len(self.dataset):
            raise MiniganError(
                f"the saved run had {state['samples']} samples, {self.dataset.name} has {len(self.dataset)}"
            )
        inside = 0 <= state["position"] <= len(self.dataset) and 0 <= state["epoch"] < 2**32
        if not (inside and 0 <= state["seed"] < 2**64):
            raise MiniganError(f"{self.dataset.name} has no place {state} to go on from")
        self.seed = state["seed"]
        self._start(state["epoch"])
        self.position = state["position"]

    def _start(self, epoch):
        generator = Generator(self.seed)
        # 2**32 blocks of random words apart, no two epochs share any.
        generator.state = (self.seed, epoch << 32)
        self._order = generator.permutation(len(self.dataset))
        self._mirrored = coins(len(self.dataset), generator) if self.dataset.flip else None
        self.epoch, self.position = epoch, 0


def as_seen(dataset: InOneOrder, indices: Any, rng: Any) -> np.ndarray | tuple[np.ndarray, ...]:
    """The samples at `indices` as training may see them: of a dataset with `flip`, mirrored by chance."""
    samples = dataset.batch(indices)
    arrays = samples if isinstance(samples, tuple) else (samples,)
    if dataset.flip:
        which = coins(len(arrays[0]), rng)
        for images in arrays:
            mirror(images, which)
    return samples


def coins(n: int, rng: Any) -> np.ndarray:
    """n Booleans, each true with probability 1/2."""
    return rng.integers(0, 2, n).astype(bool)


def mirror(images: np.ndarray, which: np.ndarray) -> None:
    """Exchange left and right of images (N, C, H, W) at `which`, in place."""
    images[which] = images[which][..., ::-1]
