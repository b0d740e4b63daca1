"""Normal numbers of float32 from Philox's words, in one pass: see `reference/philox.py`."""

import math

import numpy as np

from ..reference.philox import MULTIPLIERS, ROUNDS, WEYL
from ..reference.philox import normal as reference_normal
from .compiling import helper
from .threads import parallel, parts_of

LOW, WORD = np.uint64(0xFFFFFFFF), np.uint64(32)
M0, M1 = MULTIPLIERS
W0, W1 = (np.uint64(w) for w in WEYL)
COST = 16  # one number is as much work as so many entries of a pass that only adds


def normal(key, counter, n, dtype, xp=np):
    """`n` standard normal numbers of module `xp`, made from the words of Philox's blocks from `counter`
    on.

    The words are those of `reference`, the logarithm and the cosine those of another library: the last
    rounding may differ.
    """
    if xp is not np or np.dtype(dtype) != np.float32:
        return reference_normal(key, counter, n, dtype, xp)
    counter = counter.item() if isinstance(counter, np.ndarray) else counter
    z = np.empty(-(-n // 4) * 4, np.float32)
    _normal(np.uint64(key), np.uint64(counter), z, parts_of(COST * n))
    return z[:n]


@parallel
def _normal(key, counter, z, part, parts):
    """Four numbers from each block of four words."""
    blocks = len(z) // 4
    for block in range(part * blocks // parts, (part + 1) * blocks // parts):
        a, b, c, d = _words(key, counter + np.uint64(block))
        z[4 * block], z[4 * block + 1] = _pair(a, b)
        z[4 * block + 2], z[4 * block + 3] = _pair(c, d)


@helper
def _words(key, counter):
    """The four words of a block."""
    c0, c1, c2, c3 = counter & LOW, counter >> WORD, np.uint64(0), np.uint64(0)
    k0, k1 = key & LOW, key >> WORD
    for _ in range(ROUNDS):
        p0, p1 = c0 * M0, c2 * M1
        c0, c1, c2, c3 = (p1 >> WORD) ^ c1 ^ k0, p1 & LOW, (p0 >> WORD) ^ c3 ^ k1, p0 & LOW
        k0, k1 = (k0 + W0) & LOW, (k1 + W1) & LOW
    return c0, c1, c2, c3


@helper
def _pair(a, b):
    """Box and Muller: two words make two normal numbers."""
    radius = math.sqrt(-2.0 * math.log1p(-(np.float64(a) * 2.0**-32)))
    angle = 2.0 * math.pi * (np.float64(b) * 2.0**-32)
    return radius * math.cos(angle), radius * math.sin(angle)
