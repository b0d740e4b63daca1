"""Slant and width of images whose slant and width are known."""

import numpy as np
import pytest

from minigan import MiniganError, Tensor
from minigan.data import load
from minigan.metrics import slant_and_width


def moved(images, transform):
    """Images of which each pixel shows what lay at transform (2, 2) of its place, from the middle, (x, y)."""
    from scipy.ndimage import affine_transform

    middle = (np.array(images.shape[2:]) - 1) / 2
    matrix = np.asarray(transform)[::-1, ::-1]  # rows first
    return np.stack(
        [affine_transform(x, matrix, middle - matrix @ middle, order=1, cval=-1.0) for x in images[:, 0]]
    )[:, None]


@pytest.fixture(scope="module")
def digits():
    """40 digits with a wide margin, so that nothing is moved out."""
    small = load("digits", 32).batch(range(40))
    return np.pad(small, ((0, 0), (0, 0), (16, 16), (16, 16)), constant_values=-1.0)


@pytest.mark.parametrize("s", [-0.4, 0.25, 0.5])
def test_shearing_adds_to_the_slant_and_leaves_the_width(digits, s):
    slant, width = slant_and_width(digits)
    sheared = moved(digits, [[1, s], [0, 1]])  # upwards, towards smaller y, it goes to the right
    slants, widths = slant_and_width(sheared)
    np.testing.assert_allclose(slants - slant, s, atol=0.01)
    np.testing.assert_allclose(widths, width, rtol=0.02)


@pytest.mark.parametrize("f", [0.75, 1.5])
def test_stretching_along_x_multiplies_the_width_and_the_slant(digits, f):
    slant, width = slant_and_width(digits)
    slants, widths = slant_and_width(moved(digits, [[1 / f, 0], [0, 1]]))
    np.testing.assert_allclose(widths, f * width, rtol=0.04)
    np.testing.assert_allclose(slants, f * slant, atol=0.02)


def test_a_stroke_and_a_bar_by_hand():
    images = np.full((3, 1, 5, 5), -1.0)
    images[0, 0, range(5), range(4, -1, -1)] = 1  # from the bottom left to the top right
    images[1, 0, :, 2] = 1  # upright
    images[2, 0, 1:4, 0:5] = 1  # a bar
    slant, width = slant_and_width(Tensor(images))
    np.testing.assert_allclose(slant, [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(width, [0, 0, np.sqrt(2)], atol=1e-12)


def test_where_an_image_lies_does_not_count_nor_how_bright_nor_in_which_colour(digits):
    slant, width = slant_and_width(digits)
    for other in (np.roll(digits, (3, -5), (2, 3)), 0.5 * digits - 0.5, np.repeat(digits, 3, axis=1)):
        found = slant_and_width(other)
        np.testing.assert_allclose(found[0], slant, atol=1e-6)
        np.testing.assert_allclose(found[1], width, rtol=1e-6)


def test_a_faint_ground_does_not_count(digits):
    noisy = digits + 0.7 * np.random.default_rng(0).random(digits.shape) * (digits < -0.9)
    for found, expected in zip(slant_and_width(noisy), slant_and_width(digits), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_without_ink_or_height_both_are_0():
    images = np.full((2, 1, 4, 4), -1.0, np.float32)
    images[1, 0, 2] = 1
    for found in slant_and_width(images):
        np.testing.assert_array_equal(found, [0, 0])


def test_what_are_no_images_is_refused():
    with pytest.raises(MiniganError, match=r"slant_and_width: images are \(N, C, H, W\), got \(3, 2\)"):
        slant_and_width(np.zeros((3, 2)))
