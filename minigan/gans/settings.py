"""The hyper-parameters that models share, each model's `Config` adds its own; and what else their files
need."""

import typing
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np

from minigan.errors import MiniganError, did_you_mean, require


class Picture(np.ndarray):
    """The type of what is given as the path of a picture: an image (C, H, W) in [-1, 1], of the data's
    shape."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The hyper-parameters that all models share."""

    steps: int = 5000
    """Training steps: batches that the loop has seen, or steps of G where D takes several."""
    batch_size: int = 64
    """Inputs of a network in a step; of a judge real ones, and as many generated ones."""
    size: int | None = None
    """Pixels a side; by default those of the data, 64 for a folder."""

    def __post_init__(self):
        require(self, "steps", "size", at_least=1)
        require(self, "batch_size", at_least=2)  # batch norm
        hints = typing.get_type_hints(type(self))
        for field in fields(self):
            words, value = literals(hints[field.name]), getattr(self, field.name)
            if words and value is not None and value not in words:
                near = did_you_mean(value, words) if isinstance(value, str) else f"there are: {words}"
                raise MiniganError(f"{field.name} cannot be {value!r}; {near}")

    @property
    def samples(self) -> int:
        """How many samples of the data a batch has."""
        return self.batch_size

    def fitted(self, data) -> Self:
        """These settings with what the data decides written in.

        data: its `minigan.data.Fields`. MiniganError for data that the model cannot learn.
        """
        if len(data.shape) != 3:
            return self
        return replace(self, size=self.size or self.default_size(max(data.shape[1:])))

    def default_size(self, pixels: int) -> int:
        """The image size to train at on data of `pixels` pixels a side: its own."""
        return pixels


def packs_of(cfg: Settings) -> int:
    """How many samples a judge judges together."""
    return cfg.pack if isinstance(cfg, NoiseSettings) else 1


def literals(hint) -> tuple:
    """The values of a Literal, or of one that may be None; empty for any other type."""
    if typing.get_origin(hint) is typing.Literal:
        return typing.get_args(hint)
    return tuple(value for part in typing.get_args(hint) for value in literals(part))


@dataclass(frozen=True, kw_only=True)
class NoiseSettings(Settings):
    """Those of a G that turns noise into samples, and of the D that it plays against."""

    latent: int = 100
    """Length of the noise vector z."""
    lr: float = 2e-4
    """The learning rate: G's, and D's unless lr_d is given."""
    lr_d: float | None = None
    """The learning rate of D; by default that of G."""
    beta1: float = 0.5
    """Adam's first decay rate, that of the momentum."""
    beta2: float = 0.999
    """Adam's second decay rate, that of the squared gradients."""
    pack: int = 1
    """Samples of one kind that D judges together (PacGAN); a batch has this many times as many."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "latent", "pack", at_least=1)
        require(self, "lr", "lr_d")
        require(self, "beta1", "beta2", below=1)

    @property
    def samples(self):
        return self.batch_size * self.pack

    @property
    def rates(self) -> tuple[float, float]:
        """The learning rates of G and D."""
        return self.lr, self.lr if self.lr_d is None else self.lr_d

    @property
    def betas(self) -> tuple[float, float]:
        """Adam's decay rates."""
        return self.beta1, self.beta2


@dataclass(frozen=True, kw_only=True)
class LabelledSettings(NoiseSettings):
    """Those of a model whose networks are told the label, too."""

    classes: int | None = None
    """How many labels there are; by default as many as in the data."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "classes", at_least=1)

    def fitted(self, data):
        if not data.classes:
            raise MiniganError(
                "the model learns from labels, and this data has none; choose an unconditional one"
            )
        if self.classes is not None and self.classes < data.classes:
            raise MiniganError(f"the data has {data.classes} classes, got classes = {self.classes}")
        return replace(super().fitted(data), classes=self.classes or data.classes)
