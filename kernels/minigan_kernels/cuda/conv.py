"""Convolution and its two adjoints on the main loop of `mainloop.cuh`, and by `ends.cu` at the image end.

Images and filters in channels-last memory are read as they are, others are copied once. Results are
channels-last.
"""

import math

import numpy as np

from ..geometry import out_size
from . import ends, tiles
from .layout import channels_last, new_images

CONV = tiles.sources("conv.cu")
SOURCES = [*CONV.values(), tiles.PARTS, *ends.SOURCES]


def conv2d(x, w, stride, padding, dilation, groups):
    """y[n, o, i, j] = Σ x̂[n, c, s·i + d·a, s·j + d·b] · w[o, c, a, b], x̂ being x padded by zeros."""
    x, w = channels_last(x), channels_last(w)
    (N, H, W, C), (O, *kernel, CG) = x.shape, w.shape
    out = out_size((H, W), kernel, stride, padding, dilation)
    y = new_images(x, N, O, *out)
    geometry = (N, C, H, W, O, *out, *kernel, *stride, *padding, *dilation, groups)
    if _nothing(y, x, w):
        return y
    if ends.fits(few=C, many=O, taps=math.prod(kernel), groups=groups):
        ends.from_few(x, w, _rows(y), geometry, adjoint=False)
    elif ends.fits(O, C, math.prod(kernel), groups) and ends.worth(y):
        ends.to_few(x, w, _rows(y), geometry, adjoint=False)
    else:
        M, columns, K = N * math.prod(out), O // groups, math.prod(kernel) * CG
        vector = tiles.vector(tiles.aligned(x, CG), tiles.aligned(w, K), columns)
        plan = tiles.plan(x, M, columns, K, groups)
        _launch("conv_forward", plan, (M, columns, groups), x, w, _rows(y), geometry, vector, (True, True))
    return y


def conv2d_input(gy, w, size, stride, padding, dilation, groups):
    """The x-adjoint of `conv2d`, for images of `size` (H, W): the transposed convolution."""
    gy, w = channels_last(gy), channels_last(w)
    (N, *out, O), (_, *kernel, CG) = gy.shape, w.shape
    C = CG * groups
    gx = new_images(gy, N, C, *size)
    geometry = (N, C, *size, O, *out, *kernel, *stride, *padding, *dilation, groups)
    if _nothing(gx, gy, w):
        return gx
    if ends.fits(O, C, math.prod(kernel), groups):
        ends.from_few(gy, w, _rows(gx), geometry, adjoint=True)
    elif ends.fits(C, O, math.prod(kernel), groups) and ends.worth(gx):
        ends.to_few(gy, w, _rows(gx), geometry, adjoint=True)
    else:
        M = N * math.prod(-(-n // s) for n, s in zip(size, stride, strict=True))  # of the largest phase
        K = O // groups
        for k, s, d in zip(kernel, stride, dilation, strict=True):
            K *= -(-k // (s // math.gcd(s, d)))
        vector = tiles.vector(tiles.aligned(gy, O // groups), tiles.aligned(w, CG), CG)
        products = math.prod(stride) * groups
        plan = tiles.plan(gy, M, CG, K, products)
        _launch("conv_input", plan, (M, CG, products), gy, w, _rows(gx), geometry, vector, (True, False))
    return gx


def conv2d_weight(x, gy, kernel_size, stride, padding, dilation, groups):
    """The w-adjoint of `conv2d`, for kernels of `kernel_size` (KH, KW).

    A few-channel image needs no kernel of its own here: gy, the larger array, is read once anyway.
    """
    x, gy = channels_last(x), channels_last(gy)
    (N, H, W, C), (_, *out, O) = x.shape, gy.shape
    OG, CG = O // groups, C // groups
    gw = new_images(x, O, CG, *kernel_size)
    geometry = (N, C, H, W, O, *out, *kernel_size, *stride, *padding, *dilation, groups)
    if _nothing(gw, x, gy):
        return gw
    taps, K = math.prod(kernel_size) * CG, N * math.prod(out)
    vector = tiles.vector(tiles.aligned(gy, OG), tiles.aligned(x, CG), taps)
    plan = tiles.plan(x, OG, taps, K, groups)
    _launch("conv_weight", plan, (OG, taps, groups), x, gy, _rows(gw), geometry, vector, (False, False))
    return gw


def _launch(kernel, plan, sizes, left, right, result, geometry, vector, along_k):
    """result = kernel(left, right), of `sizes` rows, columns and products. All arrays are channels-last."""
    tile, (M, N, products) = plan.tile, sizes
    parts = tiles.room(result, plan.splits)
    CONV[plan.precision, tile].launch(
        kernel,
        (-(-M // tile.BM) * -(-N // tile.BN), plan.splits, products),
        tiles.threads(plan),
        *(left, right, parts),
        *map(np.int32, geometry),
        *map(np.int32, (plan.slabs, vector)),
        shared=tiles.shared_bytes(plan, along_k),
    )
    tiles.sum_parts(parts, result, plan.splits)


def _rows(images):
    return images.transpose(0, 2, 3, 1)


def _nothing(result, *operands):
    """Whether there is nothing to sum, or nowhere to put it; the result is zeros then."""
    if result.size and all(a.size for a in operands):
        for a in (result, *operands):
            if a.size // max(a.shape[1], 1) >= 2**31:
                raise ValueError(f"an array of shape {a.shape} has more pixels than a kernel can count")
        return False
    result[...] = 0
    return True
