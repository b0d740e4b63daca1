"""The command: `python -m bench.gpu`."""

import argparse
import re
import sys
from datetime import date
from importlib.util import find_spec
from pathlib import Path

from bench import ROOT, results
from bench.machine import machine
from minigan import __version__, backend
from minigan.environment import processors

from . import __doc__ as description
from . import checks, kernels, page, steps
from .card import card, versions
from .clock import Clock
from .processes import Processes

SECONDS = 570
# At which share of the time a part has to end; what one leaves over is the next one's.
PARTS = {"tests": 0.35, "kernels": 0.6, "steps": 0.98}
REQUEST = 120  # seconds that one request to a process may take: compiling, capturing, measuring


class Record:
    """The results of a run: saved, and the page made of them, whenever something is added."""

    def __init__(self, folder: Path, device: dict, clock: Clock):
        self.folder, self.clock = folder, clock
        name = re.sub(r"[^a-z0-9]+", "-", device["name"].lower()).strip("-")
        self.file = folder / f"gpu-{date.today().isoformat()}-{name}.json"
        self.found = {
            "benchmark": "gpu",
            "date": date.today().isoformat(),
            "complete": False,
            "device": device,
            "machine": machine(),
            "versions": {"minigan": __version__, **versions()},
            "notes": [],
            "parts": {},
        }

    def save(self):
        self.found["seconds"] = round(self.clock.elapsed)
        results.save(self.file, self.found)
        self.file.with_suffix(".md").write_text(page.page(self.found), encoding="utf-8")
        (self.folder / "README.md").write_text(page.index(self.folder), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0; 1 where something failed, 2 without a GPU."""
    given = parse(arguments)
    found, what = backend.gpu_status()
    if not found:
        print(f"bench.gpu needs a GPU: {what}", file=sys.stderr)
        return 2
    clock = Clock(given.seconds)
    clock.say(what)
    record = Record(given.out, card(), clock)
    with Processes(processors(), lambda: min(REQUEST, clock.left())) as processes:
        run(given.parts, record, processes, clock)
    print(page.page(record.found))
    print(record.file)
    return 1 if failures(record.found) else 0


def run(parts: list[str], record: Record, processes: Processes, clock: Clock):
    """The parts one after the other. What fails in one is recorded there, and the next one follows."""
    found = record.found
    offered = kernels.precisions(found["device"]["compute_capability"])
    if offered != kernels.PRECISIONS:
        found["notes"].append("This card has no tensor cores for TF32 and BF16: fp32 alone is measured")
    sides = steps.SIDES
    if find_spec("torch") is None:
        found["notes"].append("PyTorch is not installed: there is nothing to compare the steps with")
        sides = tuple(side for side in sides if not side.name.startswith("PyTorch"))
    record.save()

    def tests():
        found["parts"]["tests"] = checks.run(clock, PARTS["tests"])

    def measure_kernels():
        found["parts"]["ceilings"] = kernels.ceilings(processes, offered, clock)
        rows = found["parts"]["kernels"]["rows"]
        for row in kernels.measurements(processes, offered, clock, PARTS["kernels"]):
            rows.append(row)
            record.save()
        processes.end(kernels.SIDE)  # and its memory is free for the steps

    def measure_steps():
        rows = found["parts"]["steps"]["rows"]
        for row in steps.measurements(processes, sides, offered, clock, PARTS["steps"]):
            rows.append(row)
            found["versions"] |= processes.versions()
            record.save()

    for name, part in {"tests": tests, "kernels": measure_kernels, "steps": measure_steps}.items():
        if name not in parts:
            continue
        clock.say(f"part: {name}")
        found["parts"][name] = {} if name == "tests" else {"rows": []}
        try:
            part()
        except Exception as error:  # a fault of one part is no reason to lose the others
            clock.say(f"{name} failed: {error!r}")
            found["parts"][name]["error"] = f"{type(error).__name__}: {error}"
        record.save()
    found["complete"] = complete(found, clock)
    record.save()


def complete(found: dict, clock: Clock) -> bool:
    """Whether every part was run to its end, and nothing was left out or broken off for want of time."""
    parts = found["parts"]
    rows = [row for part in parts.values() for row in part.get("rows", ())]
    return (
        set(parts) >= set(PARTS)
        and not any(part.get("error") for part in parts.values())
        and not any(row.get("error") == kernels.NO_TIME for row in rows)
        and clock.left() > 0
    )


def failures(found: dict) -> list[str]:
    """Where something failed, in words."""
    failed = []
    for name, part in found["parts"].items():
        rows = [row for row in part.get("rows", ()) if "error" in row or row.get("errors")]
        if part.get("error") or part.get("errors") or part.get("failed") or rows:
            failed.append(name)
    return failed


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m bench.gpu",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="by default all")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="for all parts together; default: %(default)s"
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "bench" / "results", help="a folder; default: %(default)s"
    )
    given = parser.parse_args(arguments)
    if not given.seconds > 0:
        parser.error(f"--seconds must be above 0, got {given.seconds:g}")
    if not given.out.is_dir():
        parser.error(f"--out: there is no folder {given.out}")
    return given


if __name__ == "__main__":
    sys.exit(main())
