"""facades: houses with a map each, drawn by a generator of ours."""

import numpy as np
import pytest

from minigan.data import Field, has_test, load
from minigan.data.facades import COLOURS, LABELS, WALL, load_facades, read_map
from minigan.errors import MiniganError


@pytest.fixture(scope="module")
def houses():
    return load("facades")


def energy(pictures):
    """The mean square of the steps between neighbouring pixels."""
    pixels = pictures.astype(np.float32)
    return np.square(np.diff(pixels, axis=2)).mean() + np.square(np.diff(pixels, axis=3)).mean()


@pytest.mark.slow
def test_maps_and_pictures(houses):
    image = Field("image", (3, 32, 32))
    assert (houses.name, houses.kind, len(houses), houses.fields) == (
        "facades",
        "pair",
        2000,
        {"x": image, "y": image},
    )
    assert len(load("facades", split="test")) == 500
    assert has_test("facades")


@pytest.mark.slow
def test_they_are_always_the_same(houses):
    again = load_facades()
    np.testing.assert_array_equal(again.x.samples, houses.x.samples)
    np.testing.assert_array_equal(again.y.samples, houses.y.samples)


@pytest.mark.slow
def test_no_house_is_drawn_twice(houses):
    test = load("facades", split="test")
    maps = [bytes(a) for half in (houses, test) for a in half.x.samples]
    assert len(set(maps)) == 2500


@pytest.mark.parametrize("mapped", [False, True])
def test_the_labels_are_read_back(houses, mapped):
    indices = slice(0, 50)
    labels = read_map(houses.x.batch(indices) if mapped else houses.x.stored(indices))
    assert (labels.dtype, labels.shape) == (np.int64, (50, 32, 32))
    np.testing.assert_array_equal(COLOURS[labels].transpose(0, 3, 1, 2), houses.x.stored(indices))
    with pytest.raises(MiniganError, match=r"maps are \(N, 3, H, W\), got \(50, 32, 32\)"):
        read_map(labels)


def test_a_colour_near_that_of_a_label_is_read_as_that(houses):
    noise = np.random.default_rng(0).uniform(-0.15, 0.15, (50, 3, 32, 32))
    maps = houses.x.batch(slice(0, 50))
    np.testing.assert_array_equal(read_map((maps + noise).astype(np.float32)), read_map(maps))


def test_every_label_is_somewhere_and_most_houses_have_most(houses):
    labels = read_map(houses.x.samples)
    has = np.array([(labels == label).any(axis=(1, 2)).mean() for label in range(len(LABELS))])
    assert has.min() > 0.5
    assert dict(zip(LABELS, has, strict=True))["door"] == 1


def test_one_map_does_not_tell_the_colours(houses):
    """Neither of its own wall nor of another house's: about as far apart as walls of any two."""
    walls = (read_map(houses.x.samples) == WALL)[:, None]
    colours = (houses.y.samples * walls).sum(axis=(2, 3)) / walls.sum(axis=(2, 3))
    assert colours.std(axis=0).min() > 25
    size = walls.sum(axis=(1, 2, 3))
    assert max(abs(np.corrcoef(size, c)[0, 1]) for c in colours.T) < 0.08


def test_bricks_are_sharp_and_a_blur_shows(houses):
    sharp = houses.y.samples[:200]
    soft = (sharp.astype(np.float32) + np.roll(sharp, 1, axis=3)) / 2
    assert energy(soft) < 0.8 * energy(sharp)


@pytest.mark.slow
@pytest.mark.parametrize("size", [45, 64])
def test_another_size_is_drawn_not_resized(size):
    part = load("facades", split="test", size=size).part([7, 3])
    redrawn = load("facades", split="test").part([7, 3]).to_size(size)
    assert redrawn.shape == (3, size, size)
    for half, other in zip(part.batch([0, 1]), redrawn.batch([0, 1]), strict=True):
        np.testing.assert_array_equal(half, other)
    maps = part.x.stored([0, 1])
    np.testing.assert_array_equal(COLOURS[read_map(maps)].transpose(0, 3, 1, 2), maps)
    small = read_map(load("facades", split="test").part([7, 3]).x.stored([0, 1]))
    shares = [np.bincount(labels.ravel(), minlength=10) / labels.size for labels in (small, read_map(maps))]
    np.testing.assert_allclose(*shares, atol=0.02)


@pytest.mark.slow
def test_sizes_below_32_are_refused():
    with pytest.raises(MiniganError, match="facades are drawn from 32 pixels on, got size 31"):
        load("facades", size=31)
    with pytest.raises(MiniganError, match="facades are drawn from 32 pixels on, got size 0"):
        load("facades", size=0)
    with pytest.raises(MiniganError, match="facades are drawn from 32 pixels on, got size 16"):
        load("facades").to_size(16)


@pytest.mark.slow
def test_they_come_mirrored_together():
    houses = load("facades", flip=True)
    picture_of = {x.tobytes(): y for x, y in zip(*houses.batch(slice(None)), strict=True)}
    straight = 0
    for x, y in zip(*next(houses.batches(50)), strict=True):
        if x.tobytes() in picture_of:
            straight += 1
            np.testing.assert_array_equal(picture_of[x.tobytes()], y)
        else:
            np.testing.assert_array_equal(picture_of[x[..., ::-1].tobytes()], y[..., ::-1])
    assert 10 < straight < 40


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"channels": 1}, "only the images of a folder are made grey or colour, got channels of facades"),
        ({"data_dir": "here"}, "read from a data folder, facades needs none"),
    ],
)
def test_what_they_do_not_take(how, sentence):
    with pytest.raises(MiniganError, match=sentence):
        load("facades", **how)
