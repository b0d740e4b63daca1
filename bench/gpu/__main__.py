"""The command: `python -m bench.gpu`."""

import argparse
import re
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from bench import ROOT, results
from bench.machine import card, versions
from minigan import __version__, backend
from minigan.environment import processors

from . import __doc__ as description
from . import checks, measure, page, rows
from .clock import Clock
from .processes import GpuProcesses

SECONDS = 570
# At which share of the time a part has to end; what one leaves over is the next one's.
PARTS = {"tests": 0.35, "kernels": 0.6, "steps": 0.98}
REQUEST = 120  # seconds that one request to a process may take: compiling, capturing, measuring


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0; 1 where something failed, 2 without a GPU."""
    given = parse(arguments)
    found, what = backend.gpu_status()
    if not found:
        print(f"bench.gpu needs a GPU: {what}", file=sys.stderr)
        return 2
    clock = Clock(given.seconds)
    clock.say(what)
    found = results.new("gpu", device=card(), notes=[], errors={}, parts=[])
    found["versions"] = {"minigan": __version__, **versions()}
    name = re.sub(r"[^a-z0-9]+", "-", found["device"]["name"].lower()).strip("-")
    file = given.out / f"gpu-{found['date']}-{name}.json"

    def save():
        found["seconds"] = round(clock.elapsed)
        results.save(file, found)
        file.with_suffix(".md").write_text(page.page(found), encoding="utf-8")
        (given.out / "README.md").write_text(page.index(given.out), encoding="utf-8")

    with GpuProcesses(processors(), lambda: min(REQUEST, clock.left())) as processes:
        run(given.parts, found, save, processes, clock)
    print(page.page(found))
    print(file)
    return 1 if failed(found) else 0


def run(parts: list[str], found: dict, save, processes: GpuProcesses, clock: Clock):
    """The parts one after the other. What fails in one is recorded in `found`, and the next one follows."""
    offered = measure.precisions(found["device"]["compute_capability"])
    if offered != rows.PRECISIONS:
        found["notes"].append("This card has no tensor cores for TF32 and BF16: fp32 alone is measured")
    sides = measure.SIDES
    if find_spec("torch") is None:
        found["notes"].append("PyTorch is not installed: there is nothing to compare the steps with")
        sides = tuple(side for side in sides if not side.name.startswith("PyTorch"))
    save()

    def tests():
        found["tests"] = checks.run(clock, PARTS["tests"])

    def measured(part, some):
        some = [row for row in some if row.precision in offered]
        for record in measure.measurements(processes, some, sides, clock, PARTS[part]):
            found["rows"].append(record)
            found["versions"] |= processes.versions()
            save()
        processes.end(measure.KERNELS)  # and its memory is free for the steps

    known = {
        "tests": tests,
        "kernels": partial(measured, "kernels", rows.kernel_rows()),
        "steps": partial(measured, "steps", rows.step_rows()),
    }
    for name in filter(parts.__contains__, known):
        clock.say(f"part: {name}")
        found["parts"].append(name)
        try:
            known[name]()
        except Exception as error:  # a fault of one part is no reason to lose the others
            clock.say(f"{name} failed: {error!r}")
            found["errors"][name] = f"{type(error).__name__}: {error}"
        save()
    found["complete"] = complete(found, clock)
    save()


def complete(found: dict, clock: Clock) -> bool:
    """Whether every part was run to its end, and nothing was left out or broken off for want of time."""
    broken_off = found["errors"] or found.get("tests", {}).get("errors")
    late = any(row.get("error") == measure.NO_TIME for row in found["rows"])
    return found["parts"] == list(PARTS) and not broken_off and not late and clock.left() > 0


def failed(found: dict) -> bool:
    """Whether anything did."""
    wrong = [found, found.get("tests", {}), *found["rows"]]
    return any(one.get("error") or one.get("errors") or one.get("failed") for one in wrong)


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
