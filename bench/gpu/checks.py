"""The part `tests`: the tests marked `gpu`, each file in a pytest of its own: a fault of the GPU ends one."""

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution

from bench import ROOT
from minigan.speed.processes import killed_after

from .clock import Clock
from .faults import FAULT

OUTCOME = re.compile(r"^(\S+::.+?) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b")
PLUGIN = "minigan.testing.plugin"  # which installing makes pytest find
FILES = ["tests/test_gpu.py", "tests/test_engines.py"]  # the others may need packages that are not here
KEPT = 20_000  # characters of output, of each file

# A warning of one version of a library is no fault of a kernel. One process: the tests share a card. And
# pytest-xdist, which `addopts` speaks of, may not be there.
OPTIONS = "-o addopts= -p no:xdist -p no:cacheprovider -m gpu -v --tb=short --color=no -W default"


def run(clock: Clock, until: float, files: list[str] = FILES, options: tuple[str, ...] = ()) -> dict:
    """The outcomes, counted and by name of what did not pass, and the end of each output. A file that the
    time cuts short, or a fault of the GPU, or pytest, keeps what it had, and "errors" has it."""
    outcomes, outputs, errors = {}, [], {}
    for file in files:
        some, output, error = run_file(clock, until, file, options)
        outcomes |= some
        outputs.append(output[-KEPT:])
        if error:
            errors[file] = error
            clock.say(f"{file}: {error}")
    seen = [{"ERROR": "failed"}.get(outcome, outcome.lower()) for outcome in outcomes.values()]
    counts = {name: seen.count(name) for name in ("passed", "failed", "skipped")}
    clock.say(", ".join(f"{n} {name}" for name, n in counts.items()))
    others = {name: outcome.lower() for name, outcome in outcomes.items() if outcome != "PASSED"}
    return counts | {"not_passed": others, "errors": errors, "output": "".join(outputs)}


def run_file(clock, until, file, options) -> tuple[dict[str, str], str, str | None]:
    """The outcomes by name, the output, and what cut it short."""
    plugins = ["-p", "bench.gpu.faults", *([] if _installed() else ["-p", PLUGIN])]
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *OPTIONS.split(), *plugins, *options, file],
        cwd=ROOT,
        env=os.environ | {"MINIGAN_REQUIRE_GPU": "1", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    lines, outcomes = [], {}
    with process, killed_after(clock.left(until), process) as late:
        for line in process.stdout:
            lines.append(line)
            found = OUTCOME.match(line)
            if found:
                outcomes[found[1]] = found[2]
                if found[2] != "PASSED":
                    clock.say(f"{found[2].lower()}: {found[1]}")
    output = "".join(lines)
    if late.is_set():
        return outcomes, output, "the time was over before all tests had run"
    if FAULT in output:
        return outcomes, output, FAULT
    code = process.returncode
    return outcomes, output, None if code in (0, 1) else f"pytest ended with exit code {code}"


def _installed():
    try:
        return any(e.value == PLUGIN for e in distribution("minigan").entry_points)
    except PackageNotFoundError:
        return False
