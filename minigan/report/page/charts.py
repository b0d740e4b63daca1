"""The curves of a page: which numbers stand in which chart. `chart.js` draws them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from minigan.report.plots import names_in, running_mean

from .checks import names, number, numbers

MOST = 400  # points of a curve


@dataclass
class Chart:
    """series: dicts of "name", "x" (steps), "y", and where there are any "faint", the y before they were
    smoothed, and "bands", pairs of lists, [low, high], the wide one first.

    unit: what the y axis says. level: (value, name) of a horizontal line. ramp: the series have an order, and
    colours that tell it. cells: instead of series, what was counted, a list a step of `steps`.
    """

    id: str
    title: str
    unit: str
    series: list[dict] = field(default_factory=list)
    note: str = ""
    log: bool = False
    range: tuple[float, float] | None = None
    level: tuple[float, str] | None = None
    ramp: bool = False
    cells: list[list[int]] | None = None
    steps: list[int] | None = None

    def drawn(self) -> dict:
        """What the page's script is to know."""
        told = "title", "unit", "series", "log", "range", "level", "ramp", "cells", "steps"
        return {name: getattr(self, name) for name in told if getattr(self, name) not in (None, False, [])}


def thinned(n: int, most: int) -> list[int]:
    """Every k-th of n places, from the first on, and the last: at most `most` + 1, k as small as may be."""
    k = max(math.ceil(n / most), 1)
    return sorted({*range(0, n, k), *([n - 1] if n else [])})


def losses(metrics: list[dict], critic: bool = False) -> list[Chart]:
    """What each step says: the losses, what judges said on average, and what else there is."""
    known = names_in(metrics)
    losses = [name for name in known if name.endswith("loss")]
    judges = [name.removesuffix("_real") for name in known if name.endswith("_real")]
    means = {judge: [n for n in known if n in (f"{judge}_real", f"{judge}_fake")] for judge in judges}
    told = {name for names in (losses, *means.values()) for name in names}
    others = {}  # a chart for each kind of number, which is the last word of its name
    for name in known:
        if name not in told:
            others.setdefault(name.rpartition("_")[2], []).append(name)
    unit = "the critic's number" if critic else "probability of being real"
    groups = [
        ("losses", "Losses", "loss", losses),
        *((f"means-{j}", f"What {j.upper()} says on average", unit, names) for j, names in means.items()),
        *(
            (f"others-{i}", f"What else a step says: {kind}", "", names)
            for i, (kind, names) in enumerate(others.items())
        ),
    ]
    return [
        Chart(id, title, unit, [smoothed(metrics, name) for name in group], note=smoothing(metrics))
        for id, title, unit, group in groups
        if group
    ]


def smoothed(metrics, name) -> dict:
    """A quantity as it was and its running mean, over the records that have it."""
    metrics = [record for record in metrics if name in record]
    kept = thinned(len(metrics), MOST)
    values = [number(record, name) for record in metrics]
    smooth = mean_of_known(np.array(values, float), window(metrics))
    return {
        "name": name,
        "x": [metrics[i]["step"] for i in kept],
        "y": [float(f"{smooth[i]:.6g}") if math.isfinite(smooth[i]) else None for i in kept],
        "faint": [values[i] for i in kept],
    }


