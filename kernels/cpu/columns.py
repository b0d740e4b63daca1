"""Sums of the columns of a matrix, in strips: what normalisation and biases have in common.

A short loop is a slow one. So rows of few entries are taken several at a time, as a strip: column c of the
matrix is columns c, c + C, c + 2C, ... of the strips, which `fold` adds up in the end.
"""

from numba import njit

from .compiling import OPTIONS

BLOCK = 1 << 14  # entries whose sum is taken in their own dtype: 64 KiB of float32
STRIP = 256  # entries of a strip, at least


@njit(**OPTIONS)
def strip_of(C):
    """Entries of as many whole rows of C as make a strip."""
    return C * max(1, -(-STRIP // C))


@njit(**OPTIONS)
def repeat(strips, C):
    """Fill each strip with its first row of C."""
    for k in range(strips.shape[0]):
        strip = strips[k]
        for c in range(C, len(strip)):
            strip[c] = strip[c - C]


@njit(**OPTIONS)
def clear(v):
    for c in range(len(v)):
        v[c] = 0


@njit(**OPTIONS)
def copy(x, y):
    """y[:] = x, for which Numba would compile the wording of an error, of slices that differ in length."""
    for c in range(len(y)):
        y[c] = x[c]


@njit(**OPTIONS)
def add(x, y):
    for c in range(len(y)):
        y[c] += x[c]


@njit(**OPTIONS)
def fold(strip, C):
    """Add the rows of a strip onto its first."""
    first = strip[:C]
    for at in range(C, len(strip), C):
        row = strip[at : at + C]
        for c in range(len(first)):
            first[c] += row[c]
    return first


@njit(**OPTIONS)
def add_rows(x, total):
    """total[c] += Σ x[i] over entries i of column c. len(x) is a multiple of C, not of len(total)."""
    for at in range(0, len(x), len(total)):
        row = x[at : at + len(total)]
        for c in range(len(row)):
            total[c] += row[c]
