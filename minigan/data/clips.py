"""The user's own films: animated pictures, and folders of frames, cut into clips of one length."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigan.errors import MiniganError

from . import kept
from .dataset import Dataset, check_size
from .folder import KEPT_FROM, SIZE, existing, labels_of, say
from .pictures import count_frames, read_frames
from .waiting import counted
from .walk import Found, walk

LONGEST = 16  # frames of a clip


class Film(NamedTuple):
    """parts: the names on the way to it from the folder. frames: the file of each of its frames."""

    parts: tuple[str, ...]
    frames: list[Found]


def load_clips(path: str | Path, size: int | None = None, channels: int | None = None) -> Dataset:
    """Every film in the folder `path` and below it: a picture of several frames, as an animated GIF, or all
    pictures of one frame that are in one folder, in the order of their names, in which numbers count.

    Gives uint8 clips (N, T, C, size, size): each film is cut into pieces of T frames, one after the other,
    and what is left over at its end is left out. T is 16, or what the shortest film has. size, channels: each
    frame is cut to its centred square and resized, as by `load_folder`.
    Where all films are in sub-folders, each sub-folder of `path` is a class, in sorted order.
    More than a few are decoded once and kept (see `kept`).
    MiniganError for a missing folder, or one without films, a film of a single frame, damaged pictures, or a
    size below 1.
    """
    root = existing(path)
    pictures, said = walk(root)
    films = _films(root, pictures)
    if not films:
        raise MiniganError("; ".join([f"the folder {root} has no films: no images at all", *said]))
    shortest = min(films, key=lambda film: len(film.frames))
    T = min(LONGEST, len(shortest.frames))
    if T < 2:
        raise MiniganError(
            f"a film has two frames at least, and {root.joinpath(*shortest.parts)} has 1: a GIF with several "
            "frames is a film, or a folder of pictures"
        )
    size = SIZE if size is None else size
    check_size(size)
    if channels not in (None, 1, 3):
        raise MiniganError(f"images have 1 channel, for grey, or 3, for colour; got channels = {channels}")
    pieces = [len(film.frames) // T for film in films]
    frames = [frame for film, n in zip(films, pieces, strict=True) for frame in film.frames[: n * T]]
    many = sum(picture.size for picture in pictures) >= KEPT_FROM

    def decode():
        return _decoded(root, films, T, size, channels, many)

    if many:
        pixels = kept.decoded_once(root, frames, size, channels, f"{T}-frames", decode, say)
    else:
        pixels = kept.in_memory(decode(), len(frames), channels)
    for sentence in said:
        say(sentence)
    if T < LONGEST:
        say(f"clips have {T} frames, as {root.joinpath(*shortest.parts)} has; longer films give several")
    labels = labels_of([film.parts for film in films])
    return Dataset(
        f"clips:{path}",
        pixels.reshape(-1, T, *pixels.shape[1:]),
        None if labels is None else labels.repeat(pieces),
    )


def _films(root, pictures):
    """The films among pictures, in the order of their paths."""
    found, singles = [], {}
    for picture in pictures:
        count = count_frames(root.joinpath(*picture.parts))
        if count > 1:
            found.append(Film(picture.parts, [picture] * count))
        else:
            singles.setdefault(picture.parts[:-1], []).append(picture)
    for folder, frames in singles.items():
        found.append(Film(folder, sorted(frames, key=lambda frame: _counting(frame.parts[-1]))))
    return sorted(found, key=lambda film: film.parts)


def _counting(name):
    """What puts frame9.png before frame10.png."""
    return [
        (part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", name)
    ]


def _decoded(
    root: Path, films: list[Film], T: int, size: int, channels: int | None, shown: bool
) -> Iterator[np.ndarray]:
    """The frames of all films that are in clips, a clip at a time: (T, `channels` or 3, size, size). What
    there is to say of the pictures is said at the end."""
    noted: set[str] = set()
    with counted(f"decoding the films in {root}", len(films), shown) as report:
        for done, film in enumerate(films, 1):
            whole = len(film.frames) // T * T
            frames = itertools.chain.from_iterable(
                read_frames(root.joinpath(*file.parts), len([*same]), size, channels)
                for file, same in itertools.groupby(film.frames[:whole])
            )
            for clip in zip(*[frames] * T, strict=True):
                block = np.empty((T, channels or 3, size, size), np.uint8)
                for i, (pixels, notes) in enumerate(clip):
                    block[i] = pixels
                    noted |= notes
                yield block
            report(done)
    for note in sorted(noted):
        say(f"some of the frames in {root} have {note}")
