"""The files of a folder and of all below it, by rules that end and leave nothing out unsaid."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from minigan.errors import MiniganError

from .pictures import begins_as_picture, has_picture_name


@dataclass(frozen=True)
class Wanted:
    """Files of a sort. what: what one is called. named(name): whether a file is named like one. begins(path):
    whether it begins like one; OSError if it cannot be read."""

    what: str
    named: Callable[[str], bool]
    begins: Callable[[str], bool]


PICTURES = Wanted("picture", has_picture_name, begins_as_picture)


class Found(NamedTuple):
    """A file: the names on the way to it from the folder, its size in bytes, when it was last changed in
    nanoseconds."""

    parts: tuple[str, ...]
    size: int
    changed: int


def walk(root: Path, wanted: Wanted = PICTURES) -> tuple[list[Found], list[str]]:
    """(the wanted files in the folder `root` and below it, in the order of their sorted paths; sentences on
    what was passed over).

    One is a regular file that is named like one, or begins like one. Names that begin with a dot are
    passed over without a word. Links are followed, but a folder is read once, however many lead to it: as
    itself, if it is below `root`.
    MiniganError for a folder or a file that may not be read.
    """
    found, strange, twice = [], [], []
    seen: set = set()
    links: list[tuple[str, ...]] = [()]  # `root` itself is the first way that is followed
    while links:
        way = links.pop(0)
        if not _is_new(root.joinpath(*way), seen):
            twice.append("/".join(way))
            continue
        folders = [way]
        while folders:
            parts = folders.pop()
            for entry in _entries(root.joinpath(*parts)):
                inside = (*parts, entry.name)
                if _is_folder(entry):
                    if entry.is_symlink():
                        links.append(inside)
                    elif _is_new(entry, seen):
                        folders.append(inside)
                    else:  # a link led to a folder that has it
                        twice.append("/".join(inside))
                elif status := _status(entry, wanted):
                    found.append(Found(inside, status.st_size, status.st_mtime_ns))
                else:
                    strange.append(inside)
        links.sort()
    said = []
    if strange:
        these = f"{len(strange):,} files that are" if len(strange) > 1 else "1 file that is"
        said.append(f"{these} no {wanted.what} passed over, the first {root.joinpath(*min(strange))}")
    if twice:
        said.append(f"{root / twice[0]} leads to a folder that is read already, and is passed over")
    return sorted(found), said


def _entries(folder):
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise MiniganError(f"the folder {folder} cannot be read: {error.strerror or error}") from error


def _is_new(folder, seen):
    """Whether `folder` is met for the first time."""
    try:
        status = os.stat(folder)
    except OSError as error:
        raise MiniganError(f"the folder {Path(folder)} cannot be read: {error.strerror or error}") from error
    place = status.st_dev, status.st_ino
    before = len(seen)
    seen.add(place)
    return len(seen) > before


def _is_folder(entry):
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, say; `_status` tells
        return False


def _status(entry, wanted):
    """The status of the file that `entry` is; None if it is not wanted."""
    try:
        status = entry.stat()
        regular = stat.S_ISREG(status.st_mode)
        return status if regular and (wanted.named(entry.name) or wanted.begins(entry.path)) else None
    except OSError as error:
        if not wanted.named(entry.name) and not isinstance(error, PermissionError):  # a broken link
            return None
        raise MiniganError(f"{entry.path} cannot be read: {error.strerror or error}") from error
