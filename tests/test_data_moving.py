"""moving-digits and two-futures: films whose truth is known, drawn by generators of ours."""

import numpy as np
import pytest

from minigan.data import Field, datasets_of, kind_of, load
from minigan.data.futures import DIGIT, FLOOR, FUTURE, KICK, PAST, UNITS, VALUES, films, truths
from minigan.data.moving import Told, held_digits, seen
from minigan.errors import MiniganError
from minigan.metrics.films import centres
from minigan.random import Generator

SPLITS = "train", "test"


@pytest.fixture(scope="module")
def moving():
    return load("moving-digits", split="test")


@pytest.fixture(scope="module")
def futures():
    return load("two-futures", split="test")


# moving-digits


def test_what_a_film_has(moving):
    assert moving.fields == {"clip": Field("clip", (8, 1, 16, 16)), "label": Field("label", (), 10)}
    assert (len(moving), len(load("moving-digits"))) == (2000, 8000)
    assert kind_of("moving-digits") == kind_of("moving-digits:speed=2") == kind_of("two-futures") == "clip"
    assert {"moving-digits", "moving-digits:HOW", "two-futures", "clips:PATH"} <= {*datasets_of("clip")}
    assert load("moving-digits", 20, split="test").shape == (8, 1, 20, 20)
    again = load("moving-digits", split="test")
    np.testing.assert_array_equal(again.samples, moving.samples)


def test_words_say_how_many_how_long_and_how_fast():
    two = load("moving-digits:digits=2, frames=12,speed=2", split="test")
    assert (two.name, two.shape, two.labels) == (
        "moving-digits:digits=2, frames=12,speed=2",
        (12, 1, 16, 16),
        None,
    )


@pytest.mark.parametrize("speed", [0.5, 1.0, 4.0])
def test_digits_fly_straight_at_their_speed_and_bounce_where_the_box_ends(speed):
    places = Told(frames=9, speed=speed).flights(500, Generator(0))
    assert places.min() >= 0
    assert places.max() <= UNITS - DIGIT
    steps = np.linalg.norm(np.diff(places, axis=2), axis=-1)
    np.testing.assert_allclose(steps.max(), speed)
    away = ((places[:, :, :-1] > speed) & (places[:, :, :-1] < UNITS - DIGIT - speed)).all(axis=-1)
    np.testing.assert_allclose(steps[away], speed)
    bends = np.abs(np.diff(places, n=2, axis=2)).max(axis=-1)
    assert bends[away[:, :, :-1] & away[:, :, 1:]].max(initial=0) < 1e-9
    assert 0.05 < (bends > 1e-9).mean() < 0.98


def test_the_ink_moves_as_the_digit_does():
    """Linear interpolation keeps a digit's ink, and its centre to the fraction of a pixel."""
    digit = held_digits("test").stored([0])[0, 0].astype(float)
    for size in (16, 32):
        for x, y in ((0.0, 0.0), (2.5, 7.75), (8.0, 8.0)):
            drawn = seen(np.array(y), size) @ digit @ seen(np.array(x), size).T
            np.testing.assert_allclose(drawn.sum(), digit.sum() * (size / UNITS) ** 2, rtol=0.02)
            places = (np.arange(size) + 0.5) * UNITS / size
            own = np.arange(DIGIT) + 0.5
            across = (drawn.sum(0) * places).sum() / drawn.sum() - (digit.sum(0) * own).sum() / digit.sum()
            down = (drawn.sum(1) * places).sum() / drawn.sum() - (digit.sum(1) * own).sum() / digit.sum()
            assert across == pytest.approx(x, abs=0.06)
            assert down == pytest.approx(y, abs=0.06)


def test_at_whole_units_a_film_shows_the_digit_itself():
    digit = held_digits("train").stored([3])[0, 0]
    shown = (seen(np.array(5.0), 16) @ digit.astype(np.float32) @ seen(np.array(2.0), 16).T).round()
    np.testing.assert_array_equal(shown[5:13, 2:10], digit)


