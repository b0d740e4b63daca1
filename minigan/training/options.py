"""What a run of any model can be told; the model's own settings are its `Config`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from minigan.backend import device
from minigan.data import Dataset, datasets_of, datasets_with, has_test, load, resolved
from minigan.data.kinds import has_size
from minigan.diagnostics.verdict import STOPS
from minigan.errors import MiniganError, did_you_mean, require
from minigan.gans import Model
from minigan.gans.settings import Settings

from .keep import Keep


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a run of any model can be told."""

    data: str | None = None
    """What to learn, see `minigan models`: digits, mnist, ring8, facades, folder:PATH, ...; by default what
    the model comes with."""
    data_dir: Path | None = None
    """Folder with the files of mnist (of which stacked-mnist is made) or fashion-mnist; otherwise they are
    looked for in MINIGAN_DATA_DIR and the cache, and downloaded."""
    channels: Literal[1, 3] | None = None
    """Make the images of a folder grey, 1, or colour, 3; by default grey if all of them are."""
    flip: bool = False
    """Mirror images, left to right, each half of the time, at random. Evaluations compare with such, too."""
    samples: int | None = None
    """Learn from so many samples of the data alone, taken at equal distances; by default from all. What is
    held out stays the same."""
    device: str = "auto"
    """Where to train: cpu, gpu, gpu:1 for the second one, or auto: a GPU if there is one."""
    seed: int = 0
    """Where all random numbers start from; the same seed gives the same bits."""
    sample_every: int | None = None
    """Steps between two sample sheets; by default a fiftieth of the run."""
    checkpoint_every: int = 500
    """Steps between two checkpoints."""
    keep: str | None = None
    """Which checkpoints to keep, by default all: last=3,every=10000,best=fcd, or some of it. The newest is
    always kept; best is a quantity of evaluations.jsonl, of those checkpoints that were evaluated."""
    ema: float = 0.0
    """Decay of a moving average of the weights that make the samples: 0.999, say; 0 for none.
    After n steps it is at most (1 + n) / (10 + n), so that the first weights are soon forgotten."""
    evaluate_every: int | None = None
    """Steps between two evaluations, as by `minigan evaluate`, into evaluations.jsonl; by default none."""
    evaluate_n: int = 2000
    """Samples of such an evaluation."""
    diagnose_every: int | None = None
    """Steps between two looks of the doctor, into diagnostics.jsonl; by default a fiftieth of the run and at
    least 25, 0 for never."""
    stop_on: str | None = None
    """End the run when the doctor finds this: collapse, diverged, or collapse,diverged."""
    log: Literal["tensorboard"] | None = None
    """Write event files for TensorBoard, too, into the run folder's tensorboard/."""
    graph: bool = True
    """On a GPU, launch a step as one CUDA graph; --no-graph launches it op by op."""
    detect_anomaly: bool = False
    """Check every op for NaN and infinity, to find the first; slow."""

    def resolved(self) -> "Options":
        """These options for whoever resumes the run: with absolute paths, and the device that "auto" stands
        for.

        DeviceError if there is no such device, or it cannot be used.
        """
        folder = self.data_dir and self.data_dir.expanduser().resolve()
        data = self.data and resolved(self.data)
        return replace(self, data=data, data_dir=folder, device=str(device(self.device)))

    def of(self, model: Model) -> "Options":
        """These options of a run of `model`: with the data that it comes with, if there are no others."""
        return self if self.data else replace(self, data=model.data)

    def dataset(self, size: int | None = None) -> Dataset:
        """What to learn, at `size` pixels. MiniganError: see `minigan.data.load`."""
        how = self.channels, self.flip, self.samples
        return load(self.data, size, self.data_dir, "train", *how)

    def held_out(self, size: int | None = None) -> Dataset:
        """The test split of the data, at `size` pixels; all data where there is none. MiniganError: see
        `minigan.data.load`."""
        split = "test" if has_test(self.data) else "train"
        return load(self.data, size, self.data_dir, split, self.channels, self.flip)

    def data_for(self, model: Model, cfg) -> tuple[Dataset, Settings]:
        """The data at the size to train `model` at, and `cfg` with what the data decides written into it.

        MiniganError for data of a kind that the model does not take, with the datasets that it does.
        """
        dataset = self.dataset(cfg.size)
        if dataset.kind not in model.kinds:
            fitting = ", ".join(name for kind in model.kinds for name in datasets_of(kind))
            raise MiniganError(
                f"{model.name} learns from data of the kind {model.takes[0]}, {self.data} is of the kind "
                f"{dataset.kind}; there are: {fitting}"
            )
        for name in model.beside(cfg):
            if name != "label" and name not in dataset.fields:
                raise MiniganError(
                    f"{model.name} is to learn from {name}, too, and {self.data} has none; there are: "
                    f"{', '.join(datasets_with(name))}"
                )
        cfg = cfg.fitted(dataset.fields)
        return dataset.to_size(cfg.size) if has_size(dataset.kind) else dataset, cfg

    def __post_init__(self):
        require(self, "seed", below=2**64)
        counts = "samples", "sample_every", "checkpoint_every", "evaluate_every", "evaluate_n"
        require(self, *counts, at_least=1)
        require(self, "ema", below=1)
        require(self, "diagnose_every")
        if (keep := self.kept()) and keep.best and not self.evaluate_every:
            raise MiniganError(f"keep: best={keep.best} needs --evaluate-every")
        for name in self.stops():
            if name not in STOPS:
                raise MiniganError(f"stop_on: {name!r} is nothing to stop on; {did_you_mean(name, STOPS)}")

    def kept(self) -> Keep | None:
        """Which checkpoints to keep; None for all."""
        return Keep.parse(self.keep) if self.keep else None

    def stops(self) -> list[str]:
        """What to stop on."""
        return [name.strip() for name in self.stop_on.split(",")] if self.stop_on else []
