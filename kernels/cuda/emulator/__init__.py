"""Runs CUDA C++ kernels on the CPU: the very .cu files, compiled by g++."""

from .build import missing
from .run import EmulatorFault, Program, order, traps

__all__ = ["EmulatorFault", "Program", "missing", "order", "traps"]
