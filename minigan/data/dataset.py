"""A dataset: its samples, stored small, in memory or on disk, given out as the batches that networks take."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from minigan.backend import Device, plain
from minigan.checks import flag, integer, shown
from minigan.data.batches import Batches
from minigan.data.fields import Field, Fields, check_rate, check_values, check_words
from minigan.data.kinds import KINDS, SAMPLES, has_size, kind_of_samples, plural
from minigan.errors import MiniganError, did_you_mean

READ = 1 << 24  # numbers at once, where all samples are read: 64 MB of floats


@dataclass(eq=False)
class Dataset:
    """Samples of one kind, with or without what is known of each: a text, a label, factors that it came from.

    samples: uint8 (N, C, H, W) images; uint8 (N, T, C, H, W) clips; float32 (N, 2) points of the plane; int16
        (N, 1, L) sounds; uint8 (N, L) texts or melodies, the numbers of their words. They may be mapped from
        a file, and only what is asked for is read.
    labels: int64 (N,) class of each sample counted from 0, or None.
    rows: int64 (M,), which of the samples are the dataset's, in this order; by default all. Labels are of
        these.
    factors: int64 (N, k), the number of the value that each factor has, counted from 0, or -1 where it is not
        known; or None. values: the names of the k factors, each with how many values it has.
    flip: whether the mirror image of each image is one of the data, too, as likely as itself. Then `Batches`
        have either; all else here is of the images as they are stored.
    kind: "image", "clip", "point", "sound", "text" or "melody"; only the last two need to be named.
    words: of texts or melodies, the words that they are made of, see `Field`. rate: of sounds, in numbers a
        second.
    text: uint8 (N, L), what is said of each sample, in `text_words`; or None.
    MiniganError for samples of any other shape or dtype, when there are not as many labels, factors or texts,
    for numbers that are those of no word, and for anything but images without known factors that is to be
    mirrored.
    """

    name: str
    samples: np.ndarray = field(repr=False)
    labels: np.ndarray | None = field(default=None, repr=False)
    rows: np.ndarray | None = field(default=None, repr=False)
    flip: bool = field(default=False, repr=False)
    factors: np.ndarray | None = field(default=None, repr=False)
    values: Mapping[str, int] = field(default_factory=dict, repr=False)
    kind: str = field(default="", kw_only=True, repr=False)
    words: tuple[str, ...] = field(default=(), kw_only=True, repr=False)
    rate: int = field(default=0, kw_only=True, repr=False)
    text: np.ndarray | None = field(default=None, kw_only=True, repr=False)
    text_words: tuple[str, ...] = field(default=(), kw_only=True, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"Dataset: name must be a text, got {shown(self.name)}")
        flag("Dataset", "flip", self.flip)
        arrays = {name: getattr(self, name) for name in ("samples", "labels", "rows", "factors", "text")}
        for name, array in arrays.items():
            if not isinstance(array, np.ndarray) and not (name != "samples" and array is None):
                raise TypeError(f"Dataset: {name} must be a NumPy array, got {shown(array)}")
        check_values("Dataset", self.values)
        self.samples, self.labels, self.text = map(plain, (self.samples, self.labels, self.text))
        self.kind = self._kind()
        check_words(self.name, self.kind, self.words)
        check_rate(self.name, self.kind, self.rate)
        if self.words:
            check_numbers(f"{self.name}: samples", self.samples, self.words)
        if self.rows is not None:
            n = len(self.samples)
            if self.rows.dtype.kind not in "iu" or self.rows.ndim != 1:
                raise MiniganError(
                    f"{self.name}: rows are integers (M,), not {self.rows.dtype} {self.rows.shape}"
                )
            strange = self.rows[(self.rows < 0) | (self.rows >= n)]
            if len(strange):
                raise MiniganError(f"{self.name}: rows are of its {n} samples, got {strange[0]}")
        if self.labels is not None:
            if self.labels.shape != (len(self),):
                raise MiniganError(f"{self.name} has {len(self)} samples but {len(self.labels)} labels")
            if self.labels.dtype.kind not in "iu" or self.labels.min(initial=0) < 0:
                found = f"{self.labels.dtype} from {self.labels.min(initial=0)}"
                raise MiniganError(f"{self.name}: labels are integers from 0 on, not {found}")
            self.labels = self.labels.astype(np.int64)
        if self.factors is not None:
            self.factors = factors_of(self.name, self.factors, self.values, len(self))
        if self.text is not None:
            check_words(self.name, "text", self.text_words, "text_words")
            if self.text.dtype != np.uint8 or self.text.ndim != 2 or len(self.text) != len(self):
                raise MiniganError(
                    f"{self.name}: text is uint8 ({len(self)}, L), a row for each sample, not "
                    f"{self.text.dtype} {self.text.shape}"
                )
            check_numbers(f"{self.name}: text", self.text, self.text_words)
        if self.flip and self.kind != "image":
            raise MiniganError(f"{self.name} is made of {plural(self.kind)}, which have no mirror images")
        if self.flip and (self.factors is not None or self.text is not None):
            raise MiniganError(f"{self.name} cannot be mirrored: what is known of the images would be wrong")

    def _kind(self):
        """What the samples are, as their dtype and shape have it, or as it is said of these."""
        if not isinstance(self.kind, str):
            raise TypeError(f"Dataset: kind must be a text, got {shown(self.kind)}")
        if self.kind and self.kind not in SAMPLES:
            raise MiniganError(
                f"{self.name}: kind is unknown, {self.kind!r}; {did_you_mean(self.kind, SAMPLES)}"
            )
        shape, dtype = self.samples.shape, self.samples.dtype
        found = kind_of_samples(self.samples)
        if self.kind and KINDS[self.kind].in_words and dtype == np.uint8 and len(shape) == 2:
            found = self.kind
        if found is None or (self.kind and self.kind != found):
            these = [KINDS[name] for name in SAMPLES if name == (self.kind or name)]
            wanted = " or ".join(dict.fromkeys(kind.array for kind in these))
            raise MiniganError(f"{self.name}: samples are {wanted}, not {dtype} {shape}")
        return found

    def __len__(self) -> int:
        return len(self.samples if self.rows is None else self.rows)

    @property
    def fields(self) -> Fields:
        """What each sample has: what it is, by its kind, then "text", "label" and "factors" if there are
        any."""
        fields = {self.kind: Field(self.kind, self.shape, words=self.words, rate=self.rate)}
        if self.text is not None:
            fields["text"] = Field("text", self.text.shape[1:], words=self.text_words)
        if self.labels is not None:
            fields["label"] = Field("label", (), self.classes)
        if self.factors is not None:
            fields["factors"] = Field("factors", (len(self.values),), values=self.values)
        return Fields(fields)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample: (C, H, W) of an image, say."""
        return self.samples.shape[1:]

    @property
    def classes(self) -> int:
        """The number of classes; 0 without labels."""
        return 0 if self.labels is None else int(self.labels.max(initial=-1)) + 1

    @property
    def lowest(self) -> float:
        """The darkest pixel of all images as `batch` gives them, -1 at the least; of other samples, -1."""
        if self.kind != "image":
            return -1.0
        lowest = 255
        for block in self.blocks():
            lowest = min(lowest, int(block.min()))
            if lowest == 0:
                break
        return lowest / 127.5 - 1

    def batches(
        self,
        batch_size: int,
        seed: int = 0,
        labels: bool = False,
        device: str | Device = "cpu",
        factors: bool = False,
        text: bool = False,
    ) -> Batches:
        """Endless shuffled batches, (batch_size, *shape) arrays on `device`; with `labels`, `factors` or
        `text`, tuples of one and these. MiniganError for a batch size that does not fit, or labels, factors
        or a text it lacks; see `Batches`."""
        return Batches(self, batch_size, seed, labels, device, factors, text)

    def scaled_factors(self, indices: Any) -> np.ndarray:
        """The factors of the samples at `indices`, float32 (n, k): from 0 to 1 over the values of each, -1
        where one is not known. MiniganError without factors."""
        if self.factors is None:
            raise MiniganError(f"{self.name} has no factors")
        chosen, last = self.factors[indices], np.array([*self.values.values()]) - 1
        return np.where(chosen < 0, -1, chosen / last.clip(1)).astype(np.float32)

    def mirrored(self) -> "Dataset":
        """This dataset with `flip`: `Batches` mirror each image in half of the epochs. It shares the images.
        MiniganError for a dataset of anything else."""
        return replace(self, flip=True)

    def part(self, indices: Any) -> "Dataset":
        """The dataset of the samples at `indices` alone; it has no copy of them."""
        rows = np.arange(len(self))[indices] if self.rows is None else self.rows[indices]
        labels, factors, text = (
            of if of is None else of[indices] for of in (self.labels, self.factors, self.text)
        )
        return replace(self, rows=rows, labels=labels, factors=factors, text=text)

    def stored(self, indices: Any) -> np.ndarray:
        """The samples at `indices` as they are stored, read from where they are."""
        return self.samples[indices if self.rows is None else self.rows[indices]]

    def slices(self, start: int = 0) -> Iterator[slice]:
        """All samples from number `start` on, in slices of at most READ numbers and 5,000 samples."""
        step = max(1, min(5000, READ // math.prod(self.shape)))
        return (slice(first, first + step) for first in range(start, len(self), step))

    def blocks(self) -> Iterator[np.ndarray]:
        """All samples as they are stored, a slice at a time."""
        return map(self.stored, self.slices())

    def batch(self, indices: Any) -> np.ndarray:
        """The samples at `indices` as networks take them: images and clips in float32 with 0..255 mapped to
        [-1, 1], sounds with 16 bits mapped there, points as they are, numbers of words as int64.

        Pixels are channels-last in memory, the order that convolutions work in.
        """
        return KINDS[self.kind].given(self.stored(indices))  # type: ignore[misc]  # there is one of all samples

    def to_size(self, size: int) -> "Dataset":
        """A dataset of these images or clips, `size` pixels high and wide.

        Those at most 4 pixels too small get a black border, others are resized (bicubic).
        MiniganError for a size below 1, and for a dataset of anything else.
        """
        check_size(size)
        if not has_size(self.kind):
            made_of = plural(self.kind)
            raise MiniganError(f"{self.name} is made of {made_of}, which have no size; got size {size}")
        missing = [size - side for side in self.shape[-2:]]
        if not any(missing):
            return self
        fits = all(0 <= pixels <= 4 for pixels in missing)
        return replace(self, samples=_pad(self.samples, missing) if fits else _resize(self.samples, size))


@dataclass(eq=False)
class Drawn(Dataset):
    """Images or clips that are drawn anew where another size is asked for, not resized.

    draw(size): the samples at that size, uint8 (N, ..., C, size, size).
    """

    draw: Callable[[int], np.ndarray] = field(kw_only=True, repr=False)

    def to_size(self, size: int) -> "Drawn":
        """A dataset of these, drawn anew `size` pixels high and wide. MiniganError for a size they cannot
        have."""
        check_size(size)
        return self if self.shape[-2:] == (size, size) else replace(self, samples=self.draw(size))


def factors_of(name: str, factors: np.ndarray, values: Mapping[str, int], n: int) -> np.ndarray:
    """int64 (n, k), the factors of a dataset. MiniganError for any others."""
    if factors.shape != (n, len(values)) or factors.dtype.kind not in "iu":
        raise MiniganError(
            f"{name}: factors are integers ({n}, {len(values)}), a row for each sample and a column for each "
            f"of values, not {factors.dtype} {factors.shape}"
        )
    for (factor, count), column in zip(values.items(), factors.T, strict=True):
        strange = column[(column < -1) | (column >= count)]
        if len(strange):
            raise MiniganError(
                f"{name}: factors are wrong: the values of {factor} are 0 to {count - 1}, got {strange[0]}"
            )
    return plain(factors).astype(np.int64)


def check_numbers(who: str, numbers: np.ndarray, words: tuple[str, ...]) -> None:
    """MiniganError unless all numbers are those of words."""
    if (most := int(numbers.max(initial=0))) >= len(words):
        raise MiniganError(f"{who} are numbers of {len(words)} words, from 0 to {len(words) - 1}, got {most}")


def check_size(size: int) -> None:
    """MiniganError unless an image can be `size` pixels wide."""
    if integer("to_size", "size", size) < 1:
        raise MiniganError(f"the size of an image must be at least 1 pixel, got {size}")


def _pad(images, missing):
    border = [(pixels // 2, pixels - pixels // 2) for pixels in missing]
    return np.pad(images, [(0, 0)] * (images.ndim - 2) + border)


def _resize(images, size):
    from PIL import Image

    planes = images.reshape(-1, *images.shape[-2:])
    resized = np.empty((len(planes), size, size), np.uint8)
    for plane, target in zip(planes, resized, strict=True):
        target[:] = Image.fromarray(plane).resize((size, size), Image.Resampling.BICUBIC)
    return resized.reshape(*images.shape[:-2], size, size)
