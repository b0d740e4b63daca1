"""The part `steps`: whole training steps of minigan and PyTorch, checked against each other, then timed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import minigan_kernels as kernels
from minigan import Generator
from minigan.bench.compare import LOSSES, Disagreement, Timing, alternate, check
from minigan.bench.steps import CRITIC, DCGAN_32, DCGAN_64, MLP, POINTS, Step, job
from minigan.bench.worker import Side

from .clock import Clock
from .kernels import NO_TIME
from .processes import FAILURES, Processes, sentence

HERE = Path(__file__).parent
GRAPH = Side("minigan", HERE / "steps_minigan.py", {"graph": True})
NO_GRAPH = Side("minigan, no graph", HERE / "steps_minigan.py", {"graph": False})
EAGER = Side("PyTorch eager", HERE / "steps_torch.py", {"graph": False})
GRAPHED = Side("PyTorch graph", HERE / "steps_torch.py", {"graph": True})
SIDES = GRAPH, NO_GRAPH, EAGER, GRAPHED

TIMING = Timing(turns=5, seconds=0.2, warm_up=0.05, least=2)
SEED = 1  # of the noise: minigan draws it, the others are given the same numbers

# The relative differences that the losses of the first five steps may have: minigan captures its graph in
# the fourth. For float32 those of the CPU's benchmark. The others round each factor to 11 and to 8 bits, and
# Adam's first steps, all of one size, pass on the signs of the smallest gradients: PyTorch's own BF16, on a
# CPU, is up to 2e-3 away at the first step of these and up to 4e-3 at the next four.
RTOL = {
    "fp32": (*LOSSES, *LOSSES[-1:] * 2),
    "tf32": (5e-3, *[3e-2] * 4),
    "bf16": (2e-2, *[5e-2] * 4),
}
GIVEN = 5


@dataclass(frozen=True)
class Row:
    """A step, how many of it are taken between two waits for the device, and the ratios to reach: PyTorch
    eager and graphed, by minigan."""

    step: Step
    bundle: int
    targets: tuple[float, float]


ROWS = [
    Row(replace(DCGAN_64, batch_size=128), 20, (1.5, 0.9)),
    Row(DCGAN_32, 40, (3.0, 1.1)),
    Row(MLP, 100, (5.0, 1.2)),
    Row(POINTS, 200, (5.0, 1.2)),
    Row(CRITIC, 40, (3.0, 1.1)),
]


def measurements(
    processes: Processes,
    sides: tuple[Side, ...],
    offered: tuple[str, ...],
    clock: Clock,
    until: float,
    rows: list[Row] = ROWS,
    timing: Timing = TIMING,
) -> Iterator[dict]:
    """A record of each row in each precision: "ms" by side, or an "error"; "errors" by side."""
    for row in rows:
        with kernels.engine("reference"):  # the CPU's needs more than is here
            asked = job(row.step, GIVEN) | {"seed": SEED, "bundle": row.bundle}
            asked["noise"] = noise(row.step, asked)
        for precision in offered:
            record = {"name": row.step.name, "title": row.step.title, "batch_size": row.step.batch_size}
            record |= {"precision": precision, "targets": row.targets}
            if not clock.left(until):
                yield record | {"error": NO_TIME}
                continue

            def tell(what, name=f"{row.step.name}, {precision}"):
                clock.say(f"{name}: {what}")

            asked["precision"] = precision
            yield record | measured(processes, sides, asked, row.bundle, timing, tell)


def noise(step, asked):
    """What `Generator(SEED)` gives in the first steps, on every device."""
    rng, n = Generator(SEED), step.batch_size
    if step.model == "wgan-gp":
        return [rng.uniform((n, 1, 1, 1)) for _ in asked["noise"]]
    return [rng.normal((n, asked["settings"]["latent"])) for _ in asked["noise"]]


def measured(processes, sides, asked, bundle, timing, tell) -> dict:
    """Seconds of every side that works. Nothing is timed if those compute different losses."""
    found, errors, chosen = {}, {}, {}
    for side in sides:
        tell(f"{side.name}, first steps")
        with processes.recorded(side, errors):
            worker = processes.of(side)
            chosen[side] = quickest(worker, asked, timing)
            worker.prepare(chosen[side])
            found[side] = worker.take(len(asked["noise"]))
    record = {"errors": errors, "losses": {side.name: losses for side, losses in found.items()}}
    if not found:
        return record | {"error": "no side works"}
    try:
        record["difference"] = check(record["losses"], RTOL[asked["precision"]])
    except Disagreement as error:
        return record | {"error": sentence(error)}
    try:
        turns = alternate({side.name: processes.of(side) for side in found}, timing, tell)
    except FAILURES as error:
        for side in found:  # which of them broke is not known
            processes.end(side)
        return record | {"error": sentence(error)}
    ms = {name: [1e3 * t / bundle for t in times] for name, times in turns.items()}
    record["layouts"] = {side.name: chosen[side]["variant"].get("layout") for side in found}
    return record | {"turns_ms": ms, "ms": {name: median(times) for name, times in ms.items()}}


def quickest(worker, asked, timing):
    """The job in the variant that takes the least time on this side."""
    variants = worker.variants(asked)

    def seconds(variant):
        worker.prepare(asked | {"variant": variant})
        worker.take(len(asked["noise"]) + 1)  # single steps, and a bundle to warm up
        return median(worker.time(0, timing.seconds, timing.least))

    return asked | {"variant": variants[0] if len(variants) == 1 else min(variants, key=seconds)}
