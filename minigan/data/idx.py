"""The IDX format of MNIST: a magic number, the dimensions as big-endian uint32, then the bytes."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from minigan.errors import MiniganError

UBYTE = b"\0\0\x08"  # the magic number's first three bytes; the fourth counts the dimensions
GZIP = b"\x1f\x8b"


def read_idx(path: Path, ndim: int) -> np.ndarray:
    """The unsigned bytes of an IDX file, compressed by gzip or not: a read-only uint8 array.

    MiniganError for a file that is empty, corrupt, too short or too long, that holds anything but
    unsigned bytes, or that has other than `ndim` dimensions.
    """
    content = _content(path)
    if not content:
        raise MiniganError(f"{path} is empty")
    if content[:3] != UBYTE:
        raise MiniganError(
            f"{path} is not an IDX file of unsigned bytes: it begins with 0x{content[:3].hex()}, not 0x000008"
        )
    if content[3:4] != bytes([ndim]):
        found = int.from_bytes(content[3:4])
        raise MiniganError(f"{path} should have {ndim} dimension(s), its header says {found}")
    header = 4 + 4 * ndim
    shape = [int.from_bytes(content[start : start + 4], "big") for start in range(4, header, 4)]
    expected = header + math.prod(shape)
    if len(content) != expected:
        raise MiniganError(f"{path} should have {expected} bytes (uncompressed), it has {len(content)}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _content(path):
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(GZIP) else content
    except (OSError, EOFError, zlib.error) as error:
        raise MiniganError(f"{path} cannot be read: {error}") from error
