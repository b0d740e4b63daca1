"""The part `tests`: the tests marked `gpu`, in a pytest of their own."""

import os
import re
import subprocess
import sys
import threading
from importlib.metadata import PackageNotFoundError, distribution

from bench import ROOT

from .clock import Clock

OUTCOME = re.compile(r"^(\S+::.+?) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b")
PLUGIN = "minigan.testing.plugin"  # which installing makes pytest find
FILES = ["tests/test_gpu.py", "tests/test_engines.py"]  # the others may need packages that are not here
KEPT = 20_000  # characters of output


def command(chosen: list[str]) -> list[str]:
    # A warning of one version of a library is no fault of a kernel.
    options = ["-m", "gpu", "-v", "--tb=short", "-p", "no:cacheprovider", "-W", "default", "--color=no"]
    return [sys.executable, "-m", "pytest", *options, *([] if _installed() else ["-p", PLUGIN]), *chosen]


def run(clock: Clock, until: float, chosen: list[str] = FILES) -> dict:
    """The outcomes, counted and by name of what did not pass, and the end of the output. A run that the
    time cuts short, or that pytest cuts short, keeps what it had and has an "error"."""
    process = subprocess.Popen(
        command(chosen),
        cwd=ROOT,
        env=os.environ | {"MINIGAN_REQUIRE_GPU": "1", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
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
    found = summary(outcomes, "".join(lines), code, late.is_set())
    clock.say(", ".join(f"{found[name]} {name}" for name in ("passed", "failed", "skipped")))
    return found


def summary(outcomes: dict[str, str], output: str, code: int, late: bool) -> dict:
    counts = {name: list(outcomes.values()).count(name.upper()) for name in ("passed", "failed", "skipped")}
    counts["failed"] += list(outcomes.values()).count("ERROR")
    others = {name: o.lower() for name, o in outcomes.items() if o != "PASSED"}
    found = {**counts, "not_passed": others, "output": output[-KEPT:]}
    if late:
        found["error"] = "the time was over before all tests had run"
    elif code not in (0, 1):
        found["error"] = f"pytest ended with exit code {code}"
    return found


def _installed():
    try:
        return any(e.value == PLUGIN for e in distribution("minigan").entry_points)
    except PackageNotFoundError:
        return False
