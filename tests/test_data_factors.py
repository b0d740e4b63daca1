"""factors: pictures of shapes whose every property is known, drawn by a generator of ours."""

import numpy as np
import pytest

from minigan.data import Batches, Dataset, Field, Fields, kind_of, load, resolved
from minigan.data.factors import PICTURES, RANGES, SHAPES, UNITS, VALUES, pictures, scaled
from minigan.errors import MiniganError

NAMES = [*VALUES]
MIDDLE = np.array([count // 2 for count in VALUES.values()])


@pytest.fixture(scope="module")
def train():
    return load("factors", 16)


def varied(name, base=MIDDLE):
    """The factors of pictures in which one goes through all its values."""
    factors = np.repeat(base[None], VALUES[name], axis=0)
    factors[:, NAMES.index(name)] = np.arange(VALUES[name])
    return factors


def moments(images):
    """(ink in square units, x and y of its middle in units, the angle of its longer axis, the brightest)."""
    levels = images[:, 0].astype(np.float64)
    brightest = levels.max(axis=(1, 2))
    ink = levels / brightest[:, None, None]
    unit = UNITS / images.shape[-1]
    ticks = (np.arange(images.shape[-1]) + 0.5) * unit
    mass = ink.sum(axis=(1, 2))
    x, y = ink.sum(axis=1) @ ticks / mass, ink.sum(axis=2) @ ticks / mass
    dx, dy = ticks - x[:, None], ticks - y[:, None]
    xx, yy = (ink.sum(axis=1) * dx**2).sum(axis=1), (ink.sum(axis=2) * dy**2).sum(axis=1)
    xy = np.einsum("nyx,ny,nx->n", ink, dy, dx)
    return mass * unit**2, x, y, np.rad2deg(np.arctan2(2 * xy, xx - yy) / 2), brightest / 255


def test_what_a_sample_has(train):
    assert train.fields == {
        "image": Field("image", (1, 16, 16)),
        "label": Field("label", (), 3),
        "factors": Field("factors", (6,), values=VALUES),
    }
    assert list(train.fields.seen) == ["image"]
    assert (len(train), len(load("factors", 16, split="test"))) == tuple(PICTURES.values())
    assert (train.labels == train.factors[:, 0]).all()
    assert kind_of("factors") == kind_of("factors:known=0.1") == "image"
    assert load("factors", split="test").shape == (1, 32, 32)
    assert Fields.from_dict(train.fields.to_dict()) == train.fields


def test_every_picture_is_what_its_factors_say(train):
    np.testing.assert_array_equal(train.samples[:50], pictures(train.factors[:50], 16))
    part = train.part([7, 3])
    np.testing.assert_array_equal(part.stored([0, 1]), pictures(train.factors[[7, 3]], 16))
    np.testing.assert_array_equal(part.to_size(32).stored([1]), pictures(train.factors[[3]], 32))


@pytest.mark.parametrize("size", [32, 128])
def test_the_factors_are_in_the_pictures(size):
    """By moments of the ink: area, middle, and brightness; of the bar, the angle too."""
    for shape in range(len(SHAPES)):
        base = np.array([shape, *MIDDLE[1:]])
        for at, name in ((1, "x"), (2, "y")):
            low, high = RANGES[name]
            found = moments(pictures(varied(name, base), size))[at]
            np.testing.assert_allclose(found, np.linspace(low, high, VALUES[name]), atol=0.15)
        low, high = RANGES["size"]
        radii = np.linspace(low, high, VALUES["size"])
        np.testing.assert_allclose(
            moments(pictures(varied("size", base), size))[0], np.pi * radii**2, rtol=0.08
        )
        shades = moments(pictures(varied("shade", base), size))[4]
        np.testing.assert_allclose(shades, np.linspace(*RANGES["shade"], VALUES["shade"]), atol=0.01)
    bars = moments(pictures(varied("orientation", np.array([0, 5, *MIDDLE[2:]])), 128))[3]
    np.testing.assert_allclose(bars, np.linspace(-45, 45, VALUES["orientation"]), atol=1)


def test_no_two_orientations_look_alike():
    """The nearest of the other angles is one of the next: no shape comes to itself again within the range."""
    for shape in range(len(SHAPES)):
        turned = pictures(varied("orientation", np.array([shape, 5, *MIDDLE[2:]])), 64).astype(float)
        apart = np.abs(turned[:, None] - turned[None]).sum(axis=(2, 3, 4))
        np.fill_diagonal(apart, np.inf)
        assert (np.abs(apart.argmin(axis=1) - np.arange(len(apart))) == 1).all()


@pytest.mark.parametrize("size", [16, 32, 64])
def test_pictures_change_smoothly_and_are_whole(size):
    """A step of x, y or orientation changes a picture by less than half of its ink, and twice the step by
    more."""
    largest = np.array([1, 5, *MIDDLE[2:]])
    for name in ("x", "y", "orientation"):
        row = pictures(varied(name, largest), size).astype(float)
        ink = row.sum(axis=(1, 2, 3)).mean()
        once, twice = (np.abs(row[n:] - row[:-n]).sum(axis=(1, 2, 3)) for n in (1, 2))
        assert (once < 0.5 * ink).all()
        assert (twice > 1.15 * once[1:]).all()
    ends = [[s, 5, t, x, y, 4] for s in range(3) for t in range(15) for x in (0, 15) for y in (0, 15)]
    middle = [[*ends[i][:3], 8, 8, 4] for i in range(len(ends))]
    at_ends, whole = (pictures(np.array(f), size).sum(axis=(1, 2, 3)) for f in (ends, middle))
    np.testing.assert_allclose(at_ends / whole, 1, atol=0.1 if size == 16 else 0.03)


def test_factors_are_independent_and_even(train):
    for name, column in zip(NAMES, train.factors.T, strict=True):
        share = np.bincount(column, minlength=VALUES[name]) / len(train)
        assert (np.abs(share * VALUES[name] - 1) < 0.15).all()
    assert (np.abs(np.corrcoef(train.factors.T) - np.eye(6)) < 0.03).all()
    assert load("factors", 16).samples[-1].tobytes() == train.samples[-1].tobytes()
    test = load("factors", 16, split="test")
    assert (test.factors[:1000] != train.factors[:1000]).any(axis=1).mean() > 0.99


def test_two_factors_correlate_in_training_alone():
    name = "factors:correlated=size-x"
    found = np.corrcoef(load(name, 16).factors.T)
    assert 0.8 < found[1, 3] < 0.95
    found[1, 3] = found[3, 1] = 0
    assert (np.abs(found - np.eye(6)) < 0.03).all()
    assert np.corrcoef(load(name, 16, split="test").factors.T)[1, 3] < 0.05


def test_combinations_are_left_out():
    part = load("factors:without=size-x,correlated=x-y", 16)
    high = scaled(part.factors) > 0.5
    assert len(part) == PICTURES["train"]
    assert not (high[:, 1] & high[:, 3]).any()
    assert (high[:, 1] & ~high[:, 3]).any()
    assert (high[:, 3] & ~high[:, 1]).any()
    one = load("factors:without=shape", 16)
    assert (len(one), one.classes) == (PICTURES["train"], 2)
    assert load("factors:without=shape", 16, split="test").classes == 3


def test_few_factors_are_known():
    data = load("factors:known=0.01", 16)
    known = (data.factors >= 0).all(axis=1)
    assert known.sum() == 200
    assert (data.factors[~known] == -1).all()
    assert (data.labels >= 0).all()
    assert 8 < (load("factors:known=0.01", 16, samples=2000).factors[:, 0] >= 0).sum() < 35
    assert (load("factors:known=0.01", 16, split="test").factors >= 0).all()
    given = data.scaled_factors(np.array([np.flatnonzero(known)[0], 0]))
    assert given.dtype == np.float32
    np.testing.assert_allclose(given[0], scaled(data.factors[known][0]), rtol=1e-6)
    assert (given[1] == -1).all()


def test_batches_have_the_factors_of_their_images(train):
    images, labels, factors = next(train.batches(9, 5, labels=True, factors=True))
    numbers = np.rint(factors * (np.array([*VALUES.values()]) - 1)).astype(int)
    expected = pictures(numbers, 16)
    np.testing.assert_array_equal(np.rint((images + 1) * 127.5), expected)
    np.testing.assert_array_equal(labels, numbers[:, 0])
    alone, same = next(train.batches(9, 5, factors=True))
    np.testing.assert_array_equal(alone, images)
    np.testing.assert_array_equal(same, factors)
    with pytest.raises(MiniganError, match="digits has no factors"):
        Batches(load("digits"), 4, factors=True)


@pytest.mark.parametrize(
    ("name", "how", "sentence"),
    [
        ("factors", {"size": 15}, "factors are drawn from 16 pixels on, got size 15"),
        ("factors", {"flip": True}, "factors cannot be mirrored: what is known of the images would be wrong"),
        ("factors", {"channels": 3}, "only the images of a folder"),
        ("factors:corelated=x-y", {}, "'corelated=x-y' is not a word .*did you mean 'correlated'"),
        ("factors:correlated=x", {}, "correlated takes two factors, as in correlated=size-x, got 'x'"),
        ("factors:correlated=x-x", {}, "correlated takes two factors"),
        ("factors:correlated=x-sise", {}, "no factor 'sise'; did you mean 'size'"),
        ("factors:without=x-x", {}, "without takes each factor once"),
        ("factors:known=0", {}, "known is a share above 0 and up to 1, as in known=0.1, got '0'"),
        ("factors:known=much", {}, "got 'much'"),
        ("factors:known=nan", {}, "got 'nan'"),
        ("factors:known=0.1,known=0.2", {}, "known is there twice"),
    ],
)
def test_what_cannot_be(name, how, sentence):
    with pytest.raises(MiniganError, match=sentence):
        load(name, **how)


def test_a_name_with_words_resolves_to_itself():
    assert resolved("factors:without=size-x") == "factors:without=size-x"
    assert resolved("edges:factors") == "edges:factors"


@pytest.mark.parametrize(
    ("factors", "values", "sentence"),
    [
        (np.zeros((2, 1)), {"a": 2}, r"integers \(2, 1\), a row for each sample .*, not float64"),
        (np.zeros((2, 1), int), {}, r"integers \(2, 0\)"),
        (np.zeros((3, 1), int), {"a": 2}, r"not int64 \(3, 1\)"),
        (np.full((2, 1), 2), {"a": 2}, "the values of a are 0 to 1, got 2"),
        (np.full((2, 1), -2), {"a": 2}, "the values of a are 0 to 1, got -2"),
    ],
)
def test_factors_that_a_dataset_cannot_have(factors, values, sentence):
    with pytest.raises(MiniganError, match=sentence):
        Dataset("d", np.zeros((2, 1, 4, 4), np.uint8), factors=factors, values=values)


def test_a_field_of_factors_names_all():
    with pytest.raises(MiniganError, match="values are of factors, as many as these are, got 1"):
        Field("factors", (2,), values={"a": 3})
    with pytest.raises(MiniganError, match="values are of factors"):
        Field("image", (1, 4, 4), values={"a": 3})
