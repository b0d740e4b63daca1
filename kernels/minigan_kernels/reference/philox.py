"""Philox 4x32-10: random numbers as a function of a key and a counter.

Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 4.
Ten rounds of multiply, swap and xor turn a 128-bit counter into 128 random bits. Nothing is
carried from one block to the next, so any engine can make any part of the stream by itself.
"""

import numpy as np

ROUNDS = 10
MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL = 0x9E3779B9, 0xBB67AE85  # golden ratio and sqrt(3) - 1, added to the key each round
LOW = np.uint64(0xFFFFFFFF)
WORD = np.uint64(32)


def philox(key, counter, n, xp=np):
    """`n` random 32-bit words of module `xp`, as uint32: those of the blocks counter, counter + 1, ...

    key, counter: integers below 2**64; the counter may be an array of one uint64, as on a GPU. Block i
    holds the words 4i to 4i + 3.
    """
    first = np.uint64(counter) if isinstance(counter, int) else counter
    blocks = xp.arange(-(-n // 4), dtype=np.uint64) + first
    zero = xp.zeros_like(blocks)
    c0, c1, c2, c3 = rounds(blocks & LOW, blocks >> WORD, zero, zero, key & 0xFFFFFFFF, key >> 32)
    return xp.stack([c0, c1, c2, c3], axis=1).astype(np.uint32).reshape(-1)[:n]


def rounds(c0, c1, c2, c3, k0, k1):
    """The bijection itself. c0..c3: uint64 arrays of 32-bit words; k0, k1: integers below 2**32."""
    for _ in range(ROUNDS):
        p0, p1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            (p1 >> WORD) ^ c1 ^ np.uint64(k0),
            p1 & LOW,
            (p0 >> WORD) ^ c3 ^ np.uint64(k1),
            p0 & LOW,
        )
        k0, k1 = (k0 + WEYL[0]) & 0xFFFFFFFF, (k1 + WEYL[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3


def uniform(key, counter, n, dtype, xp=np):
    """`n` numbers in [0, 1) of module `xp`: the top 24 bits of a word for float32, of 53 in two words for
    float64; the same on every engine."""
    if np.dtype(dtype) == np.float32:
        return (philox(key, counter, n, xp) >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)
    words = philox(key, counter, 2 * n, xp).astype(np.uint64)
    return ((words[0::2] << np.uint64(21)) | (words[1::2] >> np.uint64(11))).astype(np.float64) * 2.0**-53


def normal(key, counter, n, dtype, xp=np):
    """`n` standard normal numbers of module `xp`, made from the words of Philox's blocks from `counter`
    on.

    By Box and Muller (1958): two from each pair of uniforms. The pair is made in float64, so that float32
    numbers differ between engines by rounding alone.
    """
    pairs = -(-n // 2)
    if np.dtype(dtype) == np.float32:
        u = philox(key, counter, 2 * pairs, xp).astype(np.float64) * 2.0**-32
    else:
        u = uniform(key, counter, 2 * pairs, np.float64, xp)
    radius = xp.sqrt(-2.0 * xp.log1p(-u[0::2]))  # 1 - u lies in (0, 1]: the logarithm is finite
    angle = (2.0 * np.pi) * u[1::2]
    return xp.stack([radius * xp.cos(angle), radius * xp.sin(angle)], axis=1).reshape(-1)[:n].astype(dtype)
