"""Kill a training process at a random moment, resume it, and so on until it is done: the same bits?"""

import signal
import time
from collections import Counter
from pathlib import Path

from .runs import Process, next_command, random_source, scratch, train_command, unlike, warm_up

LONGEST = 0.7  # of the time that an unbroken run takes: the latest moment to kill at
WRITES = 4  # checkpoints that may be written before the one that is aimed at


def kill(model: str, n: int, number=signal.SIGKILL, seed: int = 0, say=print) -> dict:
    """Send `number` to n processes that train `model`, in as many runs as it takes; the counts.

    A run in which one process after another was killed until the last was done has to end like the unbroken
    one: checkpoint, metrics, diagnostics and last picture, bit for bit.
    """
    counts, unlikely, rng = Counter(), [], random_source(seed)
    began = time.monotonic()
    with scratch() as folder:
        whole, log = folder / "whole", folder / "log"
        warm_up(model, folder / "warm")
        process = Process(train_command(model, whole), log)
        if code := process.finish():
            raise RuntimeError(f"the unbroken run ended with {code}:\n{log.read_text()}")
        duration = time.monotonic() - process.began
        while counts["signals"] < n:
            path = folder / f"run-{counts['runs']}"
            while True:
                process = Process(next_command(model, path), log)
                code = wait_for_a_moment(process, path, rng, LONGEST * duration)
                if code is None:
                    process.send(number)
                    code = process.finish()
                    counts["signals"] += code != 0
                    note(counts, path, code)
                if code == 0:
                    break
                if code > 0 and code != 130:
                    counts["errors"] += 1
                    say(f"{model}: exit code {code}: {log.read_text()}")
                    break
            counts["runs"] += 1
            if different := unlike(path, whole):
                unlikely.append(different)
                say(f"{model}: run {counts['runs']} differs in {different}")
            say(f"{model}: {counts['signals']} of {n}, {counts['runs']} runs, {len(unlikely)} differ")
    return {
        "model": model,
        "signal": number.name,
        "signals": counts["signals"],
        "in a write": counts["write"],
        "before the first checkpoint": counts["early"],
        "runs": counts["runs"],
        "identical runs": counts["runs"] - len(unlikely) - counts["errors"],
        "errors": counts["errors"],
        "seconds": round(time.monotonic() - began),
    }


def wait_for_a_moment(process: Process, path: Path, rng, longest: float) -> int | None:
    """Any moment of the process, one of its training, or one while it writes a checkpoint; the exit code if
    it ends before."""
    aim = rng.choice(["process", "training", "write"], p=[0.2, 0.4, 0.4])
    if aim == "process":
        return process.wait(rng.uniform(0, longest))
    if aim == "training":
        code = process.wait(60, until=lambda: "run folder" in process.log.read_text())
        return process.wait(rng.uniform(0, longest)) if code is None else code
    seen, nth = set(), rng.integers(WRITES)

    def writing():
        seen.update(file.name for file in (path / "checkpoints").glob(".step-*.safetensors.*"))
        return len(seen) > nth

    code = process.wait(60, until=writing)
    return process.wait(rng.uniform(0, 0.003)) if code is None else code


def note(counts: Counter, path: Path, code: int):
    """Where the signal found the process: writing a checkpoint, or before there was any."""
    if code == 0:
        return
    names = {file.name for file in (path / "checkpoints").glob("*")} if path.exists() else set()
    pairs = {name for name in names if name.endswith(".json") and not name.startswith(".")}
    half = len(names) != 2 * len(pairs)
    counts["write"] += half
    counts["early"] += not pairs and not half
