"""Convolutions of sequences, images and clips. Arguments, names and initial weights are PyTorch's."""

import math
from typing import Any

import numpy as np

from minigan import functional as F
from minigan.arguments import FLAG, checked, window
from minigan.autograd import Tensor
from minigan.functional.conv import several
from minigan.random import Generator

from . import init
from .module import Module, Parameter


class _Conv(Module):
    """What all convolutions share."""

    axes = 2
    transposed = False
    function: Any = None  # of minigan.functional

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        settings: dict[str, Any],
        bias: bool,
        generator: Generator | None,
        padding_mode: str = "zeros",
    ) -> None:
        super().__init__()
        for name, value in {"kernel_size": kernel_size, **settings}.items():
            if name != "groups":
                window(self.axes)[name].check(type(self).__name__, name, value)
        kernel, groups = several(kernel_size, self.axes), settings["groups"]
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{type(self).__name__}: groups={groups} must divide the channels, "
                f"{in_channels} in and {out_channels} out"
            )
        self.settings, self.padding_mode = settings, padding_mode
        first, second = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        # Channels-last in memory, as the images are.
        weight = np.moveaxis(np.empty((first, *kernel, second // groups), np.float32), -1, 1)
        self.weight = Parameter(weight)
        self.bias = Parameter(np.empty(out_channels, np.float32)) if bias else None
        reset(self, second // groups * math.prod(kernel), generator)

    def forward(self, x: Tensor, negative_slope: float | None = None) -> Tensor:
        settings = self.settings
        border = several(settings["padding"], self.axes)
        if self.padding_mode != "zeros" and any(border):
            x = F.pad(x, [n for n in border[::-1] for _ in range(2)], self.padding_mode)
            settings = settings | {"padding": 0}
        return self.function(x, self.weight, self.bias, **settings, negative_slope=negative_slope)

    def extra_repr(self) -> str:
        defaults: dict[str, Any] = {
            "stride": 1,
            "padding": 0,
            "output_padding": 0,
            "dilation": 1,
            "groups": 1,
        }
        defaults["padding_mode"] = "zeros"
        settings = self.settings | {"padding_mode": self.padding_mode}
        return ", ".join(f"{k}={v}" for k, v in settings.items() if v != defaults[k])


class _Direct(_Conv):
    @checked(bias=FLAG, **window())
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        generator: Generator | None = None,
        padding_mode: str = "zeros",
    ) -> None:
        settings = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        super().__init__(in_channels, out_channels, kernel_size, settings, bias, generator, padding_mode)


class _Transposed(_Conv):
    transposed = True

    @checked(bias=FLAG, **window())
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        output_padding: int | tuple[int, ...] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, ...] = 1,
        generator: Generator | None = None,
    ) -> None:
        settings = {
            "stride": stride,
            "padding": padding,
            "output_padding": output_padding,
            "groups": groups,
            "dilation": dilation,
        }
        super().__init__(in_channels, out_channels, kernel_size, settings, bias, generator)


class Conv1d(_Direct):
    """Convolution of (N, in_channels, L); weight (out_channels, in_channels / groups, K).

    padding_mode: what the border is made of, "zeros", "reflect" or "replicate", as in `F.pad`.
    """

    axes = 1
    function = staticmethod(F.conv1d)


class Conv2d(_Direct):
    """Convolution of (N, in_channels, H, W); weight (out_channels, in_channels / groups, KH, KW).

    padding_mode: what the border is made of, "zeros", "reflect" or "replicate", as in `F.pad`.
    """

    function = staticmethod(F.conv2d)


class Conv3d(_Direct):
    """Convolution of (N, in_channels, D, H, W); weight (out_channels, in_channels / groups, KD, KH, KW).

    padding_mode: what the border is made of, "zeros", "reflect" or "replicate", as in `F.pad`.
    """

    axes = 3
    function = staticmethod(F.conv3d)


class ConvTranspose1d(_Transposed):
    """Transposed convolution of (N, in_channels, L); weight (in_channels, out_channels / groups, K)."""

    axes = 1
    function = staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_Transposed):
    """Transposed convolution of images; weight (in_channels, out_channels / groups, KH, KW)."""

    function = staticmethod(F.conv_transpose2d)


class ConvTranspose3d(_Transposed):
    """Transposed convolution of clips; weight (in_channels, out_channels / groups, KD, KH, KW)."""

    axes = 3
    function = staticmethod(F.conv_transpose3d)


def reset(layer, fan_in, generator):
    """PyTorch's initial weights: uniform within 1 / √fan_in, weight and bias alike."""
    bound = 1 / math.sqrt(max(fan_in, 1))
    init.uniform_(layer.weight, -bound, bound, generator)
    if layer.bias is not None:
        init.uniform_(layer.bias, -bound, bound, generator)
