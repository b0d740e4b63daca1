"""The page of a run: what its files say, and what its trained model makes."""

from pathlib import Path

import numpy as np

from minigan.autograd import Tensor
from minigan.data import Dataset
from minigan.data.batches import mirror
from minigan.errors import MiniganError
from minigan.files import write_atomically
from minigan.metrics.distances import nearest_in
from minigan.report.page import Exhibits, Facts, comparison, page

from .interpolate import interpolate
from .run import Run
from .sampler import Sampler

WALKS, STEPS = 6, 13
CLASSES = 10  # that a walk goes through
NEIGHBOURS = 10
PLAYED = 8  # samples that are heard, read or seen to move
REAL = 100  # training images that tell how far from each other those are


def write_page(run: Run, out: Path | None = None, dataset: Dataset | None = None) -> Path:
    """Write the page of `run` to `out`, by default report.html in its folder; the path.

    dataset: what the run learned from, where that is at hand.
    MiniganError for files of the run that are damaged, or a page that cannot be written.
    """
    facts = Facts(run)
    return _written(out or run.page, page(facts, exhibits(run, dataset)))


def write_comparison(runs: list[Run], out: Path) -> Path:
    """Write a page of several runs beside each other to `out`. MiniganError for damaged files, or a single
    run."""
    if len(runs) < 2:
        raise MiniganError(f"a comparison is of two runs or more, got {len(runs)}")
    return _written(out, comparison([Facts(run) for run in runs]))


def _written(path, content):
    try:
        write_atomically(path, content.encode(errors="replace"))
    except OSError as error:
        raise MiniganError(
            f"cannot write {path}: {error.strerror or error}; --out FILE writes the page elsewhere"
        ) from error
    return path


def exhibits(run: Run, dataset: Dataset | None = None) -> Exhibits:
    """What the newest checkpoint of `run` makes, and the data it learned from; what is missing is told."""
    shown, sampler = Exhibits(run.fields().first), None
    try:
        dataset = run.dataset() if dataset is None else dataset
    except MiniganError as error:
        shown.missing.append(f"The training data cannot be read: {error}.")
    if shown.field.kind == "point":
        shown.points = None if dataset is None else dataset.samples
        return shown
    try:
        sampler = Sampler.of(run)
    except MiniganError as error:
        shown.missing.append(f"What the model makes is not shown without a trained model: {error}.")
        return shown
    if sampler.model.has("pictures"):
        _exhibit(run, sampler, shown)
    if shown.field.kind != "image":
        shown.played = sampler(max(PLAYED, sampler.columns() or 0), seed=1)
        return shown
    if sampler.from_data:  # there is no noise to walk through, and what is near is meant to be
        return shown
    if sampler.model.from_noise:
        shown.walks, shown.in_code = interpolate(sampler, WALKS, STEPS), sampler.model.has("code")
    if sampler.conditional:
        labels = list(range(min(sampler.classes, CLASSES)))
        shown.labelled = interpolate(sampler, WALKS, 2 * len(labels) - 1, labels=labels)
    if dataset is not None:
        shown.samples = sampler(NEIGHBOURS, seed=1)
        shown.distances, which, mirrored = nearest_in(dataset, shown.samples)
        shown.neighbours = dataset.batch(which)
        mirror(shown.neighbours, mirrored)
        shown.between_real = _between_real(dataset)
    return shown


def _exhibit(run, sampler, shown):
    """The model's own pictures."""

    def show(text, *images):
        arrays = [a.numpy() if isinstance(a, Tensor) else np.asarray(a) for a in images]
        shown.own.append((text, arrays))

    try:
        data = run.held_out()
    except MiniganError as error:
        shown.missing.append(f"The model's own pictures need the data: {error}.")
        return
    sampler.call("pictures", 1, data=data, show=show)


def _between_real(dataset):
    """The mean distance from some training images to the nearest of the others; None for a single image."""
    few = min(REAL, len(dataset) // 2)
    return float(nearest_in(dataset, dataset.batch(slice(few)), few)[0].mean()) if few else None
