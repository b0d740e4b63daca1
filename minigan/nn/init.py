"""Initial weights, drawn into a tensor in place. Names are PyTorch's.

Every function takes a floating tensor, returns it, and draws from `generator`, by default the one
that `minigan.manual_seed` seeds. fan_in and fan_out count a weight (out, in, ...) as PyTorch does.
"""

import math

import numpy as np

from minigan import random
from minigan.arguments import NUMBER, checked, instance, one_of
from minigan.autograd import Tensor, no_grad
from minigan.random import Generator

MODE, NAME = one_of("fan_in", "fan_out"), instance(str, "the name of a nonlinearity")


@checked()
def constant_(tensor: Tensor, value: float) -> Tensor:
    """`value` everywhere, in place. Returns the tensor."""
    return _fill(tensor, value)


@checked()
def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere, in place. Returns the tensor."""
    return _fill(tensor, 0.0)


@checked()
def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere, in place. Returns the tensor."""
    return _fill(tensor, 1.0)


@checked()
def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Normal numbers, in place, drawn from `generator`. Returns the tensor."""

    numbers = _generator(generator).normal(tensor.shape, mean, std, tensor.dtype.type, tensor.device)
    return _fill(tensor, numbers)


@checked(a=NUMBER, b=NUMBER)
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform numbers in [a, b), in place, drawn from `generator`. Returns the tensor."""
    return _fill(tensor, _generator(generator).uniform(tensor.shape, a, b, tensor.dtype.type, tensor.device))


@checked()
def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal numbers of variance gain² · 2 / (fan_in + fan_out), in place. Glorot, Bengio 2010, equation
    12."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor))), generator)


@checked()
def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform numbers of variance gain² · 2 / (fan_in + fan_out), in place. Glorot, Bengio 2010, equation
    16."""
    bound = gain * math.sqrt(6 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


@checked(a=NUMBER, mode=MODE, nonlinearity=NAME)
def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Normal numbers of variance gain² / fan, in place. He et al. 2015, equations 10 and 15.

    a: the slope of leaky_relu. mode: "fan_in" or "fan_out". The gain is `calculate_gain(nonlinearity, a)`.
    """
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode)), generator)


@checked(a=NUMBER, mode=MODE, nonlinearity=NAME)
def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Uniform numbers of variance gain² / fan, in place. He et al. 2015, equations 10 and 15.

    a: the slope of leaky_relu. mode: "fan_in" or "fan_out". The gain is `calculate_gain(nonlinearity, a)`.
    """
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3 / _fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


@checked()
def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Orthonormal rows or columns of the (out, rest) matrix, times gain. Saxe et al. 2014."""
    rows = tensor.shape[0]
    shape = rows, tensor.numel() // rows
    flat = _generator(generator).normal(shape, dtype=np.float64, device="cpu")  # the QR of NumPy's LAPACK
    q, r = np.linalg.qr(flat if flat.shape[0] >= flat.shape[1] else flat.T)
    q = q * np.sign(np.diag(r))  # makes the distribution uniform over orthogonal matrices
    q = q if flat.shape[0] >= flat.shape[1] else q.T
    return _fill(tensor, gain * q.reshape(tensor.shape))


@checked(a=NUMBER, nonlinearity=NAME)
def calculate_gain(nonlinearity: str, a: float = 0.01) -> float:
    """The factor that keeps the variance through a nonlinearity. ValueError for an unknown one."""
    gains = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + a * a)),
        "selu": 3 / 4,
    }
    if nonlinearity not in gains:
        raise ValueError(f"unknown nonlinearity {nonlinearity!r}; there are: {', '.join(gains)}")
    return gains[nonlinearity]


@checked()
def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out). ValueError for a tensor of fewer than two axes."""
    if tensor.ndim < 2:
        raise ValueError(f"fan in and out need a tensor of at least two axes, got shape {tensor.shape}")
    receptive = math.prod(tensor.shape[2:])
    return tensor.shape[1] * receptive, tensor.shape[0] * receptive


def _fan(tensor, mode):
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode must be 'fan_in' or 'fan_out', got {mode!r}")
    return fans(tensor)[mode == "fan_out"]


def _generator(generator):
    return generator or random.default_generator


def _fill(tensor, values):
    if not tensor.is_leaf:  # as a weight behind a spectral norm is
        made = type(tensor.creator).__name__
        raise ValueError(f"tensor is made by {made}, and would be made anew: draw what it is made of")
    with no_grad():
        return tensor.copy_(values)
