"""The hyper-parameters that all models share."""

from dataclasses import dataclass, replace
from typing import Self

from minigan.errors import MiniganError, require


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The hyper-parameters that all models share; each model's `Config` adds its own."""

    steps: int = 5000
    """Training steps, each one of G."""
    batch_size: int = 64
    """Inputs of D, real and as many generated ones, in a step."""
    size: int | None = None
    """Pixels a side; by default those of the data, 64 for a folder."""
    latent: int = 100
    """Length of the noise vector z."""
    lr: float = 2e-4
    """Adam's learning rate: G's, and D's unless lr_d is given."""
    lr_d: float | None = None
    """Adam's learning rate for D; by default that of G."""
    beta1: float = 0.5
    """Adam's first decay rate, that of the momentum."""
    beta2: float = 0.999
    """Adam's second decay rate, that of the squared gradients."""
    pack: int = 1
    """Samples of one kind that D judges together (PacGAN); a batch has this many times as many."""

    def __post_init__(self):
        require(self, "steps", "size", "latent", "pack", at_least=1)
        require(self, "batch_size", at_least=2)  # batch norm
        require(self, "lr", "lr_d")
        require(self, "beta1", "beta2", below=1)

    @property
    def rates(self) -> tuple[float, float]:
        """The learning rates of G and D."""
        return self.lr, self.lr if self.lr_d is None else self.lr_d

    def fitted(self, shape: tuple[int, ...], classes: int) -> Self:
        """These settings with what the data decides written in.

        shape: that of one sample, (C, H, W) or (2,). classes: how many classes the labels have, 0
        without labels. MiniganError for data that the model cannot learn.
        """
        if len(shape) != 3:
            return self
        return replace(self, size=self.size or self.default_size(max(shape[1:])))

    def default_size(self, pixels: int) -> int:
        """The image size to train at on data of `pixels` pixels a side: its own."""
        return pixels


@dataclass(frozen=True, kw_only=True)
class LabelledSettings(Settings):
    """Those of a model whose networks are told the label, too."""

    classes: int | None = None
    """How many labels there are; by default as many as in the data."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "classes", at_least=1)

    def fitted(self, shape, classes):
        if not classes:
            raise MiniganError(
                "the model learns from labels, and this data has none; choose an unconditional one"
            )
        if self.classes is not None and self.classes < classes:
            raise MiniganError(f"the data has {classes} classes, got classes = {self.classes}")
        return replace(super().fitted(shape, classes), classes=self.classes or classes)
