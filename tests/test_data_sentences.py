"""The sentences: each is right by the grammar, and what breaks it is found."""

import numpy as np
import pytest

from minigan import data
from minigan.data.kinds import spelled
from minigan.data.sentences import CHARACTERS, LENGTH, all_sentences, numbers_of, read_sentences


def said(*texts):
    return {what: right.tolist() for what, right in read_sentences(numbers_of(list(texts))).items()}


def test_every_sentence_is_right_and_comes_once():
    texts = all_sentences()
    assert len(texts) == len({*texts}) == 2304
    assert max(map(len, texts)) == LENGTH
    assert all(right.all() for right in read_sentences(numbers_of(texts)).values())


def test_the_splits_are_all_of_them_and_share_none():
    train, test = (data.load("sentences", split=split) for split in ("train", "test"))
    assert (train.kind, train.words, train.shape) == ("text", CHARACTERS, (LENGTH,))
    assert (len(train), len(test)) == (1844, 460)
    texts = [spelled(row, CHARACTERS) for row in np.concatenate([train.samples, test.samples])]
    assert sorted(texts) == sorted(all_sentences())


@pytest.mark.parametrize(
    ("text", "form", "number", "gender"),
    [
        ("the king sees his dog", True, True, True),
        ("two maids hug their owls", True, True, True),
        ("the king sees her dog", True, True, False),
        ("one maid sees his dog", True, True, False),
        ("the kings see his dog", True, False, True),
        ("the kings see her dog", True, False, False),
        ("the king sees their dog", True, False, True),
        ("the king see his dog", True, False, True),
        ("the kings sees their dog", True, False, True),
        ("two king sees his dog", True, False, True),
        ("one kings see their dog", True, False, True),
        ("the kind sees his dog", False, False, False),
        ("king sees his dog", False, False, False),
        ("the king sees  his dog", False, False, False),
        ("the king sees his dog ", False, False, False),
        (" the king sees his dog", False, False, False),
        ("the king sees his dog d", False, False, False),
        ("", False, False, False),
    ],
)
def test_what_is_wrong_is_found(text, form, number, gender):
    expected = {"form": [form], "number": [number], "gender": [gender], "right": [form and number and gender]}
    assert said(text) == expected


def test_a_gap_within_a_text_is_no_space():
    numbers = numbers_of(["the king sees his dog"])
    numbers[0, 3] = 0
    assert not read_sentences(numbers)["form"][0]
    numbers = numbers_of(["the king sees his dog"])
    numbers[0, -1] = CHARACTERS.index("s")
    assert not read_sentences(numbers)["form"][0]


def test_no_texts_are_none():
    assert [right.shape for right in read_sentences(np.zeros((0, LENGTH), int)).values()] == [(0,)] * 4
