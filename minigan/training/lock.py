"""Locks that the system takes back when their holder ends, however that happens."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from minigan.errors import MiniganError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextlib.contextmanager
def alone_in(folder: Path):
    """Inside the block no other process is inside one of its own for the same run folder.

    MiniganError with the other's process id if there is one; OSError if the folder cannot be written.
    """
    with locked(folder / "lock", lambda pid: f"{folder} is in use by process {pid}"):
        yield


@contextlib.contextmanager
def locked(path: Path, taken: Callable[[str], str]) -> Iterator[TextIO | None]:
    """Hold the lock file `path`, which then has our process id in it; gives the open file, and processes that
    inherit it hold the lock, too. On Windows it gives None, and the lock is our own.

    taken: what to say, given the process id in the file, if others hold it: the message of a MiniganError.
    """
    if fcntl is None:
        with _locked_by_filelock(path, taken):
            yield None
        return
    with open(path, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise MiniganError(taken(file.read().strip())) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield file


@contextlib.contextmanager
def _locked_by_filelock(path, taken):
    """By a file beside it: one that is locked cannot be read there."""
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_name(f"{path.name}.held"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise MiniganError(taken(path.read_text(encoding="utf-8").strip())) from None
    try:
        path.write_text(f"{os.getpid()}\n", encoding="utf-8")
        yield
    finally:
        lock.release()
