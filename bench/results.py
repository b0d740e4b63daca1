"""The results file: one JSON object, of which the README's tables are made."""

import json
from datetime import date
from pathlib import Path

from minigan.bench.compare import Measured
from minigan.errors import MiniganError

from .layers import Layer
from .machine import machine
from .rows import Row


def new(threads: int, busy: float | None) -> dict:
    """Results without rows yet. busy: the processors that others used right before, None if unknown."""
    return {
        "benchmark": "cpu",
        "date": date.today().isoformat(),
        "complete": False,
        "machine": machine(),
        "busy_processors": busy,
        "threads": threads,
        "versions": {},
        "rows": [],
    }


def record(row: Row, measured: Measured, product: float | None = None) -> dict:
    """A row as it is kept. product: GFLOP/s of a matrix product, that a layer is compared with."""
    work, sides = row.work, measured.turns
    ms = {side: 1e3 * measured.seconds(side) for side in sides}
    kept = {
        "name": row.name,
        "group": row.group,
        "title": work.title,
        "batch_size": work.batch_size,
        "ms": ms,
        "ratio": measured.ratio,
        "turns_ms": {side: [1e3 * t for t in turns] for side, turns in sides.items()},
        "difference": measured.difference,
    }
    if isinstance(work, Layer):
        rate = {side: work.flop / t / 1e6 for side, t in ms.items()}
        kept |= {"network": work.network, "direction": work.direction, "flop": work.flop, "gflops": rate}
        kept["of_product"] = {side: r / product for side, r in rate.items()}
    else:
        kept["per_image_ms"] = {side: t / work.batch_size for side, t in ms.items()}
        kept |= {"variants": measured.variants, "peak_memory": measured.peak_memory}
        kept["memory_at_start"] = measured.memory_at_start
    return kept


def save(path: Path, results: dict):
    """MiniganError where it cannot be written."""
    try:
        path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise MiniganError(f"cannot write {path}: {error.strerror or error}") from error
