"""Sums of the columns of a matrix, in strips: what normalisation and biases have in common.

A short loop is a slow one. So rows of few entries are taken several at a time, as a strip: column c of the
matrix is columns c, c + C, c + 2C, ... of the strips, which `fold` adds up in the end.

No entry of a strip gets more than 64 numbers before it goes to a sum in float64. And what is added up at
once depends on the shape alone: rows are cut into chunks, a thread takes a run of them, and their sums are
added in order. So another number of threads changes no bit.
"""

from functools import lru_cache

from .compiling import helper

BLOCK = 1 << 14  # entries whose sum is taken in their own dtype: 64 KiB of float32
STRIP = 256  # entries of a strip, at least
CHUNKS = 48  # at most: divided evenly among 2, 3, 4, 6, 8, 12, 16 or 24 threads


@lru_cache(1024)
def chunks_of(rows, entries, least=32):
    """Into how many chunks to cut so many rows, of so many entries together. Each has some work, and `least`
    rows or more, so that it is little beside them to put the chunks' sums together."""
    return max(1, min(CHUNKS, entries // 8192, max(min(8, rows // least), rows // 256)))


@lru_cache(1024)
def shares_of(lines, pixels, weights):
    """Into how many shares to split the sums of a weight gradient over so many lines of pixels: each has some
    work, few are of many weights, and many of more pixels than may be added up at once."""
    enough = min(CHUNKS, pixels // 512, max(8, (1 << 22) // max(weights, 1)))
    return max(1, min(lines, max(enough, pixels >> 15)))


@helper
def chunk_of(chunk, chunks, rows, C):
    """First and last entry of that chunk of so many rows of C."""
    return chunk * rows // chunks * C, (chunk + 1) * rows // chunks * C


@helper
def strip_of(C):
    """Entries of as many whole rows of C as make a strip."""
    return C * max(1, -(-STRIP // C))


@helper
def repeat(strips, C):
    """Fill each strip with its first row of C."""
    for k in range(strips.shape[0]):
        strip = strips[k]
        for c in range(C, len(strip)):
            strip[c] = strip[c - C]


@helper
def clear(v):
    for c in range(len(v)):
        v[c] = 0


@helper
def copy(x, y):
    """y[:] = x, for which Numba would compile the wording of an error, of slices that differ in length."""
    for c in range(len(y)):
        y[c] = x[c]


@helper
def add(x, y):
    for c in range(len(y)):
        y[c] += x[c]


@helper
def move(some, sums):
    """Add `some` to the sums, and begin anew."""
    for c in range(len(sums)):
        sums[c] += some[c]
        some[c] = 0


@helper
def fold(strip, C):
    """Add the rows of a strip onto its first: the second half onto the first, and again."""
    rows = len(strip) // C
    while rows > 1:
        half = (rows + 1) // 2
        first, second = strip[: (rows - half) * C], strip[half * C : rows * C]
        for c in range(len(first)):
            first[c] += second[c]
        rows = half
    return strip[:C]


@helper
def add_rows(x, total):
    """total[c] += Σ x[i] over entries i of column c. len(x) is a multiple of C, not of len(total)."""
    for at in range(0, len(x), len(total)):
        row = x[at : at + len(total)]
        for c in range(len(row)):
            total[c] += row[c]
