"""The Markdown page of a results file, and the list of all pages; nothing there is typed by hand.

A section is a list of blocks, paragraphs or tables or lists, with empty lines between them.
"""

import json
from pathlib import Path

from bench.table import grid, number, ratio, times, work

from .measure import SIDES
from .rows import PRECISIONS

NOTHING_YET = """\
Nothing has been run on a GPU yet. The kernels have been run by the emulator on a CPU, and compiled for the
cards; their speed is unknown."""
HOW = """\
`python -m bench.gpu` on a machine with a GPU writes a JSON file and a page of tables here, and lists them in
this file."""
NOTES = """\
Medians of alternating turns, each side in a process of its own, after a check that all compute the same
losses from the same weights, noise and data. A step of minigan is what a run does: one replay of a graph, but
for the column that says otherwise, and the numbers that are logged, for which it waits. PyTorch waits once in
many steps; its graph holds a whole step too, with `Adam(fused=True, capturable=True)`; memory formats are
channels-last, or in fp32 the quicker of both. fp32: no tensor cores on either side. tf32: the factors of
matrix products and convolutions are rounded to TF32. bf16: to BF16, where PyTorch's autocast keeps
activations in BF16 too and minigan keeps them in float32. Data lies on the GPU."""

MINIGAN, _, *RIVALS = NAMES = [side.name for side in SIDES]  # rivals in the order of a row's targets


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
    blocks += [bullets(f"The part {part} ended early: {error}" for part, error in results["errors"].items())]
    blocks += tests(results["tests"]) if "tests" in results else []
    for group, (heading, table) in TABLES.items():
        rows = [row for row in results["rows"] if row["group"] == group]
        if rows:
            blocks += [f"## {heading}", table(rows, results["rows"]), bullets(errors(rows))]
            blocks += [NOTES] if group == "step" else []
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


def tests(part):
    counts = ", ".join(f"{part[name]} {name}" for name in ("passed", "failed", "skipped"))
    others = [f"{outcome}: `{name}`" for name, outcome in part["not_passed"].items()]
    others += [f"{file}: {error}" for file, error in part["errors"].items()]
    return ["## Tests on the GPU", f"{counts}.", bullets(others)]


# Tables of rows, by group. `every` are those of all groups.


def kernels(rows, every):
    """Time, rate, and the share of what the card does at most, by precision."""
    precisions = [p for p in PRECISIONS if any(row["precision"] == p for row in rows)]
    cells = {(row["title"], row["precision"]): cell(row, every) for row in rows if "ms" in row}
    titles = dict.fromkeys(row["title"] for row in rows)
    lines = [[title, *(cells.get((title, p), "–") for p in precisions)] for title in titles]
    return grid(["", *precisions], lines)


def cell(row, every):
    unit, name = (1e12, "TFLOP/s") if row["flop"] else (1e9, "GB/s")
    found = f"{number(1e3 * ms(row))} µs, {number(rate(row) / unit)} {name}"
    ceilings = [r for r in every if r["group"] == "ceiling" and "ms" in r and bounds(r, row)]
    share = f" ({rate(row) / max(map(rate, ceilings)):.0%})" if ceilings else ""
    return found + (share if row not in ceilings else "")


def bounds(ceiling, row):
    """Whether that is what a row can reach: a copy; of cuBLAS, a product the same size, a convolution any."""
    alike = row["precision"] == ceiling["precision"] and bool(row["flop"]) == bool(ceiling["flop"])
    return alike and (row["group"] in ("memory", "convolution") or row["title"] == ceiling["title"])


def ms(row):
    return next(iter(row["ms"].values()))


def rate(row):
    """Operations, or bytes, a second."""
    return 1e3 * (row["flop"] or row["bytes"]) / ms(row)


def steps(rows, every):
    lines = []
    for row in rows:
        if "ms" in row:
            ratios = [_ratio(row["ms"], *pair) for pair in zip(RIVALS, row["targets"], strict=True)]
            lines.append([work(row), row["precision"], *times(row["ms"], NAMES), *ratios])
    ratios = [f"{rival} ÷ minigan (target)" for rival in RIVALS]
    return grid(["a training step, ms", "precision", *NAMES, *ratios], lines)


def _ratio(ms, rival, target):
    found = ratio(ms[rival] / ms[MINIGAN]) if rival in ms and MINIGAN in ms else "–"
    return f"{found} ({target:g})"


TABLES = {
    "ceiling": ("What the card does at most: a copy, and cuBLAS", kernels),
    "memory": ("Kernels on 256 MB an array, or as it says (of a copy's rate)", kernels),
    "product": ("Matrix products (of cuBLAS at the same size)", kernels),
    "convolution": ("Convolutions (of cuBLAS at its best)", kernels),
    "step": ("Training steps", steps),
}


def errors(rows):
    for row in rows:
        of_sides = (f"{side}: {error}" for side, error in row.get("errors", {}).items())
        for error in (*of_sides, *([row["error"]] if "error" in row else [])):
            yield f"{row['title']}, {row['precision']}: {error}"


# Blocks and cells


def joined(blocks):
    return "\n\n".join(block.rstrip("\n") for block in blocks if block) + "\n"


def bullets(lines):
    return "\n".join(f"- {line}" for line in lines)
