"""Measure a model: every quantity with its error, beside what real data would get."""

import contextlib
import math
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np

from minigan.contents import Finite, as_type, json_of
from minigan.errors import MiniganError, did_you_mean
from minigan.random import Generator

from .evaluation_data import EvaluationData
from .measures import METRICS

COLUMNS = "quantity", "value", "error", "real data", "samples"


class Quantity(TypedDict):
    """What is known of a quantity: see `evaluate`."""

    value: Finite | None
    error: Finite | None
    floor: Finite | None
    n: int


class Eye(TypedDict):
    """What is known of the classifier that metrics looked through."""

    hash: str
    data: str
    accuracy: Finite


class Evaluation(TypedDict):
    """What a file with an evaluation holds, among others."""

    metrics: dict[str, Quantity]
    classifier: NotRequired[Eye | None]
    draws: NotRequired[int | None]


def evaluate(
    sampler,
    data: EvaluationData,
    names=None,
    n: int | None = None,
    draws: int = 3,
    seed: int = 0,
    floors: bool = True,
    say=print,
    progress=lambda words: None,
) -> dict:
    """An `Evaluation` of what `sampler` makes: {"metrics": {quantity: {"value", "error", "floor", "n"}}, …}.

    sampler(n, seed): samples (n, *shape), float32, images in [-1, 1], or numbers of words; of a conditional
        model a pair of them and of the labels they were asked for, int64 (n,); of one that is told a text a
        pair of them and of the texts, integers (n, L).
    names: of METRICS; by default all that make sense for the data.
    n: samples a draw, by default 10,000. Less are taken where a metric's protocol or the training data
        have less; 26,000 by default where the protocol has that.
    draws: independent sets of samples. value is the mean over them, error its standard error, None for one.
    floors: whether to measure as many real training samples, against the same real test samples, too: the
        "floor". It is None where that says nothing, or was not asked for.
    say: prints a line. progress: called with what is done next, in a few words.

    All is JSON-able; None stands for infinity. The same seed gives the same numbers.
    MiniganError for an unknown metric, one that cannot be had of the data, too few samples, or bad samples.
    """
    if draws < 1:
        raise MiniganError(f"an evaluation needs at least 1 draw, got {draws}")
    counts = counts_of(names, data, n)
    rng, most = Generator(seed), max(counts.values())
    real = data.real(data.test, most, rng)
    measured = defaultdict(list)
    for draw in range(1, draws + 1):
        say(f"draw {draw} of {draws}: {most:,} samples")
        progress(f"draw {draw} of {draws}: samples")
        samples = _draw(sampler, data, most, rng)
        for name, count in counts.items():
            if draw > 1 and METRICS[name].once:
                continue
            progress(f"draw {draw} of {draws}: {name}")
            for quantity, value in _quantities(name, count, samples, real).items():
                measured[quantity].append(value)
    floor = {}
    if floors:
        say("the same of real data")
        train = data.real(data.train, most, rng)
        for name, count in counts.items():
            metric = METRICS[name]
            progress(f"real data: {name}")
            if metric.floor:
                among = metric.floor_of
                samples = data.real(data.train, count, rng, among) if among else train
                samples = real if metric.floor_of_test else samples
                floor |= _quantities(name, count, samples, real)
            if metric.beside:
                for quantity, value in metric.beside(data, count).items():
                    measured[quantity] = [(count, value)]
    found = {}
    for quantity, pairs in measured.items():
        among_real = summary([floor[quantity][1]])["value"] if quantity in floor else None
        own = summary([value for _, value in pairs])
        found[quantity] = {**own, "floor": among_real, "n": pairs[0][0]}
    return {"metrics": found, "classifier": data.classifier_facts(), "draws": draws}


def evaluate_seen(see, measures: dict, n: int, draws: int, say=print) -> dict:
    """An `Evaluation` of samples that have something of their own to be compared with.

    see(): what there is to see of a draw, arrays by name. measures: by name, each gives
    {quantity: (value, what real data get, or None)} of what was seen. n: how many samples see() gives.
    """
    measured = defaultdict(list)
    for draw in range(1, draws + 1):
        say(f"draw {draw} of {draws}: {n:,} samples")
        seen = see()
        for measure in measures.values():
            for quantity, pair in measure(seen).items():
                measured[quantity].append(pair)
    rows = {}
    for quantity, pairs in measured.items():
        values, floors = zip(*pairs, strict=True)
        floor = None if None in floors else float(np.mean(floors))
        rows[quantity] = {**summary(values), "floor": floor, "n": n}
    return {"metrics": rows, "classifier": None, "draws": draws}


