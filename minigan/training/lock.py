"""Locks that the system takes back when their holder ends, however that happens."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from minigan.errors import MiniganError


@contextlib.contextmanager
def alone_in(folder: Path, say: Callable[[str], None]):
    """Inside the block no other process is inside one of its own for the same run folder.

    Where the system has no such locks, `say` is told so. MiniganError with the other's process id if there is
    one; OSError if the folder cannot be written.
    """
    with locked(folder / "lock", lambda pid: f"{folder} is in use by process {pid}") as file:
        if file is None:
            say(f"this system has no file locks: nothing keeps a second process out of {folder}")
        yield


@contextlib.contextmanager
def locked(path: Path, taken: Callable[[str], str]) -> Iterator[TextIO | None]:
    """Hold the lock file `path`, which then has our process id in it; gives the open file, None where the
    system has no such locks. Processes that inherit it hold the lock, too.

    taken: what to say, given the process id in the file, if others hold it: the message of a MiniganError.
    """
    try:
        import fcntl
    except ImportError:
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
