"""The results file: one JSON object, of which tables are made; the same for the CPU and for a GPU.

Beside facts it has "rows", each about one piece of work: what it was, and "ms" by side or an "error".
"""

import json
from datetime import date
from pathlib import Path

from minigan.errors import MiniganError
from minigan.speed.compare import Measured

from .machine import machine
from .rows import Row

OF_WORK = "batch_size", "network", "direction", "kernel", "bytes", "flop"  # of a step, a layer, or a call


def new(benchmark: str, **facts) -> dict:
    """Results without rows yet."""
    return {
        "benchmark": benchmark,
        "date": date.today().isoformat(),
        "complete": False,
        "machine": machine(),
        **facts,
        "versions": {},
        "rows": [],
    }


def about(row: Row) -> dict:
    """What was to be measured."""
    work = {name: getattr(row.work, name) for name in OF_WORK if hasattr(row.work, name)}
    kept = {"name": row.name, "group": row.group, "title": row.work.title, **work, "precision": row.precision}
    return kept | ({"targets": list(row.targets)} if row.targets else {})


def times(measured: Measured) -> dict:
    """What came of it."""
    memory = {"peak_memory": measured.peak_memory, "memory_at_start": measured.memory_at_start}
    return {
        "ms": {side: 1e3 * measured.seconds(side) for side in measured.turns},
        "ratio": measured.ratio,
        "turns_ms": {side: [1e3 * t for t in turns] for side, turns in measured.turns.items()},
        "difference": measured.difference,
        "variants": measured.variants,
        **(memory if measured.peak_memory else {}),
    }


def save(path: Path, results: dict):
    """MiniganError where it cannot be written."""
    try:
        path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise MiniganError(f"cannot write {path}: {error.strerror or error}") from error
