"""The memory of a process that trains for long, watched."""

import shutil
import signal
from pathlib import Path

import numpy as np

from .runs import Process, scratch, train_command, warm_up

EVERY = 1.0  # seconds between two looks
OFTEN = 500  # steps between two checkpoints, sample sheets, looks of the doctor
SETTLED = 0.2  # of the time: before, caches fill
FLAT = 0.5  # MB a minute that are no growth: a long run would gain 300 MB in ten hours


def memory(model: str, minutes: float, say=print) -> dict:
    """Train `model` for `minutes`; how its memory grew once it had settled, by least squares."""
    with scratch() as folder:
        warm_up(model, folder / "warm")
        often = dict.fromkeys(("checkpoint_every", "sample_every", "diagnose_every"), OFTEN)
        command = train_command(model, folder / "run", steps=10**8, keep="last=2", **often)
        process, seen = Process(command, folder / "log"), []
        while len(seen) * EVERY < 60 * minutes:
            code = process.wait(EVERY)
            if code is not None:
                raise RuntimeError(f"training ended with {code}:\n{process.log.read_text(encoding='utf-8')}")
            seen.append(resident(process.pid))
        process.send(signal.SIGTERM)
        process.finish(600)
        steps = len((folder / "run" / "metrics.jsonl").read_bytes().splitlines())
        shutil.rmtree(folder / "run")
    settled = np.array(seen[int(SETTLED * len(seen)) :])
    slope = np.polyfit(np.arange(len(settled)) * EVERY / 60, settled, 1)[0]
    return {
        "model": model,
        "minutes": minutes,
        "steps": steps,
        "MB at the start": round(seen[0]),
        "MB when settled": round(settled[0]),
        "MB at the end": round(settled[-1]),
        "MB a minute": round(float(slope), 3),
    }


def resident(pid: int) -> float:
    """The resident memory of a process, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1000