def rehearse(sampler, data: EvaluationData, names, n: int, most: int):
    """What `evaluate` computes of n samples, in a dry call, to see which kernels it needs: at most `most`
    samples are drawn, real ones measured in their place, through a classifier that has learned nothing."""
    sampler(min(n, most), 0)
    rng = Generator(0)
    with contextlib.suppress(MiniganError):  # of data that no classifier can learn
        data = replace(data, given_classifier=data.untrained())
    samples, real = (data.real(split, n, rng) for split in (data.train, data.test))
    for some in (samples, real) if data.given_classifier else ():
        some.features = np.zeros_like(some.features)  # in place of memory that nothing was written to
    for name in names:
        with contextlib.suppress(Exception):  # of values that nothing wrote
            METRICS[name].measure(samples, real)


def metrics_for(data: EvaluationData) -> list[str]:
    """The names of the metrics that make sense for `data`."""
    return [name for name, metric in METRICS.items() if metric.why_not(data) is None]


def read_evaluation(path: Path) -> dict | None:
    """The evaluation that `minigan evaluate` wrote to a file, None if there is no file. MiniganError for a
    file that cannot be read; Misfit, which goes on from "it", for one that holds something else."""
    try:
        content = json_of(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise MiniganError(f"{path} cannot be read: {error}") from error
    as_type(content, Evaluation)
    return content


def table(result: dict) -> list[tuple[str, ...]]:
    """The rows of `evaluate`'s result as text, COLUMNS first."""
    rows = [
        (quantity, _text(row["value"]) or "∞", _text(row["error"]), _text(row["floor"]), f"{row['n']:,}")
        for quantity, row in result["metrics"].items()
    ]
    return [COLUMNS, *rows]


def counts_of(names, data: EvaluationData, n: int | None) -> dict[str, int]:
    """{name: number of samples} of the metrics asked for; arguments and MiniganError as in `evaluate`."""
    if n is not None and n < 1:
        raise MiniganError(f"an evaluation needs at least 1 sample, got {n}")
    names = metrics_for(data) if names is None else list(names)
    if not names:
        raise MiniganError(f"no metric was asked for; there are: {', '.join(METRICS)}")
    counts = {}
    for name in names:
        if name not in METRICS:
            raise MiniganError(f"unknown metric {name!r}; {did_you_mean(name, METRICS)}")
        metric = METRICS[name]
        if reason := metric.why_not(data):
            raise MiniganError(f"{name} {reason}")
        counts[name] = min(metric.count(n), len(data.train))
        if counts[name] <= metric.more_than:
            raise MiniganError(f"{name} needs more than {metric.more_than} samples, got {counts[name]}")
    return counts


def _draw(sampler, data, n, rng):
    made = sampler(n, int(rng.integers(0, 2**31)))
    values, *asked = made if data.conditional or data.told else (made,)
    text = asked.pop() if data.told else None
    if len(values) != n:
        raise MiniganError(f"the sampler was asked for {n} samples and made {len(values)}")
    return data.samples(np.asarray(values), *asked, text=text)


def _quantities(name, count, samples, real):
    """{quantity: (count, the value)} of the metric `name`, of the first `count` samples."""
    found = METRICS[name].measure(samples.first(count), real.first(count))
    return {quantity: (count, value) for quantity, value in found.items()}


def summary(values):
    """The mean of a quantity over the draws, and its error: as measured, or from how the draws differ."""
    pairs = [value if isinstance(value, tuple) else (value, None) for value in values]
    means = [float(value) for value, _ in pairs]
    error = None
    if pairs[0][1] is not None:
        error = float(np.mean([error for _, error in pairs]))
    elif len(means) > 1 and np.isfinite(means).all():
        error = float(np.std(means, ddof=1) / math.sqrt(len(means)))
    value = float(np.mean(means))
    return {"value": value if math.isfinite(value) else None, "error": error}


def _text(number):
    return "" if number is None else f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}"
