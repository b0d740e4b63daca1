"""A folder of the user's own images."""

import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from minigan.errors import MiniganError
from minigan_kernels import num_threads

from . import kept
from .dataset import Dataset, check_size
from .pictures import read_picture
from .waiting import counted
from .walk import Found, walk

SIZE = 64  # of pictures, by default
KEPT_FROM = 8 << 20  # bytes of files that take about a second to decode: from there on the result is kept
BLOCK = 1 << 25  # bytes of decoded pictures at once
NAMED = 3  # damaged files


def load_folder(path: str | Path, size: int | None = None, channels: int | None = None) -> Dataset:
    """Every image in the folder `path` and below it (see `walk`), cut to a centred square and resized; what
    each shows is decided in `pictures`.

    Gives uint8 (N, C, size, size) in the order of the sorted paths. size: by default 64. channels: C, 1 for
    grey or 3 for colour; by default 1 when all images are grey, else 3.
    Where all the images are in sub-folders, each sub-folder of `path` is a class, in sorted order.
    More than a few images are decoded once and kept (see `kept`): then `samples` are a file mapped into
    memory, of which a batch reads what it needs. What was passed over is told on the standard error.
    MiniganError for a missing folder, one that cannot be read or has no images, damaged images, or a size
    below 1.
    """
    found = Pictures.below(existing(path))
    return Dataset(
        f"folder:{path}",
        found.decoded(size, channels),
        labels_of([picture.parts for picture in found.pictures]),
    )


def existing(path: str | Path) -> Path:
    """The folder `path`. MiniganError if there is none."""
    root = Path(path).expanduser()
    if not root.is_dir():
        raise MiniganError(f"there is no folder {root}")
    return root


@dataclass(frozen=True)
class Pictures:
    """Pictures in the folder `root` and below it, and what is to be said of the others there.

    read(file, size, channels): as `read_picture`; the picture, or what is taken of it.
    part: a word for that in the names of the files that are kept.
    """

    root: Path
    pictures: list[Found]
    said: list[str]
    read: Callable[..., tuple[np.ndarray, set[str]]] = read_picture
    part: str = ""

    @classmethod
    def below(cls, root: Path) -> "Pictures":
        """All of a folder. MiniganError if there are none, or it cannot be read."""
        pictures, said = walk(root)
        if not pictures:
            raise MiniganError("; ".join([f"the folder {root} has no images", *said]))
        return cls(root, pictures, said)

    def file(self, picture: Found) -> Path:
        """Where a picture is."""
        return self.root.joinpath(*picture.parts)

    def decoded(self, size: int | None = None, channels: int | None = None) -> np.ndarray:
        """uint8 (N, C, size, size), as `load_folder` has them."""
        size = SIZE if size is None else size
        check_size(size)
        if channels not in (None, 1, 3):
            raise MiniganError(
                f"images have 1 channel, for grey, or 3, for colour; got channels = {channels}"
            )
        decode = partial(_decoded, self, size, channels)
        if not self.are_many:
            return kept.in_memory(decode(), len(self.pictures), channels)
        return kept.decoded_once(self.root, self.pictures, size, channels, self.part, decode, say)

    @property
    def are_many(self) -> bool:
        """Whether they take long to decode."""
        return sum(picture.size for picture in self.pictures) >= KEPT_FROM


def labels_of(paths: list[tuple[str, ...]]) -> np.ndarray | None:
    """The class of each of the files or folders below a folder, by the names on the way to it; None where
    some are in the folder itself."""
    if any(len(parts) <= 1 for parts in paths):
        return None
    names = [parts[0] for parts in paths]
    number = {name: i for i, name in enumerate(sorted(set(names)))}
    return np.array([number[name] for name in names])


def _decoded(found: Pictures, size: int, channels: int | None) -> Iterator[np.ndarray]:
    """The pictures in blocks (n, 3, size, size), grey ones in three equal channels; (n, 1, ...) for
    channels = 1. MiniganError at the end if some are damaged."""
    pictures, damaged = found.pictures, []
    noted: dict[str, Any] = {}
    part = found.part and f", {found.part}"

    def decode(picture):
        try:
            return found.read(found.file(picture), size, channels)
        except MiniganError as error:
            return error

    with (
        warnings.catch_warnings(),
        ThreadPoolExecutor(num_threads()) as pool,
        counted(f"decoding the pictures in {found.root}{part}", len(pictures), found.are_many) as report,
    ):
        warnings.simplefilter("ignore")  # Pillow's, of one picture in thousands, do not say which
        step = max(num_threads(), min(512, BLOCK // ((channels or 3) * size * size)))
        for start in range(0, len(pictures), step):
            block = np.empty((min(step, len(pictures) - start), channels or 3, size, size), np.uint8)
            for i, read in enumerate(pool.map(decode, pictures[start : start + step])):
                if isinstance(read, MiniganError):
                    damaged.append((found.file(pictures[start + i]), read))
                    continue
                block[i], notes = read
                for note in notes:
                    noted.setdefault(note, []).append(pictures[start + i])
            report(start + len(block))
            yield block
    if damaged:
        raise MiniganError(refusal(damaged, len(pictures), "pictures"))
    for sentence in found.said:
        say(sentence)
    for note, those in noted.items():
        first = found.file(those[0])
        say(f"{len(those):,} of the {len(pictures):,} pictures have {note}; the first is {first}")


def refusal(damaged: list[tuple[Path, MiniganError]], total: int, what: str) -> str:
    """A sentence that these files of `total` cannot be used, the first with its reason. what: what they are
    called."""
    (_, first), *others = damaged
    if not others:
        return str(first)
    names = ", ".join(str(file) for file, _ in others[:NAMED])
    more = f" and {len(others) - NAMED:,} more" if len(others) > NAMED else ""
    return f"{len(damaged):,} of the {total:,} {what} cannot be used: {first}; so are {names}{more}"


@cache
def say(sentence: str) -> None:
    """Print a sentence on the standard error, once a process: a run loads its data several times."""
    print(sentence, file=sys.stderr)
