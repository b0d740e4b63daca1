"""Convolution as one matrix product over patches (im2col), and its two adjoints.

Memory is channels-last inside: a patch is KH rows of KW pixels of C contiguous channels. With the
patches of all output pixels as the rows of P, and the filters as the columns of W,

    conv2d         Y = P W
    conv2d_input   P' = Y' Wᵀ, each row added back to the pixels it was read from
    conv2d_weight  W' = Pᵀ Y'

Groups are a leading axis of every product. Chellapilla, Puri, Simard, "High performance
convolutional neural networks for document processing", 2006.
"""

import operator

from ..arrays import array_module, in_runs, wide
from ..geometry import out_size, overlap


def conv2d(x, w, stride, padding, dilation, groups):
    """y[n, o, i, j] = Σ x̂[n, c, s·i + d·a, s·j + d·b] · w[o, c, a, b], x̂ being x padded by zeros."""
    O, _, KH, KW = w.shape
    N, _, H, W = x.shape
    OH, OW = out_size((H, W), (KH, KW), stride, padding, dilation)
    patches = _im2col(_padded(x, padding), (OH, OW), (KH, KW), stride, dilation, groups)
    y = patches @ _as_matrices(w, groups)  # (G, N·OH·OW, O/G)
    return _images(y, (N, O, OH, OW))


def conv2d_input(gy, w, size, stride, padding, dilation, groups):
    """The x-adjoint of `conv2d`, for images of `size` (H, W): the transposed convolution."""
    N, _, OH, OW = gy.shape
    _, CG, KH, KW = w.shape
    (H, W), (PH, PW) = size, padding
    xp = array_module(gy)
    rows = _rows(gy, groups) @ _as_matrices(w, groups).swapaxes(1, 2)  # (G, N·OH·OW, KH·KW·C/G)
    rows = rows.reshape(groups, N, OH, OW, KH, KW, CG)
    dtype = wide(gy.dtype, overlap((KH, KW), stride))
    gx = xp.zeros((N, H + 2 * PH, W + 2 * PW, groups, CG), dtype)
    for i in range(KH):
        for j in range(KW):
            taps = gx[:, _reach(i, OH, stride[0], dilation[0]), _reach(j, OW, stride[1], dilation[1])]
            taps += xp.moveaxis(rows[:, :, :, :, i, j], 0, 3)
    gx = gx[:, PH : PH + H, PW : PW + W].reshape(N, H, W, groups * CG).astype(gy.dtype, copy=False)
    return gx.transpose(0, 3, 1, 2)


def conv2d_weight(x, gy, kernel_size, stride, padding, dilation, groups):
    """The w-adjoint of `conv2d`, for kernels of `kernel_size` (KH, KW)."""
    KH, KW = kernel_size
    C, O = x.shape[1], gy.shape[1]
    patches = _im2col(_padded(x, padding), gy.shape[2:], kernel_size, stride, dilation, groups)
    gw = in_runs(operator.matmul, _rows(gy, groups).swapaxes(1, 2), patches)  # (G, O/G, KH·KW·C/G)
    return gw.reshape(O, KH, KW, C // groups).transpose(0, 3, 1, 2)


def _padded(x, padding):
    """x as contiguous (N, H + 2PH, W + 2PW, C), with zeros around."""
    xp = array_module(x)
    N, C, H, W = x.shape
    PH, PW = padding
    if not (PH or PW):
        return xp.ascontiguousarray(x.transpose(0, 2, 3, 1))
    padded = xp.zeros((N, H + 2 * PH, W + 2 * PW, C), dtype=x.dtype)
    padded[:, PH : PH + H, PW : PW + W] = x.transpose(0, 2, 3, 1)
    return padded


def _im2col(x, out, kernel, stride, dilation, groups):
    """(G, N·OH·OW, KH·KW·C/G): the patch that each output pixel looks at, one a row."""
    N, _, _, C = x.shape
    sn, sh, sw, sc = x.strides
    CG = C // groups
    shape = (groups, N, *out, *kernel, CG)
    strides = (sc * CG, sn, sh * stride[0], sw * stride[1], sh * dilation[0], sw * dilation[1], sc)
    patches = array_module(x).lib.stride_tricks.as_strided(x, shape, strides)
    return patches.reshape(groups, N * out[0] * out[1], kernel[0] * kernel[1] * CG)


def _as_matrices(w, groups):
    """(G, KH·KW·C/G, O/G): one column a filter."""
    O, CG, KH, KW = w.shape
    return w.transpose(0, 2, 3, 1).reshape(groups, O // groups, KH * KW * CG).swapaxes(1, 2)


def _rows(y, groups):
    """(G, N·OH·OW, O/G): one row a pixel."""
    N, O, OH, OW = y.shape
    return array_module(y).moveaxis(y.transpose(0, 2, 3, 1).reshape(N * OH * OW, groups, O // groups), 1, 0)


def _images(rows, shape):
    """The inverse of `_rows`."""
    N, O, OH, OW = shape
    return array_module(rows).moveaxis(rows, 0, 1).reshape(N, OH, OW, O).transpose(0, 3, 1, 2)


def _reach(tap, n, stride, dilation):
    """The pixels of the padded image that one tap of the kernel meets, over n output pixels."""
    start = tap * dilation
    return slice(start, start + (n - 1) * stride + 1, stride)
