"""What is measured on the CPU: whole training steps, the same at other batch sizes, and single convolutions.
What is measured on a GPU is in `gpu/rows.py`."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from minigan.errors import MiniganError
from minigan.speed.steps import DCGAN_32, STEPS, Step

from .layers import LAYERS, Layer

SCALING = 16, 64, 256  # batch sizes


@dataclass(frozen=True)
class Call:
    """A call of one kernel. make: its arguments from a source of arrays (see `gpu/kernel_side.py`), or of a
    "ceiling" the call itself; changes: the arguments that it changes in place, and which are its results."""

    name: str
    kernel: str
    make: Callable
    bytes: int
    flop: int = 0
    changes: tuple[int, ...] = ()

    @property
    def title(self) -> str:
        return self.name


@dataclass(frozen=True)
class Row:
    """A piece of work, and the table that it stands in: "step", "scaling" or "layer"; on a GPU "ceiling",
    "memory", "product", "convolution" or "step"."""

    group: str
    work: Step | Layer | Call
    precision: str = "fp32"
    bundle: int = 1
    """How many steps are taken between two waits for the device."""
    targets: tuple[float, ...] = ()
    """The ratios to reach: how many times as long as minigan the rivals take."""

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
        first = {row.group: row.name for row in reversed(rows)}
        examples = ", ".join(reversed(first.values()))
        raise MiniganError(f"--rows: no row is called like {pattern!r}; rows are, for example: {examples}")
    return found
