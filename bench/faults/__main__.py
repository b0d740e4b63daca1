"""The command: `python -m bench.faults`."""

import argparse
import json
import shlex
import signal
import sys
from datetime import date
from pathlib import Path

from bench.machine import machine
from minigan import __version__

from . import __doc__ as description
from .corrupt import corrupt
from .disk import disk, ways
from .fuzz import LOADERS, fuzz
from .kill import kill
from .memory import FLAT, memory
from .page import page
from .runs import MODELS

HERE = Path(__file__).parent


def main(arguments: list[str] | None = None, out: Path = HERE / "results.json") -> int:
    """Exit code: 0; 1 where something was lost or an exception got through."""
    given = parse(arguments)
    command, bad = shlex.join(["python", "-m", "bench.faults", *(arguments or sys.argv[1:])]), False
    for row in KINDS[given.kind](given):
        record(out, given.kind, command, row)
        print(row)
        bad |= bool(row["bad"])
    return 1 if bad else 0


def parse(arguments):
    parser = argparse.ArgumentParser("python -m bench.faults", description=description)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--n", type=int, default=100, help="how often, for each model, loader or way")
    parser.add_argument("--model", choices=MODELS, action="append", help="by default all")
    parser.add_argument("--signal", choices=["KILL", "TERM", "INT"], default="KILL")
    parser.add_argument("--loader", choices=LOADERS, action="append", help="by default all")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def kills(given):
    for model in given.model or MODELS:
        row = kill(model, given.n, signal.Signals[f"SIG{given.signal}"], given.seed)
        yield row | {"bad": row["identical runs"] != row["runs"]}


def disks(given):
    for model in given.model or MODELS:
        for way in ways():
            row = disk(model, given.n, way, given.seed)
            yield row | {"bad": row["not told in a sentence, or another result"]}


def corruptions(given):
    for row in corrupt(given.n, given.seed):
        yield row | {"bad": row["wrong, hung or a traceback"]}


def fuzzes(given):
    for loader in given.loader or LOADERS:
        row = fuzz(loader, given.n, given.seed)
        yield row | {"bad": row["other exceptions or hung"]}


def memories(given):
    for model in given.model or ["dcgan"]:
        row = memory(model, given.minutes)
        yield row | {"bad": row["MB a minute"] > FLAT}


KINDS = {"kill": kills, "disk": disks, "corrupt": corruptions, "fuzz": fuzzes, "memory": memories}


def record(out: Path, kind: str, command: str, row: dict):
    """Put the row into results.json, in the place of one of the same name, and write results.md anew."""
    found = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    facts = {
        "command": command,
        "date": date.today().isoformat(),
        "minigan": __version__,
        "machine": machine(),
    }
    name = " ".join(str(row[key]) for key in ("model", "signal", "what") if key in row)
    found.setdefault(kind, {})[name] = row | facts
    out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    out.with_suffix(".md").write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
