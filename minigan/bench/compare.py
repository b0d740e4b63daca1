"""The measurement: all sides get the same answers, or nothing is timed; then they take turns."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from minigan.errors import MiniganError

from .worker import Side, Worker

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
    """How long to time: `turns` of each side, of `seconds` after `warm_up`, `least` steps each."""

    turns: int
    seconds: float
    warm_up: float
    least: int = 3


class Disagreement(MiniganError):
    """Two sides compute different things: a comparison of their times would mean nothing."""


@contextlib.contextmanager
def workers(sides: list[Side], threads: int) -> Iterator[dict[str, Worker]]:
    """A worker of each side, by name."""
    with contextlib.ExitStack() as stack:
        yield {side.name: stack.enter_context(Worker(side, threads)) for side in sides}


def prepare(workers: dict[str, Worker], jobs: dict[str, dict], rtol: tuple[float, ...]) -> float:
    """Give each side its job, and compare the results of its first steps, as many as there are rtol.

    Returns the largest relative difference. Disagreement where it is above the step's rtol.
    """
    results = {}
    for name, worker in workers.items():
        worker.prepare(jobs[name])
        results[name] = worker.take(len(rtol))
    return check(results, rtol)


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
                        f"by {error:.1e}, more than {most:g}"
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


def quickest(worker: Worker, job: dict, seconds: float) -> dict:
    """The job in the variant that takes the least time on this side."""
    variants = worker.variants(job)
    if len(variants) == 1:
        return job | {"variant": variants[0]}

    def median(variant):
        worker.prepare(job | {"variant": variant})
        return statistics.median(worker.time(seconds / 2, seconds, least=2))

    return job | {"variant": min(variants, key=median)}


def alternate(
    workers: dict[str, Worker], timing: Timing, tell: Callable[[str], None]
) -> dict[str, list[float]]:
    """For each side the median seconds of a step in each of its turns. One side works at a time."""
    medians = {name: [] for name in workers}
    for turn in range(timing.turns):
        for name, worker in workers.items():
            tell(f"{name}, turn {turn + 1} of {timing.turns}")
            time.sleep(PAUSE)
            times = worker.time(timing.warm_up, timing.seconds, timing.least)
            medians[name].append(statistics.median(times))
    return medians


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
        ours, *theirs = self.turns.values()
        if not theirs:
            return None
        quickest = min(theirs, key=statistics.median)
        return statistics.median(b / a for a, b in zip(ours, quickest, strict=True))


def measure(
    job: dict,
    sides: list[Side],
    threads: int,
    timing: Timing,
    tell: Callable[[str], None],
    rehearse: bool = True,
) -> Measured:
    """Check and time `job`, in fresh processes.

    rehearse: do it before in processes that are thrown away. Kernels are compiled there, so that the
    compiler's memory is not counted, and a side with a choice of ways takes the quickest.
    `tell` is told what is going on. Disagreement if the sides do not compute the same.
    """
    jobs = {side.name: job for side in sides}
    if rehearse:
        for side in sides:
            tell(f"{side.name}, rehearsal")
            with Worker(side, threads) as worker:
                jobs[side.name] = quickest(worker, job, timing.seconds / 2)
                worker.prepare(jobs[side.name])
                worker.take(1)
    tell("do all sides compute the same? (the first time, kernels are compiled)")
    with workers(sides, threads) as started:
        difference = prepare(started, jobs, LOSSES)
        turns = alternate(started, timing, tell)
        return Measured(
            turns,
            difference,
            {name: job["variant"] for name, job in jobs.items() if job.get("variant")},
            {name: worker.peak_memory() for name, worker in started.items()},
            {name: worker.memory_at_start for name, worker in started.items()},
        )
