"""What the samples of a dataset are made of: fields, each of a kind and a shape."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from minigan.checks import integer, is_integer, shown
from minigan.errors import MiniganError, did_you_mean

from .kinds import KINDS, TOLD

MOST_WORDS = 256  # their numbers are bytes
ENTRIES = {"kind", "shape", "classes", "values", "words", "rate"}  # of a field's table in TOML


@dataclass(frozen=True)
class Field:
    """One thing that each sample has.

    kind: "image", with the shape (C, H, W); "clip", with (T, C, H, W), T of which are frames; "point", with
        (2,); "sound", with (1, L), and the `rate`, how many of its L numbers are a second; "text" or
        "melody", with (L,), and the `words` that its numbers are those of; "label", with () and how many
        classes there are; "factors", with (k,), and in `values` the names of all k, each with how many
        values it has.
    words: of a text, the first of them is "", which fills it up; of a melody "-", which holds the note
        before, "." for a rest, and notes as in "c4" and "f#4", of which "c4" is the middle C.
    MiniganError for an unknown kind, or a shape that it does not have.
    """

    kind: str
    shape: tuple[int, ...]
    classes: int = 0
    values: Mapping[str, int] = dataclasses.field(default_factory=dict, hash=False)
    words: tuple[str, ...] = ()
    rate: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.kind, str):
            raise TypeError(f"Field: kind must be a text, got {shown(self.kind)}")
        if self.kind not in KINDS:
            raise MiniganError(f"Field: kind is unknown, {self.kind!r}; {did_you_mean(self.kind, KINDS)}")
        if not isinstance(self.shape, tuple) or not all(
            is_integer(side) and side >= 0 for side in self.shape
        ):
            raise TypeError(f"Field: shape must be a tuple of integers from 0 on, got {shown(self.shape)}")
        if len(self.shape) != (dimensions := len(KINDS[self.kind].axes)):
            raise MiniganError(f"Field: shape of a {self.kind} has {dimensions} dimensions, got {self.shape}")
        integer("Field", "classes", self.classes, 0)
        check_words("Field", self.kind, self.words)
        check_rate("Field", self.kind, self.rate)
        check_values("Field", self.values)
        if len(self.values) != (self.shape[0] if self.kind == "factors" else 0):
            raise MiniganError(
                f"Field: values are of factors, as many as these are, got {len(self.values)} for a "
                f"{self.kind} of shape {self.shape}"
            )

    def to_dict(self) -> dict:
        """The field as TOML and JSON have it."""
        named: dict = {"kind": self.kind, "shape": list(self.shape)}
        more = {
            "classes": self.classes,
            "values": dict(self.values),
            "words": list(self.words),
            "rate": self.rate,
        }
        return named | {name: value for name, value in more.items() if value}

    @classmethod
    def from_dict(cls, table: dict) -> "Field":
        """The field of which `to_dict` gave `table`. MiniganError or TypeError for any other table."""
        if not isinstance(table, dict) or not {"kind", "shape"} <= table.keys() <= ENTRIES:
            raise MiniganError(
                "a field has a kind, a shape and perhaps classes, values, words or a rate, got "
                f"{shown(table)}"
            )
        for name in ("shape", "words"):
            if not isinstance(table.get(name, []), list):
                what = "integers" if name == "shape" else "texts"
                raise MiniganError(f"the {name} of a field is a list of {what}, got {shown(table[name])}")
        return cls(**table | {"shape": tuple(table["shape"]), "words": tuple(table.get("words", ()))})


def check_values(who: str, values: Mapping[str, int]) -> None:
    """TypeError or MiniganError unless these are names, of factors, and how many values each has."""
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise TypeError(f"{who}: values must be numbers by names, got {shown(values)}")
    for name, count in values.items():
        integer(who, f"values of {name}", count, 1)


def check_words(who: str, kind: str, words: tuple[str, ...], argument: str = "words") -> None:
    """TypeError or MiniganError that names `argument` unless these are the words that samples of the kind are
    made of: none, but of a text or a melody."""
    if not isinstance(words, tuple) or not all(isinstance(word, str) for word in words):
        raise TypeError(f"{who}: {argument} must be a tuple of texts, got {shown(words)}")
    if bool(words) != KINDS[kind].in_words:
        raise MiniganError(f"{who}: {argument} are of a text or a melody, got {len(words)} for a {kind}")
    if len(words) > MOST_WORDS or len({*words}) < len(words):
        raise MiniganError(f"{who}: {argument} must be up to {MOST_WORDS} different ones, got {shown(words)}")
    if kind == "text" and words[0] != "":
        raise MiniganError(f"{who}: {argument} of a text begin with '', which fills it up, got {words[0]!r}")


def check_rate(who: str, kind: str, rate: int) -> None:
    """TypeError or MiniganError unless this is a rate of samples of the kind: 0, but of a sound."""
    integer(who, "rate", rate, 0)
    if bool(rate) != (kind == "sound"):
        raise MiniganError(f"{who}: a sound has a rate, in numbers a second, got {rate} for a {kind}")


class Fields(dict):
    """Fields by their names, in the order in which a batch holds them: a dict of `Field`."""

    def __init__(self, fields: dict[str, Field]) -> None:
        if not isinstance(fields, dict) or not fields:
            raise TypeError(f"Fields: fields must be a dict of at least one Field, got {shown(fields)}")
        for name, field in fields.items():
            if not isinstance(name, str) or not isinstance(field, Field):
                raise TypeError(f"Fields: fields must be texts with a Field each, got {shown({name: field})}")
        super().__init__(fields)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample of the first field."""
        return self.first.shape

    @property
    def first(self) -> Field:
        """The first field: what a sample is."""
        return next(iter(self.values()))

    @property
    def kind(self) -> str:
        """The kind of the first field."""
        return self.first.kind

    @property
    def seen(self) -> dict[str, Field]:
        """The fields that are samples themselves: the first, and all that is not known beside it, as labels,
        factors and a text are."""
        return {name: field for name, field in self.items() if field is self.first or field.kind not in TOLD}

    @property
    def classes(self) -> int:
        """How many classes the field of labels has; 0 without one."""
        return next((field.classes for field in self.values() if field.kind == "label"), 0)

    def to_dict(self) -> dict[str, dict]:
        """The fields as TOML and JSON have them: of lists, texts and integers alone."""
        return {name: field.to_dict() for name, field in self.items()}

    @classmethod
    def from_dict(cls, tables: dict[str, dict]) -> "Fields":
        """The fields of which `to_dict` gave `tables`. MiniganError or TypeError for any other tables."""
        if not isinstance(tables, dict):
            raise TypeError(f"Fields: tables must be a dict, a table for each field, got {shown(tables)}")
        return cls({name: Field.from_dict(table) for name, table in tables.items()})
