"""What the samples of a dataset are made of: fields, each of a kind and a shape."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from minigan.checks import integer, is_integer, shown
from minigan.errors import MiniganError, did_you_mean

KINDS = {"image": 3, "point": 1, "label": 0, "factors": 1}  # of a field: the dimensions of one sample
TOLD = "label", "factors"  # kinds of what is known of a sample, and is not the sample itself
ENTRIES = {"kind", "shape", "classes", "values"}  # of a field's table in TOML


@dataclass(frozen=True)
class Field:
    """One thing that each sample has.

    kind: "image", with the shape (C, H, W); "point", with (2,); "label", with () and how many classes there
        are; "factors", with (k,), and in `values` the names of all k, each with how many values it has.
    MiniganError for an unknown kind, or a shape that it does not have.
    """

    kind: str
    shape: tuple[int, ...]
    classes: int = 0
    values: Mapping[str, int] = dataclasses.field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not isinstance(self.kind, str):
            raise TypeError(f"Field: kind must be a text, got {shown(self.kind)}")
        if self.kind not in KINDS:
            raise MiniganError(f"Field: kind is unknown, {self.kind!r}; {did_you_mean(self.kind, KINDS)}")
        if not isinstance(self.shape, tuple) or not all(
            is_integer(side) and side >= 0 for side in self.shape
        ):
            raise TypeError(f"Field: shape must be a tuple of integers from 0 on, got {shown(self.shape)}")
        if len(self.shape) != KINDS[self.kind]:
            raise MiniganError(
                f"Field: shape of a {self.kind} has {KINDS[self.kind]} dimensions, got {self.shape}"
            )
        integer("Field", "classes", self.classes, 0)
        check_values("Field", self.values)
        if len(self.values) != (self.shape[0] if self.kind == "factors" else 0):
            raise MiniganError(
                f"Field: values are of factors, as many as these are, got {len(self.values)} for a "
                f"{self.kind} of shape {self.shape}"
            )

    def to_dict(self) -> dict:
        """The field as TOML and JSON have it."""
        named: dict = {"kind": self.kind, "shape": list(self.shape)}
        named |= {"classes": self.classes} if self.classes else {}
        return named | ({"values": dict(self.values)} if self.values else {})

    @classmethod
    def from_dict(cls, table: dict) -> "Field":
        """The field of which `to_dict` gave `table`. MiniganError or TypeError for any other table."""
        if not isinstance(table, dict) or not {"kind", "shape"} <= table.keys() <= ENTRIES:
            raise MiniganError(
                f"a field has a kind, a shape and perhaps classes or values, got {shown(table)}"
            )
        if not isinstance(table["shape"], list):
            raise MiniganError(f"the shape of a field is a list of integers, got {shown(table['shape'])}")
        return cls(table["kind"], tuple(table["shape"]), table.get("classes", 0), table.get("values", {}))


def check_values(who: str, values: Mapping[str, int]) -> None:
    """TypeError or MiniganError unless these are names, of factors, and how many values each has."""
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise TypeError(f"{who}: values must be numbers by names, got {shown(values)}")
    for name, count in values.items():
        integer(who, f"values of {name}", count, 1)


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
        return next(iter(self.values())).shape

    @property
    def seen(self) -> dict[str, Field]:
        """The fields that are samples themselves: all but labels and factors, which are known of them."""
        return {name: field for name, field in self.items() if field.kind not in TOLD}

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
