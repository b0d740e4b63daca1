"""Layers that change the size of images, sequences and clips: borders, pooling, resampling.

Arguments and names are PyTorch's; what each makes, its formula and its errors are those of the function of
`minigan.functional`.
"""

from typing import Any

from minigan import functional as F
from minigan.arguments import checked, integer, sizes, window
from minigan.autograd import Tensor

from .module import Module


class _Resize(Module):
    """A layer without parameters: a function with settings."""

    function: Any = None  # of minigan.functional

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, **self.settings)

    def extra_repr(self) -> str:
        return ", ".join(f"{k}={v!r}" for k, v in self.settings.items() if v)


# Borders


class _Border(_Resize):
    axes = 2
    mode = "constant"

    @checked(padding=sizes(0))
    def __init__(self, padding: int | tuple[int, ...]) -> None:
        sizes(0, 2 * self.axes).check(type(self).__name__, "padding", padding)
        super().__init__(padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != self.axes + 2:
            raise ValueError(f"{type(self).__name__}: x has {x.ndim} axes, expected {self.axes + 2}")
        padding = self.settings["padding"]
        padding = (padding,) * 2 * self.axes if isinstance(padding, int) else padding
        return F.pad(x, padding, self.mode)


class ZeroPad2d(_Border):
    """A border of zeros around images (N, C, H, W). padding: an integer, or (left, right, top, bottom)."""


class ReflectionPad1d(_Border):
    """Sequences (N, C, L), mirrored at both ends. padding: an integer, or (before, after)."""

    axes = 1
    mode = "reflect"


class ReflectionPad2d(_Border):
    """Images (N, C, H, W) with a border that mirrors them. padding: an integer, or (left, right, top,
    bottom), each less than the size."""

    mode = "reflect"


class ReplicationPad1d(_Border):
    """Sequences (N, C, L), their ends repeated. padding: an integer, or (before, after)."""

    axes = 1
    mode = "replicate"


class ReplicationPad2d(_Border):
    """Images (N, C, H, W) with a border that repeats their outermost pixels. padding: an integer, or (left,
    right, top, bottom)."""

    mode = "replicate"


# Pooling


class _Pool(_Resize):
    axes = 2

    @checked(**window())
    def __init__(
        self,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] | None = None,
        padding: int | tuple[int, ...] = 0,
    ) -> None:
        kinds = window(self.axes)
        for name, value in (("kernel_size", kernel_size), ("stride", stride), ("padding", padding)):
            if value is not None:
                kinds[name].check(type(self).__name__, name, value)
        super().__init__(kernel_size=kernel_size, stride=stride, padding=padding)


class MaxPool1d(_Pool):
    """The largest value of each window of sequences: (N, C, L) -> (N, C, OL)."""

    axes = 1
    function = staticmethod(F.max_pool1d)


class MaxPool2d(_Pool):
    """The largest value of each window of images: (N, C, H, W) -> (N, C, OH, OW)."""

    function = staticmethod(F.max_pool2d)


class MaxPool3d(_Pool):
    """The largest value of each window of clips: (N, C, D, H, W) -> (N, C, OD, OH, OW)."""

    axes = 3
    function = staticmethod(F.max_pool3d)


class MinPool2d(_Pool):
    """The smallest value of each window of images: (N, C, H, W) -> (N, C, OH, OW)."""

    function = staticmethod(F.min_pool2d)


class AvgPool1d(_Pool):
    """The mean of each window of sequences, padding counted as zeros: (N, C, L) -> (N, C, OL)."""

    axes = 1
    function = staticmethod(F.avg_pool1d)


class AvgPool2d(_Pool):
    """The mean of each window of images, padding counted as zeros: (N, C, H, W) -> (N, C, OH, OW)."""

    function = staticmethod(F.avg_pool2d)


class AvgPool3d(_Pool):
    """The mean of each window of clips, padding counted as zeros: (N, C, D, H, W) -> (N, C, OD, OH, OW)."""

    axes = 3
    function = staticmethod(F.avg_pool3d)


class AdaptiveAvgPool1d(_Resize):
    """Means over windows that lie evenly: (N, C, L) -> (N, C, output_size)."""

    function = staticmethod(F.adaptive_avg_pool1d)

    @checked(output_size=integer(1))
    def __init__(self, output_size: int) -> None:
        super().__init__(output_size=output_size)


class AdaptiveAvgPool2d(_Resize):
    """Means over windows that lie evenly: (N, C, H, W) -> (N, C, *output_size)."""

    function = staticmethod(F.adaptive_avg_pool2d)

    @checked()
    def __init__(self, output_size: int | tuple[int, int]) -> None:
        super().__init__(output_size=output_size)


# Resampling


class Upsample(_Resize):
    """Images, sequences or clips of another size, by "nearest" or by "linear", "bilinear", "bicubic" or
    "trilinear" interpolation."""

    function = staticmethod(F.interpolate)

    @checked()
    def __init__(
        self,
        size: int | tuple[int, ...] | None = None,
        scale_factor: float | tuple[float, ...] | None = None,
        mode: str = "nearest",
        align_corners: bool = False,
    ) -> None:
        super().__init__(size=size, scale_factor=scale_factor, mode=mode, align_corners=align_corners)


class PixelShuffle(_Resize):
    """Each r² channels as an r by r block of pixels: (N, C·r², H, W) -> (N, C, H·r, W·r)."""

    function = staticmethod(F.pixel_shuffle)

    @checked()
    def __init__(self, upscale_factor: int) -> None:
        super().__init__(upscale_factor=upscale_factor)


class PixelUnshuffle(_Resize):
    """Each r by r block of pixels as r² channels: (N, C, H·r, W·r) -> (N, C·r², H, W)."""

    function = staticmethod(F.pixel_unshuffle)

    @checked()
    def __init__(self, downscale_factor: int) -> None:
        super().__init__(downscale_factor=downscale_factor)
