"""Pooling of channels-last images and its adjoints, and upsampling: one launch each.

Images in another order are copied once. Results are channels-last. Positions that are on no pixel give
NaN and no error, for which the host would have to wait for the GPU.
"""

import numpy as np

from ..geometry import out_size
from .grids import THREADS, blocks_for
from .launch import Source
from .layout import channels_last, new_images

NARROW, WIDE = Source("pool.cu", WIDE=0), Source("pool.cu", WIDE=1)
SOURCES = [NARROW, WIDE]
MOST_NARROW = 2**30  # entries whose places are numbers of 32 bits, with room for a grid's stride


def max_pool2d(x, kernel_size, stride, padding):
    """The largest value of each window, and its flat position in the image (int64; first of equals).

    A NaN is larger than any number.
    """
    N, C, H, W = x.shape
    OH, OW = out_size((H, W), kernel_size, stride, padding)
    y, index = new_images(x, N, C, OH, OW), new_images(x, N, C, OH, OW, np.int64)
    _launch(
        "max_pool2d", y, channels_last(x), y, index, sizes=(H, W, C, OH, OW, *kernel_size, *stride, *padding)
    )
    return y, index


def pixels_gather(x, index):
    """x (N, C, H, W), index (N, C, ...) of flat pixel positions -> the pixels, in index's shape.

    NaN for positions that are on no pixel.
    """
    (N, C, H, W), (_, _, OH, OW) = x.shape, _images("pixels_gather", index, x)
    y = new_images(x, N, C, OH, OW)
    _launch("pixels_gather", y, channels_last(x), _positions(index), y, sizes=(H * W, OH * OW, C))
    return y


def pixels_scatter(y, index, size, window=None):
    """The adjoint of `pixels_gather`, onto images of `size` (H, W): values add where positions meet.

    NaN for positions that are on no pixel. With a window a pixel looks for itself in the windows over it.
    Without one, a thread goes through all the positions of a channel of an image: right, and slow for
    large images.
    """
    N, C, OH, OW = _images("pixels_scatter", index, y)
    arrays = channels_last(y), _positions(index)
    if window is None:
        x = new_images(y, N, C, *size, np.float64)
        _launch("pixels_scatter", x, *arrays, x, sizes=(size[0] * size[1], OH * OW, C), threads=N * C)
        return x.astype(np.float32)
    x = new_images(y, N, C, *size)
    kernel_size, stride, padding = window
    sizes = (*size, C, OH, OW, *kernel_size, *stride, *padding)
    _launch("pixels_scatter_windows", x, *arrays, x, sizes=sizes)
    return x


def avg_pool2d(x, kernel_size, stride, padding):
    """The mean of each window, padding counted as zeros. x (N, C, H, W) -> (N, C, OH, OW)."""
    N, C, H, W = x.shape
    OH, OW = out_size((H, W), kernel_size, stride, padding)
    y = new_images(x, N, C, OH, OW)
    sizes = (H, W, C, OH, OW, *kernel_size, *stride, *padding)
    _launch("avg_pool2d", y, channels_last(x), y, sizes=sizes, count=kernel_size[0] * kernel_size[1])
    return y


def avg_pool2d_input(gy, size, kernel_size, stride, padding):
    """The adjoint of `avg_pool2d`, for images of `size` (H, W)."""
    N, C, OH, OW = gy.shape
    x = new_images(gy, N, C, *size)
    sizes = (*size, C, OH, OW, *kernel_size, *stride, *padding)
    _launch("avg_pool2d_input", x, channels_last(gy), x, sizes=sizes, count=kernel_size[0] * kernel_size[1])
    return x


def upsample2d(x, factors):
    """Each pixel as a block of `factors` (FH, FW) equal ones: x (N, C, H, W) -> (N, C, H·FH, W·FW).

    It is the adjoint of a pooling that adds up.
    """
    N, C, H, W = x.shape
    y = new_images(x, N, C, H * factors[0], W * factors[1])
    sizes = (*y.shape[2:], C, H, W, *factors, *factors, 0, 0)
    _launch("avg_pool2d_input", y, channels_last(x), y, sizes=sizes, count=1)
    return y


def upsample2d_input(gy, factors):
    """The adjoint of `upsample2d`: gy (N, C, H·FH, W·FW) -> (N, C, H, W), the sums of the blocks.

    It is a pooling that adds up.
    """
    N, C, H, W = gy.shape
    OH, OW = H // factors[0], W // factors[1]
    x = new_images(gy, N, C, OH, OW)
    _launch("avg_pool2d", x, channels_last(gy), x, sizes=(H, W, C, OH, OW, *factors, *factors, 0, 0), count=1)
    return x


def _launch(kernel, result, *arrays, sizes, threads=None, count=None):
    """Run `kernel` with a thread for each entry of the result, or `threads` threads."""
    n = result.size if threads is None else threads
    source = NARROW if max(a.size for a in arrays) < MOST_NARROW else WIDE
    count = () if count is None else (np.float32(count),)
    source.launch(kernel, blocks_for(n), THREADS, *arrays, np.int64(n), *(np.int32(s) for s in sizes), *count)


def _images(name, index, x):
    if index.ndim != 4 or index.shape[:2] != x.shape[:2]:
        raise ValueError(f"{name}: index has shape {index.shape}, the images {x.shape}")
    return index.shape


def _positions(index):
    return channels_last(index.astype(np.int64, copy=False))
