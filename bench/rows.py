"""What is measured: whole training steps, the same at other batch sizes, and single convolutions."""

import re
from dataclasses import dataclass, replace

from minigan.bench.steps import DCGAN_32, STEPS, Step
from minigan.errors import MiniganError

from .layers import LAYERS, Layer

SCALING = 16, 64, 256  # batch sizes


@dataclass(frozen=True)
class Row:
    """A piece of work, and the table that it stands in: "step", "scaling" or "layer"."""

    group: str
    work: Step | Layer

    @property
    def name(self) -> str:
        return f"{self.group}/{self.work.name}"


ROWS = [
    *(Row("step", step) for step in STEPS),
    *(Row("scaling", replace(DCGAN_32, name=f"dcgan-32/{n}", batch_size=n)) for n in SCALING),
    *(Row("layer", layer) for layer in LAYERS),
]


def select(pattern: str | None, rows: list[Row] = ROWS) -> list[Row]:
    """The rows in whose names the regular expression is found. MiniganError for none, or no expression."""
    try:
        found = [row for row in rows if re.search(pattern or "", row.name)]
    except re.error as error:
        raise MiniganError(f"--rows: {pattern!r} is no regular expression: {error}") from error
    if not found:
        examples = ", ".join(next(row.name for row in rows if row.group == g) for g in groups(rows))
        raise MiniganError(f"--rows: no row is called like {pattern!r}; rows are, for example: {examples}")
    return found


def groups(rows: list[Row]) -> list[str]:
    """The groups of the rows, in their order."""
    return list(dict.fromkeys(row.group for row in rows))
