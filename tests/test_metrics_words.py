"""What is measured of texts and melodies: against the same by hand, and on what it is refused."""

import numpy as np
import pytest

from minigan import MiniganError
from minigan.data import load
from minigan.data.sentences import numbers_of
from minigan.metrics import (
    METRICS,
    EvaluationData,
    evaluate,
    metrics_for,
    ngram_divergence,
    ngram_texts,
)
from minigan.random import Generator


@pytest.fixture(scope="module")
def sentences():
    return EvaluationData.load("sentences", say=lambda line: None)


@pytest.fixture(scope="module")
def melodies():
    train, test = (load("melodies", split=split) for split in ("train", "test"))
    return EvaluationData(train, test, told=True)


def by_hand(texts, others, n):
    """Of lists of lists of words, without the zeros."""

    def shares(texts):
        grams = [tuple((text + [0] * n)[i : i + n]) for text in texts for i in range(len(text))]
        return {gram: grams.count(gram) / len(grams) for gram in grams}

    p, q = shares(texts), shares(others)
    m = {gram: (p.get(gram, 0) + q.get(gram, 0)) / 2 for gram in p | q}
    kl = [sum(share * np.log2(share / m[gram]) for gram, share in of.items()) for of in (p, q)]
    return sum(kl) / 2


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_divergence_of_ngrams_is_that_by_hand(n):
    rng = np.random.default_rng(n)
    sets = [[[*map(int, rng.integers(1, 4, rng.integers(1, 6)))] for _ in range(size)] for size in (20, 30)]
    padded = [np.array([text + [0] * (6 - len(text)) for text in of]) for of in sets]
    assert ngram_divergence(*padded, n) == pytest.approx(by_hand(*sets, n), rel=1e-12)
    assert ngram_divergence(padded[0], padded[0], n) == 0
    assert ngram_divergence(padded[0], np.pad(padded[0], ((0, 0), (0, 3))), n) == 0  # of another length


def test_texts_that_share_no_ngram_are_a_bit_apart():
    ones, twos = np.full((3, 4), 1), np.full((5, 4), 2)
    assert ngram_divergence(ones, twos, 1) == pytest.approx(1)
    assert ngram_divergence(np.array([[1, 2]]), np.array([[2, 1]]), 1) == 0
    assert ngram_divergence(np.array([[1, 2]]), np.array([[2, 1]]), 2) == pytest.approx(1)


@pytest.mark.parametrize(
    ("texts", "n"),
    [(np.zeros((2, 3)), 1), (np.zeros(3, int), 1), (np.ones((2, 3), int), 0), (np.zeros((2, 3), int), 2)],
)
def test_what_has_no_ngrams_is_refused(texts, n):
    with pytest.raises(MiniganError, match="n-grams"):
        ngram_divergence(texts, np.ones((1, 3), int), n)


def test_a_model_of_ngrams_says_what_it_has_seen():
    """After each two words what followed these, as often; and ends as texts end."""
    texts = np.array([[1, 2, 3, 0], [1, 2, 4, 4], [1, 2, 4, 4]])
    made = ngram_texts(texts, 3, 3000, Generator(0))
    found, counts = np.unique(made, axis=0, return_counts=True)
    assert found.tolist() == [[1, 2, 3, 0], [1, 2, 4, 4]]
    assert counts / 3000 == pytest.approx([1 / 3, 2 / 3], abs=0.03)
    mixed = ngram_texts(np.array([[1, 2, 3], [4, 2, 5]]), 2, 500, Generator(0))  # which a 3-gram would know
    assert {*map(tuple, mixed.tolist())} == {(a, 2, b) for a in (1, 4) for b in (3, 5)}
    with pytest.raises(MiniganError, match="from 2 on"):
        ngram_texts(texts, 1, 3, Generator(0))


def test_three_letters_do_not_tell_what_agrees(sentences):
    """A model of 3-grams is no judge's match: that is what there is to be better than."""
    found = METRICS["sentences"].beside(sentences, 1000)
    assert found["3-gram-sentences-right"] < 0.5
    apart = METRICS["n-grams"].beside(sentences, 1000)
    assert apart["3-gram-js-3"] < apart["3-gram-js-4"]


def test_real_sentences_are_right_and_others_are_not(sentences):
    test = sentences.test.batch(slice(None))
    wrong = numbers_of(["the king sees her dog", "the kings sees their dog", "eee", "the king sees his dog"])

    def sampler(n, seed):
        return np.resize(wrong.astype(np.int64), (n, 24))

    found = evaluate(sampler, sentences, n=400, draws=1, say=lambda line: None)["metrics"]
    assert {name: found[f"sentences-{name}"]["value"] for name in ("form", "number", "gender", "right")} == {
        "form": 0.75,
        "number": 0.5,
        "gender": 0.5,
        "right": 0.25,
    }
    assert found["sentences-right"]["floor"] == 1
    assert found["js-4"]["value"] > 0.3 > found["js-4"]["floor"]
    assert found["3-gram-js-4"]["value"] < found["js-4"]["value"]
    assert found["js-1"]["value"] == pytest.approx(ngram_divergence(sampler(400, 0), test, 1))


def test_what_is_asked_of_each_kind(sentences, melodies):
    assert metrics_for(sentences) == ["sentences", "n-grams", "copies"]
    assert metrics_for(melodies) == ["melodies", "copies"]
    digits = EvaluationData.load("digits")
    for name in ("sentences", "n-grams", "copies", "melodies"):
        assert "digits" in METRICS[name].why_not(digits)


def test_melodies_are_read_beside_the_lines_they_are_sung_to(melodies):
    train = melodies.train
    rows = np.arange(200)

    def sung(n, seed, shift):
        return train.batch(rows[:n]), np.roll(train.text[rows[:n]], shift, axis=0)

    for shift, right in ((0, 1.0), (1, 0.0)):
        found = evaluate(
            lambda n, seed, s=shift: sung(n, seed, s), melodies, n=200, draws=1, say=lambda line: None
        )
        values = {name: row["value"] for name, row in found["metrics"].items()}
        assert values["melody-steps"] == values["melody-cadence"] == values["melody-rhythm"] == 1
        assert values["melody-stress"] == pytest.approx(right, abs=0.05)
        assert values["copies"] == 1
        assert found["metrics"]["melody-stress"]["floor"] == 1


def test_copies_are_counted_among_what_was_learned(melodies):
    few = EvaluationData(melodies.train, melodies.test, told=True, learned=melodies.train.part(slice(10)))
    made = few.samples(melodies.train.batch(np.arange(5, 25)), text=melodies.train.text[5:25])
    assert METRICS["copies"].measure(made, made) == {"copies": 0.25}
    assert made.first(5).text.shape == (5, 12)
    assert METRICS["copies"].measure(made.first(5), made) == {"copies": 1.0}


def test_data_without_a_text_cannot_be_sung_to(sentences):
    with pytest.raises(MiniganError, match="told a text needs one, sentences has none"):
        EvaluationData(sentences.train, sentences.test, told=True)
