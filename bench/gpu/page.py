"""The Markdown page of a results file, and the list of all pages; nothing here is typed by hand."""

import json
from pathlib import Path

from bench import table
from bench.table import number

from .rows import PRECISIONS, PRODUCTS

NOTHING_YET = "Nothing has been run on a GPU yet."
MINIGAN, *OTHERS = "minigan", "minigan, no graph", "PyTorch eager", "PyTorch graph"
RIVALS = OTHERS[1:]  # in the order of a row's targets


def index(folder: Path) -> str:
    """The text of the folder's README: what was run on which GPU, or that nothing was."""
    lines = ["# GPU results", ""]
    results = {f: json.loads(f.read_text(encoding="utf-8")) for f in sorted(folder.glob("gpu-*.json"))}
    for file, found in results.items():
        partly = "" if found["complete"] else ", not to the end"
        lines.append(f"- [{found['date']}, {found['device']['name']}]({file.stem}.md){partly}")
    if not results:
        lines.append(
            f"{NOTHING_YET} The kernels have been run by the emulator on a CPU, and compiled for the cards;"
        )
        lines.append("their speed is unknown.")
    lines += [
        "",
        "`python -m bench.gpu` on a machine with a GPU writes a JSON file and a page of tables here, and",
    ]
    lines += ["lists them in this file."]
    return "\n".join(lines) + "\n"


def page(results: dict) -> str:
    """All there is in the results so far."""
    device, parts = results["device"], results["parts"]
    text = [f"# {device['name']}, {results['date']}", "", *about(results), ""]
    sections = {"tests": tests, "ceilings": ceilings, "kernels": kernels, "steps": steps}
    for name, section in sections.items():
        if name in parts:
            text += section(parts[name], results)
            if parts[name].get("error"):
                text += [f"This part ended early: {parts[name]['error']}.", ""]
    return "\n".join(text).rstrip() + "\n"


def about(results):
    device, versions = results["device"], results["versions"]
    facts = [
        f"compute capability {device['compute_capability']}",
        f"{device['multiprocessors']} multiprocessors",
        f"{device['memory_gib']} GiB",
        f"driver {device['driver']} for CUDA {device['driver_cuda']}",
        f"CUDA {device['runtime_cuda']}",
    ]
    lines = [", ".join(facts) + ".", ", ".join(f"{k} {v}" for k, v in versions.items()) + "."]
    lines += [f"{note}." for note in results["notes"]]
    if not results["complete"]:
        lines.append("The run did not come to its end.")
    return lines


def tests(part, results):
    counts = [f"{part[name]} {name}" for name in ("passed", "failed", "skipped") if name in part]
    others = [f"- {outcome}: `{name}`" for name, outcome in part.get("not_passed", {}).items()]
    return [
        "## Tests on the GPU",
        "",
        f"{', '.join(counts) or 'None ran'}.",
        "",
        *others,
        *[""][: len(others)],
    ]


def ceilings(part, results):
    copy = "not measured" if part["copy"] is None else f"{part['copy'] / 1e9:.0f} GB/s, read and written"
    heads = ["cuBLAS, TFLOP/s", *(f"{n}³" for n in PRODUCTS)]
    lines = [[p, *(_rate(by.get(str(n)), 1e12) for n in PRODUCTS)] for p, by in part["product"].items()]
    errors = [f"- {what}: {error}" for what, error in part["errors"].items()]
    return ["## What the card does at most", "", f"A copy: {copy}.", "", grid(heads, lines), *errors, ""]


# Kernels


def kernels(part, results):
    ceilings = results["parts"].get("ceilings") or {"copy": None, "product": {}}
    text = ["## Kernels", ""]
    for group, made in {"memory": memory, "product": products, "convolution": convolutions}.items():
        rows = [row for row in part["rows"] if row["group"] == group]
        if rows:
            text += [
                made(rows, ceilings),
                *(f"- {r['name']}, {r['precision']}: {r['error']}" for r in rows if "error" in r),
                "",
            ]
    return text


def memory(rows, ceilings):
    lines = [
        [
            r["name"],
            _time(r),
            _rate(r["bytes"] / r["seconds"], 1e9),
            _share(r["bytes"] / r["seconds"], ceilings["copy"]),
        ]
        for r in rows
        if "seconds" in r
    ]
    return grid(["256 MB an array", "µs", "GB/s", "of a copy's"], lines)


def products(rows, ceilings):
    def cell(row):
        n = row["name"].removesuffix("³")
        return _rate_of(row, ceilings["product"].get(row["precision"], {}).get(n))

    return _by_precision("matrix product, TFLOP/s (of cuBLAS at the same size)", rows, cell)


def convolutions(rows, ceilings):
    def cell(row):
        most = ceilings["product"].get(row["precision"], {}).values()
        return f"{_time(row)} µs, {_rate_of(row, max(filter(None, most), default=None))}"

    return _by_precision("convolution: time, TFLOP/s (of cuBLAS at its best)", rows, cell)


def _by_precision(head, rows, cell):
    precisions = [p for p in PRECISIONS if any(r["precision"] == p for r in rows)]
    cells = {(r["name"], r["precision"]): cell(r) for r in rows if "seconds" in r}
    names = dict.fromkeys(r["name"] for r in rows)
    return grid(
        [head, *precisions], [[name, *(cells.get((name, p), "–") for p in precisions)] for name in names]
    )


def _rate_of(row, most):
    rate = row["flop"] / row["seconds"]
    return f"{_rate(rate, 1e12)} ({_share(rate, most)})"


# Steps


def steps(part, results):
    lines, errors = [], []
    for row in part["rows"]:
        name = f"{row['title']}, batch {row['batch_size']}, {row['precision']}"
        if "ms" in row:
            times = [number(row["ms"][side]) if side in row["ms"] else "–" for side in (MINIGAN, *OTHERS)]
            lines.append(
                [name, *times, *(_ratio(row, *pair) for pair in zip(RIVALS, row["targets"], strict=True))]
            )
        errors += [f"- {name}: {side}: {error}" for side, error in row.get("errors", {}).items()]
        errors += [f"- {name}: {row['error']}"] if "error" in row else []
    heads = ["a training step, ms", MINIGAN, *OTHERS, *(f"{rival} ÷ minigan (target)" for rival in RIVALS)]
    return ["## Training steps", "", grid(heads, lines), *errors, *([""] if errors else []), NOTES, ""]


NOTES = """\
Medians of alternating turns, each side in a process of its own, after a check that all compute the same
losses from the same weights, noise and data. A step of minigan is one replay of a graph, but for the column
that says otherwise. PyTorch's graph holds a whole step too, with `Adam(fused=True, capturable=True)`; memory
formats are channels-last, or in fp32 the quicker of both. fp32: no tensor cores on either side. tf32: the
factors of matrix products and convolutions are rounded to TF32. bf16: to BF16, where PyTorch's autocast keeps
activations in BF16 too and minigan keeps them in float32. Data lies on the GPU."""


def _ratio(row, rival, target):
    if rival not in row["ms"] or MINIGAN not in row["ms"]:
        return f"– ({target:g})"
    return f"**{row['ms'][rival] / row['ms'][MINIGAN]:.2f}** ({target:g})"


# Cells


def grid(heads, lines):
    return table.grid(heads, lines).rstrip()


def _time(row):
    return number(1e6 * row["seconds"])


def _rate(value, unit):
    return "–" if value is None else number(value / unit)


def _share(value, most):
    return f"{value / most:.0%}" if most else "–"
