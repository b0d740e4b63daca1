"""load() and the datasets that need no files: digits, ring8, grid25."""

import hashlib
import subprocess
import sys
from functools import partial
from itertools import islice

import numpy as np
import pytest
from sklearn import datasets

from minigan.data import NAMES, Batches, datasets_of, has_test, kind_of, load, resolved
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


@pytest.mark.parametrize("name", ["digits", "folder:here"])
def test_some_have_no_test_split(name):
    with pytest.raises(MiniganError, match=f"{name} has no test split; only mnist, fashion-mnist, stacked"):
        load(name, split="test")
    assert not has_test(name)


@pytest.mark.parametrize("name", ["ring8", "grid25"])
def test_the_test_points_of_a_mixture_are_others_of_the_same(name):
    train, test, mixture = load(name), load(name, split="test"), MIXTURES[name]
    assert has_test(name)
    assert (len(test), test.fields) == (20_000, train.fields)
    assert not set(map(bytes, test.samples)) & set(map(bytes, train.samples))
    noise = test.samples - mixture.centres[test.labels]
    np.testing.assert_allclose(noise.std(axis=0), mixture.sigma, rtol=0.03)


@pytest.mark.parametrize(
    ("name", "how", "digest"),  # as they were before there were other kinds of data
    [
        ("digits", {}, "9b287596250836e7"),
        ("digits", {"size": 16, "flip": True}, "4a605447932a7d43"),
        ("ring8", {}, "9028d271970be53d"),
        ("grid25", {}, "330fc1e7aa558e1a"),
    ],
)
def test_the_bits_of_batches(name, how, digest):
    dataset = load(name, **how)
    for draw in (dataset.batches, partial(Batches, dataset)):
        found = hashlib.sha256()
        for batch, labels in islice(draw(32, 3, labels=True), 12):
            found.update(np.ascontiguousarray(batch).tobytes() + labels.tobytes())
        assert found.hexdigest()[:16] == digest


def test_an_unknown_split():
    with pytest.raises(MiniganError, match="split must be 'train' or 'test', got 'valid'"):
        load("mnist", split="valid")


def test_every_name_has_a_line_of_description():
    assert " ".join(NAMES) == (
        "digits mnist fashion-mnist stacked-mnist ring8 grid25 photographs factors factors:HOW captions "
        "facades animals digits-mnist moving-digits moving-digits:HOW two-futures chimes vowels melodies "
        "sentences edges:NAME edges-thick:NAME edges-dilated:NAME folder:PATH patches:PATH pairs:PATH "
        "pairs-swapped:PATH domains:PATH clips:PATH sounds:PATH"
    )
    assert all(line and "\n" not in line for line in NAMES.values())


def test_names_by_kind():
    assert [name for name in NAMES if name in datasets_of("point")] == ["ring8", "grid25"]
    assert {"digits", "mnist", "folder:PATH"} <= set(datasets_of("image"))
    assert "facades" in datasets_of("pair")
    assert datasets_of("domains") == ["animals", "digits-mnist", "domains:PATH"]
    assert (kind_of("folder:here"), kind_of("grid25")) == ("image", "point")
    with pytest.raises(MiniganError, match=r"no dataset is of the kind 'smell'; there are: .*image"):
        datasets_of("smell")


def test_a_resolved_name_has_an_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolved("folder:cats") == f"folder:{tmp_path / 'cats'}"
    assert resolved("ring8") == "ring8"
    with pytest.raises(MiniganError, match="unknown dataset 'ring9'"):
        resolved("ring9")


def test_importing_brings_in_no_heavy_library():
    heavy = "{'PIL', 'sklearn', 'pooch', 'requests', 'rich'}"
    program = f"import sys, minigan.data; sys.exit(', '.join({heavy} & sys.modules.keys()) or 0)"
    assert subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE).stderr == b""
