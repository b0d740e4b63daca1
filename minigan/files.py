"""Files that are whole or not there: written aside, brought to disk, then renamed into place."""

import io
import os
import re
from pathlib import Path

import numpy as np

ASIDE = re.compile(r"\..+\.\d+")  # .NAME.PID


def write_atomically(path: Path, content: bytes):
    """Write `content` to `path`, replacing what was there only once all of it is on disk.

    OSError if that fails, e.g. on a full disk; then `path` is as it was.
    """
    write_together({path: content})


def write_together(contents: dict[Path, bytes]):
    """The same for several files of one folder, which are renamed in their order once all are on disk."""
    asides = {path: path.with_name(f".{path.name}.{os.getpid()}") for path in contents}
    try:
        for path, content in contents.items():
            with open(asides[path], "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for path, aside in asides.items():
            os.replace(aside, path)
    except BaseException:
        for aside in asides.values():
            aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove_leftovers(folder: Path):
    """Remove what killed processes wrote aside in `folder` and never renamed. Nobody else may write there."""
    for aside in folder.glob(".*"):
        if ASIDE.fullmatch(aside.name):
            aside.unlink(missing_ok=True)


def write_npz(path: Path, **arrays: np.ndarray):
    """The same for arrays under their names, as numpy.load reads them."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_atomically(path, buffer.getvalue())


def sync_folder(folder: Path):
    """Bring the rename itself to disk, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
