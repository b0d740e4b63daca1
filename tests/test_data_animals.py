"""animals: brown ones and striped ones, drawn by a generator of ours, and what reads their pictures."""

from dataclasses import replace

import numpy as np
import pytest

from minigan.data import Field, has_test, kind_of, load
from minigan.data.animals import COATS, load_animals, read_coats, read_silhouettes
from minigan.errors import MiniganError


@pytest.fixture(scope="module")
def herd():
    return load("animals", split="test")


def halves(domains):
    return zip(COATS, (domains.x, domains.y), strict=True)


@pytest.mark.slow
def test_two_domains():
    animals, image = load("animals"), Field("image", (3, 32, 32))
    assert (animals.name, animals.kind, kind_of("animals")) == ("animals", "domains", "domains")
    assert animals.fields == {"x": image, "y": image}
    assert (len(animals.x), len(animals.y)) == (2000, 2000)
    assert has_test("animals")
    test = load("animals", split="test")
    assert (len(test.x), len(test.y)) == (500, 500)
    pictures = [bytes(a) for of in (animals, test) for half in (of.x, of.y) for a in half.samples]
    assert len(set(pictures)) == 5000, "no animal is drawn twice"


def test_they_are_always_the_same(herd):
    again = load_animals(split="test")
    for one, other in ((again.x, herd.x), (again.y, herd.y)):
        np.testing.assert_array_equal(one.samples, other.samples)


def test_no_animal_is_in_both_domains(herd):
    """Neither a silhouette nor a meadow: what one knows of a brown one tells nothing of a striped one."""
    brown, striped = (set(map(bytes, half.silhouettes(slice(None)))) for _, half in halves(herd))
    assert not brown & striped
    corners = [half.samples[:, :, 0, 0] for _, half in halves(herd)]
    assert (corners[0] == corners[1]).all(axis=1).mean() < 0.05


def test_bodies_and_meadows_are_alike_in_both(herd):
    inside = [half.silhouettes(slice(None)) for _, half in halves(herd)]
    for measure in (
        np.mean,
        lambda a: a.any(axis=1).sum(axis=1).mean(),
        lambda a: a.any(axis=2).sum(axis=1).mean(),
    ):
        assert measure(inside[0]) == pytest.approx(measure(inside[1]), rel=0.05)
    behind = [
        (half.samples * ~where[:, None]).sum(axis=(0, 2, 3)) / (~where).sum()
        for (_, half), where in zip(halves(herd), inside, strict=True)
    ]
    np.testing.assert_allclose(*behind, rtol=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("size", [32, 45, 64])
def test_the_silhouette_is_read_from_a_real_picture_without_an_error(size):
    animals = load("animals", size, split="test").part(slice(0, 100))
    for _, half in halves(animals):
        where = half.silhouettes(slice(None))
        assert (where.dtype, where.shape) == (bool, (100, size, size))
        np.testing.assert_array_equal(read_silhouettes(half.stored(slice(None))), where)
        np.testing.assert_array_equal(read_silhouettes(half.batch(slice(None))), where)
        assert 0.05 < where.mean(axis=(1, 2)).min() < where.mean(axis=(1, 2)).max() < 0.25
        assert not where[:, [0, -1]].any(), "the whole animal is in the picture"
        assert not where[..., [0, -1]].any()


def test_silhouettes_are_of_the_rows_of_a_part(herd):
    part = herd.part([7, 3])
    for (_, half), (_, whole) in zip(halves(part), halves(herd), strict=True):
        np.testing.assert_array_equal(half.silhouettes([1, 0]), whole.silhouettes([3, 7]))
        np.testing.assert_array_equal(replace(half, flip=True).silhouettes([0]), whole.silhouettes([7]))


@pytest.mark.slow
@pytest.mark.parametrize("size", [32, 48, 128])
def test_the_coat_of_every_real_animal_is_read_right(size):
    animals = load("animals", size, split="test").part(slice(0, 200 if size == 128 else 500))
    for i, (_, half) in enumerate(halves(animals)):
        assert (read_coats(half.batch(slice(None))) == i).all()


def test_what_is_neither_brown_nor_striped_is_neither(herd):
    x, y = herd.batch(slice(0, 100))
    nothing = -np.ones((1, 3, 32, 32), np.float32)
    nothing[:, 1] = 1  # a meadow and nothing else
    assert read_coats(nothing) == [-1]
    assert not read_silhouettes(nothing).any()
    where = herd.x.silhouettes(slice(0, 100))[:, None]
    grey = np.where(where, x.mean(axis=1, keepdims=True), x)
    assert (read_coats(grey) == -1).all(), "grey, and no stripes"
    red = np.where(
        herd.y.silhouettes(slice(0, 100))[:, None], y * np.float32([[[0.9]], [[0.3]], [[-0.5]]]), y
    )
    assert (read_coats(red) != 1).all(), "stripes, but coloured ones"
    half = x.copy()
    half[:50, :, :, 16:], half[50:, :, :, :16] = y[:50, :, :, 16:], y[50:, :, :, :16]
    assert (read_coats(half) != 1).mean() > 0.3, "too few stripes"


def test_stripes_follow_the_body(herd):
    """Seen along a leg and along a trunk, dark and pale take turns; a pattern that did not would do so along
    one direction of the picture alone."""
    where, light = herd.y.silhouettes(slice(None)), herd.y.batch(slice(None)).mean(axis=1)
    pairs = []
    for axis in (1, 2):
        a = np.moveaxis(where, axis, -1)
        pairs.append((np.abs(np.diff(np.moveaxis(light, axis, -1))) > 0.7)[a[..., 1:] & a[..., :-1]].mean())
    assert min(pairs) > 0.2


@pytest.mark.slow
@pytest.mark.parametrize("size", [45, 64])
def test_another_size_is_drawn_not_resized(size):
    part, redrawn = (load("animals", s, split="test").part([7, 3]).to_size(size) for s in (size, 32))
    for one, other in zip(part.batch([0, 1]), redrawn.batch([0, 1]), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(redrawn.x.silhouettes([0]), part.x.silhouettes([0]))
    assert redrawn.shape == (3, size, size)


@pytest.mark.slow
def test_sizes_below_32_are_refused():
    with pytest.raises(MiniganError, match="animals are drawn from 32 pixels on, got size 31"):
        load("animals", size=31)
    with pytest.raises(MiniganError, match="animals are drawn from 32 pixels on, got size 16"):
        load("animals").to_size(16)


def test_they_come_mirrored_each_by_itself():
    animals = load("animals", flip=True, samples=50, split="test")
    x, y = next(animals.batches(50))
    for half, batch in ((animals.x, x), (animals.y, y)):
        straight = {bytes(a) for a in half.batch(slice(None))}
        assert 10 < sum(bytes(a) in straight for a in batch) < 40


def test_what_they_do_not_take(herd):
    with pytest.raises(MiniganError, match="only the images of a folder are made grey or colour"):
        load("animals", channels=1)
    with pytest.raises(MiniganError, match="read from a data folder, animals needs none"):
        load("animals", data_dir="here")
    with pytest.raises(MiniganError, match=r"pictures are \(N, 3, H, W\), got \(2, 1, 8, 8\)"):
        read_silhouettes(np.zeros((2, 1, 8, 8), np.float32))
    with pytest.raises(MiniganError, match="animals has 500 samples, got samples = 501"):
        load("animals", split="test", samples=501)
