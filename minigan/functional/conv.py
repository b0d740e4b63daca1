"""Convolution as a closed trio: three bilinear ops, the gradients of each are the other two.

With y = conv2d(x, w), and ⟨·,·⟩ the sum of products,

    ⟨conv2d(x, w), gy⟩ = ⟨x, conv_transpose2d(gy, w)⟩ = ⟨w, conv2d_weight(x, gy)⟩

so three ops give derivatives of every order. A stride, padding or dilation is an integer or a
pair, rows first. Dumoulin, Visin, "A guide to convolution arithmetic for deep learning", 2016.
"""

from dataclasses import dataclass
from numbers import Integral
from operator import index
from typing import Any

import minigan_kernels as kernels
from minigan.autograd import Function, Tensor
from minigan.checks import integer, shown

from .border import pad
from .leaky import Activated, slope_of
from .reduce import channel_sums


def conv2d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    negative_slope: float | None = None,
) -> Tensor:
    """Cross-correlation: x (N, C, H, W), w (O, C/groups, KH, KW), b (O,) -> (N, O, OH, OW).

    OH = ⌊(H + 2·padding - dilation·(KH - 1) - 1) / stride⌋ + 1. float32 or float64.
    negative_slope: that of a `leaky_relu` of it, in the pass that adds b; None for none.
    ValueError for shapes that do not fit, TypeError for mixed dtypes.
    """
    geometry = _geometry("conv2d", stride, padding, dilation, groups)
    check_bias("conv2d", b, w.shape[:1])
    return Conv2d(geometry, slope_of("conv2d", negative_slope))(x, w, b)


