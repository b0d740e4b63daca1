"""captions: pictures of shapes with sentences, and the reader that says what is in them."""

import numpy as np
import pytest

from minigan.data import Field, kind_of, load
from minigan.data.captions import (
    ATTRIBUTES,
    COLOURS,
    LONGEST,
    OPEN,
    PLACES,
    RADII,
    SHARE_OPEN,
    UNITS,
    VALUES,
    WORDINGS,
    WORDS,
    covering,
    is_held_out,
    said_in,
)
from minigan.data.kinds import spelled
from minigan.errors import MiniganError
from minigan.metrics import EvaluationData, caption_accuracy, evaluate, metrics_for, read_attributes

NAMES = [*ATTRIBUTES]


@pytest.fixture(scope="module")
def train():
    return load("captions", 16)


@pytest.fixture(scope="module")
def test():
    return load("captions", split="test")


def numbers(*captions):
    """Sentences as the numbers of their words."""
    rows = [[WORDS.index(word) for word in caption.split()] for caption in captions]
    return np.array([row + [0] * (LONGEST - len(row)) for row in rows])


def test_what_a_sample_has(train, test):
    assert train.fields == {
        "image": Field("image", (3, 16, 16)),
        "text": Field("text", (LONGEST,), words=WORDS),
        "factors": Field("factors", (4,), values=VALUES),
    }
    assert (len(train), len(test), test.shape) == (20_000, 5_000, (3, 32, 32))
    assert kind_of("captions") == "image"
    again = load("captions", split="test")
    for name in ("samples", "text", "factors"):
        np.testing.assert_array_equal(getattr(test, name), getattr(again, name))


def test_every_sentence_says_what_its_picture_is_of(train, test):
    np.testing.assert_array_equal(said_in(test.text), test.factors)
    said = said_in(train.text)
    np.testing.assert_array_equal(said[said >= 0], train.factors[said >= 0])
    assert (said < 0).any(axis=1).mean() == pytest.approx(SHARE_OPEN, abs=0.01)
    left = {tuple(row) for row in said < 0}
    assert len(left) == 1 + len(OPEN)
    assert (False, True, False, False) in left
    for data in (train, test):
        assert {*data.text.ravel()} == {*range(len(WORDS))}
    combination = np.unique(train.factors, axis=0)[0]
    sentences = {spelled(text, WORDS) for text in train.text[(train.factors == combination).all(axis=1)]}
    assert len(sentences) > 3 * len(WORDINGS)
    assert "a large red circle at the left" in {spelled(text, WORDS) for text in train.text}


def test_each_wording_and_each_word_of_a_pair_is_as_frequent(train, test):
    openings = {"a": 2, "there": 1, "the": 1, "at on in": 1}  # of five wordings
    first = np.array([WORDS[i] for i in test.text[:, 0]])
    for words, share in openings.items():
        assert np.isin(first, words.split()).mean() == pytest.approx(share / len(WORDINGS), abs=0.02)
    counts = np.bincount(train.text.ravel(), minlength=len(WORDS))
    for pair in (("small", "little"), ("large", "big"), ("circle", "disc"), ("middle", "centre")):
        a, b = (counts[WORDS.index(word)] for word in pair)
        assert a / b == pytest.approx(1, abs=0.1)


def test_held_out_combinations_are_a_fifth_and_of_the_test_alone(train, test):
    combinations = np.array([*np.ndindex(*VALUES.values())])
    held = is_held_out(combinations)
    assert held.mean() == 0.2
    for triple in np.unique(combinations[held][:, :3], axis=0):
        assert (combinations[held][:, :3] == triple).all(axis=1).sum() == 1  # one place of each
    assert not is_held_out(train.factors).any()
    assert len(np.unique(train.factors, axis=0)) == (~held).sum()
    assert is_held_out(test.factors).mean() == 0.5
    assert len(np.unique(test.factors, axis=0)) == len(combinations)


def test_what_sentences_leave_open_is_not_said():
    said = said_in(
        numbers("a red circle", "circle", "the big box is white", "is it a red and blue disc in the centre")
    )
    assert said.tolist() == [[-1, 0, 0, -1], [-1, -1, 0, -1], [1, 5, 1, -1], [-1, -1, 0, 4]]


@pytest.mark.parametrize("size", [16, 19, 32, 64])
def test_the_reader_sees_what_pictures_were_drawn_from(size):
    data = load("captions", size, split="test").part(range(1000))
    assert data.shape == (3, size, size)
    np.testing.assert_array_equal(read_attributes(data.batch(range(1000))), data.factors)


