"""Pooling. Each op is linear once the winners are known, and its gradient is its adjoint."""

import minigan_kernels as kernels
from minigan.autograd import Function

from .conv import pair


def max_pool2d(x, kernel_size, stride=None, padding=0):
    """The largest value of each window: x (N, C, H, W) -> (N, C, OH, OW), of stride `kernel_size` by default.

    The first of equal values gets the gradient. ValueError for a window that does not fit, or a
    padding of more than half of it.
    """
    _check_images("max_pool2d", x)
    size = pair(kernel_size)
    return MaxPool2d(size, size if stride is None else pair(stride), pair(padding))(x)


def avg_pool2d(x, kernel_size, stride=None, padding=0):
    """The mean of each window, padding counted as zeros: x (N, C, H, W) -> (N, C, OH, OW)."""
    _check_images("avg_pool2d", x)
    size = pair(kernel_size)
    return AvgPool2d(size, size if stride is None else pair(stride), pair(padding))(x)


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
