"""Training steps and convolutions on the CPU, against PyTorch: `python -m bench.cpu`."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import App, Parameter
from rich.console import Console
from rich.markdown import Markdown

import minigan_kernels as kernels
from minigan.cli import call
from minigan.errors import MiniganError
from minigan.speed.compare import (
    CHANNELS_LAST,
    EAGER,
    LOSSES,
    MINIGAN,
    Measured,
    Timing,
    first_steps,
    measure,
    quickest,
)
from minigan.speed.processes import Processes, Worker
from minigan.speed.short import checked_threads, has_torch
from minigan.speed.steps import job

from . import ROOT, curve, layers, overhead, results, table
from .machine import busy
from .rows import ROWS, Row, select

README, CURVE = ROOT / "README.md", ROOT / "bench" / "curve.csv"
RESULTS = ROOT / "bench" / "cpu.json"  # those of the README's tables
LAST = ROOT / "bench" / "last.json"  # those of any other run

STEP_TIMING = Timing(turns=15, seconds=0.5, warm_up=0.2)  # short: both sides of a turn find the machine alike
LAYER_TIMING = Timing(turns=9, seconds=0.06, warm_up=0.04)
QUICK_STEP_TIMING = Timing(turns=3, seconds=0.3, warm_up=0.1, least=2)
QUICK_LAYER_TIMING = Timing(turns=3, seconds=0.03, warm_up=0.03)
PRODUCT, PRODUCT_TIMING = 2048, Timing(turns=4, seconds=0.5, warm_up=0.1)

app = App(name="python -m bench.cpu", version_flags=[])


@app.default
def cpu(
    *,
    rows: str | None = None,
    quick: Annotated[bool, Parameter(negative="")] = False,
    threads: int | None = None,
    out: Path | None = None,
    write: Annotated[bool, Parameter(negative="")] = False,
    curve: Annotated[bool, Parameter(negative="")] = False,
    overhead: Annotated[bool, Parameter(negative="")] = False,
):
    """Check that minigan and PyTorch compute the same on the CPU, then time them in turn.

    Parameters
    ----------
    rows
        Only rows in whose names this regular expression is found: step/mlp, scaling, layer/dcgan-32/G1.
    quick
        Fewer and shorter turns.
    threads
        Threads of each side; by default as many as there are processors.
    out
        The file for the results; by default bench/last.json, bench/cpu.json for --write, and
        bench/curve.csv for --curve.
    write
        Put the tables into the README, with what --overhead finds and --curve has saved.
    curve
        Only compare the losses of a DCGAN's first 50 steps, and save them as CSV.
    overhead
        Only say where the microseconds of a small step of minigan go: kernels, autograd, the rest.
    """
    if not has_torch():
        raise MiniganError("there is nothing to compare with: pip install -e '.[bench]' for PyTorch")
    out = out or (CURVE if curve else RESULTS if write else LAST)
    if not out.parent.is_dir():
        raise MiniganError(f"--out: there is no folder {out.parent}")
    threads, console = checked_threads(threads), Console(highlight=False, soft_wrap=True)
    chosen = select(rows)
    if write and (chosen != ROWS or curve or overhead):
        raise MiniganError("--write puts whole tables into the README: leave out --rows, --curve, --overhead")
    if curve:
        compare_curves(threads, out, console)
        return
    if overhead:
        show_overhead(threads, console)
        return
    timings = (QUICK_STEP_TIMING, QUICK_LAYER_TIMING) if quick else (STEP_TIMING, LAYER_TIMING)
    found = run(chosen, threads, *timings, out, console)
    if write:
        found |= beside(threads, console)
        results.save(out, found)
        table.write(README, found)
        console.print(f"{README.name} has the tables")


def run(
    rows: list[Row], threads: int, step_timing: Timing, layer_timing: Timing, out: Path, console: Console
) -> dict:
    """Measure the rows, print and save each when it is done; the results (see `results.py`)."""
    with console.status("") as status:
        status.update("is other work running?")
        found = results.new("cpu", busy_processors=busy(), threads=threads)
        machine = found["machine"]
        console.print(f"{machine['cpu']}, {machine['processors']} processors; {table.threads(found)}")
        if others := table.other_work(found):
            console.print(others)
        convolutions = any(row.group == "layer" for row in rows)
        found["versions"], product = capabilities(threads, status.update, with_product=convolutions)
        if product:
            found["product_gflops"] = product
            rates = ", ".join(f"{rate:.0f} GFLOP/s by {side}" for side, rate in product.items())
            console.print(f"a matrix product of {PRODUCT}³: {rates}")
        for row, measured in measurements(rows, threads, step_timing, layer_timing, status.update):
            if not found["rows"] or found["rows"][-1]["group"] != row.group:
                console.print("\n" + table.line_heads(row.group))
            found["rows"].append(results.about(row) | results.times(measured))
            console.print(table.line(found["rows"][-1], found))
            results.save(out, found)  # what is measured is not lost by Ctrl-C
    found["complete"] = True
    results.save(out, found)
    console.print(f"\n{table.notes(found)}\n{out}", markup=False)
    return found


def capabilities(threads, tell, with_product) -> tuple[dict[str, str], dict[str, float]]:
    """The versions of both sides, and their GFLOP/s in a matrix product: what the machine can do."""
    sides = layers.SIDES[:2]
    with Processes(threads) as processes:
        about = [processes.of(side).about["versions"] for side in sides]
        versions = {"kernels": kernels.engine_name(np.zeros(1, np.float32))} | about[0] | about[1]
        if not with_product:
            return versions, {}
        jobs = dict.fromkeys(sides, layers.product(PRODUCT))
        measured = measure(processes, jobs, layers.RTOL, PRODUCT_TIMING, telling("matrix product", tell))
        return versions, {side: 2 * PRODUCT**3 / min(times) / 1e9 for side, times in measured.turns.items()}


def measurements(rows, threads, step_timing, layer_timing, tell) -> Iterator[tuple[Row, Measured]]:
    """Each row with what came of it, checked before it is timed."""
    for row in rows:
        if row.group != "layer":
            sides = [MINIGAN, EAGER, *[CHANNELS_LAST] * row.work.layouts]
            yield row, measure_alone(sides, job(row.work), threads, step_timing, telling(row.name, tell))
    with Processes(threads) as processes:  # memory is not asked for: they can do all convolutions
        for row in rows:
            if row.group == "layer":
                jobs = dict.fromkeys(layers.SIDES, layers.job(row.work))
                yield row, measure(processes, jobs, layers.RTOL, layer_timing, telling(row.name, tell))


def measure_alone(sides, job, threads, timing, tell) -> Measured:
    """Check and time a step in processes that do nothing else, and so know their memory.

    The work is done before in others that are thrown away. Kernels are compiled there, so that the compiler's
    memory is not counted, and a side with a choice of ways takes the quickest.
    """
    jobs = {}
    for side in sides:
        tell(f"{side.name}, rehearsal")
        with Worker(side, threads) as worker:
            jobs[side] = quickest(worker, job, timing)
            first_steps(worker, jobs[side], 1)
    with Processes(threads) as processes:
        measured = measure(processes, jobs, LOSSES, timing, tell)
        workers = {side.name: processes.of(side) for side in sides}
        peak = {name: worker.peak_memory() for name, worker in workers.items()}
        start = {name: worker.memory_at_start for name, worker in workers.items()}
    return replace(measured, peak_memory=peak, memory_at_start=start)


def telling(name, tell):
    return lambda what: tell(f"{name}: {what}")


def beside(threads, console) -> dict:
    """What the README tells beside the rows."""
    return {"overhead": show_overhead(threads, console), "curve": curve.distances(CURVE)}


def show_overhead(threads, console) -> dict:
    with console.status(f"{overhead.POINTS.title}, {overhead.STEPS} steps with timers"):
        found = overhead.measure(threads)
    console.print(Markdown(table.overhead(found)))
    return found


def compare_curves(threads, out, console):
    with console.status("") as status:
        found = curve.curves(threads, status.update)
    curve.save(out, found)
    ours, eager, other = found.values()
    console.print(f"the first {len(ours)} steps of a DCGAN, largest relative difference of a loss:")
    console.print(f"minigan and PyTorch eager               {curve.distance(ours, eager):.1e}")
    console.print(f"PyTorch channels-last and PyTorch eager {curve.distance(other, eager):.1e}")
    console.print(str(out), markup=False)


if __name__ == "__main__":
    sys.exit(call(app, None))
