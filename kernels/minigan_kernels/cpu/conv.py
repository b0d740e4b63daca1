"""Convolution and its two adjoints: which algorithm, on which memory.

Images and weights in channels-last memory are used as they are, others are copied once. Results are
channels-last.
"""

import math
import threading

import numpy as np

from ..arrays import DOUBLE, total
from ..contexts import context
from ..geometry import out_size
from . import direct, im2col, winograd
from .gemm import matmul
from .layout import channels_last
from .microkernel import tile_width

ALGORITHMS = "gemm", "winograd", "im2col", "direct"
FLOAT32 = np.dtype(np.float32)
PIXELS = 1 << 20  # of whose images a weight gradient is made at once
WIDE = 256  # windows side by side over a pixel, above which they are added up in float64


class _Choice(threading.local):
    forced = None


_choice = _Choice()


@context
def conv_algorithm(name, tile=None):
    """Inside the block, on this thread, the `cpu` engine makes every convolution by one algorithm."""
    if name not in ALGORITHMS:
        raise ValueError(f"no convolution algorithm is called {name!r}; there are: {', '.join(ALGORITHMS)}")
    if tile is not None and (name != "winograd" or tile not in (2, 3, 4)):
        raise ValueError(
            f"conv_algorithm: tile is 2, 3 or 4 and belongs to winograd, got {tile!r} for {name}"
        )
    before, _choice.forced = _choice.forced, (name, tile)
    try:
        yield
    finally:
        _choice.forced = before


def conv2d(x, w, stride, padding, dilation, groups):
    """y[n, o, i, j] = Σ x̂[n, c, s·i + d·a, s·j + d·b] · w[o, c, a, b], x̂ being x padded by zeros."""
    x, w, geometry = channels_last(x), channels_last(w), (stride, padding, dilation, groups)
    out = out_size(x.shape[1:3], w.shape[1:3], stride, padding, dilation)
    algorithm, m = choose(x.shape, w.shape, out, geometry, x.dtype)
    if algorithm == "gemm":
        y = matmul(_rows(x, w), w.reshape(len(w), -1).T).reshape(len(x), *out, len(w))
    elif algorithm == "winograd":
        y = winograd.conv2d(x, w, out, stride[0], padding[0], m)
    elif algorithm == "direct":
        y = direct.conv2d(x, w, out, stride, padding)
    else:
        y = im2col.conv2d(x, w, out, geometry)
    return y.transpose(0, 3, 1, 2)


