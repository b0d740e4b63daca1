"""Optimiser steps, each one launch over the flat arrays.

Settings are rounded to float32 as NumPy rounds a Python float that meets an array, the rate by the kernel,
and Adam's corrections for the step are made in float64 there: the rate and the step are known to the host or
held by an array, and both give the same bits. What is changed in place has to be contiguous.
"""

import numpy as np

from ..arrays import array_module
from .grids import RESIDENT, THREADS, blocks_for
from .launch import Source, known_or_counted

OPTIM = Source("optim.cu")
SOURCES = [OPTIM]


def sgd(p, g, buf, lr, momentum, dampening, weight_decay, nesterov, first):
    """g += weight_decay·p; buf = momentum·buf + (1 - dampening)·g (g itself at the `first` step); p -=
    lr·buf, or lr·(g + momentum·buf) with nesterov. buf is None without momentum.

    All arrays are flat, of one length.
    """
    if not momentum:
        _launch("sgd", (p, g), *_rate("sgd", lr), np.float32(weight_decay))
        return
    numbers = (np.float32(v) for v in (momentum, 1 - dampening, weight_decay))
    _launch("sgd_momentum", (p, g, buf), *_rate("sgd", lr), *numbers, np.int32(nesterov), np.int32(first))


def rmsprop(p, g, square_avg, lr, alpha, eps, weight_decay):
    """square_avg = alpha·square_avg + (1 - alpha)·g²; p -= lr·g / (√square_avg + eps).

    All arrays are flat, of one length.
    """
    numbers = (np.float32(v) for v in (alpha, 1 - alpha, eps, weight_decay))
    _launch("rmsprop", (p, g, square_avg), *_rate("rmsprop", lr), *numbers)


def adam(p, g, exp_avg, exp_avg_sq, step, lr, beta1, beta2, eps, weight_decay):
    """Kingma, Ba, "Adam", 2015, Algorithm 1; weight decay is added to g.

    All arrays are flat, of one length.
    """
    known, counted = known_or_counted("adam: a step", step, np.int64)
    numbers = np.float64(beta1), np.float64(beta2), np.float32(eps), np.float32(weight_decay)
    _launch("adam", (p, g, exp_avg, exp_avg_sq), known, counted, *_rate("adam", lr), *numbers)


def _rate(kernel, lr):
    return known_or_counted(f"{kernel}: a rate", lr, np.float64)


def _launch(kernel, arrays, *numbers):
    p, g, *state = arrays
    arrays = p, array_module(g).ascontiguousarray(g), *state
    for a in arrays:
        if a.dtype != np.float32 or a.shape != p.shape or not a.flags.c_contiguous:
            raise ValueError(f"{kernel}: the arrays must be contiguous, float32 and of one shape")
    OPTIM.launch(kernel, blocks_for(p.size, 4, RESIDENT), THREADS, *arrays, np.int64(p.size), *numbers)
