"""Normalisation over any set of axes: the one formula behind batch, layer and instance norm.

Ioffe, Szegedy, "Batch normalization", 2015, Algorithm 1 and the gradient of section 3.
"""

from ..arrays import array_module, average, sum_to
from .activation import leaky_relu, leaky_relu_backward


def normalize(x, weight, bias, axes, eps, slope=None):
    """y = (x - mean) / √(var + eps) · weight + bias, with the mean and variance of x over `axes`."""
    centre = average(x, axes, keepdims=True)
    y = x - centre
    var = average(y * y, axes, keepdims=True)
    y *= 1 / array_module(x).sqrt(var + eps)  # as in the gradient, so that signs are the same
    y = _affine(y, weight, bias)
    return y if slope is None else leaky_relu(y, slope), centre, var


def move_statistics(running_mean, running_var, mean, var, momentum, correction):
    """Move running statistics (C,) by `momentum` towards those of `normalize`, in place; the variance is
    multiplied by `correction`."""
    for running, value in ((running_mean, mean), (running_var, var * correction)):
        running *= 1 - momentum
        running += momentum * value.reshape(running.shape)


def normalize_backward(gy, x, weight, bias, mean, var, axes, eps, slope=None):
    """The gradients of `normalize` in x, weight and bias (None where that is None)."""
    rstd = 1 / array_module(x).sqrt(var + eps)
    y = (x - mean) * rstd
    if slope is not None:
        gy = leaky_relu_backward(gy, _affine(y, weight, bias), slope)
    g = gy if weight is None else gy * weight
    gx = g - average(g, axes, keepdims=True)
    gx -= y * average(g * y, axes, keepdims=True)
    gx *= rstd
    gweight = None if weight is None else sum_to(gy * y, weight.shape)
    gbias = None if bias is None else sum_to(gy, bias.shape)
    return gx, gweight, gbias


def _affine(y, weight, bias):
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def normalize_double_backward(ggx, gy, x, weight, mean, var, axes, eps):
    """The gradients of Σ ggx·gx, gx as of `normalize_backward`, in gy, x and weight (None where that is).

    With ŷ = (x - mean) rstd and g = gy·weight, gx = rstd (g - ḡ - ŷ·mean(g ŷ)) is linear in g, and
    symmetric: so the gradient in g is that same map of ggx. In x, both ŷ and rstd are differentiated.
    """

    def m(t):
        return average(t, axes, keepdims=True)

    rstd = 1 / array_module(x).sqrt(var + eps)
    y = (x - mean) * rstd
    g = gy if weight is None else gy * weight
    centred, g_centred = ggx - m(ggx), g - m(g)
    along, g_along = m(ggx * y), m(g * y)
    p = (centred - y * along) * rstd
    gx = g_along * centred + along * g_centred + y * (m(ggx * g_centred) - 3 * along * g_along)
    gx *= -rstd * rstd
    ggy = p if weight is None else p * weight
    return ggy, gx, None if weight is None else sum_to(p * gy, weight.shape)
