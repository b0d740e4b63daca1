"""The Markdown page of a results file, and the list of all pages; nothing there is typed by hand.

A section is a list of blocks, paragraphs or tables or lists, with empty lines between them.
"""

import json
from pathlib import Path

from bench.table import grid, number

from .rows import PRECISIONS, PRODUCTS

NOTHING_YET = """\
Nothing has been run on a GPU yet. The kernels have been run by the emulator on a CPU, and compiled for the
cards; their speed is unknown."""
HOW = """\
`python -m bench.gpu` on a machine with a GPU writes a JSON file and a page of tables here, and lists them in
this file."""
NOTES = """\
Medians of alternating turns, each side in a process of its own, after a check that all compute the same
losses from the same weights, noise and data. A step of minigan is one replay of a graph, but for the column
that says otherwise. PyTorch's graph holds a whole step too, with `Adam(fused=True, capturable=True)`; memory
formats are channels-last, or in fp32 the quicker of both. fp32: no tensor cores on either side. tf32: the
factors of matrix products and convolutions are rounded to TF32. bf16: to BF16, where PyTorch's autocast keeps
activations in BF16 too and minigan keeps them in float32. Data lies on the GPU."""

MINIGAN, *OTHERS = "minigan", "minigan, no graph", "PyTorch eager", "PyTorch graph"
RIVALS = OTHERS[1:]  # in the order of a row's targets


def index(folder: Path) -> str:
    """The text of the folder's README: what was run on which GPU, or that nothing was."""
    entries = []
    for file in sorted(folder.glob("gpu-*.json")):
        found = json.loads(file.read_text(encoding="utf-8"))
        partly = "" if found["complete"] else ", not to the end"
        entries.append(f"[{found['date']}, {found['device']['name']}]({file.stem}.md){partly}")
    return joined(["# GPU results", bullets(entries) or NOTHING_YET, HOW])


def page(results: dict) -> str:
    """All there is in the results so far."""
    blocks = [f"# {results['device']['name']}, {results['date']}", about(results)]
    sections = {"tests": tests, "ceilings": ceilings, "kernels": kernels, "steps": steps}
    for name, section in sections.items():
        part = results["parts"].get(name)
        if part is not None:
            blocks += section(part, results["parts"])
            blocks += [f"This part ended early: {part['error']}."] if part.get("error") else []
    return joined(blocks)


def about(results):
    device = results["device"]
    facts = [
        f"compute capability {device['compute_capability']}",
        f"{device['multiprocessors']} multiprocessors",
        f"{device['memory_gib']} GiB",
        f"driver {device['driver']} for CUDA {device['driver_cuda']}",
        f"CUDA {device['runtime_cuda']}",
    ]
    lines = [", ".join(facts), ", ".join(f"{k} {v}" for k, v in results["versions"].items())]
    lines += results["notes"]
    lines += [] if results["complete"] else ["The run did not come to its end"]
    return "\n".join(f"{line}." for line in lines)


def tests(part, parts):
    counts = [f"{part[name]} {name}" for name in ("passed", "failed", "skipped") if name in part]
    others = bullets(f"{outcome}: `{name}`" for name, outcome in part.get("not_passed", {}).items())
    return ["## Tests on the GPU", f"{', '.join(counts) or 'None ran'}.", others]


def ceilings(part, parts):
    copy = "not measured" if part["copy"] is None else f"{part['copy'] / 1e9:.0f} GB/s, read and written"
    heads = ["cuBLAS, TFLOP/s", *(f"{n}³" for n in PRODUCTS)]
    lines = [[p, *(_rate(by.get(str(n)), 1e12) for n in PRODUCTS)] for p, by in part["product"].items()]
    errors = bullets(f"{what}: {error}" for what, error in part["errors"].items())
    return ["## What the card does at most", f"A copy: {copy}.", grid(heads, lines), errors]


# Kernels


def kernels(part, parts):
    most = parts.get("ceilings") or {"copy": None, "product": {}}
    blocks = ["## Kernels"]
    for group, table in {"memory": memory, "product": products, "convolution": convolutions}.items():
        rows = [row for row in part["rows"] if row["group"] == group]
        if rows:
            errors = (f"{r['name']}, {r['precision']}: {r['error']}" for r in rows if "error" in r)
            blocks += [table(rows, most), bullets(errors)]
    return blocks


def memory(rows, most):
    def line(row):
        rate = row["bytes"] / row["seconds"]
        return [row["name"], _time(row), _rate(rate, 1e9), _share(rate, most["copy"])]

    lines = [line(row) for row in rows if "seconds" in row]
    return grid(["256 MB an array, or as it says", "µs", "GB/s", "of a copy's"], lines)


def products(rows, most):
    def cell(row):
        same_size = row["name"].removesuffix("³")
        return _rate_of(row, most["product"].get(row["precision"], {}).get(same_size))

    return _by_precision("matrix product, TFLOP/s (of cuBLAS at the same size)", rows, cell)


def convolutions(rows, most):
    def cell(row):
        rates = most["product"].get(row["precision"], {}).values()
        return f"{_time(row)} µs, {_rate_of(row, max(filter(None, rates), default=None))}"

    return _by_precision("convolution: time, TFLOP/s (of cuBLAS at its best)", rows, cell)


def _by_precision(head, rows, cell):
    precisions = [p for p in PRECISIONS if any(r["precision"] == p for r in rows)]
    cells = {(r["name"], r["precision"]): cell(r) for r in rows if "seconds" in r}
    names = dict.fromkeys(r["name"] for r in rows)
    lines = [[name, *(cells.get((name, p), "–") for p in precisions)] for name in names]
    return grid([head, *precisions], lines)


def _rate_of(row, most):
    rate = row["flop"] / row["seconds"]
    return f"{_rate(rate, 1e12)} ({_share(rate, most)})"


# Steps


def steps(part, parts):
    lines, errors = [], []
    for row in part["rows"]:
        name = f"{row['title']}, batch {row['batch_size']}, {row['precision']}"
        if "ms" in row:
            times = [number(row["ms"][side]) if side in row["ms"] else "–" for side in (MINIGAN, *OTHERS)]
            ratios = [_ratio(row, *pair) for pair in zip(RIVALS, row["targets"], strict=True)]
            lines.append([name, *times, *ratios])
        errors += [f"{name}: {side}: {error}" for side, error in row.get("errors", {}).items()]
        errors += [f"{name}: {row['error']}"] if "error" in row else []
    ratios = [f"{rival} ÷ minigan (target)" for rival in RIVALS]
    heads = ["a training step, ms", MINIGAN, *OTHERS, *ratios]
    return ["## Training steps", grid(heads, lines), bullets(errors), NOTES]


def _ratio(row, rival, target):
    if rival not in row["ms"] or MINIGAN not in row["ms"]:
        return f"– ({target:g})"
    return f"**{row['ms'][rival] / row['ms'][MINIGAN]:.2f}** ({target:g})"


# Blocks and cells


def joined(blocks):
    return "\n\n".join(block.rstrip("\n") for block in blocks if block) + "\n"


def bullets(lines):
    return "\n".join(f"- {line}" for line in lines)


def _time(row):
    return number(1e6 * row["seconds"])


def _rate(value, unit):
    return "–" if value is None else number(value / unit)


def _share(value, most):
    return f"{value / most:.0%}" if most else "–"
