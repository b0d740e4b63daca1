"""LeakyReLU, and with a slope of 0 ReLU: by itself, or in the same pass over memory as what it follows."""

import minigan_kernels as kernels
from minigan.autograd import Function


def slope_of(name, negative_slope):
    """The slope as a float; None, for no activation, as it is."""
    if negative_slope is None:
        return None
    if not 0 <= negative_slope <= 1:
        raise ValueError(f"{name}: negative_slope must be in [0, 1], got {negative_slope}")
    return float(negative_slope)


class LeakyReLU(Function):
    saves = "output"  # has the sign of the input, and the next layer keeps it anyway

    def __init__(self, slope):
        self.slope = slope

    def forward(self, x):
        return kernels.leaky_relu(x, self.slope)

    def backward(self, gy):
        return LeakyReLUGradient(self.slope)(gy, self.output.detach())

    def first_order(self, gy, y):
        return kernels.leaky_relu_backward(gy, y, self.slope)


class LeakyReLUGradient(Function):
    """gy where y is positive, slope · gy elsewhere: linear in gy, and so its own gradient."""

    def __init__(self, slope):
        self.slope = slope

    def forward(self, gy, y):
        return kernels.leaky_relu_backward(gy, y, self.slope)

    def backward(self, ggy):
        _, y = self.inputs
        return LeakyReLUGradient(self.slope)(ggy, y), None


class Activated(Function):
    """An op with a bias, of shape (N, C, ...), that a LeakyReLU may follow in the same pass."""

    def __init__(self, slope=None):
        self.slope = slope
        if slope is not None:
            self.saves = "inputs and output"

    def before(self, gy):
        """The gradient before the activation, of the one after it."""
        return gy if self.slope is None else LeakyReLUGradient(self.slope)(gy, self.output.detach())

    def arrays_before(self, gy, y):
        """The gradient before the activation, of the array gy of the one after it, y being the output if
        there is an activation; and the gradient of the bias, if that is wanted."""
        if self.slope is None:
            return gy, kernels.channel_sums(gy) if self.wanted[2] else None
        if self.wanted[2]:
            return kernels.bias_leaky_relu_backward(gy, y, self.slope)
        return kernels.leaky_relu_backward(gy, y, self.slope), None
