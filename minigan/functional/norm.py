"""Batch, layer and instance norm: one op, over different axes.

Its gradient has two forms. When no graph is being built, a kernel gives all three gradients in one
go. When one is, the rule is written in differentiable ops that compute the statistics from x again,
so that the second derivative knows that they depend on x. Tests hold the two together.
"""

import math

import minigan_kernels as kernels
from minigan.autograd import Function, Tensor, is_grad_enabled


def batch_norm(
    x, running_mean=None, running_var=None, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
):
    """Normalise each channel over the batch: x (N, C) or (N, C, ...), the others (C,) or None.

    training: use the batch's own statistics, and move the running ones by `momentum` towards them,
    in place (the variance unbiased, as in PyTorch); else use the running ones. Without running
    statistics the batch's own are always used.

    Ioffe, Szegedy, "Batch normalization", 2015, Algorithms 1 and 2. ValueError for shapes that do
    not fit, or for one value a channel in training.
    """
    if x.ndim < 2:
        raise ValueError(f"batch_norm: x must have shape (N, C, ...), got {x.shape}")
    if (running_mean is None) != (running_var is None):
        raise ValueError("batch_norm: give both running_mean and running_var, or neither")
    C = x.shape[1]
    for name, t in (
        ("running_mean", running_mean),
        ("running_var", running_var),
        ("weight", weight),
        ("bias", bias),
    ):
        if t is not None and t.shape != (C,):
            raise ValueError(f"batch_norm: x has {C} channels, but {name} has shape {t.shape}")
    channel = (1, C) + (1,) * (x.ndim - 2)
    weight, bias = _reshaped(weight, channel), _reshaped(bias, channel)
    if running_mean is not None and not training:
        centred = x - running_mean.detach().reshape(channel)
        return _affine(centred / (running_var.detach().reshape(channel) + eps).sqrt(), weight, bias)

    n = x.numel() // max(C, 1)
    if n < 2:
        raise ValueError(f"batch_norm: needs more than one value per channel in training, x is {x.shape}")
    op = Normalize((0, *range(2, x.ndim)), eps)
    y = op(x, weight, bias)
    if running_mean is not None:
        _move(running_mean, op.mean, momentum)
        _move(running_var, op.var * (n / (n - 1)), momentum)
    return y


def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Normalise over the last axes, whose shape is `normalized_shape`; weight and bias are of it.

    Ba, Kiros, Hinton, "Layer normalization", 2016. ValueError for shapes that do not fit.
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or x.shape[-len(shape) :] != shape:
        raise ValueError(f"layer_norm: the last axes of {x.shape} are not {shape}")
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and t.shape != shape:
            raise ValueError(f"layer_norm: {name} has shape {t.shape}, expected {shape}")
    return Normalize(tuple(range(x.ndim - len(shape), x.ndim)), eps)(x, weight, bias)


def instance_norm(x, weight=None, bias=None, eps=1e-5):
    """Normalise each channel of each image over its pixels: x (N, C, ...), weight and bias (C,).

    Ulyanov, Vedaldi, Lempitsky, "Instance normalization", 2016. ValueError for shapes that do not
    fit, or for images of one pixel.
    """
    if x.ndim < 3 or math.prod(x.shape[2:]) < 2:
        raise ValueError(f"instance_norm: needs images of more than one pixel, x is {x.shape}")
    channel = (1, x.shape[1]) + (1,) * (x.ndim - 2)
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and t.shape != (x.shape[1],):
            raise ValueError(f"instance_norm: x has {x.shape[1]} channels, but {name} has shape {t.shape}")
    return Normalize(tuple(range(2, x.ndim)), eps)(x, _reshaped(weight, channel), _reshaped(bias, channel))


def _reshaped(t, shape):
    return None if t is None else t.reshape(shape)


def _affine(y, weight, bias):
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def _move(running: Tensor, value, momentum):
    running.data *= 1 - momentum
    running.data += momentum * value.reshape(-1)
    running.bump()


class Normalize(Function):
    """(x - mean) / √(var + eps) · weight + bias over `axes`; weight and bias broadcast, or are None."""

    def __init__(self, axes, eps):
        self.axes, self.eps = axes, eps

    def forward(self, x, weight, bias):
        y, self.mean, self.var = kernels.normalize(x, weight, bias, self.axes, self.eps)
        return y

    def backward(self, gy):
        x, weight, bias = self.inputs
        if not is_grad_enabled():
            arrays = (t if t is None else t.data for t in (x, weight, bias))
            found = kernels.normalize_backward(gy.data, *arrays, self.mean, self.var, self.axes, self.eps)
            return tuple(None if g is None else Tensor(g) for g in found)

        centred = x - x.mean(self.axes, keepdims=True)
        std = ((centred * centred).mean(self.axes, keepdims=True) + self.eps).sqrt()
        y = centred / std
        g = gy if weight is None else gy * weight
        gx = (g - g.mean(self.axes, keepdims=True) - y * (g * y).mean(self.axes, keepdims=True)) / std
        return gx, None if weight is None else gy * y, None if bias is None else gy