def conv_transpose2d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    output_padding: int | tuple[int, int] = 0,
    groups: int = 1,
    dilation: int | tuple[int, int] = 1,
    negative_slope: float | None = None,
) -> Tensor:
    """The x-adjoint of `conv2d`: x (N, O, H, W), w (O, C/groups, KH, KW), b (C,) -> (N, C, OH, OW).

    OH = (H - 1)·stride - 2·padding + dilation·(KH - 1) + output_padding + 1. Slope and errors as in `conv2d`;
    ValueError also for an output_padding that is not below the stride or the dilation.
    """
    geometry = _geometry("conv_transpose2d", stride, padding, dilation, groups)
    extra = pair(output_padding)
    check_extra("conv_transpose2d", extra, geometry.stride, geometry.dilation)
    if x.ndim != 4 or w.ndim != 4:
        raise ValueError(f"conv_transpose2d: x and w need 4 axes, got shapes {x.shape} and {w.shape}")
    if x.shape[1] != w.shape[0]:
        raise ValueError(f"conv_transpose2d: x has {x.shape[1]} channels, w expects {w.shape[0]}")
    size = kernels.transposed_size(
        x.shape[2:], w.shape[2:], geometry.stride, geometry.padding, geometry.dilation, extra
    )
    if min(size) < 1:
        given = f"an image of {x.shape[2:]} and a kernel of {w.shape[2:]}, stride={geometry.stride}"
        raise ValueError(f"conv_transpose2d: {given} and padding={geometry.padding} would give one of {size}")
    # Where a dilation allows whole strides of output_padding, conv2d would see more pixels: zeros.
    rows, columns = (e // s for e, s in zip(extra, geometry.stride, strict=True))
    x = pad(x, (0, columns, 0, rows)) if rows or columns else x
    check_bias("conv_transpose2d", b, (w.shape[1] * groups,))
    return ConvTranspose2d(geometry, size, slope_of("conv_transpose2d", negative_slope))(x, w, b)


def conv2d_weight(
    x: Tensor,
    gy: Tensor,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Tensor:
    """The w-adjoint of `conv2d`: x (N, C, H, W), gy (N, O, OH, OW) -> (O, C/groups, KH, KW).

    Errors as `conv2d`.
    """
    geometry = _geometry("conv2d_weight", stride, padding, dilation, groups)
    return Conv2dWeight(geometry, pair(kernel_size))(x, gy)


def pair(n):
    """An integer for both axes of an image, or the two as they are. TypeError for anything else."""
    if type(n) is int:
        return n, n
    rows, columns = (n, n) if isinstance(n, Integral) else n
    return index(rows), index(columns)


def several(n: Any, count: int) -> Any:
    """An integer for each of `count` axes, or as many as they are. ValueError for another number of them."""
    numbers = (n,) * count if isinstance(n, Integral) else tuple(n)
    if len(numbers) != count:
        raise ValueError(f"expected an integer for each of {count} axes, got {shown(n)}")
    return tuple(map(index, numbers))


def check_axes(name, axes, **tensors):
    """ValueError unless each has as many axes as `axes` has letters, those of the first one's shape."""
    for argument, tensor in tensors.items():
        if tensor.ndim != len(axes):
            needed = f"have shape ({', '.join(axes)})" if argument == "x" else f"have {len(axes)} axes"
            raise ValueError(f"{name}: {argument} must {needed}, got {tensor.shape}")


def check_fit(name, size, kernel, stride, padding, dilation=None):
    """The size of what a window makes of `size`, with any number of axes. ValueError where it is nothing."""
    dilation = dilation or (1,) * len(kernel)
    check_numbers(name, kernel, stride, padding, dilation)
    out = kernels.out_size(size, kernel, stride, padding, dilation)
    if min(out) < 1:
        span = "x".join(str(d * (k - 1) + 1) for k, d in zip(kernel, dilation, strict=True))
        given = "x".join(map(str, size))
        raise ValueError(f"{name}: a kernel that spans {span} does not fit {given} with padding {padding}")
    return out


def check_numbers(name, kernel, stride, padding, dilation):
    """ValueError for one that no window can have."""
    for what, numbers, least in (
        ("kernel_size", kernel, 1),
        ("stride", stride, 1),
        ("padding", padding, 0),
        ("dilation", dilation, 1),
    ):
        if min(numbers) < least:
            raise ValueError(f"{name}: {what} must be at least {least}, got {numbers}")


def check_extra(name, extra, stride, dilation):
    """ValueError for an output_padding that an input could not have lost."""
    if any(not 0 <= e < max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise ValueError(f"{name}: output_padding {extra} must be below the stride or the dilation")


def _geometry(name, stride, padding, dilation, groups):
    return Geometry(pair(stride), pair(padding), pair(dilation), integer(name, "groups", groups, 1))


def check_bias(name, b, shape):
    if b is not None and b.shape != shape:
        raise ValueError(f"{name}: the bias has shape {b.shape}, expected {shape}")


def _finished(y, b, slope):
    """y with its bias and its activation, if there are any."""
    if b is not None:
        kernels.add_bias(y, b, slope)  # y is new: nobody else sees it change
    elif slope is not None:
        y = kernels.leaky_relu(y, slope)
    return y


@dataclass(frozen=True)
class Geometry:
    """How the window of a convolution moves: pairs, rows first."""

    stride: tuple
    padding: tuple
    dilation: tuple
    groups: int

    @property
    def window(self):
        return self.stride, self.padding, self.dilation

    @property
    def args(self):
        return self.stride, self.padding, self.dilation, self.groups


class Conv2d(Activated):
    """Cross-correlation of images x by filters w, plus a bias b: bilinear in x and w."""

    def __init__(self, geometry, slope=None):
        super().__init__(slope)
        self.geometry = geometry

    def forward(self, x, w, b):
        return _finished(kernels.conv2d(x, w, *self.geometry.args), b, self.slope)

    def backward(self, gy):
        x, w, _ = self.inputs
        g = self.before(gy)
        gx = ConvTranspose2d(self.geometry, x.shape[2:])(g, w, None) if self.wanted[0] else None
        gw = Conv2dWeight(self.geometry, w.shape[2:])(x, g) if self.wanted[1] else None
        return gx, gw, channel_sums(g) if self.wanted[2] else None

    def first_order(self, gy, x, w, b, y=None):
        g, gb = self.arrays_before(gy, y)
        args = self.geometry.args
        gx = kernels.conv2d_input(g, w, x.shape[2:], *args) if self.wanted[0] else None
        gw = kernels.conv2d_weight(x, g, w.shape[2:], *args) if self.wanted[1] else None
        return gx, gw, gb


class ConvTranspose2d(Activated):
    """The x-adjoint of `Conv2d`, to images of `size`, plus a bias b: bilinear in x and w."""

    def __init__(self, geometry, size, slope=None):
        super().__init__(slope)
        self.geometry, self.size = geometry, size

    def forward(self, x, w, b):
        return _finished(kernels.conv2d_input(x, w, self.size, *self.geometry.args), b, self.slope)

    def backward(self, gy):
        x, w, _ = self.inputs
        g = self.before(gy)
        gx = Conv2d(self.geometry)(g, w, None) if self.wanted[0] else None
        gw = Conv2dWeight(self.geometry, w.shape[2:])(g, x) if self.wanted[1] else None
        return gx, gw, channel_sums(g) if self.wanted[2] else None

    def first_order(self, gy, x, w, b, y=None):
        g, gb = self.arrays_before(gy, y)
        args = self.geometry.args
        gx = kernels.conv2d(g, w, *args) if self.wanted[0] else None
        gw = kernels.conv2d_weight(g, x, w.shape[2:], *args) if self.wanted[1] else None
        return gx, gw, gb


class Conv2dWeight(Function):
    """The w-adjoint of `Conv2d`, for filters of `kernel_size`: bilinear in x and gy."""

    def __init__(self, geometry, kernel_size):
        self.geometry, self.kernel_size = geometry, kernel_size

    def forward(self, x, gy):
        return kernels.conv2d_weight(x, gy, self.kernel_size, *self.geometry.args)

    def backward(self, gw):
        x, gy = self.inputs
        ggx = ConvTranspose2d(self.geometry, x.shape[2:])(gy, gw, None) if self.wanted[0] else None
        ggy = Conv2d(self.geometry)(x, gw, None) if self.wanted[1] else None
        return ggx, ggy
