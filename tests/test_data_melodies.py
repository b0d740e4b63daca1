"""The melodies: each keeps the grammar's rules, and what breaks one is found."""

import hashlib

import numpy as np
import pytest

from minigan import data
from minigan.data import melodies
from minigan.data.melodies import MARKS, WORDS, drawn, read_melodies
from minigan.random import Generator

LINE = "/u/u/|u/u/u|"
GOOD = ["c4", "d4", "e4", "f4", "g4", "-", "-", "."]
GOOD += [".", "e4", "e4", "d4", "d4", "c4", "-", "."]  # sung to LINE
RULES = {"steps", "cadence", "rhythm", "stress"}


@pytest.fixture(scope="module", params=["train", "test"])
def split(request):
    return data.load("melodies", split=request.param)


def numbers(words):
    return np.array([[WORDS.index(word) for word in words]])


def line(text):
    places = np.zeros((melodies.PHRASES, melodies.SLOTS), int)
    for row, phrase in zip(places, text.removesuffix("|").split("|"), strict=True):
        row[: len(phrase) + 1] = [MARKS.index(mark) for mark in phrase + "|"]
    return places.reshape(1, -1)


def broken(words, text=LINE):
    """The rules that a melody breaks."""
    found = read_melodies(numbers(words), line(text))
    assert found.keys() == RULES
    assert all(right.shape == (1,) for right in found.values())
    return {rule for rule, right in found.items() if not right[0]}


def changed(**at):
    """GOOD with other words at some steps, s4="c5" for step 4."""
    return [at.get(f"s{i}", word) for i, word in enumerate(GOOD)]


def test_every_melody_keeps_every_rule(split):
    found = read_melodies(split.samples, split.text)
    assert found.keys() == RULES
    for rule, right in found.items():
        assert right.all(), f"{rule} is broken by melody {np.flatnonzero(~right)[0]}"


def test_they_are_many_and_the_splits_share_none():
    train, test = (data.load("melodies", split=split) for split in ("train", "test"))
    assert (train.kind, train.words, train.text_words) == ("melody", WORDS, MARKS)
    assert (train.samples.shape, test.samples.shape) == ((20_000, 16), (5_000, 16))
    assert (train.text.shape, test.text.shape) == ((20_000, 12), (5_000, 12))
    rows = [{row.tobytes() for row in of.samples} for of in (train, test)]
    assert len(rows[0]) > 19_000
    assert len(rows[0] & rows[1]) < 0.02 * len(rows[1])


def test_they_are_always_the_same():
    first, again = (drawn(50, Generator(3)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], drawn(50, Generator(4))[0])


def test_all_keys_words_and_steps_come():
    found, lines = drawn(2000, Generator(0))
    assert {*np.unique(found)} == {*range(len(WORDS))}
    assert {*np.unique(lines)} == {*range(len(MARKS))}
    ends = [WORDS[melody[melody >= melodies.LOWEST][-1]] for melody in found]
    assert {*ends} == {*melodies.TONICS.values()}
    assert min(ends.count(tonic) for tonic in {*ends}) > 500
    syllables = (
        ((lines == melodies.STRESSED) | (lines == melodies.UNSTRESSED)).reshape(2000, 2, -1).sum(axis=2)
    )
    assert {*np.unique(syllables)} == {2, 3, 4, 5}


def test_a_melody_by_hand_keeps_them_all():
    assert not broken(GOOD)


@pytest.mark.parametrize(
    ("words", "rules"),
    [
        (changed(s1="g4"), {"steps"}),  # a leap of a fifth
        (changed(s3="f#4"), {"steps"}),  # of another key than c, where it ends
        (changed(s12="e4"), {"cadence"}),  # a third before the tonic
        (changed(s13="d4"), {"cadence"}),  # ends on the second degree
        (changed(s13="g4", s12="f#4"), {"steps"}),  # a cadence in g, from d to f#: a third; but f before
        (changed(s12="c4"), {"cadence"}),  # the tonic twice
        (changed(s5="g4"), {"stress"}),  # a note too many
        (changed(s1="-"), {"stress"}),  # a note too few
        (changed(s5="."), {"rhythm"}),  # a gap
        (changed(s7="-"), {"rhythm"}),  # no breath
        (changed(s8="-"), {"rhythm"}),  # a note goes on before the first one
        (changed(s14="c4"), {"stress", "rhythm", "cadence"}),  # a note that is not held
    ],
)
def test_what_breaks_a_rule_is_found(words, rules):
    assert broken(words) == rules


def test_a_line_of_other_stresses_is_not_sung_by_it():
    assert broken(GOOD, "/u/uu|u/u/u|") == {"stress"}
    assert broken(GOOD, "/u/u|u/u/u|") == {"stress"}


def test_silence_keeps_no_rule_and_no_melody_is_none():
    silent = np.full((1, 16), melodies.REST)
    assert not any(right[0] for right in read_melodies(silent, line(LINE)).values())
    assert [right.shape for right in read_melodies(silent[:0]).values()] == [(0,)] * 3


def test_what_was_trained_on_stays_the_same():
    """A change of the grammar changes what published figures are of."""
    melody, text = drawn(100, Generator(0))
    assert hashlib.sha256(melody.tobytes() + text.tobytes()).hexdigest()[:16] == "7f519c9296ba6dea"
