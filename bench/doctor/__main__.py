"""`python -m bench.doctor [SEED ...]`: runs what is not in results.json yet, and writes results.md anew."""

import argparse
import json
from pathlib import Path

from .recipes import RECIPES
from .runs import run
from .table import page

HERE = Path(__file__).parent
CALIBRATION, HELD_OUT = range(100, 104), range(300, 304)  # the thresholds were set on the former


def main(arguments: list[str] | None = None, out: Path = HERE / "results.json"):
    parser = argparse.ArgumentParser(prog="python -m bench.doctor", description=__doc__)
    parser.add_argument(
        "seeds",
        nargs="*",
        type=int,
        default=(*CALIBRATION, *HELD_OUT),
        metavar="SEED",
        help=f"by default {CALIBRATION[0]} to {CALIBRATION[-1]} and {HELD_OUT[0]} to {HELD_OUT[-1]}",
    )
    seeds = parser.parse_args(arguments).seeds
    found = json.loads(out.read_text(encoding="utf-8")) if out.exists() else []
    done = {(r["recipe"], r["seed"]) for r in found}
    for seed in seeds:
        for recipe in RECIPES:
            if (recipe.name, seed) not in done:
                found.append(run(recipe, seed))
                r = found[-1]
                print(
                    f"seed {seed}  {recipe.name}: {r['label']} -> {r['verdict']}",
                    *r["evidence"][:1],
                    flush=True,
                )
                out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    out.with_suffix(".md").write_text(page(found, CALIBRATION, HELD_OUT), encoding="utf-8")


if __name__ == "__main__":
    main()
