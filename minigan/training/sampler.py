"""A trained generator, to draw samples from."""

import math
from pathlib import Path
from types import ModuleType

import numpy as np

from minigan.autograd import Tensor, no_grad
from minigan.backend import device
from minigan.errors import MiniganError
from minigan.gans import is_conditional
from minigan.gans.conditioning import cycle
from minigan.nn import Module
from minigan.random import Generator

from .checkpoint import misfits, part
from .run import Run

CHUNK = 500  # samples made at once
SHEET = 64  # images of a sheet, or a few more where each class has a column


class Sampler:
    """Samples of the generator G of a model, in evaluation mode, on the device G lies on.

    conditional: whether it takes labels, integers from 0 to `classes` - 1. checkpoint, step, D: the path that
    G's weights are from, its step and the discriminator of that, None for a G that is in training.
    """

    checkpoint: Path | None = None
    step: int | None = None
    D: Module | None = None

    def __init__(self, model: ModuleType, cfg, G, place="cpu"):
        self.model, self.cfg, self.G, self.device = model, cfg, G, device(place)
        self.conditional = is_conditional(model)
        self.classes = cfg.classes if self.conditional else 0

    @classmethod
    def of(cls, run: Run, step: int | None = None, place="cpu", average=True) -> "Sampler":
        """That of a run, with the weights of its newest good checkpoint or of that at `step`.

        average: take the moving average of G's weights, if the run has one.
        MiniganError if there is no such checkpoint, or it is damaged, or does not fit the run.
        """
        checkpoint = run.checkpoint(step)
        model, cfg = run.model(), run.hyperparameters()
        G, D = model.networks(cfg, tuple(run.config["shape"]), Generator(0))
        averaged = average and part(checkpoint.arrays, "average")
        for network, weights in (
            (G, averaged or part(checkpoint.arrays, "generator")),
            (D, part(checkpoint.arrays, "discriminator")),
        ):
            if problems := misfits(network, weights):
                raise MiniganError(f"{checkpoint.path} does not fit this run: {problems[0]}")
            network.load_state_dict(weights)
        sampler = cls(model, cfg, G.to(place), place)
        sampler.checkpoint, sampler.step, sampler.D = checkpoint.path, checkpoint.step, D.to(place)
        return sampler

    def __call__(self, n: int, seed: int = 0, labels=None, truncation: float | None = None) -> np.ndarray:
        """n samples, float32 (n, *shape) in C order: the same for the same seed, on every device to rounding.

        labels: of a conditional model, one for all or (n,), by default every class in turn.
        truncation: see `truncated`.
        """
        return np.ascontiguousarray(self.make(*self.inputs(n, Generator(seed), labels, truncation)))

    def inputs(self, n, rng, labels=None, truncation=None) -> tuple[np.ndarray, ...]:
        """What G makes n samples of: noise (n, latent) and, if it is conditional, labels (n,) int64.

        MiniganError for labels that are no classes, or for any where there are none.
        """
        if labels is not None and not self.conditional:
            raise MiniganError("the model is not conditional: it was trained without labels, and takes none")
        z = self.model.noise(self.cfg, n, rng).numpy()
        z = z if truncation is None else truncated(z, truncation)
        return (z, self.labels(n, labels)) if self.conditional else (z,)

    def labels(self, n, labels=None) -> np.ndarray:
        """One label for all, or a list of n, as int64 (n,); by default every class in turn."""
        if labels is None:
            return cycle(n, self.classes)
        labels = np.asarray(labels, np.int64)
        wrong = labels[(labels < 0) | (labels >= self.classes)]
        if wrong.size:
            raise MiniganError(
                f"label {wrong.flat[0]} is not one of the {self.classes} classes, 0 to {self.classes - 1}"
            )
        if labels.ndim and labels.shape != (n,):
            raise MiniganError(f"{n} samples take one label or {n} of them, got {labels.size}")
        return np.broadcast_to(labels, n).copy()

    def make(self, z: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """What G makes of noise (n, latent) and labels, (n,) or weights (n, classes). float32 (n, *shape)."""
        inputs = [z] if labels is None else [z, labels]
        before = self.G.training
        self.G.eval()
        try:
            with no_grad(), self.device.active():
                made = [
                    self.G(*(Tensor(a[i : i + CHUNK], device=self.device) for a in inputs)).numpy()
                    for i in range(0, len(z), CHUNK)
                ]
        finally:
            self.G.train(before)
        return np.concatenate(made)

    def sheet_size(self) -> int:
        """How many images make a sheet: 64, or whole rows in which every class has a column."""
        columns = self.columns()
        return SHEET if columns is None else columns * math.ceil(SHEET / columns)

    def columns(self) -> int | None:
        """The columns of a sheet: the same number for each class, if there are few; None for a square."""
        return self.classes * max(10 // self.classes, 1) if 1 < self.classes <= SHEET // 4 else None


def truncated(z: np.ndarray, limit: float) -> np.ndarray:
    """Normal noise pulled into [-limit, limit], where it has the normal distribution cut off there.

    Each number keeps its rank, so that a seed gives a tamer form of the same sample. The truncation
    trick: Brock, Donahue, Simonyan, "Large scale GAN training", 2019, section 3.1.
    MiniganError for a limit that is not above 0.
    """
    from scipy.special import ndtr, ndtri  # takes longer to import than all of minigan

    if not limit > 0:
        raise MiniganError(f"truncation must be above 0, got {limit}")
    low, high = ndtr(-limit), ndtr(limit)
    return ndtri(low + ndtr(z.astype(np.float64)) * (high - low)).astype(z.dtype)
