"""Evaluations: the table of metrics, what is measured of a model, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from minigan.data import Dataset
from minigan.errors import MiniganError
from minigan.metrics import (
    COLUMNS,
    METRICS,
    EvaluationData,
    Settings,
    evaluate,
    metrics_for,
    parzen,
    splits,
    table,
    train_classifier,
)
from minigan.random import Generator

QUICK = Settings(steps=60, batch_size=64, width=16)
TRAIN, TEST = splits("digits")


def quiet(line):
    pass


def measured(*args, **how):
    """The quantities of an evaluation, made in silence."""
    return evaluate(*args, say=quiet, **how)["metrics"]


@pytest.fixture(scope="module")
def classifier():
    return train_classifier(TRAIN, TEST, QUICK)


@pytest.fixture
def digits(classifier):
    return EvaluationData(TRAIN, TEST, given_classifier=classifier)


@pytest.fixture
def conditional(classifier):
    return EvaluationData(TRAIN, TEST, conditional=True, given_classifier=classifier)


@pytest.fixture(scope="module")
def ring():
    return EvaluationData.load("ring8")


def copier(data, labelled=False):
    """A model that remembers: samples of the training data; with their labels, a conditional one."""

    def sampler(n, seed):
        chosen = np.random.default_rng(seed).integers(0, len(data), n)
        return (data.batch(chosen), data.labels[chosen]) if labelled else data.batch(chosen)

    return sampler


def collapsed(n, seed):
    noise = np.random.default_rng(seed).normal(size=(n, 1, 8, 8))
    return np.clip(TRAIN.batch([0]) + 0.05 * noise, -1, 1).astype(np.float32)


def test_all_that_makes_sense(digits):
    said = []
    evaluation = evaluate(copier(TRAIN), digits, n=200, draws=2, say=said.append)
    result = evaluation["metrics"]
    assert said == ["draw 1 of 2: 200 samples", "draw 2 of 2: 200 samples", "the same of real data"]
    assert set(result) == {
        *("fcd", "kernel-distance", "precision", "recall", "density", "coverage", "classifier-score"),
        *("label-modes", "label-entropy", "label-kl"),
        *("memorisation", "support", "near-duplicates", "diversity", "sharpness"),
    }
    for row in result.values():
        assert row.keys() == {"value", "error", "floor", "n"}
        assert row["n"] == 200
        assert row["error"] >= 0
    assert result["memorisation"]["value"] == 0
    assert result["memorisation"]["floor"] is None
    assert result["label-modes"] == {"value": 10, "error": 0, "floor": 10, "n": 200}
    classifier = digits.classifier
    facts = {"accuracy": classifier.accuracy, "hash": classifier.hash, "data": "digits"}
    assert evaluation["classifier"] == facts
    assert json.loads(json.dumps(evaluation, allow_nan=False)) == evaluation


def test_collapse_is_seen(digits):
    result = measured(collapsed, digits, n=300, draws=1)
    value, floor = ({name: row[kind] for name, row in result.items()} for kind in ("value", "floor"))
    assert value["fcd"] > 5 * floor["fcd"]
    assert value["kernel-distance"] > 5 * floor["kernel-distance"]
    assert value["precision"] > 0.8
    assert value["recall"] < 0.1 < floor["recall"]
    assert value["label-modes"] <= 2
    assert value["diversity"] < 0.2
    assert value["support"] == 1
    assert all(row["error"] is None for row in result.values())


def test_blurred_samples_are_less_sharp_and_real_ones_as_sharp_as_others(digits):
    def blurred(n, seed):
        x = copier(TRAIN)(n, seed)
        return (x + np.roll(x, 1, axis=2) + np.roll(x, 1, axis=3)) / 3

    row = measured(blurred, digits, ["sharpness"], n=300, draws=1)["sharpness"]
    assert row["value"] < 0.7 < 0.95 < row["floor"] < 1.05
    assert measured(copier(TRAIN), digits, ["sharpness"], n=300)["sharpness"]["value"] == pytest.approx(
        1, abs=0.05
    )


def test_a_range_that_is_not_that_of_the_data_is_refused(digits):
    """The trap: samples in [0, 1] beside real images in [-1, 1]."""
    real = copier(TRAIN)
    with pytest.raises(MiniganError, match=r"the samples should lie in \[-1, 1\], but these seem to be made"):
        evaluate(lambda n, seed: (real(n, seed) + 1) / 2, digits, ["diversity"], say=quiet)


def test_conditional_metrics(conditional):
    names = ["label-accuracy", "one-nn"]
    right = measured(copier(TRAIN, labelled=True), conditional, names, draws=1)
    assert right["label-accuracy"]["value"] > 0.9
    assert right["one-nn"]["value"] == pytest.approx(right["one-nn"]["floor"], abs=0.05)

    def deaf(n, seed):
        return copier(TRAIN)(n, seed), np.arange(n) % 10

    wrong = measured(deaf, conditional, names, draws=1)
    assert wrong["label-accuracy"]["value"] < 0.2
    assert wrong["one-nn"]["value"] < 0.3


def test_mixtures(ring):
    assert metrics_for(ring) == ["modes", "neighbours", "support", "diversity"]
    evaluation = evaluate(copier(ring.train), ring, ["modes"], say=quiet)
    result = evaluation["metrics"]
    assert evaluation["classifier"] is None
    assert result["modes"] == {"value": 8, "error": 0, "floor": 8, "n": 2500}
    assert result["high-quality"]["value"] == pytest.approx(0.989, abs=0.01)
    lost = measured(lambda n, seed: np.full((n, 2), 9.0, np.float32), ring, ["modes"], draws=2)
    assert lost["reverse-kl"]["value"] is None  # infinite
    assert json.dumps(lost, allow_nan=False)


def test_stacked_digits(classifier):
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, len(TRAIN), (1500, 3))
    labels = TRAIN.labels[chosen] @ [100, 10, 1]
    stacked = Dataset("stacked-mnist", TRAIN.stored(slice(None))[chosen, 0], labels)
    data = EvaluationData(stacked, stacked, digits=(TRAIN, TEST), given_classifier=classifier)
    assert "fcd" not in metrics_for(data)
    result = measured(copier(stacked), data, ["stacked-modes"], draws=1)
    row = result["stacked-modes"]
    assert row["n"] == 1500
    assert row["value"] == pytest.approx(1000 * (1 - np.exp(-1.5)) * (1 - np.exp(-1)), abs=250)
    assert row["value"] < row["floor"] < 1000
    assert result["stacked-kl"]["value"] > result["stacked-kl"]["floor"]


def test_the_same_seed_gives_the_same_numbers(ring):
    one, two, other = (evaluate(copier(ring.train), ring, ["modes"], seed=s, say=quiet) for s in (1, 1, 2))
    assert one == two
    assert one != other


@pytest.mark.slow
def test_parzen(monkeypatch):
    """The protocol, on a small set that calls itself MNIST."""
    monkeypatch.setattr("minigan.metrics.measures.PARZEN_TRAIN", 300)
    monkeypatch.setitem(METRICS, "parzen", replace(METRICS["parzen"], at_most=200, floor_of=300))
    images = np.random.default_rng(0).integers(0, 256, (1300, 1, 28, 28)).astype(np.uint8)
    train, test = (Dataset("mnist", part) for part in (images, images[:100]))
    data = EvaluationData(train, test)
    result = measured(copier(train), data, ["parzen"], draws=2)
    assert result.keys() == {"parzen", "parzen-width", "parzen-k-means", "parzen-k-means-width"}
    assert result["parzen-width"]["value"] in parzen.WIDTHS
    assert result["parzen"]["n"] == 200
    assert result["parzen"]["error"] > 0
    assert result["parzen-k-means"]["floor"] is None
    # A border that was put around the images changes nothing; other sizes have no published numbers.
    padded = EvaluationData(train.to_size(32), test.to_size(32))
    again = measured(copier(padded.train), padded, ["parzen"], draws=2)
    assert again["parzen"]["value"] == pytest.approx(result["parzen"]["value"])
    half = EvaluationData(train.to_size(16), test.to_size(16))
    with pytest.raises(MiniganError, match="parzen is of 28x28 pixels, with a border or without, not 16"):
        evaluate(copier(half.train), half, ["parzen"], say=quiet)


@pytest.mark.parametrize(
    ("names", "n", "message"),
    [
        (["fcd"], 50, "fcd needs more than 64 samples, got 50"),
        (["precision-recall"], 5, "precision-recall needs more than 5 samples, got 5"),
        (["fdc"], None, r"unknown metric 'fdc'; did you mean 'fcd'\?"),
        (["one-nn"], None, "one-nn needs a model that makes what a label asks for"),
        (["parzen"], None, "parzen follows a protocol for the 60,000 images of .* not for digits"),
        (["modes"], None, "modes is counted in ring8 and grid25, not digits"),
        (["stacked-modes"], None, "stacked-modes is counted in stacked-mnist, not digits"),
        ([], None, "no metric was asked for; there are: fcd, "),
        (None, 0, "at least 1 sample, got 0"),
    ],
)
def test_what_cannot_be_measured(digits, names, n, message):
    with pytest.raises(MiniganError, match=message):
        evaluate(copier(TRAIN), digits, names, n, say=quiet)


def test_what_points_cannot_have(ring):
    with pytest.raises(
        MiniganError, match="fcd looks at images and sounds through a classifier, and ring8 has points"
    ):
        evaluate(copier(ring.train), ring, ["fcd"], say=quiet)
    with pytest.raises(MiniganError, match="sharpness is of images, and ring8 has points"):
        evaluate(copier(ring.train), ring, ["sharpness"], say=quiet)


def test_few_test_samples_and_no_labels():
    few = EvaluationData(TRAIN, TEST.part(slice(64)))
    with pytest.raises(MiniganError, match="fcd needs more than 64 real test samples, and digits has 64"):
        evaluate(copier(TRAIN), few, ["fcd"], say=quiet)
    bare = EvaluationData(replace(TRAIN, labels=None), replace(TEST, labels=None))
    assert metrics_for(bare) == ["neighbours", "support", "diversity", "sharpness"]
    with pytest.raises(
        MiniganError, match="fcd needs a classifier, which cannot learn digits without labels"
    ):
        evaluate(copier(TRAIN), bare, ["fcd"], say=quiet)
    with pytest.raises(MiniganError, match="a conditional model needs labels, digits has none"):
        replace(bare, conditional=True)
    with pytest.raises(MiniganError, match=r"train has samples of shape \(1, 8, 8\), test has"):
        EvaluationData(TRAIN, TEST.to_size(16))


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        (lambda n, seed: TRAIN.batch(np.arange(n - 1)), "asked for 20 samples and made 19"),
        (lambda n, seed: np.zeros((n, 2), np.float32), r"shape \(N, 1, 8, 8\), got float32 \(20, 2\)"),
        (lambda n, seed: np.full((n, 1, 8, 8), np.nan, np.float32), "the samples have pixels .* NaN"),
    ],
)
def test_bad_samples(digits, sampler, message):
    with pytest.raises(MiniganError, match=message):
        evaluate(sampler, digits, ["diversity"], n=20, say=quiet)
    with pytest.raises(MiniganError, match="at least 1 draw, got 0"):
        evaluate(sampler, digits, draws=0)


def test_small_data_are_compared_at_their_own_size(digits):
    """Else the floor, from fewer samples, would be another number."""
    result = measured(copier(TRAIN), digits, ["fcd"], n=10_000, draws=1)
    assert result["fcd"]["n"] == len(TRAIN)


def test_what_is_infinite_is_in_the_table():
    data = EvaluationData.load("ring8")
    nowhere = evaluate(lambda n, seed: np.full((n, 2), 9, np.float32), data, ["modes"], n=20, say=quiet)
    assert [row[:2] for row in table(nowhere)[1:]] == [
        ("modes", "0"),
        ("high-quality", "0"),
        ("reverse-kl", "∞"),
    ]


def test_progress_says_what_is_done(digits):
    done = []
    metrics = ["support", "diversity"]
    evaluate(copier(TRAIN), digits, metrics, n=20, draws=2, say=quiet, progress=done.append)
    draws = [f"draw {draw} of 2: {part}" for draw in (1, 2) for part in ("samples", *metrics)]
    assert done == [*draws, "real data: support", "real data: diversity"]


def test_table(digits):
    rows = table(evaluate(copier(TRAIN), digits, ["neighbours", "support"], draws=1, say=quiet))
    assert rows[0] == COLUMNS
    assert rows[1] == ("memorisation", "0", "", "", "1,438")
    assert [row[0] for row in rows[2:]] == ["support", "near-duplicates"]
    assert all(len(row) == len(COLUMNS) for row in rows)


def test_real_data_are_mirrored_as_those_that_a_model_learned_from():
    plain, flipped = (EvaluationData.load("digits", flip=flip) for flip in (False, True))
    a, b = (data.real(data.test, 200, Generator(3)) for data in (plain, flipped))
    same = (a.values == b.values).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(b.values[~same], a.values[~same][..., ::-1])
    assert 60 < same.sum() < 140
    np.testing.assert_array_equal(a.labels, b.labels)


def test_parzen_windows_are_not_of_mirrored_images():
    images = np.zeros((51_001, 1, 28, 28), np.uint8)
    train = Dataset("mnist", images, flip=True)
    data = EvaluationData(train, train.part(slice(100)))
    assert METRICS["parzen"].why_not(data) == (
        "follows a protocol for images as they are, not for mirrored ones"
    )
