"""Normalisation over any axes, batch norm's, layer norm's or instance norm's: statistics, then entries.

    forward    moments: reads x twice.  write_normalized: reads x, writes y.            16 bytes an entry
    backward   gradient_sums: reads gy and x.  write_gradient: both again, writes gx.   20 bytes an entry;
               8 more for the gradients of weight and bias, and 4 for each that does not repeat along x

Statistics need every entry of their group before the first can be written. Blocks cannot wait for each
other within a kernel, only the end of a kernel is a barrier for all: so there are two kernels, or three.

Ioffe, Szegedy, "Batch normalization", 2015, Algorithm 1 and the gradient of section 3.
"""

import math

import numpy as np
from numba import cuda

from ..arrays import array_module
from ..geometry import kept_shape
from ..reference import norm as reference
from .launch import THREADS, blocks_for, launch
from .places import channels_last, channels_second, place
from .pointwise import leaky_relu, leaky_relu_backward
from .reduce import gradient_sums, moments, summed_axes


@cuda.jit
def write_normalized(x, mean, var, weight, bias, eps, y):
    """y = (x - mean) / √(var + eps) · weight + bias; all of the shape of x, by strides of 0 if need be."""
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        at = place(i, x.shape)
        y[at] = (x[at] - mean[at]) / math.sqrt(var[at] + eps) * weight[at] + bias[at]


@cuda.jit
def write_gradient(gy, x, weight, mean, var, eps, mean_g, mean_gy, gx):
    """gx = (g - E[g] - ŷ·E[g·ŷ]) / √(var + eps), with g = gy·weight and ŷ = (x - mean) / √(var + eps).

    x moves y in three ways: by itself, through the mean, and through the variance.
    """
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        at = place(i, x.shape)
        deviation = math.sqrt(var[at] + eps)
        y = (x[at] - mean[at]) / deviation
        gx[at] = (gy[at] * weight[at] - mean_g[at] - y * mean_gy[at]) / deviation


def normalize(x, weight, bias, axes, eps, slope=None):
    """y = (x - mean) / √(var + eps) · weight + bias, with the mean and variance of x over `axes`.

    Here x has two to four axes; arrays of more, of two dtypes, or without entries are left to
    `reference`. y is channels-last.
    """
    if not _is_ours(x, weight, bias):
        return reference.normalize(x, weight, bias, axes, eps, slope)
    xp, rows = array_module(x), channels_last(x)
    mean, var = xp.empty((2, *kept_shape("normalize", x.shape, axes)), x.dtype)
    over = summed_axes(rows.shape, channels_last(mean).shape)
    launch(moments, (mean.size,), (THREADS,), rows, over, channels_last(mean), channels_last(var))
    y = xp.empty(rows.shape, x.dtype)
    repeated = [_like(x, a) for a in (mean, var, xp.ones(1, x.dtype) if weight is None else weight)]
    bias = _like(x, xp.zeros(1, x.dtype) if bias is None else bias)
    launch(write_normalized, blocks_for(x.size), (THREADS,), rows, *repeated, bias, np.float32(eps), y)
    y = channels_second(y, x.shape)
    return y if slope is None else leaky_relu(y, slope), mean, var


def normalize_backward(gy, x, weight, bias, mean, var, axes, eps, slope=None):
    """The gradients of `normalize` in x, weight and bias (None where that is None).

    For the same arrays as `normalize`; gx is channels-last.
    """
    if not _is_ours(x, gy, weight, bias, mean, var):
        return reference.normalize_backward(gy, x, weight, bias, mean, var, axes, eps, slope)
    if slope is not None:  # the sign of what went into the activation is worked out again
        y = normalize(x, weight, bias, axes, eps)[0]
        gy = leaky_relu_backward(gy, y, slope)
    xp, eps = array_module(x), np.float32(eps)
    one = xp.ones(1, x.dtype)
    rows_gy, rows = channels_last(gy), channels_last(x)
    scale, centre, spread = (_like(x, a) for a in (one if weight is None else weight, mean, var))

    def sums(scale, shape):
        """Σ g and Σ g·ŷ, each of `shape`."""
        both = xp.empty((2, *shape), x.dtype)
        sum_g, sum_gy = map(channels_last, both)
        over = summed_axes(rows.shape, sum_g.shape)
        args = rows_gy, rows, scale, centre, spread, eps, over, sum_g, sum_gy
        launch(gradient_sums, (sum_g.size,), (THREADS,), *args)
        return both

    means = sums(scale, mean.shape) * np.float32(mean.size / x.size)
    gx = xp.empty(rows.shape, x.dtype)
    args = rows_gy, rows, scale, centre, spread, eps, *(_like(x, a) for a in means), gx
    launch(write_gradient, blocks_for(x.size), (THREADS,), *args)

    def gradient(parameter, which):
        if parameter is None:
            return None
        shape = (1,) * (x.ndim - parameter.ndim) + parameter.shape
        return sums(_like(x, one), shape)[which].reshape(parameter.shape)

    return channels_second(gx, x.shape), gradient(weight, 1), gradient(bias, 0)


def _is_ours(x, *others):
    return 2 <= x.ndim <= 4 and x.size > 0 and all(a is None or a.dtype == x.dtype for a in others)


def _like(x, a):
    """a, repeated to the shape of x by strides of 0, channels-last."""
    return channels_last(array_module(x).broadcast_to(a, x.shape))
