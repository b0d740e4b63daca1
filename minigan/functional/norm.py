"""Batch, layer, group and instance norm: one op, over different axes.

Its gradient has two forms. When no graph is being built, a kernel gives all three gradients in one
go. When one is, the gradient in x is an op of its own, `NormalizeGradient`, with two forms in its turn: a
kernel, and a rule in differentiable ops that compute the statistics from x again, so that further
derivatives know that they depend on x. Tests hold the forms together.
"""

import math

import minigan_kernels as kernels
from minigan import backend
from minigan.autograd import Function, Tensor
from minigan.checks import integer

from .elementwise import maximum
from .leaky import LeakyReLU, LeakyReLUGradient, slope_of
from .reduce import norm


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    negative_slope: float | None = None,
) -> Tensor:
    """Normalise each channel over the batch: x (N, C) or (N, C, ...), the others (C,) or None.

    training: use the batch's own statistics, and move the running ones by `momentum` towards them,
    in place (the variance unbiased, as in PyTorch); else use the running ones. Without running
    statistics the batch's own are always used.
    negative_slope: that of a `leaky_relu` of the result, in the same pass over memory; None for none.

    Ioffe, Szegedy, "Batch normalization", 2015, Algorithms 1 and 2. ValueError for shapes that do
    not fit, or for one value a channel in training.
    """
    if x.ndim < 2:
        raise ValueError(f"batch_norm: x must have shape (N, C, ...), got {x.shape}")
    _check_eps("batch_norm", eps)
    if not 0 <= momentum <= 1:
        raise ValueError(f"batch_norm: momentum must be in [0, 1], got {momentum}")
    if (running_mean is None) != (running_var is None):
        raise ValueError("batch_norm: give both running_mean and running_var, or neither")
    C, slope = x.shape[1], slope_of("batch_norm", negative_slope)
    for name, t in (
        ("running_mean", running_mean),
        ("running_var", running_var),
        ("weight", weight),
        ("bias", bias),
    ):
        if t is not None and t.shape != (C,):
            raise ValueError(f"batch_norm: x has {C} channels, but {name} has shape {t.shape}")
    if running_mean is not None and running_var is not None and not training:
        channel = _channel(x)
        weight, bias = _reshaped(weight, channel), _reshaped(bias, channel)
        centred = x - running_mean.detach().reshape(channel)
        y = _affine(centred / (running_var.detach().reshape(channel) + eps).sqrt(), weight, bias)
        return y if slope is None else LeakyReLU(slope)(y)

    n = x.numel() // max(C, 1)
    if n < 2:
        raise ValueError(f"batch_norm: needs more than one value per channel in training, x is {x.shape}")
    op = Normalize((0, *range(2, x.ndim)), eps, _channel(x), slope)
    y = op(x, weight, bias)
    if running_mean is not None and running_var is not None:
        with backend.beside(running_mean.data):
            kernels.move_statistics(
                running_mean.data, running_var.data, op.mean, op.var, momentum, n / (n - 1)
            )
        running_mean.bump()
        running_var.bump()
    return y