def conv2d_input(gy, w, size, stride, padding, dilation, groups):
    """The x-adjoint of `conv2d`, for images of `size` (H, W): the transposed convolution."""
    if gy.dtype == FLOAT32 and max(-(-k // s) for k, s in zip(w.shape[2:], stride, strict=True)) > WIDE:
        gx = conv2d_input(*(a.astype(DOUBLE) for a in (gy, w)), size, stride, padding, dilation, groups)
        return gx.astype(FLOAT32)
    gy, w, geometry = channels_last(gy), channels_last(w), (stride, padding, dilation, groups)
    shape = (len(gy), *size, w.shape[3] * groups)
    algorithm, m = choose(shape, w.shape, gy.shape[1:3], geometry, gy.dtype, to_input=True)
    if algorithm == "gemm":
        gx = matmul(gy.reshape(-1, len(w)), w.reshape(len(w), -1)).reshape(shape)
    elif algorithm == "winograd":
        gx = winograd.conv2d_input(gy, w, size, stride[0], padding[0], m)
    else:
        gx = im2col.conv2d_input(gy, w, size, geometry)
    return gx.transpose(0, 3, 1, 2)


def conv2d_weight(x, gy, kernel_size, stride, padding, dilation, groups):
    """The w-adjoint of `conv2d`, for kernels of `kernel_size` (KH, KW)."""
    images = max(1, PIXELS // max(1, gy.shape[2] * gy.shape[3]))
    if len(x) > images:
        runs = (slice(i, i + images) for i in range(0, len(x), images))
        gws = [conv2d_weight(x[run], gy[run], kernel_size, stride, padding, dilation, groups) for run in runs]
        return total(np.stack([channels_last(gw) for gw in gws]), (0,)).transpose(0, 3, 1, 2)
    x, gy, geometry = channels_last(x), channels_last(gy), (stride, padding, dilation, groups)
    shape = (gy.shape[3], *kernel_size, x.shape[3] // groups)
    algorithm, m = choose(x.shape, shape, gy.shape[1:3], geometry, x.dtype)
    if algorithm == "gemm":
        gy = gy.reshape(-1, shape[0])
        gw = matmul(gy.T, x.reshape(-1, math.prod(shape[1:]))).reshape(shape)
    elif algorithm == "winograd":
        gw = winograd.conv2d_weight(x, gy, kernel_size, stride[0], padding[0], m)
    elif algorithm == "direct":
        gw = direct.conv2d_weight(x, gy, kernel_size, stride, padding)
    else:
        gw = im2col.conv2d_weight(x, gy, kernel_size, geometry)
    return gw.transpose(0, 3, 1, 2)


def _rows(x, w):
    """One row of taps for each output pixel, where that needs no copy: a pixel, or the whole image."""
    return x.reshape(-1, w.shape[1] * w.shape[2] * w.shape[3])


# The choice.


def choose(x, w, out, geometry, dtype, to_input=False):
    """(algorithm, tile) for x (N, H, W, C), w (O, KH, KW, C/groups) and an output of size `out`.

    to_input: it is `conv2d_input` that is to be made.
    """
    (SH, SW), padding, dilation, groups = geometry
    forced, tile = _choice.forced or (None, None)
    plain = groups == 1 and padding == (0, 0)
    can = {
        "gemm": plain and (w[1:3] == (1, 1) == (SH, SW) or (w[1:3] == x[1:3] and dilation == (1, 1))),
        "winograd": dtype == FLOAT32
        and groups == 1
        and dilation == (1, 1)
        and SH == SW
        and padding[0] == padding[1]
        and w[1] == w[2]
        and -(-w[1] // SH) in (2, 3),
        "im2col": True,
        "direct": groups == 1
        and dilation == (1, 1)
        and w[0] % tile_width(dtype.itemsize) == 0
        and not to_input,
    }
    if forced is not None:
        if not can[forced]:
            what = "an input gradient" if to_input else "a convolution"
            raise ValueError(f"{forced} cannot make {what} of {x} by {w}, geometry {geometry}, {dtype}")
        return forced, (tile or best_tile(x, w, out, SH)[1]) if forced == "winograd" else None
    if can["gemm"]:
        return "gemm", None
    if can["direct"] and x[3] <= FEW and w[1] * w[2] * w[3] <= TAPS:
        return "direct", None
    if can["winograd"]:
        cost, m = best_tile(x, w, out, SH)
        if cost < im2col_cost(x, w, out):
            return "winograd", m
    return "im2col", None


TAPS = 512  # of a window that direct loops add up one after the other
FEW = 8  # channels up to which the direct loops are the quickest, with kernels of 3, 4 and 5 pixels
TRAFFIC = 64  # products that a pair of cores makes while it writes and reads one entry of a large array


def im2col_cost(x, w, out):
    """The time of a convolution by patches, in products."""
    pixels, taps = x[0] * out[0] * out[1], w[1] * w[2] * w[3]
    return pixels * taps * w[0] + TRAFFIC / 2 * pixels * taps


def best_tile(x, w, out, S):
    """(cost, m) of the cheapest Winograd tile, in the same unit: products, and the arrays U, V and M."""
    r = -(-w[1] // S)
    channels, costs = S * S * x[3], []
    for m in (2, 3, 4) if r == 2 else (2, 4):
        n2, tiles = (m + r - 1) ** 2, x[0] * -(-out[0] // m) * -(-out[1] // m)
        entries = channels * w[0] + (channels + w[0]) * tiles / 2
        costs.append((n2 * (tiles * channels * w[0] + TRAFFIC * entries), m))
    return min(costs)
