"""The README's tables, made of the results file; what stands between the markers is nobody's typing."""

from collections.abc import Iterable
from pathlib import Path

from minigan.bench.compare import CHANNELS_LAST, EAGER, MINIGAN
from minigan.errors import MiniganError

from .layers import DIRECTIONS

BEGIN, END = "<!-- bench cpu -->", "<!-- /bench cpu -->"
SIDES = [side.name for side in (MINIGAN, EAGER, CHANNELS_LAST)]
RATIO = "PyTorch's best ÷ minigan"


def write(readme: Path, results: dict):
    """Put the tables between the markers. MiniganError where these are not there once, in order."""
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in before + after:
        raise MiniganError(f"{readme}: the markers {BEGIN} and {END} have to be there once, in this order")
    readme.write_text(f"{before}{BEGIN}\n{markdown(results)}{END}{after}", encoding="utf-8")


def markdown(results: dict) -> str:
    """All the tables, those without rows left out, and what they were measured on."""
    rows = {group: [r for r in results["rows"] if r["group"] == group] for group in TABLES}
    tables = [TABLES[group](of_group, results) for group, of_group in rows.items() if of_group]
    return "\n".join([*tables, notes(results)])


def steps(rows, results):
    lines = [[work(row), *_times(row["ms"]), ratio(row["ratio"]), memory(row)] for row in rows]
    return grid(["one training step, ms", *SIDES, RATIO, "peak memory, MB"], lines)


def scaling(rows, results):
    lines = [[work(row), *_times(row["per_image_ms"]), ratio(row["ratio"])] for row in rows]
    return grid(["one image of a training step, ms", *SIDES, RATIO], lines)


def layers(rows, results):
    """A line for each network and direction: the sum over its layers."""
    lines = []
    for network in dict.fromkeys(row["network"] for row in rows):
        for direction, words in DIRECTIONS.items():
            own = [row for row in rows if (row["network"], row["direction"]) == (network, direction)]
            if not own:
                continue
            ms = {side: sum(row["ms"][side] for row in own) for side in SIDES}
            rate = sum(row["flop"] for row in own) / ms[SIDES[0]] / 1e6
            title = f"{network}, batch {own[0]['batch_size']}: {words} of {len(own)} convolutions"
            best = min(ms[side] for side in SIDES[1:]) / ms[SIDES[0]]
            of = f"{rate:.0f} ({rate / max(results['product_gflops'].values()):.0%})"
            lines.append([title, *_times(ms), ratio(best), of])
    heads = ["convolutions alone, ms", *SIDES, RATIO, "minigan GFLOP/s (of a matrix product's)"]
    return grid(heads, lines)


TABLES = {"step": steps, "scaling": scaling, "layer": layers}


def notes(results) -> str:
    """Where, when and how, in a paragraph."""
    machine, versions = results["machine"], results["versions"]
    turns = {len(turns) for row in results["rows"] for turns in row["turns_ms"].values()}
    sentences = [
        f"{results['date']}, {machine['cpu']}, {machine['processors']} processors, "
        f"{threads(results)}, float32; "
        + ", ".join(f"{name} {versions[name]}" for name in ("minigan", "PyTorch", "NumPy", "Python")),
        f"Medians of {' or '.join(map(str, sorted(turns)))} turns, the sides taking turns in processes of "
        "their own, after a check that all compute the same from the same weights, noise and data",
        "Ratios above 1: minigan is quicker",
    ]
    groups = {row["group"] for row in results["rows"]}
    if "step" in groups:
        adam = _variants(results["rows"])
        sentences.append(
            f"Peak memory is that of a process that does nothing else, in the order {', '.join(SIDES)}"
        )
        sentences += [f"PyTorch takes the quickest of its ways: {adam}"] if adam else []
    if "layer" in groups:
        best = max(results["product_gflops"].values())
        sentences.append(
            f"GFLOP/s count a direct convolution's operations; a 2048³ matrix product runs at {best:.0f}"
        )
    return ". ".join(sentences) + ".\n"


# On the terminal, a line for each row.


def line_heads(group: str) -> str:
    last = "GFLOP/s" if group == "layer" else "peak MB"
    heads = ["ms", *(side.removeprefix("PyTorch ") for side in SIDES), "PyTorch ÷", last]
    return _columns(heads)


def line(row) -> str:
    if row["group"] == "layer":
        last = f"{row['gflops'][SIDES[0]]:.0f} ({row['of_product'][SIDES[0]]:.0%})"
    else:
        last = memory(row)
    return _columns([work(row), *_times(row["ms"]), f"{row['ratio']:.2f}", last])


def _columns(cells):
    first, *times, ratio, last = cells
    return f"{first:58}" + "".join(f"{cell:>14}" for cell in times) + f"{ratio:>11}  {last}"


# Cells.


def memory(row) -> str:
    return " / ".join(_megabytes(row["peak_memory"].get(side)) for side in SIDES)


def threads(results) -> str:
    n = results["threads"]
    return f"{n} thread{'s' if n > 1 else ''} on each side"


def work(row) -> str:
    return f"{row['title']}, batch {row['batch_size']}"


def ratio(value) -> str:
    return f"**{value:.2f}**"


def number(value: float) -> str:
    """Three digits."""
    return f"{value:.0f}" if value >= 99.95 else f"{value:#.3g}"


def _times(by_side) -> Iterable[str]:
    return [number(by_side[side]) if side in by_side else "–" for side in SIDES]


def _megabytes(value):
    return "–" if value is None else f"{value / 1e6:.0f}"


def _variants(rows):
    """How often which way of taking a step was PyTorch's quickest."""
    ways = [" and ".join(filter(None, v.values())) for row in rows for v in row.get("variants", {}).values()]
    return ", ".join(f"{way} ({ways.count(way)})" for way in dict.fromkeys(ways))


def grid(heads, lines):
    rule = ["---", *["--:"] * (len(heads) - 1)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (heads, rule, *lines))
