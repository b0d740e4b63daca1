"""Kill a training process at a random moment, resume it, and so on until it is done: the same bits?"""

import signal
import time
from collections import Counter
from pathlib import Path

from minigan.errors import MiniganError
from minigan.training import Run

from .runs import Process, next_command, random_source, scratch, train_command, unlike, warm_up

LONGEST = 0.7  # of the time that an unbroken run takes: the latest moment to kill at
WRITES = 4  # checkpoints that may be written before the one that is aimed at


def kill(model: str, n: int, number=signal.SIGKILL, seed: int = 0, say=print) -> dict:
    """Send `number` to n processes that train `model`, in as many runs as it takes; the counts.

    A run in which one process after another was killed until the last was done has to end like the unbroken
    one: checkpoint, metrics, diagnostics and last picture, bit for bit.
    """
    counts, rng, began = Counter(), random_source(seed), time.monotonic()
    with scratch() as folder:
        whole, log = folder / "whole", folder / "log"
        warm_up(model, folder / "warm")
        process = Process(train_command(model, whole), log)
        if code := process.finish():
            raise RuntimeError(f"the unbroken run ended with {code}:\n{log.read_text(encoding='utf-8')}")
        longest = LONGEST * (time.monotonic() - process.began)
        while counts["signals"] < n:
            path = folder / f"run-{counts['runs']}"
            wrong = until_done(model, path, log, longest, number, rng, counts) or unlike(path, whole)
            counts["runs"] += 1
            counts["identical"] += not wrong
            say(f"{model}: {counts['signals']} of {n}, {counts['runs']} runs" + f": {wrong}" * bool(wrong))
    return {
        "model": model,
        "signal": number.name,
        "signals": counts["signals"],
        "in a write": counts["write"],
        "before the first checkpoint": counts["early"],
        "runs": counts["runs"],
        "identical runs": counts["identical"],
        "seconds": round(time.monotonic() - began),
    }


def until_done(model, path, log, longest, number, rng, counts) -> str:
    """Kill and resume a run until it is done; what went wrong, which is nothing, it is to be hoped."""
    newest = -1
    while True:
        process = Process(next_command(model, path), log)
        code = wait_for_a_moment(process, path, rng, longest)
        if code is None:
            process.send(number)
            code = process.finish()
            if code:
                counts["signals"] += 1
                note(counts, path)
        if code == 0:
            return ""
        if code > 0 and code != 130:
            return f"exit code {code}: {log.read_text(encoding='utf-8')}"
        before, newest = newest, newest_good(path)
        if newest < before:
            return f"the checkpoint of step {before} was lost"


def newest_good(path: Path) -> int:
    """The step of the newest good checkpoint, -1 if there is none."""
    try:
        return Run.open(path).checkpoint(say=lambda text: None).step
    except MiniganError:
        return -1


def wait_for_a_moment(process: Process, path: Path, rng, longest: float) -> int | None:
    """Any moment of the process, one of its training, or one while it writes a checkpoint; the exit code if
    it ends before."""
    aim = rng.choice(["process", "training", "write"], p=[0.2, 0.4, 0.4])
    if aim == "process":
        return process.wait(rng.uniform(0, longest))
    if aim == "training":
        code = process.wait(60, until=lambda: "run folder" in process.log.read_text(encoding="utf-8"))
        return process.wait(rng.uniform(0, longest)) if code is None else code
    seen, nth = set(), rng.integers(WRITES)

    def writing():
        seen.update(file.name for file in (path / "checkpoints").glob(".step-*.safetensors.*"))
        return len(seen) > nth

    code = process.wait(60, until=writing)
    return process.wait(rng.uniform(0, 0.003)) if code is None else code


def note(counts: Counter, path: Path):
    """Where the signal found the process: writing a checkpoint, or before there was any."""
    names = {file.name for file in (path / "checkpoints").glob("*")} if path.exists() else set()
    pairs = {name for name in names if name.endswith(".json") and not name.startswith(".")}
    half = len(names) != 2 * len(pairs)
    counts["write"] += half
    counts["early"] += not pairs and not half
