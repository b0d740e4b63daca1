"""What is read back from files is of the type that was expected, or one sentence says which part is not."""

from pathlib import Path
from typing import Annotated, Literal, NotRequired, TypedDict

import pytest
from msgspec import Meta

from minigan.contents import Finite, Misfit, as_type, json_of, toml_of

DEEP = 100_000


class Inner(TypedDict):
    since: int
    note: NotRequired[str]


class Outer(TypedDict):
    step: int
    found: list[Inner]
    by_name: NotRequired[dict[str, Finite | None]]


@pytest.mark.parametrize(
    ("value", "kind", "sentence"),
    [
        ("2", int, "is '2', expected an integer"),
        (4.0, int, "is 4.0, expected an integer"),
        (True, int, "is True, expected an integer"),
        (True, float | None, "is True, expected a number or nothing"),
        (10**400, float, "is a int, expected a number"),
        (float("nan"), Finite, "is nan, expected a number"),
        (2, Literal[1, 3] | None, "is 2, expected 1 or 3"),
        (3, Path | None, "is 3, expected a path"),
        (0, Annotated[int, Meta(ge=1)], "is 0, expected an integer of at least 1"),
        ([], Outer, "is [], expected a table of names"),
        ({"found": []}, Outer, "has no step"),
        ({"step": 1, "found": [{}]}, Outer, "has no since in found[0]"),
        ({"step": 1, "found": [{"since": "x"}]}, Outer, "has a text as found[0].since, expected an integer"),
        (
            {"step": 1, "found": [], "by_name": {"fcd": "x"}},
            Outer,
            "has a text as by_name[...], expected a number or nothing",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(value, kind, sentence):
    with pytest.raises(Misfit) as error:
        as_type(value, kind)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (1, float, 1.0),
        ("a/b", Path | None, Path("a/b")),
        (None, Path | None, None),
        ([1, 8, 8], tuple[int, ...], (1, 8, 8)),
        ({"step": 1, "found": [], "more": 2}, Outer, {"step": 1, "found": []}),
    ],
)
def test_what_fits_comes_as_the_type(value, kind, expected):
    found = as_type(value, kind)
    assert (found, type(found)) == (expected, type(expected))


def test_a_type_that_no_file_holds_is_an_error_of_the_caller():
    with pytest.raises(TypeError, match=r"str \| pathlib\.Path"):
        as_type("x", str | Path)


@pytest.mark.parametrize("text", [b"[" * DEEP, b'{"a":' * DEEP, b"{", b"\xff", b""])
def test_a_text_that_is_no_json_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"."):
        json_of(text)


@pytest.mark.parametrize("text", ["a = " + "[" * DEEP, "a = " + "{b=" * DEEP, "a = "])
def test_a_text_that_is_no_toml_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"."):
        toml_of(text)


def test_infinity_is_read_as_it_is_written():
    assert json_of('{"best": Infinity}') == {"best": float("inf")}
