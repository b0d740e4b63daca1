"""Fields: what the samples of a dataset are made of, and how that is written down."""

import tomllib

import numpy as np
import pytest
import tomli_w

from minigan.data import Dataset, Field, Fields, load
from minigan.errors import MiniganError

LABELLED = Fields({"image": Field("image", (3, 32, 32)), "label": Field("label", (), 10)})
PAIR = Fields({"x": Field("image", (1, 8, 8)), "y": Field("image", (3, 8, 8))})


def test_shape_and_classes():
    assert (LABELLED.shape, LABELLED.classes) == ((3, 32, 32), 10)
    assert (PAIR.shape, PAIR.classes) == ((1, 8, 8), 0)
    assert list(PAIR) == ["x", "y"]


@pytest.mark.parametrize("fields", [LABELLED, PAIR, Fields({"point": Field("point", (2,))})])
def test_they_come_back_from_toml(fields):
    back = Fields.from_dict(tomllib.loads(tomli_w.dumps(fields.to_dict())))
    assert back == fields
    assert list(back) == list(fields)


def test_those_of_datasets():
    assert load("digits").fields == {"image": Field("image", (1, 8, 8)), "label": Field("label", (), 10)}
    assert load("ring8").fields == {"point": Field("point", (2,)), "label": Field("label", (), 8)}
    assert Dataset("a", np.zeros((2, 3, 4, 5), np.uint8)).fields == {"image": Field("image", (3, 4, 5))}


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (
            {"x": {"kind": "image"}},
            "a field has a kind, a shape and perhaps classes, values, words or a rate, got {'kind'",
        ),
        ({"x": {"kind": "image", "shape": [1, 8, 8], "tint": 1}}, "a field has a kind"),
        ({"x": 3}, "a field has a kind, a shape and perhaps classes, values, words or a rate, got 3"),
        ({"x": {"kind": "imgae", "shape": [1, 8, 8]}}, "unknown, 'imgae'; did you mean 'image'"),
        ({"x": {"kind": "point", "shape": [1, 8, 8]}}, r"shape of a point has 1 dimensions, got \(1, 8, 8\)"),
        ({"x": {"kind": "image", "shape": "1x8x8"}}, "shape of a field is a list of integers, got '1x8x8'"),
        ({"x": {"kind": "image", "shape": [1, 8, 8.5]}}, "shape must be a tuple of integers from 0 on"),
        ({"x": {"kind": "label", "shape": [], "classes": "ten"}}, "classes must be an integer, got 'ten'"),
        ({}, "fields must be a dict of at least one Field"),
        (["x"], "tables must be a dict"),
    ],
)
def test_other_tables_are_refused(table, sentence):
    with pytest.raises((MiniganError, TypeError), match=sentence):
        Fields.from_dict(table)
