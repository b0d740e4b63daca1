"""edges:NAME: outlines of pictures, and the pictures."""

import re

import numpy as np
import pytest
from PIL import Image

from minigan.data import Field, datasets_of, has_test, kind_of, load, resolved
from minigan.data.edges import STEP, outlines
from minigan.data.held import hold_out
from minigan.errors import MiniganError


def disc(inside=200, outside=20, channels=1, side=24):
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.broadcast_to(
        np.where(np.hypot(x, y) < side / 3, inside, outside), (1, channels, side, side)
    ).astype(np.uint8)


def distance(side=24):
    """Of each pixel from the edge of the disc."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.abs(np.hypot(x, y) - side / 3)


def test_an_outline_lies_on_the_edge_all_around():
    outline = outlines(disc())
    assert (outline.dtype, outline.shape, set(np.unique(outline))) == (np.uint8, (1, 1, 24, 24), {0, 255})
    black = outline[0, 0] == 0
    assert distance()[black].max() < 1.5
    y, x = np.nonzero(black)
    angles = np.sort(np.arctan2(y - 11.5, x - 11.5))
    assert np.diff(np.append(angles, angles[0] + 2 * np.pi)).max() < 0.4


def test_thick_and_dilated_outlines_hold_the_thin_one():
    thin, thick, dilated = (outlines(disc(), kind)[0, 0] == 0 for kind in ("thin", "thick", "dilated"))
    circle = 2 * np.pi * 8
    assert thin.sum() < 1.4 * circle
    assert 1.5 * circle < thick.sum() < 3 * circle
    assert 2.2 * circle < dilated.sum() < 4 * circle
    assert (thick | ~thin).all()
    assert (dilated | ~thin).all()
    assert distance()[dilated].max() < 3


def test_a_straight_edge_is_one_line():
    image = np.zeros((1, 1, 9, 9), np.uint8)
    image[..., 5:] = 255
    for turned in (image, image.transpose(0, 1, 3, 2)):
        black = outlines(turned)[0, 0] == 0
        assert sorted((black.sum(axis=0).max(), black.sum(axis=1).max())) == [1, 9]
        assert black.sum() == 9


def test_steps_below_the_least_have_no_outline():
    for step, expected in ((STEP - 1, 0), (STEP, 18), (-STEP, 18)):
        image = np.full((1, 1, 9, 9), 100, np.uint8)
        image[..., 5:] += np.int64(step).astype(np.uint8)
        assert (outlines(image, "thick") == 0).sum() == expected
    assert (outlines(np.full((2, 3, 8, 8), 77, np.uint8)) == 255).all()


def test_any_channel_can_have_the_edge():
    colour = np.full((1, 3, 24, 24), 60, np.uint8)
    colour[:, 2:] = disc()
    np.testing.assert_array_equal(outlines(colour), outlines(disc()))


def test_the_outline_of_an_image_does_not_depend_on_the_others():
    images = load("digits", size=24).samples[:5]
    np.testing.assert_array_equal(outlines(images)[3:4], outlines(images[3:4]))


@pytest.mark.parametrize("kind", ["thin", "thick", "dilated"])
def test_pairs_of_digits(kind):
    name = "edges:digits" if kind == "thin" else f"edges-{kind}:digits"
    train, test = load(name, size=24), load(name, size=24, split="test")
    whole, held = hold_out(load("digits", size=24))
    image = Field("image", (1, 24, 24))
    assert (train.name, train.kind, train.fields) == (name, "pair", {"x": image, "y": image})
    assert (len(train), len(test), has_test(name), kind_of(name)) == (1438, 359, True, "pair")
    for pairs, expected in ((train, whole), (test, held)):
        x, y = pairs.batch([5, 0])
        np.testing.assert_array_equal(y, expected.batch([5, 0]))
        np.testing.assert_array_equal(x, outlines(expected.stored([5, 0]), kind) / np.float32(127.5) - 1)
        np.testing.assert_array_equal(pairs.y.labels, expected.labels)


def test_another_size_outlines_the_picture_of_that_size():
    for a, b in zip(
        load("edges:digits").to_size(20).batch([3]), load("edges:digits", 20).batch([3]), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_they_are_mirrored_with_their_pictures():
    pairs = load("edges:digits", size=16, flip=True)
    own = {y.tobytes(): x for x, y in zip(*pairs.batch(slice(None)), strict=True)}
    mirrored = 0
    for x, y in zip(*next(pairs.batches(40)), strict=True):
        if y.tobytes() not in own:
            x, y = x[..., ::-1], y[..., ::-1]
            mirrored += 1
        np.testing.assert_array_equal(own[y.tobytes()], x)
    assert 8 < mirrored < 32


def test_of_a_folder_with_its_arguments(tmp_path, monkeypatch):
    for i in range(10):
        Image.fromarray(disc(20 * i, channels=3)[0].transpose(1, 2, 0)).save(tmp_path / f"{i}.png")
    name = f"edges:folder:{tmp_path}"
    assert load(name, size=12, channels=3).fields == {
        "x": Field("image", (1, 12, 12)),
        "y": Field("image", (3, 12, 12)),
    }
    assert (len(load(name)), len(load(name, split="test")), load(name).shape) == (8, 2, (1, 64, 64))
    monkeypatch.chdir(tmp_path.parent)
    assert resolved(f"edges:folder:{tmp_path.name}") == name


@pytest.mark.parametrize(
    ("name", "how", "sentence"),
    [
        ("edges:minst", {}, "unknown dataset 'minst'; did you mean 'mnist'?"),
        ("edges", {}, "unknown dataset 'edges'; did you mean 'edges:NAME'?"),
        (
            "edges:ring8",
            {},
            f"drawn of images, which ring8 has not; there are: {', '.join(datasets_of('image'))}",
        ),
        ("edges:facades", {}, "outlines are drawn of images, which facades has not"),
        ("edges:edges:mnist", {}, "outlines are drawn of images, which edges:mnist has not"),
        (
            "edges:digits",
            {"channels": 3},
            "only the images of a folder are made grey or colour, got channels of digits",
        ),
        ("edges:digits", {"data_dir": "x"}, "read from a data folder, digits needs none"),
        (
            "edges:mnist",
            {"data_dir": "nowhere"},
            "mnist: no file train-images-idx3-ubyte, with or without .gz, in",
        ),
        ("edges:digits", {"size": 0}, "at least 1 pixel, got 0"),
    ],
)
def test_bad_input(name, how, sentence):
    with pytest.raises(MiniganError, match=re.escape(sentence)):
        load(name, **how)


def test_a_few_pictures_have_none_to_hold_out(tmp_path):
    Image.new("L", (9, 9)).save(tmp_path / "a.png")
    with pytest.raises(MiniganError, match="has 1 samples; to hold some out takes at least 5"):
        load(f"edges:folder:{tmp_path}")
