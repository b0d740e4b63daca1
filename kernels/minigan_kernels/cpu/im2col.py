"""Convolution by patches and matrix products (as `reference/conv.py` has it), a block of pixels at a time.

The patches of a block fit in a core's cache, so they are never written to memory as a whole, and each
thread works on blocks of its own. Any geometry, any number of groups, float32 and float64.

Images are (N, H, W, C), weights (O, KH, KW, C/groups), both contiguous. float32 error against float64,
relative to the root mean square of the result: about 3e-7 over the layers of a DCGAN.
"""

import math

import numpy as np

from ..arrays import total
from .columns import add, clear, copy, shares_of
from .compiling import helper
from .gemm import gemm, product_of
from .microkernel import tile_width
from .threads import num_threads, parallel

U = np.uint64  # Numba looks for negative indices, which hides from LLVM that a loop is a vector loop
BLOCK = 1 << 16  # entries of the patches of a block: 256 KiB of float32


def conv2d(x, w, out, geometry):
    y = np.empty((len(x), *out, len(w)), x.dtype)
    _conv2d(product_of[x.dtype], x, w, y, *_numbers(geometry), min(len(x) * out[0], num_threads()))
    return y


def conv2d_input(gy, w, size, geometry):
    groups = geometry[3]
    gx = np.empty((len(gy), *size, w.shape[3] * groups), gy.dtype)
    _conv2d_input(product_of[gy.dtype], gy, w, gx, *_numbers(geometry), min(len(gy), num_threads()))
    return gx


