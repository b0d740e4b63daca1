"""Every op of `minigan.functional`, checked: what `minigan gradcheck` runs."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import minigan_kernels as kernels
from minigan.errors import MiniganError, did_you_mean

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


def gradcheck(ops=(), order=2, engines=(), examples=3) -> Iterator[Result]:
    """Check the derivatives of `ops` (by default of all) up to `order` on `engines` (by default all).

    Every form that the op table has of an op is tried on `examples` random inputs, in float64.
    MiniganError for an op or an engine that is not there.
    """
    rows = {}
    for row in ROWS:
        rows.setdefault(row.op, []).append(row)
    for op in ops:
        if op not in rows:
            raise MiniganError(f"no op is called {op!r}; {did_you_mean(op, rows)}")
    for engine in engines:
        if engine not in kernels.ENGINES:
            raise MiniganError(f"no engine is called {engine!r}; {did_you_mean(engine, kernels.ENGINES)}")
    for op in ops or sorted(rows):
        for engine in engines or kernels.ENGINES:
            with kernels.engine(engine):
                yield _check(op, rows[op], engine, order, examples)


def _check(op, rows, engine, order, examples):
    began, worst, count, failure = time.perf_counter(), 0.0, 0, None
    for row in rows:
        for seed in range(examples):
            count += 1
            try:
                n = min(order, row.order)
                worst = max(worst, check_grads(row.f, row.sample(seed), n, seed=seed, allow_unused=True))
            except (AssertionError, ValueError, TypeError, RuntimeError) as error:
                failure = failure or f"{row.name}, example {seed}: {error}"
    return Result(op, engine, order, count, worst, time.perf_counter() - began, failure)
