"""A disk full at a random moment of training: one sentence, the last checkpoint good, and on it goes."""

import contextlib
import os
import resource
import shutil
import subprocess
from collections import Counter
from pathlib import Path

from minigan.errors import MiniganError
from minigan.training import Run

from .kill import LONGEST
from .runs import Process, next_command, random_source, scratch, train_command, unlike, warm_up

SIZE = 64  # MiB of the file system


def disk(model: str, n: int, way: str, seed: int = 0, say=print) -> dict:
    """n processes that train `model`, and find the disk full while they do; the counts.

    way: "tmpfs", a file system of SIZE that another file fills to the last byte (for root), or "limit", a
    limit on the size of a file that comes upon the process, so that its checkpoints fit no more.
    """
    rng, counts = random_source(seed), Counter()
    with scratch() as folder, small_disk(folder / "disk") if way == "tmpfs" else scratch() as full:
        log, whole = folder / "log", folder / "whole"
        warm_up(model, folder / "warm")
        process = Process(train_command(model, whole), log)
        process.finish()
        while counts["full"] < n:
            path, filler = full / f"run-{counts['runs']}", full / "filler"
            process = Process(next_command(model, path), log)
            code = process.wait(60, until=lambda: "run folder" in log.read_text())
            code = process.wait(rng.uniform(0, LONGEST * 2)) if code is None else code
            if code is None:
                fill(filler) if way == "tmpfs" else limit(process.pid, int(rng.integers(0, 4096)))
                code = process.finish()
                filler.unlink(missing_ok=True)
            if code == 2:
                counts["full"] += 1
                if why := fault(path, log.read_text()):
                    counts["bad"] += 1
                    say(f"{model}, {way}: {why}")
            kept = folder / "kept"
            if code:
                continue
            counts["runs"] += 1
            shutil.move(path, kept)
            if different := unlike(kept, whole):
                counts["bad"] += 1
                say(f"{model}, {way}: differs in {different}")
            shutil.rmtree(kept)
    return {
        "model": model,
        "what": way,
        "full disks": counts["full"],
        "runs ended after them": counts["runs"],
        "not told in a sentence, or another result": counts["bad"],
    }


def fault(path: Path, said: str) -> str:
    """What is wrong with how a process ended that found the disk full."""
    sentences = [line for line in said.splitlines() if line.startswith("minigan: ")]
    if len(sentences) != 1 or "Traceback" in said or "cannot write" not in sentences[0]:
        return f"this was said: {said}"
    steps = Run(path, {}).checkpoint_steps()
    try:
        if steps:
            Run.open(path).checkpoint(steps[-1])
    except MiniganError as error:
        return f"the last checkpoint is not good: {error}"
    return ""


def fill(filler: Path):
    """Write to a file until the disk is full."""
    with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def limit(pid: int, size: int):
    """No file that the process writes may be larger, from now on."""
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, size))


@contextlib.contextmanager
def small_disk(folder: Path):
    """A file system of SIZE MiB in memory, mounted on `folder`. Only root may do this."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def ways() -> list[str]:
    return ["tmpfs", "limit"] if os.geteuid() == 0 else ["limit"]