def layer_norm(
    x: Tensor,
    normalized_shape: int | tuple[int, ...],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise over the last axes, whose shape is `normalized_shape`; weight and bias are of it.

    Ba, Kiros, Hinton, "Layer normalization", 2016. ValueError for shapes that do not fit.
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    _check_eps("layer_norm", eps)
    if not shape or x.shape[-len(shape) :] != shape:
        raise ValueError(f"layer_norm: the last axes of {x.shape} are not the normalized_shape {shape}")
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and t.shape != shape:
            raise ValueError(f"layer_norm: {name} has shape {t.shape}, expected {shape}")
    return Normalize(tuple(range(x.ndim - len(shape), x.ndim)), eps, shape)(x, weight, bias)


def group_norm(
    x: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalise each group of neighbouring channels of each sample: x (N, C, ...), weight and bias (C,).

    Wu, He, "Group normalization", 2018. One group is layer norm over all of a sample, with a weight a
    channel. ValueError for shapes that do not fit, or groups that do not divide the channels.
    """
    _check_eps("group_norm", eps)
    integer("group_norm", "num_groups", num_groups, 1)
    if x.ndim < 2 or x.shape[1] % num_groups:
        raise ValueError(f"group_norm: x has shape {x.shape}, expected channels in {num_groups} groups")
    N, C = x.shape[:2]
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and t.shape != (C,):
            raise ValueError(f"group_norm: x has {C} channels, but {name} has shape {t.shape}")
    grouped = x.reshape(N, num_groups, C // num_groups, *x.shape[2:])
    affine = (1, num_groups, C // num_groups) + (1,) * (x.ndim - 2)
    y = Normalize(tuple(range(2, grouped.ndim)), eps, affine)(grouped, weight, bias)
    return y.reshape(x.shape)


def instance_norm(
    x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalise each channel of each image over its pixels: x (N, C, ...), weight and bias (C,).

    Ulyanov, Vedaldi, Lempitsky, "Instance normalization", 2016. ValueError for shapes that do not
    fit, or for images of one pixel.
    """
    _check_eps("instance_norm", eps)
    if x.ndim < 3 or math.prod(x.shape[2:]) < 2:
        raise ValueError(f"instance_norm: needs images of more than one pixel, x is {x.shape}")
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and t.shape != (x.shape[1],):
            raise ValueError(f"instance_norm: x has {x.shape[1]} channels, but {name} has shape {t.shape}")
    return Normalize(tuple(range(2, x.ndim)), eps, _channel(x))(x, weight, bias)


def normalize(x: Tensor, axis: int = 1, eps: float = 1e-12) -> Tensor:
    """x over its Euclidean norm along `axis`, or over eps where that is larger: unit vectors."""
    _check_eps("normalize", eps)
    return x / maximum(norm(x, axis, keepdims=True), eps)


def cosine_similarity(a: Tensor, b: Tensor, axis: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between a and b along `axis`, which broadcast; each norm is eps at least."""
    _check_eps("cosine_similarity", eps)
    norms = maximum(norm(a, axis), eps) * maximum(norm(b, axis), eps)
    return (a * b).sum(axis) / norms


def _check_eps(name, eps):
    if not 0 <= eps < math.inf:
        raise ValueError(f"{name}: eps must be a finite number of at least 0, got {eps}")


def _channel(x):
    """The shape in which one number a channel broadcasts against x."""
    return (1, x.shape[1]) + (1,) * (x.ndim - 2)


def _reshaped(t, shape):
    return None if t is None else t.reshape(shape)


def _affine(y, weight, bias):
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


class Normalize(Function):
    """(x - mean) / √(var + eps) · weight + bias over `axes`, and a LeakyReLU of `slope`, None for none.

    weight and bias are None, or broadcast against x when given the shape `affine`.
    """

    def __init__(self, axes, eps, affine, slope=None):
        self.axes, self.eps, self.affine, self.slope = axes, eps, affine, slope

    def forward(self, x, weight, bias):
        y, self.mean, self.var = self.kernel(x, weight, bias, self.slope)
        return y

    def kernel(self, x, weight, bias, slope):
        weight, bias = _reshaped(weight, self.affine), _reshaped(bias, self.affine)
        return kernels.normalize(x, weight, bias, self.axes, self.eps, slope)

    def backward(self, gy):
        x, weight, bias = self.inputs
        if self.slope is not None:  # which of the two slopes an entry has is a constant
            gy = LeakyReLUGradient(self.slope)(gy, self.kernel(*self.saved_arrays(), None)[0])
        gx = gweight = gbias = None
        if self.wanted[0]:
            gx = NormalizeGradient(self.axes, self.eps, self.affine, self.mean, self.var)(gy, x, weight)
        if self.wanted[1]:
            y, _ = _standardized(x, self.axes, self.eps)
            gweight = (gy * y).sum_to(self.affine).reshape(weight.shape)
        if self.wanted[2]:
            gbias = gy.sum_to(self.affine).reshape(bias.shape)
        return gx, gweight, gbias

    def first_order(self, gy, x, weight, bias):
        w, b = _reshaped(weight, self.affine), _reshaped(bias, self.affine)
        gx, *found = kernels.normalize_backward(
            gy, x, w, b, self.mean, self.var, self.axes, self.eps, self.slope
        )
        return gx, *(
            g if g is None else g.reshape(t.shape) for g, t in zip(found, (weight, bias), strict=True)
        )


class NormalizeGradient(Function):
    """The gradient of `Normalize` in x, given that of its output: an op of its own, so that a kernel can
    make its gradient in turn. `mean` and `var` are arrays, those of x."""

    def __init__(self, axes, eps, affine, mean, var):
        self.axes, self.eps, self.affine, self.mean, self.var = axes, eps, affine, mean, var

    def forward(self, gy, x, weight):
        w = _reshaped(weight, self.affine)
        return kernels.normalize_backward(gy, x, w, None, self.mean, self.var, self.axes, self.eps)[0]

    def backward(self, ggx):
        """The gradients in gy, x and weight, by the formulas that `normalize_double_backward` of
        `minigan_kernels.reference` explains."""

        def mean(t):
            return t.mean(self.axes, keepdims=True)

        gy, x, weight = self.inputs
        w = 1.0 if weight is None else weight.reshape(self.affine)
        y, std = _standardized(x, self.axes, self.eps)
        centred, along = ggx - mean(ggx), mean(ggx * y)
        p = (centred - y * along) / std
        gx = gweight = None
        if self.wanted[1]:
            g = gy * w
            g_centred, g_along = g - mean(g), mean(g * y)
            gx = y * (3.0 * along * g_along - mean(ggx * g_centred)) - g_along * centred - along * g_centred
            gx = gx / (std * std)
        if self.wanted[2]:
            gweight = (p * gy).sum_to(self.affine).reshape(weight.shape)
        return p * w if self.wanted[0] else None, gx, gweight

    def first_order(self, ggx, gy, x, weight):
        w = _reshaped(weight, self.affine)
        ggy, gx, gweight = kernels.normalize_double_backward(
            ggx, gy, x, w, self.mean, self.var, self.axes, self.eps
        )
        return ggy, gx, None if weight is None else gweight.reshape(weight.shape)


def _standardized(x, axes, eps):
    """(x - mean) / std and std, in differentiable ops, of a tensor or a constant."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    centred = x - x.mean(axes, keepdims=True)
    std = ((centred * centred).mean(axes, keepdims=True) + eps).sqrt()
    return centred / std, std