def test_shapes_have_their_area_and_place_and_are_whole():
    for radius in RADII:
        for shape in range(VALUES["shape"]):
            many = np.full(len(PLACES), shape)
            covered = covering(many, np.full(len(PLACES), radius), PLACES, 128)
            unit, ticks = UNITS / 128, (np.arange(128) + 0.5) * UNITS / 128
            area = covered.sum(axis=(1, 2))
            np.testing.assert_allclose(area * unit**2, np.pi * radius**2, rtol=0.03)
            middle = np.stack([covered.sum(axis=axis) @ ticks / area for axis in (1, 2)], axis=1)
            np.testing.assert_allclose(middle, PLACES, atol=0.1)
    data = load("captions", 64, split="test").stored(slice(None)).astype(int)
    rim = np.concatenate([data[:, :, 0], data[:, :, -1], data[:, :, :, 0], data[:, :, :, -1]], axis=2)
    assert np.ptp(rim, axis=(1, 2)).max() == 0  # all of it ground


def test_the_reader_stands_some_noise(test):
    x = test.batch(range(1000))
    noisy = x + np.random.default_rng(0).normal(0, 0.05, x.shape).astype(np.float32)
    assert (read_attributes(noisy.clip(-1, 1)) == test.factors[:1000]).all(axis=1).mean() > 0.98


def test_the_reader_sees_no_shape_where_none_is(test):
    x, none = test.batch(range(500)), [-1] * 4
    plain = np.full((1, 3, 32, 32), -0.8, np.float32)
    half = plain.copy()
    half[..., 16:] = 0.9
    faint = np.where(x[:1] > -0.7, -0.65, x[:1])
    noise = np.random.default_rng(0).uniform(-1, 1, (1, 3, 32, 32)).astype(np.float32)
    for image in (plain, half, faint, noise):
        assert read_attributes(image).tolist() == [none]
    left, right = (test.factors[:500, 3] == place for place in (0, 1))
    n = min(left.sum(), right.sum())
    both = np.maximum(x[left][:n], x[right][:n])
    assert (read_attributes(both) == -1).all(axis=1).mean() > 0.9


def test_each_attribute_is_counted_by_itself(test):
    """With one word of their sentences changed, and with the sentences of others."""
    data = test.part(range(400))
    x, text = data.batch(range(400)), data.text.astype(np.int64)
    assert set(caption_accuracy(x, text, WORDS).values()) == {1.0}
    red = (data.factors[:, 1] == 0) & ~is_held_out(data.factors)
    told = caption_accuracy(
        x[red], np.where(text == WORDS.index("red"), WORDS.index("pink"), text)[red], WORDS
    )
    assert told["caption-colour"] == told["caption-all"] == 0
    assert told["caption-size"] == told["caption-shape"] == told["caption-place"] == 1
    shuffled = caption_accuracy(x, np.roll(text, 1, axis=0), WORDS)
    for part in ("caption", "unseen"):
        for name, count in VALUES.items():
            assert shuffled[f"{part}-{name}"] == pytest.approx(1 / count, abs=0.12)


def test_what_a_caption_leaves_open_is_right_if_there_is_a_shape(test):
    x = test.batch(np.flatnonzero(test.factors[:, 2] == 0)[:20])
    told = caption_accuracy(x, numbers(*["a circle"] * 20), WORDS)
    assert told == {f"caption-{name}": 1.0 for name in (*NAMES, "all")}
    nothing = caption_accuracy(np.full_like(x, -1), numbers(*["a circle"] * 20), WORDS)
    assert set(nothing.values()) == {0.0}


def test_an_evaluation_is_given_what_was_asked_for():
    data = EvaluationData.load("captions", 16)
    assert "captions" not in metrics_for(data)
    data.told = True
    assert "captions" in metrics_for(data)

    def sampler(n, seed):
        """Right in every second one."""
        rows = np.random.default_rng(seed).integers(0, len(data.test), n)
        return data.test.batch(rows), np.where(np.arange(n)[:, None] % 2, data.test.text[rows], 0)

    found = evaluate(sampler, data, ["captions"], 600, draws=2, say=lambda line: None)["metrics"]
    assert [*found] == [f"{part}-{name}" for part in ("caption", "unseen") for name in (*NAMES, "all")]
    assert all(row["value"] == row["floor"] == 1 and row["n"] == 600 for row in found.values())


def test_others_have_no_captions():
    with pytest.raises(MiniganError, match="captions is of captions, not ring8"):
        evaluate(None, EvaluationData.load("ring8"), ["captions"])
    with pytest.raises(MiniganError, match="captions needs a model that makes what a text asks for"):
        evaluate(None, EvaluationData.load("captions", 16), ["captions"])


@pytest.mark.parametrize("size", [15, 0])
def test_too_small(size):
    with pytest.raises(
        MiniganError, match=f"captions are drawn from 16 pixels on, got size {size}|at least 1"
    ):
        load("captions", size)


def test_colours_are_far_apart():
    far = np.linalg.norm(COLOURS[:, None] - COLOURS, axis=2)
    assert far[~np.eye(len(COLOURS), dtype=bool)].min() > 100
