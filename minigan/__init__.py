"""minigan: a from-scratch autograd engine, and the GAN training loops it drives."""

from . import functional
from .autograd import (
    Function,
    Tensor,
    detect_anomaly,
    enable_grad,
    from_dlpack,
    grad,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from .errors import MiniganError, NonFiniteError
from .graph import graph
from .random import Generator, manual_seed

__version__ = "0.1.0"

__all__ = [
    "Function",
    "Generator",
    "MiniganError",
    "NonFiniteError",
    "Tensor",
    "detect_anomaly",
    "enable_grad",
    "from_dlpack",
    "functional",
    "grad",
    "graph",
    "is_grad_enabled",
    "manual_seed",
    "no_grad",
    "set_grad_enabled",
]
