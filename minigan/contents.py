"""What files hold: JSON and TOML, parsed, and held to a type that says what is expected."""

import json
import re
import sys
import tomllib
import typing
from pathlib import Path
from typing import Annotated

import msgspec

from minigan.checks import shown
from minigan.errors import MiniganError

LARGEST = sys.float_info.max
Finite = Annotated[float, msgspec.Meta(ge=-LARGEST, le=LARGEST)]

# Types as errors call them.
WORDS = {
    **{"int": "an integer", "float": "a number", "bool": "true or false", "str": "a text", "null": "nothing"},
    **{"object": "a table of names", "array": "a list", "Path": "a path"},
}
EXPECTED = re.compile(r"Expected `(.+?)`(.*?)(?:, got `(.+)`)?")
MISSING = re.compile(r"Object missing required field `(.+)`")
PLACE = re.compile(r"(?s)(.*?)(?: - at `\$\.?(.+)`)?")


class Misfit(MiniganError):
    """What a file holds is not of the type that was expected. The message goes on from what it is about:
    "has a text as step, expected an integer", "has no step", "is 2.5, expected an integer".

    wanted: "expected an integer", say.
    """

    def __init__(self, message: str, wanted: str):
        super().__init__(message)
        self.wanted = wanted


def json_of(text: bytes | str):
    """The value in a JSON text; numbers may be NaN and Infinity, as `json.dumps` writes them. ValueError, in
    one line, if it is none."""
    return _parsed(json.loads, text)


def toml_of(text: str) -> dict:
    """The table in a TOML text. ValueError, in one line, if it is none."""
    return _parsed(tomllib.loads, text)


def _parsed(parse, text):
    try:
        return parse(text)
    except RecursionError:
        raise ValueError("what it holds is nested too deeply") from None


def as_type(value, kind):
    """`value`, as JSON and TOML have it, as the type `kind`, of standard types, dataclasses and TypedDicts as
    msgspec takes them: integers where floats are expected become floats, texts paths; of a TypedDict only
    what it names is left.

    Misfit for anything else; TypeError for a type that cannot be read from a file.
    """
    try:
        return msgspec.convert(value, kind, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise _misfit(str(error), value, kind) from None
    except RecursionError:
        raise Misfit("is nested too deeply", "expected less") from None


def _path(kind, value):
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"Expected `{kind.__name__}`, got `{type(value).__name__}`")


def _misfit(sentence, value, kind):
    said, place = PLACE.fullmatch(sentence).groups()
    if missing := MISSING.fullmatch(said):
        return Misfit(f"has no {missing[1]}" + (f" in {place}" if place else ""), f"expected {missing[1]}")
    expected, got = EXPECTED.fullmatch(said), None
    if expected:
        kinds, more, got = expected.groups()
        more = "" if str(LARGEST) in more else more.replace(">=", "of at least").replace("<=", "of at most")
        wanted = f"expected {_in_words(kinds)}{more}"
    else:  # of a Literal, or of a number that no float holds
        wanted = f"expected {' or '.join(map(repr, _literals(kind))) or 'a number'}"
    if place is None:
        return Misfit(f"is {shown(value)}, {wanted}", wanted)
    return Misfit(f"has {_in_words(got) if got else 'something else'} as {place}, {wanted}", wanted)


def _in_words(types):
    return " or ".join(WORDS.get(name, name) for name in types.split(" | "))


def _literals(kind):
    if typing.get_origin(kind) is typing.Literal:
        return typing.get_args(kind)
    return [value for part in typing.get_args(kind) for value in _literals(part)]
