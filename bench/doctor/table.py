"""The confusion tables of the suite, as Markdown."""

from collections import Counter

from .recipes import RECIPES

LABELS = tuple(dict.fromkeys(recipe.label for recipe in RECIPES))

INTRODUCTION = """\
# The doctor's verdicts on runs whose state is known

Made by `python -m bench.doctor`. A run counts where the check of its recipe holds, which uses none of the
doctor's measures. Rows are what the recipe makes, columns the verdict at the end.
"""


def page(found: list[dict], calibration, held_out) -> str:
    """results.md: the tables of both kinds of seeds, where there are such runs, and the recipes."""
    parts = [INTRODUCTION]
    kinds = (
        ("Seeds that no threshold was set on", held_out),
        ("Seeds that thresholds were set on", calibration),
    )
    for title, seeds in kinds:
        runs = [r for r in found if r["seed"] in seeds]
        if runs:
            parts.append(f"## {title}: {', '.join(map(str, sorted({r['seed'] for r in runs})))}\n")
            parts.append(confusion(runs) + "\n")
    rows = [f"| {r.name} | {r.label} | {r.model}, {r.data}{settings(r)} | {r.why} |" for r in RECIPES]
    parts.append(
        "\n".join(["## The recipes\n", "| recipe | makes | of | how |", "|---|---|---|---|", *rows, ""])
    )
    return "\n".join(parts)


def settings(recipe) -> str:
    changes = {**recipe.settings, "images": recipe.images}
    return "".join(f", {name} {value}" for name, value in changes.items() if value is not None)


def rates(found: list[dict]) -> tuple[float, float]:
    """(recall: the share of ill runs with the right verdict, false alarms: of healthy ones with any)."""
    ill = [r for r in found if r["label"] != "healthy"]
    well = [r for r in found if r["label"] == "healthy"]
    recall = sum(r["verdict"] == r["label"] for r in ill) / max(len(ill), 1)
    return recall, sum(r["verdict"] != "healthy" for r in well) / max(len(well), 1)


def confusion(found: list[dict]) -> str:
    """Of the runs whose check holds: rows are labels, columns verdicts, and the rates below."""
    held = [r for r in found if r["holds"]]
    counts = Counter((r["label"], r["verdict"]) for r in held)
    lines = [f"| label, runs | {' | '.join(LABELS)} |", f"| --- |{' --: |' * len(LABELS)}"]
    for label in LABELS:
        n = sum(counts[label, verdict] for verdict in LABELS)
        lines.append(f"| {label}, {n} | {' | '.join(str(counts[label, v] or '') for v in LABELS)} |")
    recall, alarms = rates(held)
    others = f"; {len(found) - len(held)} runs did not become what their recipe wants, and are left out"
    return "\n".join(
        [*lines, "", f"Recall {recall:.0%}, false alarms {alarms:.0%}, of {len(held)} runs{others}."]
    )
