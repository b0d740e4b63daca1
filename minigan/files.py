"""Files that are whole or not there: written aside, brought to disk, then renamed into place."""

import io
import lzma
import os
import re
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

# What zipfile, zlib and numpy say of a damaged .npz
DAMAGED = (EOFError, KeyError, MemoryError, OverflowError, RuntimeError, SyntaxError, TypeError)
DAMAGED += (lzma.LZMAError, struct.error, zipfile.BadZipFile, zlib.error)
ASIDE = re.compile(r"\..+\.\d+")  # .NAME.PID


def write_atomically(path: Path, content: bytes):
    """Write `content` to `path`, replacing what was there only once all of it is on disk.

    OSError if that fails, e.g. on a full disk; then `path` is as it was.
    """
    write_together({path: content})


def write_together(contents: dict[Path, bytes]):
    """Write several files of one folder, {path: content}, which are renamed in their order once all are on
    disk.

    OSError if they cannot be written, e.g. on a full disk.
    """
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


def text_of(path: Path) -> str:
    """The UTF-8 text of a file, whatever the locale, with the names of files in it as this system's Python
    has them. OSError if it cannot be read, UnicodeDecodeError for other bytes."""
    content = path.read_bytes()
    content.decode()
    return os.fsdecode(content)


def bytes_of(text: str) -> bytes:
    """The bytes of a text as `text_of` reads it. UnicodeEncodeError for the name of a file that is not in
    UTF-8."""
    content = text.encode("utf-8", "surrogateescape")
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise UnicodeEncodeError("utf-8", text, 0, len(text), error.reason) from None
    return content


def sync_file(path: Path):
    """Bring what was appended to the file to disk. OSError if the disk does not take it."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def remove_leftovers(folder: Path):
    """Remove what killed processes wrote aside in `folder` and never renamed. Nobody else may write there."""
    for aside in folder.glob(".*"):
        if ASIDE.fullmatch(aside.name):
            aside.unlink(missing_ok=True)


def write_npz(path: Path, **arrays: np.ndarray):
    """Write arrays under their names to `path`, as numpy.load reads them; what was there is replaced only
    once all is on disk. OSError if that fails."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_atomically(path, buffer.getvalue())


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a .npz under their names; no code in it is run.

    OSError if the file cannot be read, ValueError if it is damaged, no .npz, or has Python objects in it.
    """
    try:
        with open(path, "rb") as content, np.load(content, allow_pickle=False) as file:
            arrays = dict(file)
    except DAMAGED as error:
        raise ValueError(str(error) or type(error).__name__) from error
    for name, a in arrays.items():
        if not isinstance(a, np.ndarray):  # numpy gives the bytes of what does not begin like one
            raise ValueError(f"{name} in it is not an array")
    return arrays


def sync_folder(folder: Path):
    """Bring the rename itself to disk, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def cache_folder() -> Path:
    """Where what can be made again is kept: MINIGAN_CACHE_DIR, or the system's folder for caches."""
    import pooch

    return Path(os.environ.get("MINIGAN_CACHE_DIR") or pooch.os_cache("minigan")).expanduser()
