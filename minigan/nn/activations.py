"""Activations as layers, for use in Sequential. Their formulas are in `minigan.functional`."""

import inspect
from typing import Any

import numpy as np

from minigan import functional as F
from minigan.arguments import COUNT, NUMBER, checked
from minigan.autograd import Tensor

from .module import Module, Parameter


class _Activation(Module):
    """A layer without parameters: F's function of the same name, with settings."""

    function: Any = None

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        unknown = settings.keys() - inspect.signature(type(self).function).parameters.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__}: there is no setting {', '.join(sorted(unknown))}")
        self.settings = settings

    def forward(self, x: Tensor) -> Tensor:
        return type(self).function(x, **self.settings)

    def extra_repr(self) -> str:
        return ", ".join(f"{k}={v}" for k, v in self.settings.items())


class ReLU(_Activation):
    """max(x, 0)."""

    function = F.relu
    negative_slope = 0.0


class SELU(_Activation):
    """scale · (x where x > 0, else alpha · (exp x - 1)), with the constants of Klambauer et al., 2017."""

    function = F.selu


class Tanh(_Activation):
    """The hyperbolic tangent."""

    function = F.tanh


class Sigmoid(_Activation):
    """1 / (1 + e⁻ˣ), without overflow."""

    function = F.sigmoid


class Softplus(_Activation):
    """log(1 + eˣ), without overflow."""

    function = F.softplus


class SiLU(_Activation):
    """x · sigmoid(x), entry by entry. Elfwing et al. 2018, "Sigmoid-weighted linear units"; also called
    swish."""

    function = F.silu


class LogSigmoid(_Activation):
    """log(1 / (1 + e⁻ˣ)), without overflow."""

    function = F.logsigmoid


class LeakyReLU(_Activation):
    """x where x > 0, else negative_slope · x."""

    function = F.leaky_relu

    @checked()
    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__(negative_slope=negative_slope)

    @property
    def negative_slope(self) -> float:
        """The slope where x is not positive."""
        return self.settings["negative_slope"]


class ELU(_Activation):
    """x where x > 0, else alpha · (exp x - 1)."""

    function = F.elu

    @checked()
    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__(alpha=alpha)


class GELU(_Activation):
    """x · Φ(x), Φ being the normal distribution; with approximate="tanh" by a formula with tanh."""

    function = F.gelu

    @checked()
    def __init__(self, approximate: str = "none") -> None:
        super().__init__(approximate=approximate)


class Softmax(_Activation):
    """exp x / Σ exp x along `axis`, without overflow."""

    function = F.softmax

    @checked()
    def __init__(self, axis: int = -1) -> None:
        super().__init__(axis=axis)


class LogSoftmax(_Activation):
    """x - log Σ exp x along `axis`, without overflow."""

    function = F.log_softmax

    @checked()
    def __init__(self, axis: int = -1) -> None:
        super().__init__(axis=axis)


class GLU(_Activation):
    """One half of the channels, gated by the other."""

    function = F.glu

    @checked()
    def __init__(self, axis: int = -1) -> None:
        super().__init__(axis=axis)


class PReLU(Module):
    """x where x > 0, else weight · x: (N, C, ...) -> the same, with a slope that is learned.

    num_parameters: 1, a slope for all, or C, one for each channel, axis 1. init: the first slope.
    He et al., "Delving deep into rectifiers", 2015, equation 1. ValueError for another number of channels.
    """

    @checked(num_parameters=COUNT, init=NUMBER)
    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        super().__init__()
        self.weight = Parameter(np.full(num_parameters, init, np.float32))

    def forward(self, x: Tensor) -> Tensor:
        return F.prelu(x, self.weight)

    def extra_repr(self) -> str:
        return f"{self.weight.numel()}"


class Maxout(_Activation):
    """The largest of each `pieces` neighbouring channels: C · pieces -> C."""

    function = F.maxout

    @checked()
    def __init__(self, pieces: int, axis: int = 1) -> None:
        super().__init__(pieces=pieces, axis=axis)
