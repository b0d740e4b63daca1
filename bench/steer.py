"""Each digit from random noise: how many arrive, how far they go, and what else changes.

python -m bench.steer RUN...            runs of one model on MNIST with seeds of their own; prints the table
python -m bench.steer RUN... --write    and writes it to bench/steer.md and bench/steer.json

From each of `--n` codes of a run each of the ten digits is steered to, by the gradient of a classifier with
the penalty on other attributes and without it, along the direction of a linear fit, and along the straight
line to a random sample of that digit: see `minigan steer`. Whether a sample arrived is said by a classifier
that did not steer. A run's number is the mean over the ten digits, each of which counts equally; the table
has the mean over the runs and their sample standard deviation.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from minigan import __version__
from minigan.control import WAYS, eyes_of, steer
from minigan.files import write_atomically
from minigan.training import Run, Sampler

from .table import grid

OUT = Path(__file__).with_suffix(".json")
COLUMNS = {
    "reached": "reached, by a classifier that did not steer",
    "steered": "reached, by the one that did",
    "distance": "distance, ‖z - z0‖ / ‖z0‖",
    "changed": "other attributes changed by more than ½ deviation",
    "size": "mean size of such a change, deviations",
}


def of_run(path: Path, n: int, say=print) -> dict:
    """{way: {digit: its row}} of a run, and the classifiers' facts."""
    run = Run.open(path)
    sampler = Sampler.of(run)
    eyes, judge = eyes_of(run, sampler, say)
    rows = {way: {} for way in WAYS}
    for digit in eyes.present:
        found = steer(sampler, eyes, str(digit), judge=judge, n=n)
        for way, row in found.rows.items():
            size = [pair[1] for pair in row["changes"].values()]
            rows[way][str(digit)] = row | {"size": None if None in size else float(np.mean(size))}
            say(f"{path} {digit} {way}: {row['reached']:.2f} reached, {row['distance']}, {row['changed']}")
    facts = {"steered_by": eyes.classifier.facts, "judged_by": judge.facts, "checkpoint": sampler.step}
    return {"run": path.name, "n": n, **facts, "ways": rows}


def summary(runs: list[dict]) -> dict:
    """{way: {column: (mean over the runs, their deviation; None of a single one)}}."""
    return {way: {c: _over_runs(runs, way, c) for c in COLUMNS} for way in WAYS}


def _over_runs(runs, way, column):
    means = []
    for run in runs:
        values = [row[column] for row in run["ways"][way].values() if row[column] is not None]
        means += [np.mean(values)] if values else []
    if not means:
        return None, None
    return float(np.mean(means)), float(np.std(means, ddof=1)) if len(means) > 1 else None


def table(found: dict, runs: list[dict]) -> str:
    """The summary in Markdown."""
    lines = [[name, *(_cell(*found[way][column]) for way in WAYS)] for column, name in COLUMNS.items()]
    names = ", ".join(run["run"] for run in runs)
    return f"{grid(['', *WAYS], lines)}\n{len(runs)} runs ({names}), {runs[0]['n']} codes to each class.\n"


def _cell(mean, deviation):
    if mean is None:
        return "-"
    return f"{mean:.3f}" if deviation is None else f"{mean:.3f} ± {deviation:.3f}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        prog="python -m bench.steer",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--write", action="store_true", help=f"write {OUT.name} and {OUT.stem}.md")
    given = parser.parse_args()
    runs = [of_run(path, given.n) for path in given.runs]
    found = summary(runs)
    text = table(found, runs)
    print(text)
    if given.write:
        content = {"minigan": __version__, "summary": found, "runs": runs}
        write_atomically(OUT, json.dumps(content, indent=1).encode())
        write_atomically(OUT.with_suffix(".md"), text.encode())


if __name__ == "__main__":
    main()
