"""Metrics of films: motion, identity, and the two futures, on films whose answer is known."""

import numpy as np
import pytest

from minigan import Generator
from minigan.data import load
from minigan.data.futures import PAST, truths
from minigan.errors import MiniganError
from minigan.metrics import EvaluationData, evaluate
from minigan.metrics.films import centres, frames_of, motion, same_in_all, shuffled, two_futures
from minigan.metrics.measures import METRICS


def dots(places, size=16):
    """Films (N, T, 1, size, size) with a square of 2 x 2 pixels whose left upper corner is at (x, y)."""
    films = np.full((*places.shape[:2], 1, size, size), -1, np.float32)
    for n, t in np.ndindex(places.shape[:2]):
        x, y = places[n, t]
        films[n, t, 0, y : y + 2, x : x + 2] = 1
    return films


def test_the_centre_of_the_ink_is_in_sixteenths_of_the_side():
    places = np.array([[[0, 0], [3, 5], [14, 14]]])
    np.testing.assert_allclose(centres(dots(places)), places + 1.0)
    np.testing.assert_allclose(centres(dots(2 * places, 32)), places + 0.5)
    faint = dots(places)
    faint[faint < 0] = -0.6  # a ground of a fifth
    np.testing.assert_allclose(centres(faint), places + 1.0)
    np.testing.assert_allclose(centres(np.full((1, 2, 1, 16, 16), -1.0)), 8.0)
    colours = np.repeat(dots(places), 3, axis=2)
    np.testing.assert_allclose(centres(colours), places + 1.0)


def test_speed_deviation_and_jerk_are_those_of_the_path():
    t = np.arange(6)
    straight = np.stack([np.stack([2 * t, t], axis=1), np.stack([12 - 2 * t, 3 + t], axis=1)])
    found = motion(dots(straight))
    assert found["speed"] == pytest.approx(5**0.5)
    assert found["speed-deviation"] == pytest.approx(0, abs=1e-9)
    assert found["jerk"] == pytest.approx(0, abs=1e-9)
    x = np.array([0, 1, 4, 9, 10, 12])
    bent = motion(dots(np.stack([x, 0 * x], axis=1)[None]))
    assert bent["speed"] == pytest.approx(12 / 5)
    assert bent["speed-deviation"] == pytest.approx(np.std(np.diff(x)))
    assert bent["jerk"] == pytest.approx(np.abs(np.diff(x, n=3)).mean())
    with pytest.raises(MiniganError, match="4 frames at least"):
        motion(dots(straight)[:, :3])


def test_shuffled_films_have_the_same_frames_and_another_motion():
    films = load("moving-digits", split="test").batch(np.arange(100))
    mixed = shuffled(films, Generator(0))
    for film, other in zip(films, mixed, strict=True):
        assert {bytes(a) for a in film} == {bytes(a) for a in other}
    assert not (films == mixed).all(axis=(1, 2, 3, 4)).any()
    still, moved = motion(films), motion(mixed)
    assert still["speed"] == pytest.approx(1, rel=0.05)
    assert moved["speed"] > 1.8 * still["speed"]
    assert moved["jerk"] > 5 * still["jerk"]


def test_a_digit_is_the_same_in_all_frames_or_not():
    assert same_in_all(np.array([[1, 1, 1], [1, 2, 1], [3, 3, 3], [0, 0, 4]])) == 0.5


def test_frames_of_films_are_images_with_the_labels_of_these():
    films = load("moving-digits", split="test").part([3, 1])
    frames = frames_of(films)
    assert (frames.kind, len(frames), frames.name) == ("image", 16, "frames-of-moving-digits")
    np.testing.assert_array_equal(frames.samples[8:], films.stored([1])[0])
    assert frames.labels.tolist() == [films.labels[0]] * 8 + [films.labels[1]] * 8


# Two futures


@pytest.fixture(scope="module")
def films():
    return load("two-futures", split="test").batch(np.arange(400))


def followed(films, after):
    """Films with two other frames after the first four."""
    return np.concatenate([films[:, :PAST], after], axis=1)


