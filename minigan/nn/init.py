"""Initial weights, drawn into a tensor in place. Names are PyTorch's.

Every function takes a floating tensor, returns it, and draws from `generator`, by default the one
that `minigan.manual_seed` seeds. fan_in and fan_out count a weight (out, in, ...) as PyTorch does.
"""

import math

import numpy as np

from minigan import random
from minigan.arguments import NUMBER, checked, instance, one_of
from minigan.autograd import no_grad

MODE, NAME = one_of("fan_in", "fan_out"), instance(str, "the name of a nonlinearity")


@checked()
def constant_(tensor, value):
    return _fill(tensor, value)


@checked()
def zeros_(tensor):
    return _fill(tensor, 0.0)


@checked()
def ones_(tensor):
    return _fill(tensor, 1.0)


@checked()
def normal_(tensor, mean=0.0, std=1.0, generator=None):
    numbers = _generator(generator).normal(tensor.shape, mean, std, tensor.dtype.type, tensor.device)
    return _fill(tensor, numbers)


@checked(a=NUMBER, b=NUMBER)
def uniform_(tensor, a=0.0, b=1.0, generator=None):
    return _fill(tensor, _generator(generator).uniform(tensor.shape, a, b, tensor.dtype.type, tensor.device))


@checked()
def xavier_normal_(tensor, gain=1.0, generator=None):
    """Variance gain² · 2 / (fan_in + fan_out). Glorot, Bengio 2010, equation 12."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor))), generator)


@checked()
def xavier_uniform_(tensor, gain=1.0, generator=None):
    """The same variance, uniform. Glorot, Bengio 2010, equation 16."""
    bound = gain * math.sqrt(6 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


@checked(a=NUMBER, mode=MODE, nonlinearity=NAME)
def kaiming_normal_(tensor, a=0.0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Variance gain² / fan. He et al. 2015, equations 10 and 15; `a` is the slope of leaky_relu."""
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode)), generator)


@checked(a=NUMBER, mode=MODE, nonlinearity=NAME)
def kaiming_uniform_(tensor, a=0.0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """The same variance, uniform."""
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3 / _fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


@checked()
def orthogonal_(tensor, gain=1.0, generator=None):
    """Orthonormal rows or columns of the (out, rest) matrix, times gain. Saxe et al. 2014."""
    rows = tensor.shape[0]
    shape = rows, tensor.numel() // rows
    flat = _generator(generator).normal(shape, dtype=np.float64, device="cpu")  # the QR of NumPy's LAPACK
    q, r = np.linalg.qr(flat if flat.shape[0] >= flat.shape[1] else flat.T)
    q = q * np.sign(np.diag(r))  # makes the distribution uniform over orthogonal matrices
    q = q if flat.shape[0] >= flat.shape[1] else q.T
    return _fill(tensor, gain * q.reshape(tensor.shape))


@checked(a=NUMBER, nonlinearity=NAME)
def calculate_gain(nonlinearity, a=0.01) -> float:
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
def fans(tensor) -> tuple[int, int]:
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
    with no_grad():
        return tensor.copy_(values)