def test_no_digit_is_in_both_splits():
    train, test = ({bytes(digit) for digit in held_digits(split).stored(slice(None))} for split in SPLITS)
    assert len(train) > 4 * len(test) - 10
    assert not train & test


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("digit=2", "'digit=2' is not a word with its value.*did you mean 'digits'"),
        ("digits", "'digits' is not a word with its value"),
        ("digits=3", "digits is 1 or 2, got '3'"),
        ("frames=1", "frames is an integer from 2 to 1000, got '1'"),
        ("frames=2.5", "frames is an integer from 2 to 1000, got '2.5'"),
        ("speed=0", "speed is above 0 and up to 4, got '0'"),
        ("speed=fast", "speed is above 0 and up to 4, got 'fast'"),
        ("frames=1e999", "frames is an integer"),
        ("speed=1,speed=2", "speed is there twice"),
    ],
)
def test_words_that_say_nothing(how, sentence):
    with pytest.raises(MiniganError, match=sentence):
        load(f"moving-digits:{how}")


def test_sizes_that_cannot_be():
    with pytest.raises(MiniganError, match="drawn from 16 pixels on, got size 8"):
        load("moving-digits", 8)
    with pytest.raises(MiniganError, match="drawn at 16 pixels or a multiple of that, got size 24"):
        load("two-futures", 24)
    with pytest.raises(MiniganError, match="clips, which have no mirror images"):
        load("two-futures", flip=True)


# two-futures


def test_what_a_film_of_two_futures_has(futures):
    assert futures.fields == {
        "clip": Field("clip", (PAST + FUTURE, 1, 16, 16)),
        "label": Field("label", (), 10),
        "factors": Field("factors", (3,), values=VALUES),
    }
    assert (len(futures), len(load("two-futures"))) == (2000, 8000)
    for name, share in zip(VALUES, futures.factors.mean(axis=0), strict=True):
        assert share == pytest.approx((VALUES[name] - 1) / 2, abs=0.05)


@pytest.mark.parametrize("size", [16, 32])
def test_each_film_ends_in_one_of_its_two_truths(futures, size):
    stored = futures.to_size(size).samples
    found, side = truths(stored), futures.factors[:, 0]
    assert found.shape == (2000, 2, FUTURE, 1, size, size)
    np.testing.assert_array_equal(found[np.arange(2000), side], stored[:, PAST:])
    other = found[np.arange(2000), 1 - side]
    assert (other != stored[:, PAST:]).any(axis=(1, 2, 3, 4)).all()


def test_truths_of_what_networks_take_are_those_of_what_is_stored(futures):
    floats, stored = futures.batch([0, 5]), futures.stored([0, 5])
    np.testing.assert_allclose(truths(floats), truths(stored) / 127.5 - 1, atol=1e-6)


def test_nothing_before_tells_the_side(futures):
    """Films of the same digit, place and fall, but to either side, begin with the same frames."""
    digits = held_digits("test").stored([0, 0])[:, 0]
    both = films(digits, np.array([[0, 1, 1], [1, 1, 1]]), 16)
    np.testing.assert_array_equal(both[0, :PAST], both[1, :PAST])
    np.testing.assert_array_equal(both[0, PAST, 0, :, 1 : 1 + DIGIT], both[1, PAST, 0, :, 7 : 7 + DIGIT])


def test_a_digit_falls_to_the_floor_and_leaves_along_it(futures):
    above = futures.batch(np.arange(300))
    above[..., -FLOOR:, :] = -1
    x, y = np.moveaxis(centres(above), -1, 0)
    fall = futures.factors[:300, 2] + 1
    np.testing.assert_allclose(np.diff(y[:, :PAST], axis=1), np.broadcast_to(fall[:, None], (300, 3)))
    np.testing.assert_allclose(np.diff(x[:, :PAST], axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(np.diff(y[:, PAST - 1 : PAST + 1], axis=1), 0, atol=1e-9)
    way = KICK * (2 * futures.factors[:300, 0] - 1)
    np.testing.assert_allclose(x[:, PAST] - x[:, PAST - 1], way, atol=1e-9)
