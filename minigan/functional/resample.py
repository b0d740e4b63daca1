"""Images of another size. Made of differentiable ops, so differentiable to every order."""

import numpy as np

import minigan_kernels as kernels
from minigan.autograd import Function, Tensor
from minigan.checks import integer

from .conv import pair


def interpolate(x, size=None, scale_factor=None, mode="nearest", align_corners=False):
    """x (N, C, H, W) -> (N, C, OH, OW), of `size` or of `scale_factor` times its own, rounded down.

    mode: "nearest" or "bilinear". With align_corners the corner pixels keep their values, else
    pixels are areas. As in PyTorch, a scale_factor is also the distance between samples, where the
    rounded size would give another. ValueError for any other mode, or unless exactly one of size
    and scale_factor is given.
    """
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: give either size or scale_factor")
    if x.ndim != 4:
        raise ValueError(f"interpolate: x must have shape (N, C, H, W), got {x.shape}")
    if size is None:
        factors = (scale_factor,) * 2 if isinstance(scale_factor, (int, float)) else tuple(scale_factor)
        if len(factors) != 2:
            raise ValueError(f"interpolate: scale_factor must be a number or two, got {factors}")
        size = tuple(int(n * f) for n, f in zip(x.shape[2:], factors, strict=True))
    else:
        size, factors = pair(size), (None, None)
    if min(size) < 1:
        raise ValueError(f"interpolate: size or scale_factor would give images of {size}")
    if mode == "nearest":
        return _nearest(x, size, factors)
    if mode == "bilinear":
        return _bilinear(x, size, factors, align_corners)
    raise ValueError(f"interpolate: mode must be 'nearest' or 'bilinear', got {mode!r}")


def pixel_shuffle(x, upscale_factor):
    """(N, C·r², H, W) -> (N, C, H·r, W·r): each r² channels become an r by r block of pixels.

    Shi et al., "Real-time single image and video super-resolution", 2016, equation 4.
    """
    if x.ndim != 4:
        raise ValueError(f"pixel_shuffle: x must have shape (N, C, H, W), got {x.shape}")
    N, C, H, W = x.shape
    r = integer("pixel_shuffle", "upscale_factor", upscale_factor, 1)
    if C % (r * r):
        raise ValueError(f"pixel_shuffle: {C} channels are no multiple of {r}², the square of upscale_factor")
    blocks = x.reshape(N, C // (r * r), r, r, H, W).permute(0, 1, 4, 2, 5, 3)
    return blocks.reshape(N, C // (r * r), H * r, W * r)


def _nearest(x, size, factors):
    (H, W), (OH, OW) = x.shape[2:], size
    rows, cols = _nearest_pixels(H, OH, factors[0]), _nearest_pixels(W, OW, factors[1])
    if np.array_equal(rows, np.repeat(np.arange(H), OH // H)) and np.array_equal(
        cols, np.repeat(np.arange(W), OW // W)
    ):  # each pixel becomes a block: no need to gather
        return Upsample((OH // H, OW // W))(x)
    rows, cols = x.device.put(rows), x.device.put(cols)
    return x[:, :, rows][:, :, :, cols]


class Upsample(Function):
    saves = ""

    def __init__(self, factors):
        self.factors = factors

    def forward(self, x):
        return kernels.upsample2d(x, self.factors)

    def backward(self, gy):
        return UpsampleInput(self.factors)(gy)


class UpsampleInput(Function):
    saves = ""

    def __init__(self, factors):
        self.factors = factors

    def forward(self, gy):
        return kernels.upsample2d_input(gy, self.factors)

    def backward(self, gx):
        return Upsample(self.factors)(gx)


def _nearest_pixels(n, m, factor):
    """Which of n pixels each of m is a copy of; in integers for a size, where rounding would tell."""
    if factor is None:
        return np.arange(m) * n // m
    return np.minimum((np.arange(m) / factor).astype(int), n - 1)


def _bilinear(x, size, factors, align_corners):
    """Along each axis a product with a matrix that has two weights a row."""
    rows, cols = (
        Tensor(_weights(n, m, n / m if f is None else 1 / f, align_corners), dtype=x.dtype, device=x.device)
        for n, m, f in zip(x.shape[2:], size, factors, strict=True)
    )
    return rows @ x @ cols.T


def _weights(n, m, step, align_corners):
    """(m, n): output pixel i as a mean of the two input pixels it lies between."""
    if align_corners:
        at = np.arange(m) * ((n - 1) / max(m - 1, 1))
    else:
        at = np.clip((np.arange(m) + 0.5) * step - 0.5, 0, n - 1)
    low = np.minimum(at.astype(int), n - 1)
    high = np.minimum(low + 1, n - 1)
    weights = np.zeros((m, n))
    np.add.at(weights, (np.arange(m), low), 1 - (at - low))
    np.add.at(weights, (np.arange(m), high), at - low)
    return weights
