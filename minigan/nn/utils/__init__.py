"""What is done to gradients and to layers from outside, under PyTorch's names."""

from . import parametrizations
from .clip import clip_grad_norm

__all__ = ["clip_grad_norm", "parametrizations"]
