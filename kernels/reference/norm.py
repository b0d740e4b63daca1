"""Normalisation over any set of axes: the one formula behind batch, layer and instance norm.

Ioffe, Szegedy, "Batch normalization", 2015, Algorithm 1 and the gradient of section 3.
"""

from ..arrays import array_module, sum_to


def normalize(x, weight, bias, axes, eps):
    mean = x.mean(axis=axes, keepdims=True)
    y = x - mean
    var = (y * y).mean(axis=axes, keepdims=True)
    y /= array_module(x).sqrt(var + eps)
    if weight is not None:
        y *= weight
    if bias is not None:
        y += bias
    return y, mean, var


def move_statistics(running_mean, running_var, mean, var, momentum, correction):
    for running, value in ((running_mean, mean), (running_var, var * correction)):
        running *= 1 - momentum
        running += momentum * value.reshape(running.shape)


def normalize_backward(gy, x, weight, bias, mean, var, axes, eps):
    rstd = 1 / array_module(x).sqrt(var + eps)
    y = (x - mean) * rstd
    g = gy if weight is None else gy * weight
    gx = g - g.mean(axis=axes, keepdims=True)
    gx -= y * (g * y).mean(axis=axes, keepdims=True)
    gx *= rstd
    gweight = None if weight is None else sum_to(gy * y, weight.shape)
    gbias = None if bias is None else sum_to(gy, bias.shape)
    return gx, gweight, gbias
