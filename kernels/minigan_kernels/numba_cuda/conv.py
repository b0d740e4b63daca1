"""Convolution and its two adjoints, by patches and the tiled matrix product.

With the patches of all output pixels as the rows of P, and the filters as the rows of W, both cut into
groups (see `im2col.py`, and `kernels/reference/conv.py` for the same in array code),

    conv2d         Y = P Wᵀ
    conv2d_input   P' = Y' W, each entry added back to the pixel that it was read from
    conv2d_weight  W' = Y'ᵀ P

With P of N·OH·OW rows and K columns, and O filters, each moves the 4 N·OH·OW·K bytes of the patches twice,
the images and the filters once, and does 2 N·OH·OW·K·O operations. W' has few entries and long sums: few
blocks make it, and most of a GPU idles.

A product writes to views of the result, so that nothing is put in order afterwards.
"""

from ..arrays import array_module
from ..geometry import out_size
from .im2col import col2im, im2col
from .matmul import multiply


def conv2d(x, w, stride, padding, dilation, groups):
    """y[n, o, i, j] = Σ x̂[n, c, s·i + d·a, s·j + d·b] · w[o, c, a, b], x̂ being x padded by zeros.

    y is channels-last.
    """
    N, O, kernel = x.shape[0], w.shape[0], w.shape[2:]
    out = out_size(x.shape[2:], kernel, stride, padding, dilation)
    patches = im2col(x, out, kernel, stride, padding, dilation, groups)
    y = array_module(x).empty((N, *out, O), x.dtype).transpose(0, 3, 1, 2)
    multiply(patches, _filters(w, groups).transpose(0, 2, 1), _pixels(y, groups))
    return y


def conv2d_input(gy, w, size, stride, padding, dilation, groups):
    """The x-adjoint of `conv2d`, for images of `size` (H, W): the transposed convolution.

    gx is channels-last.
    """
    out, kernel = gy.shape[2:], w.shape[2:]
    pixels, filters = _pixels(gy, groups), _filters(w, groups)
    patches = array_module(gy).empty((groups, pixels.shape[1], filters.shape[2]), gy.dtype)
    multiply(pixels, filters, patches)
    return col2im(patches, size, out, kernel, stride, padding, dilation)


def conv2d_weight(x, gy, kernel_size, stride, padding, dilation, groups):
    """The w-adjoint of `conv2d`, for kernels of `kernel_size` (KH, KW)."""
    C, O = x.shape[1], gy.shape[1]
    patches = im2col(x, gy.shape[2:], kernel_size, stride, padding, dilation, groups)
    gw = array_module(x).empty((O, C // groups, *kernel_size), x.dtype)
    multiply(_pixels(gy, groups).transpose(0, 2, 1), patches, _filters(gw, groups))
    return gw


def _filters(w, groups):
    """w (O, C/groups, KH, KW) as (groups, O/groups, K): a view if it is contiguous."""
    return w.reshape(groups, w.shape[0] // groups, -1)


def _pixels(y, groups):
    """y (N, O, OH, OW) as (groups, N·OH·OW, O/groups): a view if it is channels-last."""
    N, O, OH, OW = y.shape
    return y.transpose(0, 2, 3, 1).reshape(N * OH * OW, groups, O // groups).transpose(1, 0, 2)
