"""The part `tests`: the tests marked `gpu`, each file in a pytest of its own: a fault of the GPU ends one."""

import os
import re
import subprocess
import sys
import threading
from importlib.metadata import PackageNotFoundError, distribution

from bench import ROOT

from .clock import Clock
from .faults import FAULT

OUTCOME = re.compile(r"^(\S+::.+?) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b")
PLUGIN = "minigan.testing.plugin"  # which installing makes pytest find
FILES = ["tests/test_gpu.py", "tests/test_engines.py"]  # the others may need packages that are not here
KEPT = 20_000  # characters of output, of each file


def command(*chosen: str) -> list[str]:
    # A warning of one version of a library is no fault of a kernel.
    # One process: the tests share a card. And pytest-xdist, which `addopts` speaks of, may not be there.
    options = [
        "-o",
        "addopts=",
        "-p",
        "no:xdist",
        "-m",
        "gpu",
        "-v",
        "--tb=short",
        "-p",
        "no:cacheprovider",
        "-W",
        "default",
        "--color=no",
    ]
    plugins = ["-p", "bench.gpu.faults", *([] if _installed() else ["-p", PLUGIN])]
    return [sys.executable, "-m", "pytest", *options, *plugins, *chosen]


def run(clock: Clock, until: float, files: list[str] = FILES, options: tuple[str, ...] = ()) -> dict:
    """The outcomes, counted and by name of what did not pass, and the end of each output. A file that the
    time cuts short, or a fault of the GPU, or pytest, keeps what it had, and there is an "error"."""
    outcomes, outputs, errors = {}, [], []
    for file in files:
        some, output, error = run_file(clock, until, file, options)
        outcomes |= some
        outputs.append(output[-KEPT:])
        if error:
            errors.append(f"{file}: {error}")
            clock.say(errors[-1])
    found = summary(outcomes, "".join(outputs), errors)
    clock.say(", ".join(f"{found[name]} {name}" for name in ("passed", "failed", "skipped")))
    return found


def run_file(clock, until, file, options) -> tuple[dict[str, str], str, str | None]:
    """The outcomes by name, the output, and what cut it short."""
    process = subprocess.Popen(
        command(*options, file),
        cwd=ROOT,
        env=os.environ | {"MINIGAN_REQUIRE_GPU": "1", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    late = threading.Event()

    def end():
        late.set()
        process.kill()

    timer = threading.Timer(clock.left(until), end)
    timer.start()
    lines, outcomes = [], {}
    try:
        for line in process.stdout:
            lines.append(line)
            found = OUTCOME.match(line)
            if found:
                outcomes[found[1]] = found[2]
                if found[2] != "PASSED":
                    clock.say(f"{found[2].lower()}: {found[1]}")
        code = process.wait()
    finally:
        timer.cancel()
        process.kill()
        process.stdout.close()
    output = "".join(lines)
    if late.is_set():
        return outcomes, output, "the time was over before all tests had run"
    if FAULT in output:
        return outcomes, output, FAULT
    return outcomes, output, None if code in (0, 1) else f"pytest ended with exit code {code}"


def summary(outcomes: dict[str, str], output: str, errors: list[str]) -> dict:
    counts = {name: list(outcomes.values()).count(name.upper()) for name in ("passed", "failed", "skipped")}
    counts["failed"] += list(outcomes.values()).count("ERROR")
    others = {name: o.lower() for name, o in outcomes.items() if o != "PASSED"}
    found = {**counts, "not_passed": others, "output": output}
    return found | ({"error": "; ".join(errors)} if errors else {})


def _installed():
    try:
        return any(e.value == PLUGIN for e in distribution("minigan").entry_points)
    except PackageNotFoundError:
        return False
