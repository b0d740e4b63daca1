"""Pooling. Each op is linear once the winners are known, and its gradient is its adjoint."""

import minigan_kernels as kernels
from minigan.autograd import Function, Tensor
from minigan.checks import integer

from .conv import pair
from .reduce import mean
from .shape import concat, narrow


def max_pool2d(
    x: Tensor,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
) -> Tensor:
    """The largest value of each window: x (N, C, H, W) -> (N, C, OH, OW), of stride `kernel_size` by default.

    The first of equal values gets the gradient. ValueError for a window that does not fit, or a
    padding of more than half of it.
    """
    _check_images("max_pool2d", x)
    size = pair(kernel_size)
    return MaxPool2d(size, size if stride is None else pair(stride), pair(padding))(x)


def avg_pool2d(
    x: Tensor,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
) -> Tensor:
    """The mean of each window, padding counted as zeros: x (N, C, H, W) -> (N, C, OH, OW)."""
    _check_images("avg_pool2d", x)
    size = pair(kernel_size)
    return AvgPool2d(size, size if stride is None else pair(stride), pair(padding))(x)


def min_pool2d(
    x: Tensor,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
) -> Tensor:
    """The smallest value of each window: `max_pool2d` the other way round, and its errors."""
    return -max_pool2d(-x, kernel_size, stride, padding)


def adaptive_avg_pool1d(x: Tensor, output_size: int) -> Tensor:
    """x (N, C, L) -> (N, C, output_size): means of windows that lie evenly, as in `adaptive_avg_pool2d`."""
    if x.ndim != 3:
        raise ValueError(f"adaptive_avg_pool1d: x must have shape (N, C, L), got {x.shape}")
    return _means(x, 2, integer("adaptive_avg_pool1d", "output_size", output_size, 1))


def adaptive_avg_pool2d(x: Tensor, output_size: int | tuple[int, int]) -> Tensor:
    """x (N, C, H, W) -> (N, C, *output_size): means of windows that lie evenly and leave no pixel out.

    output_size: an integer or two. Of n pixels, window i of m reaches from ⌊i·n/m⌋ to ⌈(i + 1)·n/m⌉; where m
    does not divide n they overlap. ValueError for an x of other axes or without pixels.
    """
    _check_images("adaptive_avg_pool2d", x)
    rows, columns = pair(output_size)
    if x.shape[2] % rows == 0 and x.shape[3] % columns == 0:
        return avg_pool2d(x, (x.shape[2] // rows, x.shape[3] // columns))
    return _means(_means(x, 2, rows), 3, columns)


def _means(x, axis, m):
    n = x.shape[axis]
    windows = [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
    return concat([mean(narrow(x, axis, a, b - a), axis, keepdims=True) for a, b in windows], axis)


def _check_images(name, x):
    if x.ndim != 4:
        raise ValueError(f"{name}: x must have shape (N, C, H, W), got {x.shape}")


class MaxPool2d(Function):
    saves = ""

    def __init__(self, *window):
        self.window = window

    def forward(self, x):
        y, self.index = kernels.max_pool2d(x, *self.window)
        return y

    def backward(self, gy):
        return PixelsScatter(self.index, self.shapes[0][2:], self.window)(gy)


class PixelsScatter(Function):
    saves = ""

    def __init__(self, index, size, window):
        self.index, self.size, self.window = index, size, window

    def forward(self, y):
        return kernels.pixels_scatter(y, self.index, self.size, self.window)

    def backward(self, gx):
        return PixelsGather(self.index, self.window)(gx)


class PixelsGather(Function):
    saves = ""

    def __init__(self, index, window):
        self.index, self.window = index, window

    def forward(self, x):
        return kernels.pixels_gather(x, self.index)

    def backward(self, gy):
        return PixelsScatter(self.index, self.shapes[0][2:], self.window)(gy)


class AvgPool2d(Function):
    saves = ""

    def __init__(self, *window):
        self.window = window

    def forward(self, x):
        return kernels.avg_pool2d(x, *self.window)

    def backward(self, gy):
        return AvgPool2dInput(self.shapes[0][2:], *self.window)(gy)


class AvgPool2dInput(Function):
    saves = ""

    def __init__(self, size, *window):
        self.size, self.window = size, window

    def forward(self, gy):
        return kernels.avg_pool2d_input(gy, self.size, *self.window)

    def backward(self, gx):
        return AvgPool2d(*self.window)(gx)
