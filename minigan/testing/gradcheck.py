"""Every op of `minigan.functional`, checked: what `minigan gradcheck` runs."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import minigan_kernels as kernels
from minigan.backend import require_engine
from minigan.errors import MiniganError, did_you_mean
from minigan_kernels.engines import SINGLE

from .check_engine import check_engine, runs_kernels
from .check_grads import check_grads
from .op_table import ROWS


@dataclass(frozen=True)
class Result:
    """What came of one op on one engine. `failure` is the first one's message, or None."""

    op: str
    engine: str
    order: int
    examples: int
    worst: float
    seconds: float
    failure: str | None


def gradcheck(
    ops: Sequence[str] = (), order: int = 2, engines: Sequence[str] = (), examples: int = 3
) -> Iterator[Result]:
    """Check the derivatives of `ops` (by default of all) up to `order` on `engines` (by default on
    `reference` and `cpu`, and on `cuda` if there is a GPU; emulated ones when they are asked for).

    Every form that the op table has of an op is tried on `examples` random inputs: in float64 against
    finite differences; on an engine that takes float32 alone, against `reference` in float64, and there
    only the ops that call one of its kernels. MiniganError for an op or an engine that is not there, or
    if there is nothing to check.
    """
    rows: dict[str, list[Any]] = {}
    for row in ROWS:
        rows.setdefault(row.op, []).append(row)
    for op in ops:
        if op not in rows:
            raise MiniganError(f"no op is called {op!r}; {did_you_mean(op, rows)}")
    for engine in engines:
        require_engine(engine)
    engines = engines or [e for e in ("reference", "cpu", "cuda") if kernels.engine_missing(e) is None]
    empty = True
    for op in ops or sorted(rows):
        for engine in engines:
            checked = rows[op]
            if engine in SINGLE:
                checked = [row for row in checked if runs_kernels(row.f, row.sample(0), engine)]
            if checked:
                empty = False
                yield _check(op, checked, engine, order, examples)
    if empty:
        raise MiniganError(f"{', '.join(ops)}: no kernel of {', '.join(engines)} is called, nothing to check")


def _check(op, rows, engine, order, examples):
    began, worst, count, failure = time.perf_counter(), 0.0, 0, None
    for row in rows:
        for seed in range(examples):
            count += 1
            try:
                worst = max(worst, _check_row(row, engine, order, seed))
            except (AssertionError, ValueError, TypeError, RuntimeError) as error:
                failure = failure or f"{row.name}, example {seed}: {error}"
    return Result(op, engine, order, count, worst, time.perf_counter() - began, failure)


def _check_row(row, engine, order, seed):
    order, inputs = min(order, row.order), row.sample(seed)
    if engine in SINGLE:
        return check_engine(row.f, inputs, engine, order, seed)
    with kernels.engine(engine):
        return check_grads(row.f, inputs, order, seed=seed, allow_unused=True)
