"""Optimisers over flat parameter buffers, and learning-rate schedules."""

from . import lr_scheduler
from .optimizer import Optimizer
from .optimizers import SGD, Adam, RMSprop

__all__ = ["SGD", "Adam", "Optimizer", "RMSprop", "lr_scheduler"]
