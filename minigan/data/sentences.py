"""Sentences of a small grammar, in which words agree in number and gender: each is right or wrong by rule.

A sentence has a determiner, a noun, a verb, a possessive and what it is about, as in "one maid sees her dogs"
and "two maids see their dog". It is right if

    number   a determiner but "the", the noun, its verb and the possessive are all of one, or all of many
    gender   of one, the possessive is "his" after a man and "her" after a woman

Between the noun and the possessive there is the verb: no three letters tell whether these agree.
"""

import itertools
import re

import numpy as np

from minigan.data.dataset import Dataset
from minigan.random import Generator

LENGTH = 24  # characters of the longest sentence
DETERMINERS = {"the": "both", "one": "one", "two": "many"}
NOUNS = dict.fromkeys(("king", "monk", "duke", "lord"), "his")
NOUNS |= dict.fromkeys(("girl", "aunt", "maid", "dame"), "her")
VERBS = "see", "own", "pet", "hug", "buy", "get"
THINGS = "dog", "cat", "cow", "hen", "pig", "owl"
LETTERS = sorted({*"his their"}.union(*DETERMINERS, *NOUNS, *VERBS, *THINGS) - {" "})
CHARACTERS = ("", " ", *LETTERS)
HELD_OUT, SEED = 5, 0  # one in so many sentences is for the test


def _one_of(words):
    return f"({'|'.join(words)})"


FORM = re.compile(
    f"{_one_of(DETERMINERS)} {_one_of(NOUNS)}(s?) {_one_of(VERBS)}(s?) (his|her|their) {_one_of(THINGS)}s?"
)


def load_sentences(split: str = "train") -> Dataset:
    """Four in five of the 2,304 sentences of the grammar that are right, or for the test the fifth, always
    the same: text of 24 characters, the numbers of CHARACTERS."""
    texts = all_sentences()
    order, test = Generator(SEED).permutation(len(texts)), len(texts) // HELD_OUT
    chosen = order[:test] if split == "test" else order[test:]
    return Dataset("sentences", numbers_of([texts[i] for i in chosen]), kind="text", words=CHARACTERS)


def all_sentences() -> list[str]:
    """All sentences that are right, in the order of their words."""
    return [
        f"{determiner} {noun}{ending} {verb}{other} {whose} {thing}{more}"
        for (determiner, number), (noun, gender) in itertools.product(DETERMINERS.items(), NOUNS.items())
        for ending, other, whose in (("", "s", gender), ("s", "", "their"))
        if number in ("both", "many" if ending else "one")
        for verb, thing, more in itertools.product(VERBS, THINGS, ("", "s"))
    ]


def numbers_of(texts: list[str]) -> np.ndarray:
    """uint8 (N, 24): the numbers in CHARACTERS of those of texts of at most so many, filled up with 0."""
    places = {character: i for i, character in enumerate(CHARACTERS)}
    numbers = np.zeros((len(texts), LENGTH), np.uint8)
    for row, text in zip(numbers, texts, strict=True):
        row[: len(text)] = [places[character] for character in text]
    return numbers


def read_sentences(numbers: np.ndarray) -> dict[str, np.ndarray]:
    """What of texts, integers (N, L) in CHARACTERS, is right, bool (N,) each:

    form: words of the grammar in its order, whatever they agree in. number: of those, that all are of one, or
    all of many. gender: of those, that the possessive is "their", or that of the noun. right: all of it.
    """
    found = np.array([_read(row) for row in numbers], bool).reshape(len(numbers), 3)
    return dict(zip(("form", "number", "gender"), found.T, strict=True)) | {
        "right": np.asarray(found.all(axis=1))
    }


def _read(numbers):
    text = "".join(CHARACTERS[i] or "\0" for i in numbers).rstrip("\0")  # within a text it is no character
    parts = FORM.fullmatch(text)
    if parts is None:
        return False, False, False
    determiner, noun, ending, _, other, whose, _ = parts.groups()
    number = "many" if ending else "one"
    agree = DETERMINERS[determiner] in ("both", number) and (other == "s") == (number == "one")
    agree = agree and (whose == "their") == (number == "many")
    return True, agree, whose in ("their", NOUNS[noun])
