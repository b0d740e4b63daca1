"""The hyper-parameters that models share; each model's `Config` adds its own."""

import typing
from dataclasses import dataclass, fields, replace
from typing import Literal, Self

from minigan.errors import MiniganError, did_you_mean, require

from .parts import convolutions
from .parts.augment import words_of


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

    @property
    def judges_each_alone(self) -> bool:
        """Whether what a judge says of a sample, or of a pack, is the same in every batch."""
        return True

    def fitted(self, data) -> Self:
        """These settings with what the data decides written in.

        data: its `minigan.data.Fields`. MiniganError for data that the model cannot learn.
        """
        if data.kind not in ("image", "clip"):
            return self
        return replace(self, size=self.size or self.default_size(max(data.shape[-2:])))

    def default_size(self, pixels: int) -> int:
        """The image size to train at on data of `pixels` pixels a side: its own."""
        return pixels


def packs_of(cfg: Settings) -> int:
    """How many samples a judge judges together."""
    return cfg.pack if isinstance(cfg, NoiseSettings) else 1


def require_each_alone(cfg, penalty: str):
    """MiniganError, for a penalty of that name on D's slope at each sample, if D judges a whole batch."""
    if not cfg.judges_each_alone:
        raise MiniganError(
            f"minibatch_features = {cfg.minibatch_features} does not go with {penalty}, which is on D's slope"
            " at each sample by itself: what D says of one would depend on the others"
        )


def literals(hint) -> tuple:
    """The values of a Literal, or of one that may be None; empty for any other type."""
    if typing.get_origin(hint) is typing.Literal:
        return typing.get_args(hint)
    return tuple(value for part in typing.get_args(hint) for value in literals(part))


@dataclass(frozen=True, kw_only=True)
class JudgedSettings(Settings):
    """The hyper-parameters of a model whose judge sees augmented images, if it is told to."""

    augment: str | None = None
    """What is done at random to all images that D sees, for those who have few: some of colour, shift, cutout
    and flip, as in shift,cutout; by default nothing. With flip, mirrored samples look as real as others."""

    def __post_init__(self):
        super().__post_init__()
        words_of(self.augment)

    def fitted(self, data):
        if self.augment is not None and len(data.shape) != 3:
            raise MiniganError(
                f"augment: {self.augment} is done to images, not to samples of shape {data.shape}"
            )
        return super().fitted(data)


@dataclass(frozen=True, kw_only=True)
class NoiseSettings(JudgedSettings):
    """The hyper-parameters of a G that turns noise into samples, and of the D that it plays against."""

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
    minibatch_features: int = 0
    """Kernels of minibatch discrimination, by which D sees how close the samples of a batch are to each
    other; 0 for none. The authors' code has 100 for images."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "latent", "pack", at_least=1)
        require(self, "lr", "lr_d", "minibatch_features")
        require(self, "beta1", "beta2", below=1)

    @property
    def samples(self):
        return self.batch_size * self.pack

    @property
    def judges_each_alone(self):
        return not self.minibatch_features

    @property
    def rates(self) -> tuple[float, float]:
        """The learning rates of G and D."""
        return self.lr, self.lr if self.lr_d is None else self.lr_d

    @property
    def betas(self) -> tuple[float, float]:
        """Adam's decay rates."""
        return self.beta1, self.beta2


@dataclass(frozen=True, kw_only=True)
class ConvolutionSettings(NoiseSettings):
    """The hyper-parameters of networks of convolutions, of `parts.convolutions`."""

    size: Literal[16, 32, 64] | None = None
    """Pixels a side; by default the smallest that the data fits in, 64 for a folder."""
    width: int = 64
    """Channels of the layer next to the image; each layer inwards has twice as many."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "width", at_least=1)

    def default_size(self, pixels: int) -> int:
        """The image size to train at on data of `pixels` pixels a side: the smallest it fits in."""
        return convolutions.default_size(pixels)


@dataclass(frozen=True, kw_only=True)
class GameSettings(NoiseSettings):
    """The hyper-parameters of a D that tells real samples from made ones."""

    loss: Literal["non-saturating", "hinge"] = "non-saturating"
    """The game: -log D(G(z)) for G, against the cross-entropy for D; or hinge, where D's numbers are to be
    above 1 and below -1 (Lim, Ye 2017)."""
    smoothing: float = 0.0
    """What the target of real samples is below 1 (one-sided label smoothing): 0.1 keeps D from being sure."""
    r1: float = 0.0
    """γ of R1, γ/2 · E[‖∇D(x)‖²] on D's loss, at real x; 0 for none. D's convolutions then have no batch
    norm, by which the slope at a sample would be that of the batch."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "smoothing", below=1)
        require(self, "r1")
        if self.smoothing and self.loss == "hinge":
            raise MiniganError("smoothing is of the targets of a cross-entropy, and the hinge loss has none")
        if self.r1:
            require_each_alone(self, "r1")


@dataclass(frozen=True, kw_only=True)
class LabelledSettings(Settings):
    """The hyper-parameters of a model whose networks are told the label, too."""

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


@dataclass(frozen=True, kw_only=True)
class WordSettings(NoiseSettings):
    """The hyper-parameters of a G that chooses words, and of the critic of bounded slope that it plays
    against."""

    choice: Literal["softmax", "gumbel"] = "softmax"
    """What D sees of G's scores: their softmax; or words drawn by it, as sharp as real ones, with the
    gradient straight through (Gumbel-softmax)."""
    tau: float = 1.0
    """The temperature of the softmax whose gradient a drawn word has: a lower one is nearer to the draw, and
    rougher."""
    n_critic: int = 1
    """Steps of D in a step, before the one of G."""
    penalty: float = 10.0
    """λ, the weight of the gradient penalty."""
    width: int = 64
    """Channels of the convolutions."""
    blocks: int = 2
    """Residual blocks of two convolutions each."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "n_critic", "width", "blocks", at_least=1)
        require(self, "penalty")
        require(self, "tau", at_least=0.01)
        require_each_alone(self, "the gradient penalty")
