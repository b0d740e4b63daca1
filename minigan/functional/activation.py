"""Activations, with derivatives of every order. At a kink the gradient is that of the left side."""

import math

import numpy as np

import minigan_kernels as kernels
from minigan import backend, random
from minigan.autograd import Function, Tensor
from minigan.checks import integer
from minigan.random import Generator

from .axes import axes_of
from .elementwise import erf, mul
from .leaky import LeakyReLU, slope_of
from .pool import max_pool2d
from .shape import split


def relu(x: Tensor) -> Tensor:
    """max(x, 0)."""
    return LeakyReLU(0.0)(x)


def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x where it is positive, negative_slope · x elsewhere, for a slope in [0, 1]."""
    if negative_slope is None:  # in other ops that stands for no activation
        raise TypeError("leaky_relu: negative_slope must be a number in [0, 1], got None")
    return LeakyReLU(slope_of("leaky_relu", negative_slope))(x)


def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """x where it is positive, alpha · (eˣ - 1) elsewhere, alpha not negative. Clevert et al. 2016."""
    if not 0 <= alpha < math.inf:
        raise ValueError(f"elu: alpha must be at least 0, got {alpha}")
    return ELU(float(alpha))(x)


def selu(x: Tensor) -> Tensor:
    """scale · elu(x, alpha), with the two constants that keep mean 0 and variance 1.

    Klambauer et al., "Self-normalizing neural networks", 2017, equation 2.
    """
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return scale * elu(x, alpha)


def tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return Tanh()(x)


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + e⁻ˣ), without overflow."""
    return Sigmoid()(x)


def softplus(x: Tensor) -> Tensor:
    """log(1 + eˣ), without overflow."""
    return Softplus()(x)


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """x · Φ(x), Φ the normal distribution; or its approximation by "tanh".

    Hendrycks, Gimpel, "Gaussian error linear units", 2016.
    """
    if approximate == "none":
        return 0.5 * x * (1.0 + erf(x * 0.5**0.5))
    if approximate == "tanh":
        return 0.5 * x * (1.0 + tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3)))
    raise ValueError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")


def silu(x: Tensor) -> Tensor:
    """x · sigmoid(x), also called swish. Elfwing, Uchibe, Doya, 2018."""
    return x * sigmoid(x)


def logsigmoid(x: Tensor) -> Tensor:
    """log(1 / (1 + e⁻ˣ)), without overflow."""
    return -softplus(-x)


def glu(x: Tensor, axis: int = -1) -> Tensor:
    """a · sigmoid(b), a and b being the halves of x along `axis`. ValueError where it has none.

    Dauphin et al., "Language modeling with gated convolutional networks", 2017.
    """
    (axis,) = axes_of(axis, x.ndim)
    if x.shape[axis] % 2:
        raise ValueError(f"glu: axis {axis} of {x.shape} has no two halves")
    a, b = split(x, x.shape[axis] // 2, axis)
    return a * sigmoid(b)


def prelu(x: Tensor, weight: Tensor) -> Tensor:
    """x where it is positive, weight · x elsewhere: x (N, C, ...), weight (C,), or (1,) for all channels.

    He et al., "Delving deep into rectifiers", 2015. ValueError for a weight of another shape.
    """
    channels = x.shape[1] if x.ndim > 1 else 1
    if weight.shape not in ((1,), (channels,)):
        raise ValueError(f"prelu: weight must have shape (1,) or ({channels},), got {weight.shape}")
    positive = relu(x)
    return positive + weight.reshape(-1, *(1,) * max(x.ndim - 2, 0)) * (x - positive)


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """exp x / Σ exp x along `axis`, without overflow."""
    return Softmax(axis)(x)


def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """x - log Σ exp x along `axis`, without overflow."""
    return LogSoftmax(axis)(x)


def maxout(x: Tensor, pieces: int, axis: int = 1) -> Tensor:
    """The largest of each `pieces` neighbours along `axis`: C · pieces -> C channels.

    The first of equal values gets the gradient. Goodfellow et al., "Maxout networks", 2013, section 3.
    """
    (axis,) = axes_of(axis, x.ndim)
    before, (C, *after) = x.shape[:axis], x.shape[axis:]
    if C % integer("maxout", "pieces", pieces, 1):
        raise ValueError(f"maxout: {C} channels are no multiple of {pieces} pieces")
    channels = x.reshape(math.prod(before), 1, C, math.prod(after))  # as pixels, one below the other
    return max_pool2d(channels, (pieces, 1)).reshape(*before, C // pieces, *after)


def dropout(x: Tensor, p: float = 0.5, training: bool = True, generator: Generator | None = None) -> Tensor:
    """Each entry set to 0 with probability p, the others divided by 1 - p; x itself outside training.

    generator: a `random.Generator`, by default the one that `minigan.manual_seed` seeds.
    """
    return _dropped("dropout", x, x.shape, p, training, generator)


def dropout2d(x: Tensor, p: float = 0.5, training: bool = True, generator: Generator | None = None) -> Tensor:
    """`dropout` of whole channels of images (N, C, H, W). Tompson et al. 2015. Refuses any other shape."""
    if x.ndim != 4:
        raise ValueError(f"dropout2d: x must have shape (N, C, H, W), got {x.shape}")
    return _dropped("dropout2d", x, (*x.shape[:2], 1, 1), p, training, generator)


def _dropped(name, x, shape, p, training, generator):
    """x with what the coins say, one for each entry of `shape`, set to 0."""
    if not 0 <= p < 1:
        raise ValueError(f"{name}: p must be in [0, 1), got {p}")
    if not training or p == 0:
        return x
    generator = generator or random.default_generator
    u = generator.uniform(shape, device=x.device)
    with backend.beside(u):
        return mul(x, (u >= p).astype(x.dtype) * float(1 / (1 - p)))


class ELU(Function):
    saves = "output"

    def __init__(self, alpha):
        self.alpha = alpha

    def forward(self, x):
        return np.where(x > 0, x, self.alpha * np.expm1(np.minimum(x, 0)))

    def backward(self, gy):
        y = self.output
        positive = y.data > 0
        return gy * (positive + ~positive * (y + self.alpha))


class Tanh(Function):
    saves = "output"

    def forward(self, x):
        return np.tanh(x)

    def backward(self, gy):
        y = self.output
        return gy * (1.0 - y * y)

    def first_order(self, gy, y):
        return kernels.tanh_backward(gy, y)


class Sigmoid(Function):
    saves = "output"

    def forward(self, x):
        return kernels.sigmoid(x)

    def backward(self, gy):
        y = self.output
        return gy * (y * (1.0 - y))

    def first_order(self, gy, y):
        return gy * (y * (1 - y))


class Softplus(Function):
    def forward(self, x):
        return np.logaddexp(0, x)

    def backward(self, gy):
        (x,) = self.inputs
        return gy * sigmoid(x)


class Softmax(Function):
    saves = "output"

    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        return kernels.softmax(x, self.axis)

    def backward(self, gy):
        y = self.output
        return y * (gy - (gy * y).sum(self.axis, keepdims=True))

    def first_order(self, gy, y):
        return kernels.softmax_backward(gy, y, self.axis)


class LogSoftmax(Function):
    saves = "output"

    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        return kernels.log_softmax(x, self.axis)

    def backward(self, gy):
        y = self.output
        return gy - y.exp() * gy.sum(self.axis, keepdims=True)

    def first_order(self, gy, y):
        return kernels.log_softmax_backward(gy, y, self.axis)
