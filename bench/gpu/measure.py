"""Rows are measured on a GPU: kernels, and training steps by minigan and PyTorch."""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import minigan_kernels as kernels
from bench import results
from bench.rows import Call, Row
from minigan.speed import compare, steps
from minigan.speed.compare import LOSSES, Disagreement, Timing
from minigan.speed.processes import Side

from .clock import Clock
from .processes import FAILURES, GpuProcesses, sentence
from .rows import PRECISIONS

HERE = Path(__file__).parent
KERNELS = Side("the kernels", HERE / "kernel_side.py")
GRAPH = Side("minigan", compare.MINIGAN.file, {"graph": True})
NO_GRAPH = Side("minigan, no graph", compare.MINIGAN.file, {"graph": False})
EAGER = Side("PyTorch eager", HERE / "torch_side.py", {"graph": False})
GRAPHED = Side("PyTorch graph", HERE / "torch_side.py", {"graph": True})
SIDES = GRAPH, NO_GRAPH, EAGER, GRAPHED

TIMING = Timing(turns=5, seconds=0.2, warm_up=0.05, least=2)
NO_TIME = "not measured: the time was over"

# The relative differences that the losses of the first five steps may have: minigan captures its graph in
# the fourth. For float32 those of the CPU's benchmark. The others round each factor to 11 and to 8 bits, and
# Adam's first steps, all of one size, pass on the signs of the smallest gradients: PyTorch's own BF16, on a
# CPU, is up to 2e-3 away at the first step of these and up to 4e-3 at the next four.
RTOL = {
    "fp32": (*LOSSES, *LOSSES[-1:] * 2),
    "tf32": (5e-3, *[3e-2] * 4),
    "bf16": (2e-2, *[5e-2] * 4),
}


def precisions(compute_capability: str) -> tuple[str, ...]:
    """What a card's tensor cores have: TF32 and BF16 from 8.0 on."""
    return PRECISIONS if int(compute_capability.partition(".")[0]) >= 8 else PRECISIONS[:1]


def measurements(
    processes: GpuProcesses, rows: list[Row], sides: tuple[Side, ...], clock: Clock, until: float
) -> Iterator[dict]:
    """A record of each row, with its "ms" by side or an "error", and the "errors" of single sides."""
    for row in rows:
        name = f"{row.name}, {row.precision}"
        if not clock.left(until):
            found = {"error": NO_TIME}
        elif isinstance(row.work, Call):
            clock.say(name)
            found = called(processes, row)
        else:
            found = compared(processes, row, sides, lambda what, name=name: clock.say(f"{name}: {what}"))
        yield results.about(row) | found


def called(processes, row) -> dict:
    """The time of a kernel, or an "error"."""
    errors = {}
    with processes.recorded(KERNELS, errors):
        job = {"name": row.name, "precision": row.precision}
        (answer,) = compare.first_steps(processes.of(KERNELS), job, 1)
        return answer
    return {"error": errors[KERNELS.name]}


def compared(processes, row, sides, tell) -> dict:
    """The times of every side that works. Nothing is timed if those compute different losses."""
    errors = {}
    jobs = dict.fromkeys(sides, job_of(row.work) | {"precision": row.precision})
    timing, guard = replace(TIMING, bundle=row.bundle), partial(processes.recorded, errors=errors)
    try:
        found = results.times(compare.measure(processes, jobs, RTOL[row.precision], timing, tell, guard))
    except Disagreement as error:
        found = {"error": sentence(error), "losses": error.results}
    except FAILURES as error:
        found = {"error": sentence(error)}
        for side in sides:  # which of them broke is not known
            processes.end(side)
    return found | {"errors": errors}


@lru_cache(maxsize=1)  # the rows of a step come one after the other
def job_of(step: steps.Step) -> dict:
    with kernels.engine("reference"):  # nobody waits for the CPU's kernels to be compiled
        return steps.job(step, len(RTOL["fp32"]), device="gpu")
