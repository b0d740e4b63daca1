"""The measurement: all sides get the same answers, or nothing is timed; then they take turns."""

import contextlib
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from minigan.errors import MiniganError

from .processes import Processes, Side, Worker

HERE = Path(__file__).parent
MINIGAN = Side("minigan", HERE / "minigan_side.py")
EAGER = Side("PyTorch eager", HERE / "torch_side.py", {"layout": "contiguous"})
CHANNELS_LAST = Side("PyTorch channels-last", HERE / "torch_side.py", {"layout": "channels_last"})

# The relative differences that the losses of the first steps may have. Adam's first steps have one
# size, however small the gradient: rounding decides the signs of the smallest. PyTorch's own two
# memory layouts are 1e-3 apart at the third step of DCGAN-64.
LOSSES = 1e-3, 2e-2, 2e-2
PAUSE = 0.05  # seconds in which the threads of the side before stop spinning


@dataclass(frozen=True)
class Timing:
    """How long to time: `turns` of each side, of `seconds` after `warm_up`, `least` bundles of steps each."""

    turns: int
    seconds: float
    warm_up: float
    least: int = 3
    bundle: int = 1
    """How many steps are taken between two waits for the device."""


class Disagreement(MiniganError):
    """Two sides compute different things: a comparison of their times would mean nothing. It has their
    `results`."""

    def __init__(self, message: str, results: dict[str, list]):
        super().__init__(message)
        self.results = results


@dataclass(frozen=True)
class Measured:
    """What came of one piece of work. All but the difference by side; minigan is the first side."""

    turns: dict[str, list[float]]
    """The median seconds of a step in each turn."""
    difference: float
    """The largest relative difference of the checked results."""
    variants: dict[str, dict] = field(default_factory=dict)
    """How a side that had a choice did it."""
    peak_memory: dict[str, int | None] = field(default_factory=dict)
    """Bytes, of a process that did nothing else."""
    memory_at_start: dict[str, int | None] = field(default_factory=dict)
    """The resident memory of a side before the work, with its libraries imported, in bytes."""

    def seconds(self, side: str) -> float:
        """The seconds of one step of `side`: the median of its turns."""
        return statistics.median(self.turns[side])

    @property
    def ratio(self) -> float | None:
        """How many times as long as minigan the quickest of the others takes. None without others.

        The median over the turns, in each of which the sides worked one right after the other: what slows a
        shared machine down for a while slows both.
        """
        theirs = [turns for side, turns in self.turns.items() if not side.startswith(MINIGAN.name)]
        if not theirs or MINIGAN.name not in self.turns:
            return None
        quickest = min(theirs, key=statistics.median)
        return statistics.median(b / a for a, b in zip(self.turns[MINIGAN.name], quickest, strict=True))


def measure(
    processes: Processes,
    jobs: dict[Side, dict],
    rtol: tuple[float, ...],
    timing: Timing,
    tell: Callable[[str], None],
    guard: Callable[[Side], contextlib.AbstractContextManager] = contextlib.nullcontext,
) -> Measured:
    """Check the jobs of the sides against each other, then time them in turn.

    rtol: of the first steps' results, as many as are compared. `tell` is told what is going on.
    guard: a context for the first steps of a side. One that swallows an error leaves the side out.
    Disagreement if the sides do not compute the same.
    """
    variants, results = {}, {}
    for side, job in jobs.items():
        tell(f"{side.name}, first steps (the first time, kernels are compiled)")
        with guard(side):
            worker = processes.of(side)
            job = quickest(worker, job, timing)
            results[side] = first_steps(worker, job, len(rtol))
            variants[side.name] = job["variant"]
    if not results:
        raise MiniganError("no side works")
    difference = check({side.name: found for side, found in results.items()}, rtol)
    turns = alternate({side.name: processes.of(side) for side in results}, timing, tell)
    return Measured(turns, difference, {name: chosen for name, chosen in variants.items() if chosen})


def first_steps(worker: Worker, job: dict, n: int) -> list:
    """The results of the job's first n steps."""
    worker.prepare(job)
    return worker.take(n)


def quickest(worker: Worker, job: dict, timing: Timing) -> dict:
    """The job in the variant that takes the least time on this side; itself if it says which."""
    variants = [job["variant"]] if "variant" in job else worker.variants(job)

    def seconds(variant):
        first_steps(worker, job | {"variant": variant}, len(job["noise"]))
        return statistics.median(worker.time(timing.seconds / 4, timing.seconds / 2, 2, timing.bundle))

    return job | {"variant": variants[0] if len(variants) == 1 else min(variants, key=seconds)}


def alternate(
    workers: dict[str, Worker], timing: Timing, tell: Callable[[str], None]
) -> dict[str, list[float]]:
    """For each side the median seconds of a step in each of its turns. One side works at a time."""
    medians = {name: [] for name in workers}
    for turn in range(timing.turns):
        for name, worker in workers.items():
            tell(f"{name}, turn {turn + 1} of {timing.turns}")
            time.sleep(PAUSE)
            times = worker.time(timing.warm_up, timing.seconds, timing.least, timing.bundle)
            medians[name].append(statistics.median(times))
    return medians


def check(results: dict[str, list], rtol: tuple[float, ...]) -> float:
    """The largest relative difference between the first side's results and another's.

    A result is a dict of losses, of which those are compared that both have, or an array, compared
    relative to its largest entry. Disagreement above the step's rtol, and for NaN.
    """
    (ours, expected), *others = results.items()
    worst = 0.0
    for theirs, found in others:
        for step, (a, b, most) in enumerate(zip(expected, found, rtol, strict=True), 1):
            for name, error in differences(a, b).items():
                if not error <= most:
                    raise Disagreement(
                        f"nothing is timed: at step {step} {ours} and {theirs} differ in {name} "
                        f"by {error:.1e}, more than {most:g}",
                        results,
                    )
                worst = max(worst, error)
    return worst


def differences(a, b) -> dict[str, float]:
    """The relative differences of two results, by what differs."""
    if isinstance(a, dict):
        common = {name: (a[name], b[name]) for name in a if name in b}
    else:
        common = {"the result": (a, b)}
    return {name: relative_difference(x, y) for name, (x, y) in common.items()}


def relative_difference(a, b) -> float:
    """max |a - b| / max |b|. Infinite for different shapes."""
    if np.shape(a) != np.shape(b):
        return float("inf")
    with np.errstate(invalid="ignore"):  # NaN is what the caller asks about
        scale = max(float(np.max(np.abs(b))), np.finfo(np.float32).tiny)
        return float(np.max(np.abs(np.subtract(a, b)))) / scale
