"""The part `kernels`: what this card copies and multiplies at most, and each kernel beside that."""

from collections.abc import Iterator
from pathlib import Path

from minigan.bench.worker import Side

from .clock import Clock
from .processes import Processes
from .rows import PRECISIONS, PRODUCTS, Row, all_rows

SIDE = Side("the process of the kernels", Path(__file__).with_name("kernel_side.py"))
LARGE = 8192  # the matrix product that is the ceiling
NO_TIME = "not measured: the time was over"


def precisions(compute_capability: str) -> tuple[str, ...]:
    """What a card's tensor cores have: TF32 and BF16 from 8.0 on."""
    return PRECISIONS if int(compute_capability.partition(".")[0]) >= 8 else PRECISIONS[:1]


def ceilings(processes: Processes, offered: tuple[str, ...], clock: Clock) -> dict:
    """Bytes a second of a copy, operations a second of cuBLAS by precision and size; None where that failed,
    with the reason under "errors"."""
    found = {"copy": None, "product": {p: {} for p in offered}, "errors": {}}

    def ask(job, key):
        errors = {}
        with processes.recorded(SIDE, errors):
            worker = processes.of(SIDE)
            worker.prepare(job)
            return worker.take(1)[0][key]
        found["errors"][" ".join(map(str, job.values()))] = errors[SIDE.name]

    clock.say("the card's fastest copy")
    found["copy"] = ask({"name": "copy ceiling"}, "bytes_per_second")
    for precision in offered:
        clock.say(f"cuBLAS in {precision}")
        for n in PRODUCTS:
            job = {"name": "product ceiling", "precision": precision, "n": n}
            found["product"][precision][str(n)] = ask(job, "flop_per_second")
    return found


def measurements(
    processes: Processes, offered: tuple[str, ...], clock: Clock, until: float, rows: list[Row] | None = None
) -> Iterator[dict]:
    """Each row's record, with "seconds" or an "error"."""
    for row in all_rows() if rows is None else rows:
        if row.precision not in offered:
            continue
        record = {
            **{"name": row.name, "group": row.group, "kernel": row.kernel, "precision": row.precision},
            **{"bytes": row.bytes, "flop": row.flop},
        }
        if not clock.left(until):
            yield record | {"error": NO_TIME}
            continue
        clock.say(f"{row.name}, {row.precision}")
        errors = {}
        with processes.recorded(SIDE, errors):
            worker = processes.of(SIDE)
            worker.prepare({"name": row.name, "precision": row.precision})
            record |= worker.take(1)[0]
        yield record | ({"error": errors[SIDE.name]} if errors else {})
