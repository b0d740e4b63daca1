"""Decoded pictures in the user's cache: each folder is decoded once, and mapped into memory from then on.

A file is a .npy of uint8 (N, C, size, size), in the folder `pictures` of the cache. It is found by the names,
sizes and times of the pictures, and by what they are decoded to; so another set of them is decoded anew. When
a file is written, those of the same folder's earlier pictures are removed, and the longest unused ones as
long as all together take more than LIMIT.
"""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigan.files import ASIDE, cache_folder, sync_folder

from .walk import Found

FORMAT = 1  # of the files, and of what `pictures` makes of a picture
LIMIT = 20 << 30  # bytes
STALE = 3600.0  # seconds since a process wrote to its file, after which it is gone
BLOCK = 1 << 25  # bytes at once

Blocks = Iterable[np.ndarray]


def decoded_once(
    root: Path,
    pictures: Sequence[Found],
    size: int,
    channels: int | None,
    part: str,
    decode: Callable[[], Blocks],
    say: Callable[[str], object],
) -> np.ndarray:
    """uint8 (N, C, size, size), read-only: the `pictures` below `root`, mapped from the cache. C is
    `channels`, by default 1 when all are grey, else 3. part: a word on what is taken of each, "" for all.

    decode(): all of them in blocks (n, `channels` or 3, size, size); called unless they are kept already.
    Where they cannot be kept, `say` is told why, and they are in memory.
    """
    path, shape = _path(root, pictures, size, channels, part), (len(pictures), channels, size, size)
    # What was decoded without a word on the channels has as many as were asked for, perhaps.
    for known in dict.fromkeys((path, _path(root, pictures, size, None, part))):
        if (samples := _mapped(known, shape)) is not None:
            return samples
    try:
        _write_all(path, decode(), (len(pictures), channels or 3, size, size), channels is None)
    except OSError as error:
        say(
            f"the decoded pictures cannot be kept in {path.parent} ({error.strerror or error}): they are "
            "held in memory, and decoded at each start"
        )
        return in_memory(decode(), len(pictures), channels)
    return _mapped(path, shape)


def in_memory(blocks: Blocks, n: int, channels: int | None) -> np.ndarray:
    """uint8 (n, C, size, size) of n pictures in blocks (n, `channels` or 3, size, size): in memory, not on
    disk. C is `channels`, by default 1 when all are grey."""
    samples: Any = None
    done = 0
    for block in blocks:
        samples = np.empty((n, *block.shape[1:]), np.uint8) if samples is None else samples
        samples[done : done + len(block)] = block
        done += len(block)
    return samples[:, :1].copy() if channels is None and _is_grey(samples) else samples


def pictures_folder() -> Path:
    """Where the files are."""
    return cache_folder() / "pictures"


def kept_bytes() -> int:
    """How much they take of the disk."""
    return sum(map(_bytes, pictures_folder().glob("*.npy")))


def _path(root, pictures, size, channels, part):
    """The file of what is decoded. Its name tells the folder, then its pictures, then what they become."""
    root = root.resolve()
    slug = re.sub("[^a-zA-Z0-9]+", "-", root.name)[:40].strip("-") or "folder"
    files = "\0".join(f"{'/'.join(parts)}\0{of} {changed}" for parts, of, changed in pictures)
    digest = hashlib.sha256(f"{FORMAT}\0{files}".encode("utf-8", "surrogatepass"))
    of_root = hashlib.sha256(os.fsencode(root)).hexdigest()
    kind = {None: "auto", 1: "grey", 3: "colour"}[channels] + (part and f".{part}")
    return pictures_folder() / f"{slug}-{of_root[:8]}-{digest.hexdigest()[:16]}-{size}-{kind}.npy"


def _mapped(path, shape):
    """What is kept in the file, None if that is nothing whole, or has another shape; in which None is any."""
    try:
        samples = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    fits = samples.ndim == 4 and all(a in (b, None) for a, b in zip(shape, samples.shape, strict=True))
    if samples.dtype != np.uint8 or not fits:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # it was used now
    return np.asarray(samples)


def _write_all(path, blocks, shape, may_be_grey):
    """Write the file, whole or not at all. OSError if the disk does not take it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _make_room(path, int(np.prod(shape)))
    with _aside(path) as aside:
        _write(aside, blocks, shape)
        if may_be_grey and _is_grey(colours := np.load(aside, mmap_mode="r")):
            with _aside(path.with_suffix(".grey")) as grey:
                _write(grey, (block[:, :1] for block in _blocks(colours)), (shape[0], 1, *shape[2:]))
                os.replace(grey, path)
        else:
            os.replace(aside, path)
    sync_folder(path.parent)
    _remove_earlier(path)


@contextlib.contextmanager
def _aside(path: Path) -> Iterator[Path]:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield aside
    finally:
        aside.unlink(missing_ok=True)


def _write(path, blocks, shape):
    with open(path, "wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(np.ascontiguousarray(block))
        file.flush()
        os.fsync(file.fileno())


def _blocks(samples):
    step = max(1, BLOCK * len(samples) // samples.nbytes)
    return (samples[start : start + step] for start in range(0, len(samples), step))


def _is_grey(samples):
    return all((block == block[:, :1]).all() for block in _blocks(samples))


def _make_room(path, needed):
    """Remove what killed processes left, and the longest unused files beyond LIMIT. OSError if there is not
    the space on the disk then."""
    for file in path.parent.glob(".*"):
        if ASIDE.fullmatch(file.name) and _age(file) > STALE:
            _remove(file)
    total = needed
    for file in sorted(path.parent.glob("*.npy"), key=_age):
        total += _bytes(file)
        if total > LIMIT:
            _remove(file)
    if shutil.disk_usage(path.parent).free < needed:
        raise OSError(errno.ENOSPC, f"{needed / 1e9:.1f} GB are not free on the disk")


def _remove_earlier(path):
    """Remove the files of the same folder as it was before."""
    folder, pictures, *_ = path.stem.rsplit("-", 3)
    for file in path.parent.glob(f"{folder}-*.npy"):
        if not file.name.startswith(f"{folder}-{pictures}-"):
            _remove(file)


def _remove(file):
    with contextlib.suppress(OSError):  # another process has removed it, or Windows has it open
        file.unlink()


def _age(file):
    with contextlib.suppress(OSError):
        return time.time() - file.stat().st_mtime
    return 0.0


def _bytes(file):
    with contextlib.suppress(OSError):
        return file.stat().st_size
    return 0
