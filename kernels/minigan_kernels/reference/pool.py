"""Pooling over windows of an image, and the adjoint of each kind."""

import math

from ..arrays import array_module, average, scatter, total, wide
from ..geometry import out_size, overlap


def max_pool2d(x, kernel_size, stride, padding):
    """The largest value of each window, and its flat position in the image (int64; first of equals)."""
    xp = array_module(x)
    N, C, H, W = x.shape
    OH, OW = out_size((H, W), kernel_size, stride, padding)
    windows = _windows(x, kernel_size, stride, padding, (OH, OW), fill=-xp.inf)
    flat = windows.reshape(N, C, OH, OW, kernel_size[0] * kernel_size[1])
    inside = _windows(xp.ones((1, 1, H, W), bool), kernel_size, stride, padding, (OH, OW), fill=False)
    inside = inside.reshape(OH, OW, -1)
    tap = flat.argmax(axis=-1)
    won_by_padding = ~xp.take_along_axis(inside[None, None], tap[..., None], axis=-1)[..., 0]
    tap = xp.where(won_by_padding, inside.argmax(axis=-1), tap)  # in a window of -∞ alone
    row = xp.arange(OH)[:, None] * stride[0] - padding[0] + tap // kernel_size[1]
    col = xp.arange(OW) * stride[1] - padding[1] + tap % kernel_size[1]
    return xp.take_along_axis(flat, tap[..., None], axis=-1)[..., 0], row * W + col


def pixels_gather(x, index):
    """x (N, C, H, W), index (N, C, ...) of flat pixel positions -> the pixels, in index's shape.

    y[n, c, i, j] = the pixel of image x[n, c] whose flat position is index[n, c, i, j].
    """
    N, C = x.shape[:2]
    pixels, places = x.shape[2] * x.shape[3], math.prod(index.shape[2:])
    picked = array_module(x).take_along_axis(x.reshape(N, C, pixels), index.reshape(N, C, places), axis=2)
    return picked.reshape(index.shape)


def pixels_scatter(y, index, size, window=None):
    """The adjoint of `pixels_gather`, onto images of `size` (H, W): values add where positions meet.

    The window is no help here.
    """
    xp = array_module(y)
    N, C = y.shape[:2]
    pixels = size[0] * size[1]
    image = xp.arange(N * C).reshape(N, C, 1) * pixels
    places = index.reshape(N, C, math.prod(index.shape[2:]))
    return scatter(y.reshape(-1), (image + places).reshape(-1), N * C * pixels).reshape(N, C, *size)


def avg_pool2d(x, kernel_size, stride, padding):
    """The mean of each window, padding counted as zeros. x (N, C, H, W) -> (N, C, OH, OW)."""
    out = out_size(x.shape[2:], kernel_size, stride, padding)
    return average(_windows(x, kernel_size, stride, padding, out, fill=0), (4, 5))


def avg_pool2d_input(gy, size, kernel_size, stride, padding):
    """The adjoint of `avg_pool2d`, for images of `size` (H, W).

    Each window's share goes back to its pixels.
    """
    xp = array_module(gy)
    N, C, OH, OW = gy.shape
    (H, W), (KH, KW), (PH, PW) = size, kernel_size, padding
    share = gy / (KH * KW)
    gx = xp.zeros((N, C, H + 2 * PH, W + 2 * PW), wide(gy.dtype, overlap(kernel_size, stride)))
    for i in range(KH):
        for j in range(KW):
            rows = slice(i, i + (OH - 1) * stride[0] + 1, stride[0])
            cols = slice(j, j + (OW - 1) * stride[1] + 1, stride[1])
            gx[:, :, rows, cols] += share
    return gx[:, :, PH : PH + H, PW : PW + W].astype(gy.dtype, copy=False)


def upsample2d(x, factors):
    """Each pixel as a block of `factors` (FH, FW) equal ones: x (N, C, H, W) -> (N, C, H·FH, W·FW).

    Channels-last, as the next convolution has them.
    """
    (N, C, H, W), (FH, FW) = x.shape, factors
    pixels = x.transpose(0, 2, 3, 1).reshape(N, H, 1, W, 1, C)
    blocks = array_module(x).broadcast_to(pixels, (N, H, FH, W, FW, C))
    return blocks.reshape(N, H * FH, W * FW, C).transpose(0, 3, 1, 2)


def upsample2d_input(gy, factors):
    """The adjoint of `upsample2d`: gy (N, C, H·FH, W·FW) -> (N, C, H, W), the sums of the blocks."""
    (N, C, H, W), (FH, FW) = gy.shape, factors
    blocks = gy.transpose(0, 2, 3, 1).reshape(N, H // FH, FH, W // FW, FW, C)
    return total(blocks, (2, 4)).transpose(0, 3, 1, 2)


def _windows(x, kernel_size, stride, padding, out, fill):
    """A view (N, C, OH, OW, KH, KW) of x, padded with `fill`."""
    xp = array_module(x)
    N, C, H, W = x.shape
    PH, PW = padding
    padded = xp.full((N, C, H + 2 * PH, W + 2 * PW), fill, dtype=x.dtype)
    padded[:, :, PH : PH + H, PW : PW + W] = x
    sn, sc, sh, sw = padded.strides
    return xp.lib.stride_tricks.as_strided(
        padded, (N, C, *out, *kernel_size), (sn, sc, sh * stride[0], sw * stride[1], sh, sw)
    )
