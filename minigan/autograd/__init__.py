"""Tensors, ops and reverse-mode differentiation, to any order."""

from .function import Function
from .grad import blame, grad
from .modes import detect_anomaly, enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from .tensor import Operand, Tensor, from_dlpack

__all__ = [
    "Function",
    "Operand",
    "Tensor",
    "blame",
    "detect_anomaly",
    "enable_grad",
    "from_dlpack",
    "grad",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
]