def conv2d_weight(x, gy, kernel, geometry):
    groups = geometry[3]
    (N, OH, OW, _), taps = gy.shape, (*kernel, x.shape[3] // groups)
    O, K = gy.shape[3] // groups, math.prod(taps)
    by_taps = K * _whole(O, x.itemsize) < O * _whole(K, x.itemsize)
    count = shares_of(N * OH, N * OH * OW, K * gy.shape[3])
    shares = np.empty((count, groups, *((K, O) if by_taps else (O, K))), x.dtype)
    settings = kernel, by_taps, *_numbers(geometry)
    _conv2d_weight(product_of[x.dtype], x, gy, shares, *settings, min(count, num_threads()))
    gw = total(shares, (0,))
    return np.ascontiguousarray(gw.swapaxes(1, 2) if by_taps else gw).reshape(groups * O, *taps)


def _whole(columns, itemsize):
    """The columns that a matrix product works on, where it has so many: whole panels."""
    width = tile_width(itemsize)
    return -(-columns // width) * width


def _numbers(geometry):
    (SH, SW), (PH, PW), (DH, DW), groups = geometry
    return SH, SW, PH, PW, DH, DW, groups


@helper
def _lines_of_a_block(OW, K):
    """How many lines of OW output pixels, of patches of K entries, make a block."""
    return max(1, BLOCK // max(OW * K, 1))


@helper
def _padded_row(x, PW):
    return np.zeros((x.shape[2] + 2 * PW) * x.shape[3], x.dtype)


@helper
def _gather(x, padded, patches, first, last, group, kernel, window, OH, OW):
    """The patches of the pixels of lines first..last, (image, row) pairs counted through.

    padded: one row of the image with zeros around it, so that no tap has to ask whether it is inside.
    """
    KH, KW, CG = kernel
    SH, SW, PH, PW, DH, DW = window
    _, H, W, C = x.shape
    taps, run = (1, U(KW * CG)) if CG == C and DW == 1 else (KW, U(CG))  # neighbours here and there
    for line in range(first, last):
        for i in range(KH):
            h = line % OH * SH - PH + i * DH
            row = padded[PW * C : (PW + W) * C]
            if 0 <= h < H:
                copy(x[line // OH, h].reshape(-1), row)
            else:
                clear(row)
            for ow in range(OW):
                for j in range(taps):
                    at = U((((line - first) * OW + ow) * KH + i) * KW * CG + j * CG)
                    pixel = U((ow * SW + j * DW) * C + group * CG)
                    for c in range(run):
                        patches[at + c] = padded[pixel + c]


@helper
def _scatter(patches, padded, x, first, last, group, kernel, window, OH, OW):
    """The adjoint of `_gather`: each entry is added to the pixel that it was read from."""
    KH, KW, CG = kernel
    SH, SW, PH, PW, DH, DW = window
    _, H, W, C = x.shape
    taps, run = (1, U(KW * CG)) if CG == C and DW == 1 else (KW, U(CG))
    for line in range(first, last):
        for i in range(KH):
            h = line % OH * SH - PH + i * DH
            if not 0 <= h < H:
                continue
            clear(padded)
            for ow in range(OW):
                for j in range(taps):
                    at = U((((line - first) * OW + ow) * KH + i) * KW * CG + j * CG)
                    pixel = U((ow * SW + j * DW) * C + group * CG)
                    for c in range(run):
                        padded[pixel + c] += patches[at + c]
            row = x[line // OH, h].reshape(-1)
            add(padded[PW * C : (PW + W) * C], row)


@parallel
def _conv2d(product, x, w, y, SH, SW, PH, PW, DH, DW, groups, part, parts):
    N, OH, OW, O = y.shape
    _, KH, KW, CG = w.shape
    K, OG = KH * KW * CG, O // groups
    filters, rows = w.reshape(O, K), y.reshape(N * OH * OW, O)
    step = _lines_of_a_block(OW, K)
    start, end = part * N * OH // parts, (part + 1) * N * OH // parts
    patches, padded = np.empty((step * OW, K), x.dtype), _padded_row(x, PW)
    for first in range(start, end, step):
        last = min(end, first + step)
        for g in range(groups):
            kernel, window = (KH, KW, CG), (SH, SW, PH, PW, DH, DW)
            _gather(x, padded, patches.reshape(-1), first, last, g, kernel, window, OH, OW)
            pixels = rows[first * OW : last * OW, g * OG : (g + 1) * OG]
            gemm(product, patches[: (last - first) * OW], filters[g * OG : (g + 1) * OG].T, pixels, False)


@parallel
def _conv2d_input(product, gy, w, gx, SH, SW, PH, PW, DH, DW, groups, part, parts):
    N, OH, OW, O = gy.shape
    _, KH, KW, CG = w.shape
    K, OG = KH * KW * CG, O // groups
    filters, rows = w.reshape(O, K), gy.reshape(N * OH * OW, O)
    step = _lines_of_a_block(OW, K)
    start, end = part * N // parts, (part + 1) * N // parts
    patches, padded = np.empty((step * OW, K), gy.dtype), _padded_row(gx, PW)
    gx[start:end] = 0
    for first in range(start * OH, end * OH, step):
        last = min(end * OH, first + step)
        for g in range(groups):
            pixels = rows[first * OW : last * OW, g * OG : (g + 1) * OG]
            gemm(product, pixels, filters[g * OG : (g + 1) * OG], patches[: (last - first) * OW], False)
            kernel, window = (KH, KW, CG), (SH, SW, PH, PW, DH, DW)
            _scatter(patches.reshape(-1), padded, gx, first, last, g, kernel, window, OH, OW)


@parallel
def _conv2d_weight(product, x, gy, shares, kernel, by_taps, SH, SW, PH, PW, DH, DW, groups, part, parts):
    """shares[i] (groups, O, K) or, `by_taps`, (groups, K, O): of the lines of that share."""
    N, OH, OW, O = gy.shape
    KH, KW = kernel
    CG, OG = x.shape[3] // groups, O // groups
    K = KH * KW * CG
    rows, step = gy.reshape(N * OH * OW, O), _lines_of_a_block(OW, K)
    patches, padded = np.empty((step * OW, K), x.dtype), _padded_row(x, PW)
    for which in range(part * len(shares) // parts, (part + 1) * len(shares) // parts):
        start, end = which * N * OH // len(shares), (which + 1) * N * OH // len(shares)
        share = shares[which]
        share[:] = 0
        for first in range(start, end, step):
            last = min(end, first + step)
            for g in range(groups):
                taps, window = (KH, KW, CG), (SH, SW, PH, PW, DH, DW)
                _gather(x, padded, patches.reshape(-1), first, last, g, taps, window, OH, OW)
                block = patches[: (last - first) * OW]
                pixels = rows[first * OW : last * OW, g * OG : (g + 1) * OG]
                if by_taps:
                    gemm(product, block.T, pixels, share[g], True)
                else:
                    gemm(product, pixels.T, block, share[g], True)
