"""Patches of images as rows of a matrix (im2col), and back (col2im): what makes a convolution a product.

Row p is what output pixel p looks at, C·KH·KW numbers, zeros outside the image; all P = N·OH·OW rows
together repeat most pixels KH·KW / (SH·SW) times.

    im2col   writes 4 P K bytes, K = C·KH·KW, reads about as many (mostly from caches), no operations
    col2im   reads 4 P K bytes, writes the images, P K additions

Bound by memory, and much of it: the matrix of a 4x4 stride-2 layer has four times the image. This is the
price of a convolution by one plain product; `kernels/cuda` makes the patches on the fly instead.
"""

import numpy as np
from numba import cuda

from ..arrays import array_module
from .launch import THREADS, blocks_for, launch
from .places import place


@cuda.jit
def take_patches(x, patches, pixels, taps, stride, padding, dilation):
    """patches[(g, n, oh, ow), (c, i, j)] = the pixel of x (N, H, W, C) at that tap of that patch.

    A thread makes an entry, neighbours make neighbours: what a warp writes goes out side by side.
    pixels: (groups, N, OH, OW). taps: (1, C/groups, KH, KW).
    """
    _, H, W, _ = x.shape
    K = patches.shape[1]
    for entry in range(cuda.grid(1), patches.size, cuda.gridsize(1)):
        row, k = entry // K, entry % K
        g, n, oh, ow = place(row, pixels)
        _, c, i, j = place(k, taps)
        h = oh * stride[0] - padding[0] + i * dilation[0]
        w = ow * stride[1] - padding[1] + j * dilation[1]
        inside = 0 <= h < H and 0 <= w < W
        patches[row, k] = x[n, h, w, g * taps[1] + c] if inside else np.float32(0)


@cuda.jit
def add_patches(patches, x, pixels, taps, stride, padding, dilation):
    """The adjoint: x[n, h, w, c] = the sum of all entries of `patches` that were read from there.

    Entries do not go out to their pixels, where those of several threads would meet and add up in no
    certain order. A thread has a pixel instead, and looks for its entries: tap (i, j) of output pixel
    (oh, ow) read row h where oh·stride = h + padding - i·dilation, if there is such an oh.
    """
    _, N, OH, OW = pixels
    _, CG, KH, KW = taps
    for entry in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        n, h, w, channel = place(entry, x.shape)
        g, c = channel // CG, channel % CG
        total = np.float32(0)
        for i in range(KH):
            top = h + padding[0] - i * dilation[0]
            oh = top // stride[0]
            if top % stride[0] == 0 and 0 <= oh < OH:
                for j in range(KW):
                    left = w + padding[1] - j * dilation[1]
                    ow = left // stride[1]
                    if left % stride[1] == 0 and 0 <= ow < OW:
                        total += patches[((g * N + n) * OH + oh) * OW + ow, (c * KH + i) * KW + j]
        x[n, h, w, channel] = total


def im2col(x, out, kernel, stride, padding, dilation, groups):
    """x (N, C, H, W) -> (groups, N·OH·OW, C/groups·KH·KW), for outputs and kernels of those sizes."""
    N, C = x.shape[:2]
    pixels, taps = (groups, N, *out), (1, C // groups, *kernel)
    P, K = N * out[0] * out[1], taps[1] * kernel[0] * kernel[1]
    patches = array_module(x).empty((groups * P, K), x.dtype)
    rows, geometry = x.transpose(0, 2, 3, 1), (stride, padding, dilation)
    launch(take_patches, blocks_for(patches.size), (THREADS,), rows, patches, pixels, taps, *geometry)
    return patches.reshape(groups, P, K)


def col2im(patches, size, out, kernel, stride, padding, dilation):
    """The adjoint of `im2col`: onto images (N, C, H, W) of `size`, channels-last."""
    groups, P, K = patches.shape
    N, CG = P // (out[0] * out[1]), K // (kernel[0] * kernel[1])
    x = array_module(patches).empty((N, *size, groups * CG), patches.dtype)
    pixels, taps, geometry = (groups, N, *out), (1, CG, *kernel), (stride, padding, dilation)
    launch(
        *(add_patches, blocks_for(x.size), (THREADS,)),
        *(patches.reshape(groups * P, K), x, pixels, taps, *geometry),
    )
    return x.transpose(0, 3, 1, 2)
