"""A disk full at a random moment of training: one sentence, the last checkpoint good, and on it goes."""

import contextlib
import os
import resource
import shutil
import subprocess
from collections import Counter
from pathlib import Path

from .kill import newest_good
from .runs import Process, next_command, random_source, scratch, train_command, unlike, warm_up

SIZE = 64  # MiB of the file system
LIMITS = 4096, 16384  # bytes: more than the output of a process, less than a checkpoint
LATEST = 1.5  # seconds after training begins


def disk(model: str, n: int, way: str, seed: int = 0, say=print) -> dict:
    """n processes that train `model`, and find the disk full while they do; the counts.

    way: "tmpfs", a file system of SIZE that another file fills to the last byte (for root), or "limit", a
    limit on the size of a file that comes upon the process, so that its checkpoints fit no more.
    """
    rng, counts, newest = random_source(seed), Counter(), -1
    with scratch() as folder, small_disk(folder / "disk") if way == "tmpfs" else scratch() as full:
        log, whole, kept, filler = folder / "log", folder / "whole", folder / "kept", full / "filler"
        warm_up(model, folder / "warm")
        Process(train_command(model, whole), log).finish()
        while counts["full"] < n:
            path = full / f"run-{counts['runs']}"
            process = Process(next_command(model, path), log)
            code = process.wait(60, until=lambda: "run folder" in log.read_text(encoding="utf-8"))
            code = process.wait(rng.uniform(0, LATEST)) if code is None else code
            if code is None:
                fill(filler) if way == "tmpfs" else limit(process.pid, int(rng.integers(*LIMITS)))
                code = process.finish()
                filler.unlink(missing_ok=True)
            before, newest = newest, newest_good(path)
            if code:
                counts["full"] += 1
                wrong = fault(code, log.read_text(encoding="utf-8")) or (
                    "a checkpoint was lost" if newest < before else ""
                )
            else:
                counts["runs"] += 1
                wrong, newest = unlike(shutil.move(path, kept), whole), -1
                shutil.rmtree(kept)
            if wrong:
                counts["bad"] += 1
                say(f"{model}, {way}: {wrong}")
    return {
        "model": model,
        "what": way,
        "full disks": counts["full"],
        "runs ended after them": counts["runs"],
        "not told in a sentence, or another result": counts["bad"],
    }


def fault(code: int, said: str) -> str:
    """What is wrong with how a process ended that found the disk full."""
    sentences = [line for line in said.splitlines() if line.startswith("minigan: ")]
    told = code == 2 and len(sentences) == 1 and "Traceback" not in said and "cannot write" in sentences[0]
    return "" if told else f"exit code {code}: {said}"


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
