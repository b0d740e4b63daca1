"""Files that are whole or not there: written aside, brought to disk, then renamed into place."""

import io
import os
from pathlib import Path

import numpy as np


def write_atomically(path: Path, content: bytes):
    """Write `content` to `path`, replacing what was there only once all of it is on disk.

    OSError if that fails, e.g. on a full disk; then `path` is as it was.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(aside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_npz(path: Path, **arrays: np.ndarray):
    """The same for arrays under their names, as numpy.load reads them."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_atomically(path, buffer.getvalue())


def _sync_folder(folder: Path):
    """Bring the rename itself to disk, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
