"""PSNR and SSIM against plain loops written from the papers."""

import math

import numpy as np
import pytest

from minigan import Tensor
from minigan.errors import MiniganError
from minigan.metrics import psnr, sharpness, ssim


def pictures(seed=0, shape=(2, 3, 14, 13), noise=0.3):
    """Smooth waves, and the same with noise."""
    rng = np.random.default_rng(seed)
    n, c, h, w = shape
    rows, columns = np.mgrid[:h, :w]
    phase = rng.uniform(0, 6, (n, c, 1, 1))
    x = 0.6 * np.sin(rows / 3 + phase) * np.cos(columns / 4 - phase)
    return x, (x + noise * rng.standard_normal(shape)).clip(-1, 1)


def loop(x, y, data_range):
    """Equation 13 of Wang et al., place by place."""
    weights = np.array(
        [[math.exp(-(i * i + j * j) / (2 * 1.5**2)) for j in range(-5, 6)] for i in range(-5, 6)]
    )
    weights /= weights.sum()
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    means = []
    for n in range(len(x)):
        found = []
        for a, b in zip(x[n], y[n], strict=True):
            for i in range(a.shape[0] - 10):
                for j in range(a.shape[1] - 10):
                    p, q = a[i : i + 11, j : j + 11], b[i : i + 11, j : j + 11]
                    mp, mq = (weights * p).sum(), (weights * q).sum()
                    vp, vq = (weights * (p - mp) ** 2).sum(), (weights * (q - mq) ** 2).sum()
                    cov = (weights * (p - mp) * (q - mq)).sum()
                    found.append(
                        (2 * mp * mq + c1) * (2 * cov + c2) / ((mp**2 + mq**2 + c1) * (vp + vq + c2))
                    )
        means.append(sum(found) / len(found))
    return sum(means) / len(means)


@pytest.mark.parametrize("noise", [0.01, 0.3, 2.0])
@pytest.mark.parametrize("shape", [(2, 3, 14, 13), (1, 1, 11, 11)])
def test_ssim_is_the_formula_of_the_paper(shape, noise):
    x, y = pictures(shape=shape, noise=noise)
    assert ssim(x, y) == pytest.approx(loop(x, y, 2.0), rel=1e-10)
    assert ssim(x, y) == pytest.approx(ssim(y, x), rel=1e-12)
    assert ssim(x, -y) < ssim(x, y) < 1


def test_equal_pictures_have_the_best_values():
    x, _ = pictures()
    assert ssim(x, x) == pytest.approx(1, rel=1e-12)
    assert psnr(x, x) == math.inf


def test_more_noise_is_farther():
    values = [(ssim(*pictures(noise=n)), psnr(*pictures(noise=n))) for n in (0.01, 0.1, 0.5)]
    assert values == sorted(values, reverse=True)
    assert values[0][0] > 0.9 > 0.5 > values[-1][0]


def test_psnr_is_a_mean_over_pictures_of_the_formula():
    x = np.zeros((2, 1, 4, 4))
    y = np.stack([np.full((1, 4, 4), 0.2), np.full((1, 4, 4), 0.02)])
    assert psnr(x, y) == pytest.approx((20 + 40) / 2, rel=1e-12)
    assert psnr(x, y, data_range=1) == pytest.approx(30 - 20 * math.log10(2), rel=1e-12)


def test_the_range_only_sets_the_unit():
    x, y = (np.round((a + 1) * 127.5).astype(np.uint8) for a in pictures())
    scaled = x / 127.5 - 1, y / 127.5 - 1
    assert psnr(x, y, 255) == pytest.approx(psnr(*scaled), rel=1e-12)
    moved = (x / 255.0, y / 255.0)
    assert ssim(x, y, 255) == pytest.approx(ssim(*moved, 1.0), rel=1e-10)
    assert ssim(Tensor(x), Tensor(y), 255.0) == ssim(x, y, 255)


def test_scikit_images_values():
    """Of scikit-image 0.26.0: structural_similarity(x[0], y[0], data_range=2, channel_axis=0,
    gaussian_weights=True, sigma=1.5, use_sample_covariance=False) and peak_signal_noise_ratio."""
    x, y = pictures(shape=(1, 3, 20, 17))
    assert ssim(x, y) == pytest.approx(0.3516573354418943, rel=1e-12)
    assert psnr(x, y) == pytest.approx(16.82318311715968, rel=1e-12)


@pytest.mark.parametrize("metric", [psnr, ssim])
@pytest.mark.parametrize(
    ("x", "y", "data_range", "error", "message"),
    [
        ((2, 1, 12, 12), (1, 1, 12, 12), 2, MiniganError, r"of one shape, got \(2, 1, 12, 12\) and \(1, 1"),
        ((12, 12), (12, 12), 2, MiniganError, r"compares pictures \(N, C, H, W\)"),
        ((0, 1, 12, 12), (0, 1, 12, 12), 2, MiniganError, r"compares pictures \(N, C, H, W\)"),
        ((1, 1, 12, 12), (1, 1, 12, 12), 0, ValueError, "data_range must be above 0, got 0"),
        ((1, 1, 12, 12), (1, 1, 12, 12), "2", TypeError, "data_range must be a number, got '2'"),
    ],
)
def test_what_cannot_be_compared_is_told(metric, x, y, data_range, error, message):
    with pytest.raises(error, match=f"^{metric.__name__}.*{message}"):
        metric(np.zeros(x), np.zeros(y), data_range)


def test_small_pictures_and_nan_are_told():
    with pytest.raises(
        MiniganError, match=r"ssim needs pictures of at least 11x11 pixels, got \(1, 1, 10, 12\)"
    ):
        ssim(np.zeros((1, 1, 10, 12)), np.zeros((1, 1, 10, 12)))
    x = np.zeros((1, 1, 12, 12))
    for metric in (psnr, ssim):
        with pytest.raises(MiniganError, match=f"{metric.__name__} needs finite numbers"):
            metric(x, np.full_like(x, np.nan))


def test_sharpness_is_the_sum_over_neighbours_of_squares():
    x, y = (p.astype(np.float32) for p in pictures(shape=(2, 3, 4, 5)))

    def energy(p):
        down = [(p[n, c, i + 1, j] - p[n, c, i, j]) ** 2 for n, c, i, j in np.ndindex(2, 3, 3, 5)]
        along = [(p[n, c, i, j + 1] - p[n, c, i, j]) ** 2 for n, c, i, j in np.ndindex(2, 3, 4, 4)]
        return np.mean(down) + np.mean(along)

    assert sharpness(y, x) == pytest.approx(energy(y) / energy(x), rel=1e-5)
    assert sharpness(y[:1], y[:1]) == 1
    assert sharpness(y, x) > 1, "noise has edges"
    with pytest.raises(MiniganError, match="these have no edges"):
        sharpness(y, np.zeros_like(x))
