"""Optimiser steps, each one launch over the flat arrays.

Settings are rounded to float32 as NumPy rounds a Python float that meets an array; Adam's corrections for
the step are made in float64 by the kernel, of a step that the host knows or an array holds, so that both give
the same bits. What is changed in place has to be contiguous.
"""

import numpy as np

from ..arrays import array_module
from .grids import RESIDENT, THREADS, blocks_for
from .launch import Source, known_or_counted

OPTIM = Source("optim.cu")
SOURCES = [OPTIM]


def sgd(p, g, buf, lr, momentum, dampening, weight_decay, nesterov, first):
    """p and buf of `minigan_kernels.sgd`, in place. All are flat, of one length."""
    if not momentum:
        _launch("sgd", (p, g), np.float32(lr), np.float32(weight_decay))
        return
    numbers = (np.float32(v) for v in (lr, momentum, 1 - dampening, weight_decay))
    _launch("sgd_momentum", (p, g, buf), *numbers, np.int32(nesterov), np.int32(first))


def rmsprop(p, g, square_avg, lr, alpha, eps, weight_decay):
    """p and square_avg of `minigan_kernels.rmsprop`, in place. All are flat, of one length."""
    numbers = (np.float32(v) for v in (lr, alpha, 1 - alpha, eps, weight_decay))
    _launch("rmsprop", (p, g, square_avg), *numbers)


def adam(p, g, exp_avg, exp_avg_sq, step, lr, beta1, beta2, eps, weight_decay):
    """p, exp_avg and exp_avg_sq of `minigan_kernels.adam`, in place. All are flat, of one length."""
    known, counted = known_or_counted("adam: a step", step, np.int64)
    doubles = (np.float64(v) for v in (lr, beta1, beta2))
    rest = np.float32(eps), np.float32(weight_decay)
    _launch("adam", (p, g, exp_avg, exp_avg_sq), known, counted, *doubles, *rest)


def _launch(kernel, arrays, *numbers):
    p, g, *state = arrays
    arrays = p, array_module(g).ascontiguousarray(g), *state
    for a in arrays:
        if a.dtype != np.float32 or a.shape != p.shape or not a.flags.c_contiguous:
            raise ValueError(f"{kernel}: the arrays must be contiguous, float32 and of one shape")
    OPTIM.launch(kernel, blocks_for(p.size, 4, RESIDENT), THREADS, *arrays, np.int64(p.size), *numbers)
