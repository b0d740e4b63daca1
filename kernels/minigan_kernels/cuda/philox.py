"""Random words and numbers from Philox: one launch each, and the host need not know the counter."""

import numpy as np

from ..reference import philox as reference
from .grids import THREADS, blocks_for
from .launch import Source, known_or_counted

PHILOX = Source("philox.cu")
SOURCES = [PHILOX]


def philox(key, counter, n, xp=np):
    """`n` random 32-bit words of module `xp`, as uint32: those of the blocks counter, counter + 1, ..."""
    return _fill("philox", xp.empty(n, np.uint32), key, counter)


def uniform(key, counter, n, dtype, xp=np):
    """`n` numbers in [0, 1) of module `xp`: the top 24 bits of a word for float32, of 53 in two words for
    float64; the same on every engine.

    float64 is made by `reference`.
    """
    if np.dtype(dtype) != np.float32:
        return reference.uniform(key, counter, n, dtype, xp)
    return _fill("uniform", xp.empty(n, np.float32), key, counter)


def normal(key, counter, n, dtype, xp=np):
    """`n` standard normal numbers of module `xp`, made from the words of Philox's blocks from `counter`
    on.

    As `reference` makes them, to the last rounding; float64 is made there.
    """
    if np.dtype(dtype) != np.float32:
        return reference.normal(key, counter, n, dtype, xp)
    return _fill("normal", xp.empty(n, np.float32), key, counter)


def _fill(kernel, out, key, counter):
    known, counted = known_or_counted(f"{kernel}: a counter", counter, np.uint64)
    n, key = np.int64(out.size), np.uint64(key)
    PHILOX.launch(kernel, blocks_for(out.size, 4), THREADS, out, n, key, known, counted)
    return out
