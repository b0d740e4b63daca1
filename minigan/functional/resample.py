"""Images of another size. Made of differentiable ops, so differentiable to every order."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np

import minigan_kernels as kernels
from minigan.autograd import Function, Tensor
from minigan.checks import integer, is_integer, is_number, shown

from .clips import along_the_depth, in_planes
from .conv import several
from .shape import squeeze, unsqueeze

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}  # of sequences, images and clips
SUPPORT = {"linear": 1, "cubic": 2}  # how many pixels away a pixel still counts
CUBIC, CUBIC_ANTIALIASED = -0.75, -0.5  # the slope of Keys's kernel at 1, as PyTorch has it


def interpolate(
    x: Tensor,
    size: int | tuple[int, ...] | None = None,
    scale_factor: float | tuple[float, ...] | None = None,
    mode: str = "nearest",
    align_corners: bool = False,
    antialias: bool = False,
) -> Tensor:
    """x (N, C, H, W) -> (N, C, OH, OW), of `size` or of `scale_factor` times its own, rounded down; so also
    sequences (N, C, L) and clips (N, C, D, H, W).

    mode: "nearest", or "linear" for sequences, "bilinear" or "bicubic" for images, "trilinear" for clips.
    With align_corners the corner pixels keep their values, else pixels are areas. With antialias, of images
    by the last two modes, the kernel is as wide as what becomes a pixel, so that no pixel is passed over; its
    weights are those of whatever lies within the image (Keys 1981, as Pillow and MATLAB resize). As in
    PyTorch, a scale_factor is also the distance between samples, where the rounded size would give another.
    ValueError for any other mode, or unless exactly one of size and scale_factor is given.
    """
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: give either size or scale_factor")
    axes = x.ndim - 2
    if axes not in LINEAR:
        raise ValueError(
            f"interpolate: x must have shape (N, C, H, W), (N, C, L) or (N, C, D, H, W), got {x.shape}"
        )
    factors: Any = scale_factor
    pixels: Any = size
    if size is None:
        factors = (factors,) * axes if is_number(factors) else tuple(factors)
        if len(factors) != axes:
            number = ("one", "two", "three")[axes - 1]
            raise ValueError(f"interpolate: scale_factor must be a number or {number}, got {factors}")
        pixels = tuple(int(n * f) for n, f in zip(x.shape[2:], factors, strict=True))
    else:
        if not is_integer(pixels) and len(pixels) != axes:
            raise ValueError(f"interpolate: size must be an integer or {axes}, got {shown(pixels)}")
        pixels, factors = several(pixels, axes), (None,) * axes
    if min(pixels) < 1:
        raise ValueError(f"interpolate: size or scale_factor would give images of {pixels}")
    kernels = {"nearest": None, LINEAR[axes]: "linear"} | ({"bicubic": "cubic"} if axes == 2 else {})
    if mode not in kernels:
        known = " or ".join(map(repr, kernels))
        raise ValueError(f"interpolate: mode must be {known} for x of shape {x.shape}, got {mode!r}")
    if antialias and (axes != 2 or mode == "nearest" or align_corners):
        raise ValueError(
            "interpolate: antialias is for images by 'bilinear' or 'bicubic' without align_corners, got "
            f"{mode!r} for x of shape {x.shape} with align_corners={align_corners}"
        )
    kernel = kernels[mode]
    weighted = partial(_weighted, kernel=kernel, align_corners=align_corners, antialias=antialias)
    resized: Callable = weighted if kernel else _nearest
    if axes == 1:
        return squeeze(resized(unsqueeze(x, 2), (1, *pixels), (None, *factors)), 2)
    if axes == 2:
        return resized(x, pixels, factors)
    y = in_planes(lambda frames: resized(frames, pixels[1:], factors[1:]), x)
    return along_the_depth(lambda rows: resized(rows, (pixels[0], rows.shape[3]), (factors[0], None)), y)


def pixel_shuffle(x: Tensor, upscale_factor: int) -> Tensor:
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


def pixel_unshuffle(x: Tensor, downscale_factor: int) -> Tensor:
    """(N, C, H·r, W·r) -> (N, C·r², H, W): each r by r block of pixels becomes r² channels. It undoes
    `pixel_shuffle`. ValueError for sizes that are no multiples of r."""
    if x.ndim != 4:
        raise ValueError(f"pixel_unshuffle: x must have shape (N, C, H, W), got {x.shape}")
    N, C, H, W = x.shape
    r = integer("pixel_unshuffle", "downscale_factor", downscale_factor, 1)
    if H % r or W % r:
        raise ValueError(f"pixel_unshuffle: images of {H}x{W} are no multiple of downscale_factor {r}")
    blocks = x.reshape(N, C, H // r, r, W // r, r).permute(0, 1, 3, 5, 2, 4)
    return blocks.reshape(N, C * r * r, H // r, W // r)


def _nearest(x, size, factors):
    (H, W), (OH, OW) = x.shape[2:], size
    rows, cols = _nearest_pixels(H, OH, factors[0]), _nearest_pixels(W, OW, factors[1])
    if np.array_equal(rows, np.repeat(np.arange(H), OH // H)) and np.array_equal(
        cols, np.repeat(np.arange(W), OW // W)
    ):  # each pixel becomes a block: no need to gather
        return Upsample((OH // H, OW // W))(x)
    rows, cols = (
        _there(x.device, _nearest_pixels, n, m, factor)
        for n, m, factor in zip((H, W), size, factors, strict=True)
    )
    return x[:, :, rows][:, :, :, cols]


@lru_cache(64)
def _there(device, make, *arguments):
    """make(*arguments), an array, on a device. It is kept there: a step that is captured must not copy it."""
    return device.put(make(*arguments))


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


def _weighted(x, size, factors, kernel, align_corners, antialias):
    """Along each axis that changes a product with a matrix that has a few weights a row."""
    how = kernel, bool(align_corners), bool(antialias)
    for axis, (n, m, f) in enumerate(zip(x.shape[2:], size, factors, strict=True)):
        if n == m and f in (None, 1):
            continue
        step = n / m if f is None else 1 / f
        matrix = Tensor(_there(x.device, _weights, n, m, step, *how, x.dtype))
        x = x @ matrix.T if axis else matrix @ x
    return x


def _weights(n, m, step, kernel, align_corners, antialias, dtype):
    """(m, n): output pixel i as a mean of the input pixels around its place, those beyond the border being
    the outermost ones or, antialiased, left out."""
    at = (np.arange(m) + 0.5) * step - 0.5
    if align_corners:
        at = np.arange(m) * ((n - 1) / max(m - 1, 1))
    elif kernel == "linear" and not antialias:
        at = np.clip(at, 0, n - 1)
    stretch = max(step, 1.0) if antialias else 1.0
    reach = SUPPORT[kernel] * stretch
    pixels = np.floor(at - reach)[:, None].astype(int) + np.arange(int(2 * reach) + 3)
    far = np.abs(pixels - at[:, None]) / stretch
    slope = CUBIC_ANTIALIASED if antialias else CUBIC
    parts = np.maximum(1 - far, 0) if kernel == "linear" else _cubic(far, slope)
    if antialias:
        parts[(pixels < 0) | (pixels >= n)] = 0
        parts /= parts.sum(axis=1, keepdims=True)
    weights = np.zeros((m, n))
    np.add.at(weights, (np.arange(m)[:, None], np.clip(pixels, 0, n - 1)), parts)
    return weights.astype(dtype)


def _cubic(far, slope):
    """Keys, "Cubic convolution interpolation for digital image processing", 1981, equation 4."""
    near = ((slope + 2) * far - (slope + 3)) * far**2 + 1
    beyond = slope * (((far - 5) * far + 8) * far - 4)
    return np.where(far <= 1, near, np.where(far < 2, beyond, 0))