def mean_of_known(values, window):
    """The running mean of those values that are not NaN; NaN where a window has none."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return running_mean(np.where(known, values, 0.0), window) / running_mean(known.astype(float), window)


def window(metrics) -> int:
    return max(len(metrics) // 50, 1)


def smoothing(metrics) -> str:
    if window(metrics) == 1:
        return "Every step."
    k = math.ceil(len(metrics) / MOST)
    each = "every step" if k <= 1 else f"every {k}th step, as it was"
    return f"Faint: {each}. Strong: the mean of the last {window(metrics):,} steps."


def outputs(looks: list[dict], critic: bool) -> list[Chart]:
    """How each judge judges, from the looks of the doctor."""
    charts, unit = [], "the critic's number" if critic else "probability of being real"
    for judge in of_networks(looks, "judges"):
        D, of = judge.upper(), ("judges", judge)
        series = [
            quantiles(looks, name, *of, "output", kind)
            for kind, name in (("real", "real"), ("fake", "generated"))
        ]
        note = "Median, and the middle 50 % and 90 % of a batch."
        charts += present(
            *(f"outputs-{judge}", f"What {D} says of a batch", unit, series, note),
            range=None if critic else (0, 1),
        )
        right = [
            line(looks, name, *of, "accuracy", kind)
            for kind, name in (("real", "real"), ("fake", "generated"))
        ]
        charts += present(
            *(f"accuracy-{judge}", f"How often {D} is right", "share of the batch", right), range=(0, 1)
        )
    return charts


def of_networks(looks, key) -> list[str]:
    """The names that the looks have under a key, each once."""
    return list(dict.fromkeys(name for look in looks for name in names(look, key)))


def quantiles(looks, name, *keys):
    rows = [numbers(look, *keys) for look in looks]
    low, lower, middle, upper, high = ([row[i] if len(row) == 5 else None for row in rows] for i in range(5))
    return {
        "name": name,
        "x": steps(looks),
        "y": middle,
        "bands": [[low, high], [lower, upper]],
    }


def gradients(looks: list[dict]) -> list[Chart]:
    """Gradient norms and relative updates of the weights of each layer."""
    kinds = [
        ("gradient_norm", "Gradient norms", "|gradient|"),
        ("update_ratio", "Updates", "|change| / |weight|"),
    ]
    charts = []
    for key, title, unit in kinds:
        for network in of_networks(looks, key):
            layers = names(looks[-1], key, network)
            series = [
                line(looks, name.removesuffix(".weight"), key, network, name)
                for name in layers
                if name.endswith("weight")
            ]
            note = "The weights of each layer, from the first to the last; biases are left out."
            charts += present(
                f"{key}-{network}", f"{title} of {network}", unit, series, note, log=True, ramp=True
            )
    return charts


def samples(looks: list[dict]) -> list[Chart]:
    """How diverse and how new samples are."""
    alike = [line(looks, name, name) for name in ("diversity", "novelty")]
    support = [
        line(looks, "generated", "support", "size"),
        line(looks, "as many real ones", "support", "real"),
    ]
    return (
        present(
            *("variety", "Diversity and novelty", "over that of real data", alike),
            "The mean distance of two samples; of images also that to the nearest real one. Each over the "
            "same of real samples.",
            level=(1.0, "real data"),
        )
        + present(
            *("support", "Support", "samples that differ", support),
            "How many different samples there are, by the birthday paradox; a lower bound where no two of a "
            "look are alike.",
            log=True,
        )
        + modes(looks)
        + present(
            "quality",
            "Near a mode",
            "share of samples",
            [line(looks, "within 3 σ", "high_quality")],
            range=(0, 1),
        )
    )


def modes(looks) -> list[Chart]:
    counts = [numbers(look, "modes") for look in looks]
    if not any(counts):
        return []
    note = "How many of a look's samples belong to each; images by the label of the nearest real one."
    return [Chart("modes", "Modes", "mode or class", note=note, cells=counts, steps=steps(looks))]


def health(looks: list[dict], critic: bool) -> list[Chart]:
    """What else a look sees."""
    dead, drift = (
        [line(looks, network, key, network) for network in of_networks(looks, key)]
        for key in ("dead_units", "batch_norm_drift")
    )
    slope = [line(looks, "steepest of a batch", "lipschitz")]
    judges = [] if critic else of_networks(looks, "judges")
    swings = [line(looks, f"loss of {judge.upper()}", "judges", judge, "oscillation") for judge in judges]
    return (
        present("slope", "The critic's slope", "|∇D|", slope, "A lower bound of it.", level=(1.0, "wanted"))
        + present("swings", "Oscillation", "deviation", swings, "Of the smoothed loss over ten looks.")
        + present(
            "dead", "Dead units", "share of all", dead, "No sample of the batch turns them on.", range=(0, 1)
        )
        + present(
            *("drift", "Batch-norm drift", "deviations", drift),
            "How far a batch's means lie from the running ones.",
        )
    )


def evaluations(lines: list[dict], evaluation: dict | None) -> list[Chart]:
    """Each quantity that was measured while training, beside what real data get, if that is known."""
    floors = {
        name: (row["floor"], f"{row['n']:,} real samples")
        for name, row in (evaluation or {"metrics": {}})["metrics"].items()
        if row["floor"] is not None
    }
    charts = []
    for i, name in enumerate(names_in(lines)):
        charts += present(f"metric-{i}", name, "", [line(lines, name, name)], level=floors.get(name))
    return charts


def present(id, title, unit, series: Sequence[dict], note="", **how) -> list[Chart]:
    """The chart of those series that have any number; none if none has."""
    series = [s for s in series if any(y is not None for y in s["y"])]
    return [Chart(id, title, unit, series, note, **how)] if series else []


def line(records, name, *keys) -> dict:
    return {"name": name, "x": steps(records), "y": [number(record, *keys) for record in records]}


def steps(records) -> list[int]:
    return [record["step"] for record in records]
