"""The kinds of fields: the shape of one sample of each, how samples are stored, and as what they are given
out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LOUDEST = 32768  # of a sound, stored as 16-bit PCM


@dataclass(frozen=True)
class Kind:
    """axes: those of one sample, a letter each, or the number that it has. stored: the dtype of samples as
    they are stored; given: what makes of stored samples (N, *shape) those that networks take. Neither of a
    kind that is no sample itself. in_words: whether samples are numbers of words."""

    axes: tuple[str | int, ...]
    stored: str = ""
    given: Callable[[np.ndarray], np.ndarray] | None = None
    in_words: bool = False

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether a sample may have the shape."""
        return len(self.axes) == len(shape) and all(
            axis == side for axis, side in zip(self.axes, shape, strict=True) if isinstance(axis, int)
        )

    @property
    def array(self) -> str:
        """What an array of samples is, in words: "uint8 (N, C, H, W)"."""
        return f"{self.stored} (N, {', '.join(map(str, self.axes))})"


def from_pixels(stored: np.ndarray) -> np.ndarray:
    """Pixels (..., C, H, W) from 0 to 255 as float32 in [-1, 1], channels-last in memory, the order that
    convolutions work in."""
    pixels = np.moveaxis(stored, -3, -1).astype(np.float32, order="C")
    pixels /= 127.5
    pixels -= 1
    return np.moveaxis(pixels, -1, -3)


def from_pcm(stored: np.ndarray) -> np.ndarray:
    """Sounds of 16 bits as float32 in [-1, 1)."""
    return stored.astype(np.float32) / np.float32(LOUDEST)


def as_floats(stored: np.ndarray) -> np.ndarray:
    """Numbers as float32."""
    return stored.astype(np.float32)


def as_words(stored: np.ndarray) -> np.ndarray:
    """Numbers of words as int64."""
    return stored.astype(np.int64)


KINDS = {
    "image": Kind(("C", "H", "W"), "uint8", from_pixels),
    "clip": Kind(("T", "C", "H", "W"), "uint8", from_pixels),
    "point": Kind((2,), "float32", as_floats),
    "sound": Kind((1, "L"), "int16", from_pcm),
    "text": Kind(("L",), "uint8", as_words, in_words=True),
    "melody": Kind(("L",), "uint8", as_words, in_words=True),
    "label": Kind(()),
    "factors": Kind(("k",)),
}
SAMPLES = tuple(name for name, kind in KINDS.items() if kind.stored)  # that something is a sample of
TOLD = "text", "label", "factors"  # what may be known of a sample beside it, in the order of a batch


def kind_of_samples(samples: np.ndarray) -> str | None:
    """The kind of samples (N, *shape) that their dtype and shape tell; None where these tell nothing. Texts
    and melodies look alike, so these have to be named."""
    for name, kind in KINDS.items():
        if kind.stored == samples.dtype and kind.fits(samples.shape[1:]) and not kind.in_words:
            return name
    return None


def spelled(numbers: np.ndarray, words: tuple[str, ...]) -> str:
    """The text of numbers of words (L,): words of one character follow each other, others with a space
    between; the first word fills up, and is left out."""
    found = [words[i] for i in numbers if words[i]]
    return ("" if max(map(len, words)) == 1 else " ").join(found)


def plural(kind: str) -> str:
    """What several samples of a kind are called."""
    return "melodies" if kind == "melody" else f"{kind}s"


def has_size(kind: str) -> bool:
    """Whether data of this kind are pictures, or made of pictures, which can be had at another size."""
    return kind not in KINDS or KINDS[kind].axes[-2:] == ("H", "W")
