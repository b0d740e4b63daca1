"""Curves of a run."""

from pathlib import Path

import numpy as np

from .drawing import figure, save_picture, to_image


def save_losses(path: Path, metrics: list[dict]):
    """The losses over the steps, and below them what else a step says, as a PNG.

    metrics: the records of metrics.jsonl. Each curve is drawn as it is, faintly, and as its running
    mean over a fiftieth of the run.
    """
    names = names_in(metrics)
    panels = [[n for n in names if n.endswith("loss")], [n for n in names if not n.endswith("loss")]]
    fig, axes = figure(8, 6, rows=2)
    for ax, names, label in zip(axes, panels, ("loss", "what else a step says"), strict=True):
        for name in names:
            there = [record for record in metrics if name in record]
            steps, values = (np.array([record[k] for record in there], float) for k in ("step", name))
            (line,) = ax.plot(steps, values, alpha=0.25, linewidth=0.8)
            smooth = running_mean(values, max(len(values) // 50, 1))
            ax.plot(steps, smooth, color=line.get_color(), label=name)
        ax.set_ylabel(label)
        ax.grid(alpha=0.3)
        if names:
            ax.legend(loc="upper right")
    axes[-1].set_xlabel("step")
    save_picture(path, to_image(fig))


def names_in(records: list[dict]) -> list[str]:
    """What the records have beside the step, each name once, in the order in which it came."""
    return list(dict.fromkeys(name for record in records for name in record if name != "step"))


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """The mean of the last `window` values at each place, of fewer at the beginning."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    return (total[ends] - total[starts]) / (ends - starts)
