"""Optimisers over flat parameter buffers, learning-rate schedules, and the moving average of weights."""

from . import lr_scheduler
from .average import ExponentialMovingAverage
from .optimizer import Optimizer
from .optimizers import SGD, Adam, AdamW, RMSprop

__all__ = ["SGD", "Adam", "AdamW", "ExponentialMovingAverage", "Optimizer", "RMSprop", "lr_scheduler"]
