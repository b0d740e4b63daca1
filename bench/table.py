"""Tables in Markdown, and those of the README, made of the results file; what stands between the markers is
nobody's typing. Those of a GPU are in `gpu/page.py`."""

from pathlib import Path

from minigan.errors import MiniganError
from minigan.speed.compare import CHANNELS_LAST, EAGER, MINIGAN

from .layers import DIRECTIONS

BEGIN, END = "<!-- bench cpu -->", "<!-- /bench cpu -->"
SIDES = [side.name for side in (MINIGAN, EAGER, CHANNELS_LAST)]
RATIO = "PyTorch's best ÷ minigan"
BUSY = 0.5  # processors; others may use as many without a word in the notes


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
    small = [overhead(results["overhead"])] if "overhead" in results else []
    return "\n".join([*tables, *slower(results["rows"]), *small, notes(results)])


def steps(rows, results):
    lines = [[*compared(row, row["ms"]), memory(row)] for row in rows]
    return grid(["one training step, ms", *SIDES, RATIO, "peak memory, MB"], lines)


def scaling(rows, results):
    lines = [compared(row, {side: t / row["batch_size"] for side, t in row["ms"].items()}) for row in rows]
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
            rate = of_product(sum(row["flop"] for row in own), ms, results)
            title = f"{network}, batch {own[0]['batch_size']}: {words} of {len(own)} convolutions"
            best = min(ms[side] for side in SIDES[1:]) / ms[SIDES[0]]
            lines.append([title, *times(ms, SIDES), ratio(best), rate])
    heads = ["convolutions alone, ms", *SIDES, RATIO, "minigan GFLOP/s (of a matrix product's)"]
    return grid(heads, lines)


def slower(rows) -> list[str]:
    """The rows in which PyTorch is quicker, which a sum over layers hides: a table, or none."""
    found = [row for row in rows if row["ratio"] < 1]
    lines = [compared(row, row["ms"]) for row in found]
    head = f"where PyTorch is quicker, {len(found)} of all {len(rows)} measurements, ms"
    return [grid([head, *SIDES, RATIO], lines)] if found else []


def overhead(found) -> str:
    """Where the time of a small step goes, by part of the step."""
    words = {
        "forward": "{calls} ops forward",
        "backward": "{calls} ops backward",
        "optimiser": "{calls} optimiser steps",
        "else": "layers, noise, losses read",
        "all": f"all; {number(found['us'])} without timers",
    }
    parts = found["parts"]
    sums = {key: sum(part[key] for part in parts.values()) for key in parts["else"]} | {"calls": 0}
    lines = []
    for name, part in (parts | {"all": sums}).items():
        outside = part["autograd"] + part["rest"]
        spent = part["kernels"], part["autograd"], part["rest"], part["kernels"] + outside
        each = number(outside / part["calls"]) if part["calls"] else "–"
        cells = [number(t) if t else "–" for t in spent]
        lines.append([words[name].format(**part), str(part["kernel_calls"]), *cells, each])
    heads = ["kernel calls", "kernels", "autograd", "other", "sum", "overhead per op"]
    return grid([f"{found['title']}: µs of a step", *heads], lines)


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
        "Ratios are medians over the turns, but of several convolutions those of their sums; "
        "above 1: minigan is quicker",
    ]
    if others := other_work(results):
        sentences.insert(1, others)
    groups = {row["group"] for row in results["rows"]}
    if "step" in groups:
        ways = _variants(results["rows"])
        sentences.append(
            f"Peak memory is that of a process that does nothing else, in the order {', '.join(SIDES)}"
        )
        if ways:
            sentences.append(f"In each row each of PyTorch's layouts takes its quickest way: {ways}")
    if "layer" in groups:
        best = max(results["product_gflops"].values())
        sentences.append(
            f"GFLOP/s count a direct convolution's operations; a 2048³ matrix product runs at {best:.0f}"
        )
    if curve := results.get("curve"):
        sentences.append(
            f"Over the first {curve['steps']} steps of a DCGAN, losses of minigan and PyTorch differ by "
            f"at most {curve['minigan']:.1%}; those of PyTorch's own two memory layouts by "
            f"{curve['layouts']:.1%}"
        )
    if "overhead" in results:
        sentences.append(
            "The parts of the small step are minigan's, timed from inside, the timers' own time subtracted: "
            "autograd is recording, walking back and making tensors; other, the Python and NumPy of ops, "
            "layers and optimisers; overhead, both of them"
        )
    return ". ".join(sentences) + ".\n"


def other_work(results) -> str | None:
    """A sentence, where other work was running right before the measurement, or nobody knows."""
    busy = results.get("busy_processors")
    if busy is None:
        return "Whether other work was running is not known"
    if busy > BUSY:
        used = f"{busy:.1f} of the {results['machine']['processors']} processors"
        return f"Other work was running, right before the start on {used}: these times are not to be trusted"
    return None


# On the terminal, a line for each row.


def line_heads(group: str) -> str:
    last = "GFLOP/s" if group == "layer" else "peak MB"
    heads = ["ms", *(side.removeprefix("PyTorch ") for side in SIDES), "PyTorch ÷", last]
    return _columns(heads)


def line(row, results) -> str:
    last = of_product(row["flop"], row["ms"], results) if row["group"] == "layer" else memory(row)
    return _columns([work(row), *times(row["ms"], SIDES), f"{row['ratio']:.2f}", last])


def _columns(cells):
    first, *ms, ratio, last = cells
    return f"{first:58}" + "".join(f"{cell:>14}" for cell in ms) + f"{ratio:>11}  {last}"


# Cells.


def compared(row, ms) -> list[str]:
    return [work(row), *times(ms, SIDES), ratio(row["ratio"])]


def memory(row) -> str:
    return " / ".join(_megabytes(row["peak_memory"].get(side)) for side in SIDES)


def of_product(flop, ms, results) -> str:
    """minigan's GFLOP/s, and their share of what the machine does in a matrix product."""
    rate = flop / ms[SIDES[0]] / 1e6
    return f"{rate:.0f} ({rate / max(results['product_gflops'].values()):.0%})"


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


def times(by_side, sides) -> list[str]:
    return [number(by_side[side]) if side in by_side else "–" for side in sides]


def _megabytes(value):
    return "–" if value is None else f"{value / 1e6:.0f}"


def _variants(rows):
    """How often which way of taking a step was PyTorch's quickest."""
    ways = [" and ".join(filter(None, v.values())) for row in rows for v in row.get("variants", {}).values()]
    return ", ".join(f"{way} {_times_over(ways.count(way))}" for way in dict.fromkeys(ways))


def _times_over(n):
    return {1: "once", 2: "twice"}.get(n, f"{n} times")


def grid(heads, lines):
    rule = ["---", *["--:"] * (len(heads) - 1)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (heads, rule, *lines))
