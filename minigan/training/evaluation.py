"""Evaluations of a run, or of samples that another program made: `minigan.metrics`, and where they go."""

import json
import zipfile
from pathlib import Path

import numpy as np

from minigan import __version__
from minigan.errors import MiniganError
from minigan.files import write_atomically
from minigan.metrics import EvaluationData, evaluate, metrics_for

from .run import Run
from .sampler import Sampler

WHILE_TRAINING = "fcd", "precision-recall", "label-accuracy", "stacked-modes", "modes"  # the quick ones


def evaluate_run(
    run: Run, step=None, place="cpu", average=True, data_dir=None, say=print, **how
) -> tuple[dict, Path]:
    """(evaluation, the path of evaluation.json in the run folder) of what the run's generator makes.

    step, place, average: see `Sampler.of`. data_dir: where the data are now. how: those of
    `minigan.metrics.evaluate`.
    MiniganError for data of another shape than the run's, or what cannot be measured.
    """
    sampler, options = Sampler.of(run, step, place, average), run.options()
    data = EvaluationData.load(
        options.data, sampler.cfg.size, data_dir or options.data_dir, sampler.conditional, say
    )
    if list(data.train.shape) != run.config["shape"]:
        raise MiniganError(
            f"{run.path} was trained on samples of shape {run.config['shape']}, {options.data} has "
            f"{list(data.train.shape)} now"
        )
    path = run.latest_checkpoint() if step is None else run.checkpoint_path(step)
    facts = {"checkpoint": path.name, "data": options.data}
    return _written(run.path / "evaluation.json", evaluate(sampler, data, say=say, **how), facts, how)


def evaluate_archive(
    path: Path, name: str | None, size=None, data_dir=None, say=print, **how
) -> tuple[dict, Path]:
    """The same of the `samples` in the .npz `path`, float32 (n, *shape), images in [-1, 1], against the
    dataset `name`; with `labels`, int64 (n,), if they were asked for by label."""
    if name is None:
        raise MiniganError(f"say with --data what the samples in {path} are to be compared with")
    archive = Archive(path)
    data = EvaluationData.load(name, size, data_dir, archive.labels is not None, say)
    if archive.samples.shape[1:] != data.train.shape:
        raise MiniganError(
            f"{path} has samples of shape {archive.samples.shape[1:]}, {name} has {data.train.shape}; "
            "--size sets that of images"
        )
    how["n"] = min(how.get("n") or len(archive.samples), len(archive.samples))
    facts = {"samples": path.name, "data": name}
    return _written(path.with_name("evaluation.json"), evaluate(archive, data, say=say, **how), facts, how)


class Examiner:
    """The quick metrics of a model in training: one draw, always of the same noise and the same real data.

    MiniganError if the data have none.
    """

    def __init__(self, session, say=print):
        self.sampler, options = session.sampler, session.options
        self.data = EvaluationData.load(
            options.data, session.cfg.size, options.data_dir, self.sampler.conditional, say
        )
        self.names = [name for name in metrics_for(self.data) if name in WHILE_TRAINING]
        if not self.names:
            raise MiniganError(f"nothing can be measured while training on {options.data}: it has no labels")

    def evaluate(self, n: int) -> dict[str, float]:
        """The quantities, of n samples."""
        found = evaluate(self.sampler, self.data, self.names, n, draws=1, floors=False, say=lambda line: None)
        return {quantity: row["value"] for quantity, row in found["metrics"].items()}


class Archive:
    """Samples in a file, drawn from it as from a generator. MiniganError for a file that has none."""

    def __init__(self, path: Path):
        self.path = path
        try:
            with np.load(path, allow_pickle=False) as file:
                self.samples = file["samples"]
                self.labels = file["labels"].astype(np.int64) if "labels" in file else None
        except FileNotFoundError:
            raise MiniganError(f"there is no file {path}") from None
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise MiniganError(f"{path} is not a .npz with an array `samples`: {error}") from error
        if self.labels is not None and self.labels.shape != self.samples.shape[:1]:
            raise MiniganError(f"{path} has {len(self.samples)} samples but {self.labels.size} labels")

    def __call__(self, n, seed, labels=None):
        """n of the samples, none twice, by the seed; with labels, those of each class in their order."""
        order = np.random.default_rng(seed).permutation(len(self.samples))
        if labels is None:
            return self.samples[order[:n]].astype(np.float32)
        chosen = np.empty(n, np.int64)
        for label in np.unique(labels):
            places, found = np.flatnonzero(labels == label), order[self.labels[order] == label]
            if len(found) < len(places):
                raise MiniganError(
                    f"{self.path} has {len(found)} samples with label {label}, {len(places)} are needed: "
                    "evaluate fewer with --n"
                )
            chosen[places] = found[: len(places)]
        return self.samples[chosen].astype(np.float32)


def _written(path, result, facts, how):
    settings = {key: how.get(key) for key in ("n", "draws", "seed")}
    content = {"minigan": __version__, **facts, **settings, **result}
    try:
        write_atomically(path, json.dumps(content, indent=1).encode())
    except OSError as error:
        raise MiniganError(f"cannot write {path}: {error.strerror or error}") from error
    return content, path
