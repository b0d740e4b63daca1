"""Layers: ops that own their parameters. Arguments, names and initial weights are PyTorch's.

Each layer that draws random numbers takes a `generator`, by default the one that
`minigan.manual_seed` seeds.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from minigan import functional as F
from minigan.arguments import FLAG, Kind, checked
from minigan.autograd import Tensor
from minigan.checks import is_integer, shown
from minigan.functional.axes import flat
from minigan.random import Generator

from . import init
from .activations import LeakyReLU, ReLU
from .conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, reset
from .module import Module, Parameter
from .norm import BatchNorm1d, BatchNorm2d, BatchNorm3d


class Sequential(Module):
    """Modules applied one after the other. `net[i]` is one of them, `net[a:b]` a part.

    A ReLU or LeakyReLU right behind a linear layer, a convolution or a batch norm is made in the same pass
    over memory, unless one of the two has a forward hook, which is to see what it makes. The results are
    the same.
    """

    def __init__(self, *modules: Module) -> None:
        super().__init__()
        for i, module in enumerate(modules):
            if not isinstance(module, Module):
                raise TypeError(f"Sequential: modules are given one argument each, got {shown(module)}")
            setattr(self, str(i), module)

    def forward(self, x: Tensor) -> Tensor:
        modules, i = list(self._modules.values()), 0
        while i < len(modules):
            module: Module = modules[i]
            behind: Any = modules[i + 1] if i + 1 < len(modules) else None
            if (
                type(module) in ACTIVATED
                and type(behind) in (ReLU, LeakyReLU)
                and not _hooked(module, behind)
            ):
                x, i = module(x, negative_slope=behind.negative_slope), i + 2
            else:
                x, i = module(x), i + 1
        return x

    def __getitem__(self, i: int | slice) -> Any:
        modules = list(self._modules.values())
        return Sequential(*modules[i]) if isinstance(i, slice) else modules[i]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())


def _is_unflattening(given):
    """Whether it is sizes, one by one or as a tuple, or an axis and a tuple of them."""
    axis, sizes = given if len(given) == 2 and isinstance(given[1], (tuple, list)) else (1, flat(given))
    return is_integer(axis) and bool(sizes) and all(map(is_integer, sizes)) and min(sizes) >= -1


class Linear(Module):
    """x Wᵀ + b: (..., in_features) -> (..., out_features)."""

    @checked(bias=FLAG)
    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, generator: Generator | None = None
    ) -> None:
        super().__init__()
        self.weight = Parameter(np.empty((out_features, in_features), np.float32))
        self.bias = Parameter(np.empty(out_features, np.float32)) if bias else None
        reset(self, in_features, generator)

    def forward(self, x: Tensor, negative_slope: float | None = None) -> Tensor:
        return F.linear(x, self.weight, self.bias, negative_slope)


CONVOLUTIONS = {Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d}
ACTIVATED = {
    Linear,
    *CONVOLUTIONS,
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
}  # layers that take a negative_slope


def _hooked(*modules):
    return any(module._forward_hooks for module in modules)


class Embedding(Module):
    """A table of `num_embeddings` rows, read by integers: (...) -> (..., embedding_dim)."""

    @checked()
    def __init__(self, num_embeddings: int, embedding_dim: int, generator: Generator | None = None) -> None:
        super().__init__()
        self.weight = Parameter(np.empty((num_embeddings, embedding_dim), np.float32))
        init.normal_(self.weight, generator=generator)

    def forward(self, labels: Tensor | np.ndarray) -> Tensor:
        return F.embedding(labels, self.weight)


class Dropout(Module):
    """Dropout in training, nothing in evaluation."""

    function = staticmethod(F.dropout)

    @checked()
    def __init__(self, p: float = 0.5, generator: Generator | None = None) -> None:
        super().__init__()
        self.p, self.generator = p, generator

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.p, self.training, self.generator)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Dropout2d(Dropout):
    """Dropout of whole channels of images (N, C, H, W) in training, nothing in evaluation."""

    function = staticmethod(F.dropout2d)


class Identity(Module):
    """x as it is."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class Flatten(Module):
    """The axes from `start_axis` to `end_axis` as one: (N, ...) -> (N, -1), as it is by default."""

    @checked()
    def __init__(self, start_axis: int = 1, end_axis: int = -1) -> None:
        super().__init__()
        self.start_axis, self.end_axis = start_axis, end_axis

    def forward(self, x: Tensor) -> Tensor:
        return F.flatten(x, self.start_axis, self.end_axis)


class Unflatten(Module):
    """One axis as several: Unflatten(1, (C, H, W)) makes images of (N, C·H·W). Without an axis, the first
    behind the batch: Unflatten(C, H, W)."""

    @checked(shape=Kind("sizes, or an axis and a tuple of sizes", _is_unflattening))
    def __init__(self, *shape: int | tuple[int, ...]) -> None:
        super().__init__()
        given: Any = shape
        is_pair = len(given) == 2 and isinstance(given[1], (tuple, list))
        self.axis: int = given[0] if is_pair else 1
        self.shape: tuple[int, ...] = tuple(given[1]) if is_pair else flat(given)

    def forward(self, x: Tensor) -> Tensor:
        return F.unflatten(x, self.axis, self.shape)

    def extra_repr(self) -> str:
        return f"{self.axis}, {self.shape}"
