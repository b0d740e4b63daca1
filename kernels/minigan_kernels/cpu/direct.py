"""Convolution of images with few channels, without patches: a tile of the result reads the image itself.

With one channel or three a patch is short, and copying it costs as much as using it. Here a tile of
`conv2d` is some neighbouring output pixels by as many filters as two vectors hold, and its sums run over
the window; a tile of `conv2d_weight` is some taps by as many filters, and its sums run over the pixels. Both
ways the image, padded once, stays in the first-level cache.

Images are (N, H, W, C), weights (O, KH, KW, C), both contiguous; O is a multiple of `tile_width`. float32
error against float64, relative to the root mean square of the result: about 3e-7 over the ends of a DCGAN.
"""

import math

import numpy as np

from ..arrays import total
from .columns import copy, shares_of
from .compiling import helper
from .microkernel import ROWS, tile_width, window_tile_of
from .threads import num_threads, parallel

RUN = 256  # pixels whose products are added up in registers, before they go to the sums

tile_8, tile_4, tile_2, tile_1 = (window_tile_of(R) for R in (8, 4, 2, 1))


def conv2d(x, w, out, stride, padding):
    y, n, taps = np.empty((len(x), *out, len(w)), x.dtype), tile_width(x.itemsize), math.prod(w.shape[1:])
    panels = np.ascontiguousarray(w.reshape(-1, n, taps).swapaxes(1, 2))
    _conv2d(x, panels, y, w.shape[1:3], *stride, *padding, min(len(x), num_threads()))
    return y


def conv2d_weight(x, gy, kernel, stride, padding):
    (N, OH, OW, O), taps = gy.shape, math.prod(kernel) * x.shape[3]
    shares = np.empty((shares_of(N * OH, N * OH * OW, taps * O), taps, O), x.dtype)
    _conv2d_weight(x, gy, shares, kernel, *stride, *padding, min(len(shares), num_threads()))
    gw = total(shares, (0,))
    return np.ascontiguousarray(gw.T).reshape(O, *kernel, x.shape[3])


@helper
def _padded(x, PH, PW):
    """Zeros, of the size of a padded image."""
    _, H, W, C = x.shape
    return np.zeros((H + 2 * PH, (W + 2 * PW) * C), x.dtype)


@helper
def _fill(padded, image, PH, PW):
    """Copy the image to between the zeros."""
    H, W, C = image.shape
    for h in range(H):
        copy(image[h].reshape(-1), padded[PH + h, PW * C : (PW + W) * C])


@helper
def _tiles(a, a_at, rows, a_far, a_step, b, b_at, b_far, b_step, c, c_at, c_row, K, L, accumulate):
    """All rows, by tiles: see `window_tile_of`."""
    i, n = 0, len(rows)
    while ROWS == 8 and i + 8 <= n:
        tile_8(i, a, a_at, rows, a_far, a_step, b, b_at, b_far, b_step, c, c_at, c_row, K, L, accumulate)
        i += 8
    while i + 4 <= n:
        tile_4(i, a, a_at, rows, a_far, a_step, b, b_at, b_far, b_step, c, c_at, c_row, K, L, accumulate)
        i += 4
    if i + 2 <= n:
        tile_2(i, a, a_at, rows, a_far, a_step, b, b_at, b_far, b_step, c, c_at, c_row, K, L, accumulate)
        i += 2
    if i < n:
        tile_1(i, a, a_at, rows, a_far, a_step, b, b_at, b_far, b_step, c, c_at, c_row, K, L, accumulate)


@parallel
def _conv2d(x, panels, y, kernel, SH, SW, PH, PW, part, parts):
    """panels (O/n, KH·KW·C, n): the filters of each tile, tap by tap."""
    (N, OH, OW, O), C, n = y.shape, x.shape[3], panels.shape[2]
    KH, run = kernel[0], kernel[1] * C  # the taps of a row of the window lie side by side
    pixels = np.arange(OW) * SW * C
    padded = _padded(x, PH, PW)
    line = padded.shape[1]
    for image in range(part * N // parts, (part + 1) * N // parts):
        _fill(padded, x[image], PH, PW)
        for oh in range(OH):
            for p in range(len(panels)):
                at = ((image * OH + oh) * OW) * O + p * n
                window, panel = (padded, oh * SH * line, pixels, line, 1), (panels[p], 0, run * n, n)
                _tiles(*window, *panel, y, at, O, KH, run, False)


@parallel
def _conv2d_weight(x, gy, shares, kernel, SH, SW, PH, PW, part, parts):
    """shares[i] (KH·KW·C, O): of the lines of that share, RUN pixels at a time."""
    (N, OH, OW, O), C, n = gy.shape, x.shape[3], tile_width(gy.itemsize)
    run = kernel[1] * C
    columns = min(OW, RUN)
    rows = max(1, RUN // columns)
    padded = _padded(x, PH, PW)
    line = padded.shape[1]
    taps = np.arange(shares.shape[1])
    taps = taps // run * line + taps % run
    image = -1
    for which in range(part * len(shares) // parts, (part + 1) * len(shares) // parts):
        share = shares[which]
        share[:] = 0
        first, end = which * N * OH // len(shares), (which + 1) * N * OH // len(shares)
        while first < end:
            if first // OH != image:
                image = first // OH
                _fill(padded, x[image], PH, PW)
            top = first % OH
            K = min(rows, OH - top, end - first)
            for start in range(0, OW, columns):
                L = min(columns, OW - start)
                window = padded, top * SH * line + start * SW * C, taps, SH * line, SW * C
                for left in range(0, O, n):
                    pixels = gy, (first * OW + start) * O + left, OW * O, O
                    _tiles(*window, *pixels, share, left, O, K, L, True)
            first += K