def test_true_films_decide_and_their_mean_does_not(films):
    true, found = truths(films), two_futures(films)
    assert (found["decided"], found["goes-on"]) == (1, 1)
    assert 0.4 < found["left"] < 0.6
    assert found["left"] + found["right"] == 1
    assert found["future-sharpness"] == pytest.approx(1, rel=0.01)
    mean = two_futures(followed(films, true.mean(axis=1)))
    assert (mean["decided"], mean["left"], mean["right"], mean["goes-on"]) == (0, 0, 0, 0)
    assert 0.4 < mean["future-sharpness"] < 0.7
    assert mean["future-psnr"] == pytest.approx(found["future-psnr"] + 10 * np.log10(2), abs=1e-3)


def test_each_side_is_counted_and_a_change_of_mind_too(films):
    true = truths(films)
    left = two_futures(followed(films, true[:, 0]))
    assert (left["decided"], left["left"], left["right"]) == (1, 1, 0)
    back = two_futures(followed(films, np.stack([true[:, 0, 0], true[:, 1, 1]], axis=1)))
    assert (back["decided"], back["goes-on"]) == (1, 0)


@pytest.mark.parametrize(("share", "decided"), [(0.2, 1), (0.3, 0)])
def test_decided_is_within_a_quarter_of_the_way(films, share, decided):
    true = truths(films)
    between = (1 - share) * true[:, 0] + share * true[:, 1]
    assert two_futures(followed(films, between))["decided"] == decided


def test_films_of_fewer_frames_have_no_two_futures(films):
    with pytest.raises(MiniganError, match="of 6 frames"):
        two_futures(films[:, :5])


# As metrics


def data_of(name):
    train, test = load(name).part(slice(40)), load(name, split="test").part(slice(40))
    return EvaluationData(train, test, say=lambda line: None)


def test_they_are_measured_beside_real_films_and_shuffled_ones():
    data = data_of("moving-digits")
    real = data.test.batch(np.arange(40))
    found = evaluate(lambda n, seed: real[:n], data, ["motion"], n=40, draws=1, say=lambda line: None)[
        "metrics"
    ]
    assert found["speed"]["value"] == pytest.approx(found["speed"]["floor"], rel=0.1)
    assert found["speed, shuffled"]["value"] > 1.5 * found["speed"]["value"]
    assert found["jerk, shuffled"]["floor"] is None
    data = data_of("two-futures")
    real = data.test.batch(np.arange(40))
    found = evaluate(lambda n, seed: real[:n], data, ["two-futures"], n=40, draws=1, say=lambda line: None)[
        "metrics"
    ]
    assert found["decided"]["value"] == found["decided"]["floor"] == 1


def test_the_classifier_reads_frames_and_its_error_is_told():
    class Reader:
        facts = None

        def labels(self, images):
            return (images[:, 0].max(axis=(1, 2)) > 0).astype(int)

    data = data_of("moving-digits")
    data.given_classifier = reader = Reader()
    reader.facts = {"accuracy": 0.9, "hash": "0", "data": "frames"}
    made = np.full((4, 8, 1, 16, 16), -1, np.float32)
    made[1:, :, 0, 3, 3] = 1
    made[3, 5:] = -1
    data.conditional = True
    labels = np.array([0, 1, 1, 1])
    found = evaluate(
        lambda n, seed: (made, labels), data, ["identity"], n=4, draws=1, floors=False, say=lambda line: None
    )
    assert found["metrics"]["identity"]["value"] == 0.75
    assert found["metrics"]["frames-as-asked"]["value"] == pytest.approx(29 / 32)
    assert found["classifier"] == reader.facts
    train, test = data._read()
    assert (train.kind, len(train), test.shape) == ("image", 320, (1, 16, 16))


@pytest.mark.parametrize(
    ("metric", "name", "sentence"),
    [
        ("motion", "two-futures", "of the films of moving-digits with one digit in each, not of two-futures"),
        ("motion", "moving-digits:digits=2", "with one digit in each, not of moving-digits:digits=2"),
        ("motion", "moving-digits:frames=3", "needs films of 4 frames, these have 3"),
        ("identity", "moving-digits:digits=2", "with one digit in each"),
        ("two-futures", "moving-digits", "is of the films of two-futures, not of moving-digits"),
        ("two-futures", "digits", "is of the films of two-futures, not of digits"),
        (
            "fcd",
            "moving-digits",
            "looks at images and sounds through a classifier, and moving-digits has clips",
        ),
    ],
)
def test_what_cannot_be_measured(metric, name, sentence):
    whole = load(name)
    data = EvaluationData(whole.part(slice(10)), whole.part(slice(10, 20)))
    assert sentence in METRICS[metric].why_not(data)
