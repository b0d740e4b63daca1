"""How far pictures are from the pictures they should be: pixel by pixel, and by their structure."""

import numpy as np

from minigan import backend
from minigan.autograd import Tensor
from minigan.checks import number
from minigan.errors import MiniganError

RED, GREEN, BLUE, DARKEST = 65.481, 128.553, 24.966, 16.0  # of 255; BT.601 for video
WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03  # of Wang et al.


def psnr(x, y, data_range: float = 2.0) -> float:
    """The peak signal-to-noise ratio in decibel, 10 log₁₀(data_range² / (x - y)²), the mean over pictures.

    x, y: arrays or Tensors (N, C, H, W) of floats or integers, on any device; in float64.
    data_range: from the darkest to the brightest pixel there can be: 2 for pixels in [-1, 1], 255 for bytes.
    Infinite where a picture is its twin. MiniganError for pictures that do not fit or are not finite,
    TypeError or ValueError for a data_range that is no number above 0.
    """
    x, y = _pictures("psnr", x, y, data_range)
    errors = ((x - y) ** 2).mean(axis=(1, 2, 3))
    with np.errstate(divide="ignore"):
        return float((10 * np.log10(float(data_range) ** 2 / errors)).mean())


def ssim(x, y, data_range: float = 2.0) -> float:
    """The structural similarity, at most 1, which only equal pictures have: the mean over pictures.

        (2 μx μy + C₁) (2 σxy + C₂) / ((μx² + μy² + C₁) (σx² + σy² + C₂)),   Cᵢ = (Kᵢ · data_range)²

    with means, variances and covariance in an 11x11 window, weighted by a Gaussian of σ = 1.5 pixels: of each
    channel, at each place where the window lies within the picture, averaged over both.

    x, y: arrays or Tensors (N, C, H, W) of floats or integers, on any device; in float64.
    data_range: from the darkest to the brightest pixel there can be: 2 for pixels in [-1, 1], 255 for bytes.
    MiniganError for pictures that do not fit, are not finite or are smaller than the window, TypeError or
    ValueError for a data_range that is no number above 0.

    Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004, equation
    13 and section III.C.
    """
    x, y = _pictures("ssim", x, y, data_range)
    if min(x.shape[2:]) < WINDOW:
        raise MiniganError(f"ssim needs pictures of at least {WINDOW}x{WINDOW} pixels, got {x.shape}")
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    mean_x, mean_y = _windowed(x), _windowed(y)
    var_x, var_y = _windowed(x * x) - mean_x**2, _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return float(similarity.mean(axis=(1, 2, 3)).mean())


def luminance(images: np.ndarray) -> np.ndarray:
    """How bright each pixel is, float64 (N, 1, H, W) from 16 to 235: as super-resolution is measured.

    images: (N, C, H, W) in [-1, 1], C being 3 for colour or 1 for grey; what lies outside is cut off. The
    weights are those of video (BT.601, MATLAB's rgb2ycbcr); errors are compared with a data_range of 255.
    MiniganError for other channels.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise MiniganError(f"luminance is of pictures (N, 1, H, W) or (N, 3, H, W), got {images.shape}")
    shares = (np.clip(images.astype(np.float64), -1, 1) + 1) / 2
    weights = np.array([RED, GREEN, BLUE]) if images.shape[1] == 3 else np.array([RED + GREEN + BLUE])
    return DARKEST + np.einsum("nchw,c->nhw", shares, weights)[:, None]


def sharpness(made: np.ndarray, real: np.ndarray) -> float:
    """How strong edges are, over those of real pictures: the mean squares of the differences of neighbouring
    pixels, one over the other. Blurred pictures have less than 1, noisy ones more.

    made, real: (N, C, H, W) each, of any numbers of pictures; differences and squares in float64.
    MiniganError for real pictures that have no edge at all.
    """
    among_real = gradient_energy(real)
    if not among_real:
        raise MiniganError("sharpness is compared with that of real pictures, and these have no edges")
    return gradient_energy(made) / among_real


def gradient_energy(pictures: np.ndarray) -> float:
    """The mean square of the differences of neighbouring pixels: blurred pictures have less."""
    return float(sum((np.diff(pictures, axis=axis).astype(np.float64) ** 2).mean() for axis in (2, 3)))


def _pictures(what, *pictures_and_range):
    *pictures, data_range = pictures_and_range
    if number(what, "data_range", data_range) <= 0:
        raise ValueError(f"{what}: data_range must be above 0, got {data_range}")
    arrays = [backend.to_numpy(p.data if isinstance(p, Tensor) else backend.as_array(p)) for p in pictures]
    shapes = [a.shape for a in arrays]
    if shapes[0] != shapes[1] or len(shapes[0]) != 4 or 0 in shapes[0]:
        raise MiniganError(
            f"{what} compares pictures (N, C, H, W) of one shape, got {shapes[0]} and {shapes[1]}"
        )
    arrays = [a.astype(np.float64) for a in arrays]
    if not all(np.isfinite(a).all() for a in arrays):
        raise MiniganError(f"{what} needs finite numbers, some are NaN or infinite")
    return arrays


def _windowed(x):
    """The weighted mean of each window that lies within the picture: along one axis, then the other."""
    weights = np.exp(-((np.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
    weights /= weights.sum()
    for axis in (2, 3):
        x = np.lib.stride_tricks.sliding_window_view(x, WINDOW, axis) @ weights
    return x
