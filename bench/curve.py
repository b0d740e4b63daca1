"""The losses of a DCGAN's first steps, minigan's and PyTorch's side by side.

From the same weights, noise and digits the curves begin as one. Then rounding tells them apart, as it
does PyTorch's own two memory layouts: their distance is the measure for ours.
"""

import csv
from itertools import islice
from pathlib import Path

from minigan.data import Batches, load
from minigan.errors import MiniganError
from minigan.speed.compare import CHANNELS_LAST, EAGER, MINIGAN, first_steps, relative_difference
from minigan.speed.processes import Worker
from minigan.speed.steps import DCGAN_32, Step, job

SIDES = MINIGAN, EAGER, CHANNELS_LAST
LOSSES = "d_loss", "g_loss"
STEPS = 50


def curves(threads: int, tell, step: Step = DCGAN_32, steps: int = STEPS) -> dict[str, list[dict]]:
    """The losses of the first steps, by side."""
    batches = Batches(load("digits", size=step.shape[1]), step.batch_size)
    work = job(step, given=steps, data=list(islice(batches, steps)))
    found = {}
    for side in SIDES:
        tell(f"{side.name}, {steps} steps")
        with Worker(side, threads) as worker:
            found[side.name] = first_steps(worker, work, steps)
    return found


def distance(a: list[dict], b: list[dict]) -> float:
    """The largest relative difference of two curves, at any step and in any loss."""
    pairs = zip(a, b, strict=True)
    return max(relative_difference(x[loss], y[loss]) for x, y in pairs for loss in LOSSES)


def distances(path: Path) -> dict | None:
    """How far apart saved curves are: ours from PyTorch's, PyTorch's layouts. None where none are saved."""
    if not path.exists():
        return None
    with path.open(newline="", encoding="utf-8") as file:
        lines = [{head: float(cell) for head, cell in line.items()} for line in csv.DictReader(file)]

    def of(side):
        return [{loss: line[f"{loss} {side.name}"] for loss in LOSSES} for line in lines]

    ours, eager, other = map(of, SIDES)
    return {"steps": len(lines), "minigan": distance(ours, eager), "layouts": distance(other, eager)}


def save(path: Path, found: dict[str, list[dict]]):
    """A line for each step, a column for each loss and side. MiniganError where it cannot be written."""
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["step", *(f"{loss} {side}" for loss in LOSSES for side in found)])
            for i, at_step in enumerate(zip(*found.values(), strict=True), 1):
                writer.writerow([i, *(f"{losses[loss]:.8g}" for loss in LOSSES for losses in at_step)])
    except OSError as error:
        raise MiniganError(f"cannot write {path}: {error.strerror or error}") from error
