"""load() and the datasets that need no files: digits, ring8, grid25."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn import datasets

from minigan.data import NAMES, load
from minigan.data.mixtures import MIXTURES
from minigan.errors import MiniganError


def test_digits():
    digits, source = load("digits"), datasets.load_digits()
    assert (digits.name, digits.shape, digits.classes) == ("digits", (1, 8, 8), 10)
    assert digits.samples.dtype == np.uint8
    assert (digits.samples.min(), digits.samples.max(), len(np.unique(digits.samples))) == (0, 255, 17)
    assert np.abs(digits.samples[:, 0] / 255 - source.images / 16).max() < 0.002
    np.testing.assert_array_equal(digits.labels, source.target)


def test_size_is_passed_on():
    assert load("digits", size=32).shape == (1, 32, 32)
    with pytest.raises(MiniganError, match="ring8 is made of points"):
        load("ring8", size=32)


def test_ring8_has_eight_distinct_modes_on_the_unit_circle():
    centres = MIXTURES["ring8"].centres
    assert centres.shape == (8, 2)
    np.testing.assert_allclose(np.hypot(*centres.T), 1, rtol=1e-6)
    gaps = np.linalg.norm(centres - np.roll(centres, 1, axis=0), axis=1)
    np.testing.assert_allclose(gaps, 2 * np.sin(np.pi / 8), rtol=1e-5)
    assert MIXTURES["ring8"].sigma == 0.01


def test_grid25_is_the_grid():
    ticks = (-4, -2, 0, 2, 4)
    assert {tuple(centre) for centre in MIXTURES["grid25"].centres} == {(x, y) for x in ticks for y in ticks}
    assert MIXTURES["grid25"].sigma == 0.05


@pytest.mark.parametrize("name", ["ring8", "grid25"])
def test_points_of_a_mixture(name):
    dataset, mixture = load(name), MIXTURES[name]
    modes = len(mixture.centres)
    assert (dataset.name, len(dataset), dataset.shape, dataset.classes) == (name, 100_000, (2,), modes)
    assert dataset.samples.dtype == np.float32
    counts = np.bincount(dataset.labels)
    assert np.abs(counts - 100_000 / modes).max() < 5 * np.sqrt(100_000 / modes)
    noise = dataset.samples - mixture.centres[dataset.labels]
    np.testing.assert_allclose(noise.std(axis=0), mixture.sigma, rtol=0.02)
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.02 * mixture.sigma)
    assert np.abs(np.corrcoef(noise.T)[0, 1]) < 0.02


@pytest.mark.parametrize("name", ["ring8", "grid25"])
def test_a_mixture_is_always_the_same(name):
    np.testing.assert_array_equal(load(name).samples, load(name).samples)


@pytest.mark.parametrize(
    ("given", "hint"),
    [("minst", "'mnist'"), ("ring-8", "'ring8'"), ("folder", "'folder:PATH'"), ("folder:", "'folder:PATH'")],
)
def test_an_unknown_name_gets_a_suggestion(given, hint):
    with pytest.raises(MiniganError, match=f"unknown dataset '{given}'; did you mean {hint}"):
        load(given)


@pytest.mark.parametrize("name", ["digits", "ring8", "grid25", "folder:here"])
def test_only_mnist_has_a_test_split(name):
    with pytest.raises(MiniganError, match=f"{name} has no test split; only mnist, fashion-mnist, stacked"):
        load(name, split="test")


def test_an_unknown_split():
    with pytest.raises(MiniganError, match="split must be 'train' or 'test', got 'valid'"):
        load("mnist", split="valid")


def test_every_name_has_a_line_of_description():
    assert " ".join(NAMES) == "digits mnist fashion-mnist stacked-mnist ring8 grid25 folder:PATH"
    assert all(line and "\n" not in line for line in NAMES.values())


def test_importing_brings_in_no_heavy_library():
    heavy = "{'PIL', 'sklearn', 'pooch', 'requests', 'rich'}"
    program = f"import sys, minigan.data; sys.exit(', '.join({heavy} & sys.modules.keys()) or 0)"
    assert subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE).stderr == b""
