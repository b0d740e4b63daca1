"""Convolutions with 1 to 4 channels on one side, launched: see `ends.cu`."""

import numpy as np

from . import tiles
from .launch import SHARED_LIMIT, Source

ENDS = Source("ends.cu")
SOURCES = [ENDS]

THREADS, LANES, PIXELS = 128, 8, 4  # as in ends.cu
MOST_FEW = 4
BLOCKS = 8  # a multiprocessor; each reads the filters once
WORTH = 64  # pixels for each multiprocessor, below which to_few leaves most of the GPU idle


def fits(few, many, taps, groups):
    """Whether there are so few channels, and the filters lie in shared memory whole."""
    return groups == 1 and few <= MOST_FEW and taps * few * _fours(many) * 16 <= SHARED_LIMIT


def worth(result):
    """Whether `result` (N, C, H, W) has pixels for all multiprocessors: to_few splits no sums."""
    return result.size // result.shape[1] >= WORTH * tiles.card(result)[0]


def to_few(source, w, result, geometry, adjoint):
    """conv2d, or conv2d_input if `adjoint`, from many channels to few; all arrays (N, H, W, C)."""
    pixels = result.size // result.shape[3]
    vector = tiles.aligned(source, source.shape[3])
    _launch("to_few", -(-pixels // (THREADS // LANES)), source, w, result, geometry, adjoint, vector)


def from_few(source, w, result, geometry, adjoint):
    """conv2d, or conv2d_input if `adjoint`, from few channels to many; all arrays (N, H, W, C)."""
    pixels, channels = result.size // result.shape[3], result.shape[3]
    blocks = -(-(-(-pixels // PIXELS) * _fours(channels)) // THREADS)
    vector = tiles.aligned(result, channels)
    _launch("from_few", blocks, source, w, result, geometry, adjoint, vector)


def _launch(kernel, blocks, source, w, result, geometry, adjoint, vector):
    few_are_outputs = (kernel == "to_few") != adjoint  # the O channels of w (O, KH, KW, C)
    few, many = (w.shape[0], w.shape[3]) if few_are_outputs else (w.shape[3], w.shape[0])
    phases = geometry[9] * geometry[10] if adjoint else 1  # SH SW
    blocks = max(1, min(blocks, BLOCKS * tiles.card(result)[0]) // phases)
    ENDS.launch(
        kernel,
        (blocks, phases),
        THREADS,
        *(source, w, result),
        *map(np.int32, geometry),
        *(np.int32(adjoint), np.int32(vector)),
        shared=w.shape[1] * w.shape[2] * few * _fours(many) * 16,
    )


def _fours(channels):
    return -(-channels // 4)
