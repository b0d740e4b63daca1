"""How well what a loop says tells how good its samples are: rank correlations over a run."""

import math
from statistics import fmean

from minigan.training.records import Records, alike

LEAST = 3  # evaluations of a run that tell of anything


def correlations(records: Records, wanted: dict[str, list[str]]) -> dict[str, float]:
    """Spearman's rank correlation of each wanted pair, by "NAME ~ QUANTITY".

    wanted: names of metrics.jsonl by a quantity of evaluations.jsonl: {"fcd": ["d_loss", "g_loss"]}. Each
    name is averaged from one evaluation to the next.
    Left out are pairs that the run does not have, of fewer than LEAST evaluations, or where one of the two
    never changes.
    """
    from scipy.stats import spearmanr  # takes longer to import than all of minigan

    found, lines, metrics = {}, alike(records.evaluations.read()), alike(records.metrics.read())
    for quantity, names in wanted.items():
        measured = {line["step"]: line[quantity] for line in lines if quantity in line}
        for name in names:
            said = means_up_to(list(measured), metrics, name)
            pairs = [
                (value, math.inf if measured[step] is None else measured[step])
                for step, value in said.items()
            ]
            x, y = ([*column] for column in zip(*pairs, strict=True)) if pairs else ([], [])
            if len(pairs) >= LEAST and len({*x}) > 1 and len({*y}) > 1:
                found[f"{name} ~ {quantity}"] = float(spearmanr(x, y).statistic)
    return found


def means_up_to(steps: list[int], metrics: list[dict], name: str) -> dict[int, float]:
    """The mean of what `name` was in the steps up to each of `steps`, from the one before on."""
    values, found, before = [(m["step"], m[name]) for m in metrics if m.get(name) is not None], {}, 0
    for step in steps:
        between = [value for at, value in values if before < at <= step]
        if between:
            found[step] = fmean(between)
        before = step
    return found
