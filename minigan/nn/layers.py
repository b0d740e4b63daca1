"""Layers: ops that own their parameters. Arguments, names and initial weights are PyTorch's.

Each layer that draws random numbers takes a `generator`, by default the one that
`minigan.manual_seed` seeds.
"""

import math

import numpy as np

from minigan import functional as F
from minigan.arguments import FLAG, checked
from minigan.autograd import Tensor
from minigan.checks import shown
from minigan.functional.conv import pair

from . import init
from .activations import LeakyReLU, ReLU
from .module import Module, Parameter


class Sequential(Module):
    """Modules applied one after the other. `net[i]` is one of them, `net[a:b]` a part.

    A ReLU or LeakyReLU right behind a linear layer, a convolution or a batch norm is made in the same pass
    over memory, unless one of the two has a forward hook, which is to see what it makes. The results are
    the same.
    """

    def __init__(self, *modules):
        super().__init__()
        for i, module in enumerate(modules):
            if not isinstance(module, Module):
                raise TypeError(f"Sequential: modules are given one argument each, got {shown(module)}")
            setattr(self, str(i), module)

    def forward(self, x):
        modules, i = list(self._modules.values()), 0
        while i < len(modules):
            module, behind = modules[i], modules[i + 1] if i + 1 < len(modules) else None
            if (
                type(module) in ACTIVATED
                and type(behind) in (ReLU, LeakyReLU)
                and not _hooked(module, behind)
            ):
                x, i = module(x, negative_slope=behind.negative_slope), i + 2
            else:
                x, i = module(x), i + 1
        return x

    def __getitem__(self, i):
        modules = list(self._modules.values())
        return Sequential(*modules[i]) if isinstance(i, slice) else modules[i]

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())


class Linear(Module):
    """x Wᵀ + b: (..., in_features) -> (..., out_features)."""

    @checked(bias=FLAG)
    def __init__(self, in_features, out_features, bias=True, generator=None):
        super().__init__()
        self.weight = Parameter(np.empty((out_features, in_features), np.float32))
        self.bias = Parameter(np.empty(out_features, np.float32)) if bias else None
        _reset(self, in_features, generator)

    def forward(self, x, negative_slope=None):
        return F.linear(x, self.weight, self.bias, negative_slope)


class _Conv(Module):
    """What the two convolutions share."""

    transposed = False

    def __init__(self, in_channels, out_channels, kernel_size, settings, bias, generator):
        super().__init__()
        KH, KW = pair(kernel_size)
        groups = settings["groups"]
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{type(self).__name__}: groups={groups} must divide the channels, "
                f"{in_channels} in and {out_channels} out"
            )
        self.settings = settings
        first, second = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        # Channels-last in memory, as the images are.
        weight = np.empty((first, KH, KW, second // groups), np.float32).transpose(0, 3, 1, 2)
        self.weight = Parameter(weight)
        self.bias = Parameter(np.empty(out_channels, np.float32)) if bias else None
        _reset(self, second // groups * KH * KW, generator)

    def extra_repr(self):
        defaults = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1}
        return ", ".join(f"{k}={v}" for k, v in self.settings.items() if v != defaults[k])


class Conv2d(_Conv):
    """Convolution of (N, in_channels, H, W); weight (out_channels, in_channels / groups, KH, KW)."""

    @checked(bias=FLAG)
    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=True,
        generator=None,
    ):
        settings = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        super().__init__(in_channels, out_channels, kernel_size, settings, bias, generator)

    def forward(self, x, negative_slope=None):
        return F.conv2d(x, self.weight, self.bias, **self.settings, negative_slope=negative_slope)


class ConvTranspose2d(_Conv):
    """Transposed convolution; weight (in_channels, out_channels / groups, KH, KW)."""

    transposed = True

    @checked(bias=FLAG)
    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        output_padding=0,
        groups=1,
        bias=True,
        dilation=1,
        generator=None,
    ):
        settings = {
            "stride": stride,
            "padding": padding,
            "output_padding": output_padding,
            "groups": groups,
            "dilation": dilation,
        }
        super().__init__(in_channels, out_channels, kernel_size, settings, bias, generator)

    def forward(self, x, negative_slope=None):
        return F.conv_transpose2d(x, self.weight, self.bias, **self.settings, negative_slope=negative_slope)


class Embedding(Module):
    """A table of `num_embeddings` rows, read by integers: (...) -> (..., embedding_dim)."""

    @checked()
    def __init__(self, num_embeddings, embedding_dim, generator=None):
        super().__init__()
        self.weight = Parameter(np.empty((num_embeddings, embedding_dim), np.float32))
        init.normal_(self.weight, generator=generator)

    def forward(self, labels):
        return F.embedding(labels, self.weight)


class BatchNorm1d(Module):
    """Batch norm of (N, C) or (N, C, L), with running statistics for evaluation."""

    axes = (2, 3)

    @checked()
    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = Parameter(np.ones(num_features, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(num_features, np.float32)) if affine else None
        self.running_mean = self.running_var = None
        if track_running_stats:
            self.not_kept = ("num_batches_tracked",)  # PyTorch's count, for a momentum that we have not
            self.register_buffer("running_mean", Tensor(np.zeros(num_features, np.float32)))
            self.register_buffer("running_var", Tensor(np.ones(num_features, np.float32)))

    def forward(self, x, negative_slope=None):
        if x.ndim not in self.axes:
            expected = " or ".join(map(str, self.axes))
            raise ValueError(f"{type(self).__name__}: x has {x.ndim} axes, expected {expected}")
        return F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            self.momentum,
            self.eps,
            negative_slope,
        )

    def extra_repr(self):
        return f"eps={self.eps}, momentum={self.momentum}"


class BatchNorm2d(BatchNorm1d):
    """Batch norm of images (N, C, H, W)."""

    axes = (4,)


ACTIVATED = {Linear, Conv2d, ConvTranspose2d, BatchNorm1d, BatchNorm2d}  # layers that take a negative_slope


def _hooked(*modules):
    return any(module._forward_hooks for module in modules)


class LayerNorm(Module):
    """Layer norm over the last axes, of shape `normalized_shape`."""

    @checked()
    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True):
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.eps = shape, eps
        self.weight = Parameter(np.ones(shape, np.float32)) if elementwise_affine else None
        self.bias = Parameter(np.zeros(shape, np.float32)) if elementwise_affine else None

    def forward(self, x):
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return f"{self.normalized_shape}, eps={self.eps}"


class GroupNorm(Module):
    """Group norm of (N, num_channels, ...), each of `num_groups` groups by a sample's own statistics."""

    @checked()
    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True):
        super().__init__()
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps
        self.weight = Parameter(np.ones(num_channels, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(num_channels, np.float32)) if affine else None

    def forward(self, x):
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}"


class InstanceNorm2d(Module):
    """Instance norm of images (N, C, H, W), by each image's own statistics."""

    @checked()
    def __init__(self, num_features, eps=1e-5, affine=False):
        super().__init__()
        self.num_features, self.eps = num_features, eps
        self.weight = Parameter(np.ones(num_features, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(num_features, np.float32)) if affine else None

    def forward(self, x):
        if x.ndim != 4 or x.shape[1] != self.num_features:
            raise ValueError(
                f"InstanceNorm2d: x has shape {x.shape}, expected (N, {self.num_features}, H, W)"
            )
        return F.instance_norm(x, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return f"{self.num_features}, eps={self.eps}"


class Dropout(Module):
    """Dropout in training, nothing in evaluation."""

    @checked()
    def __init__(self, p=0.5, generator=None):
        super().__init__()
        self.p, self.generator = p, generator

    def forward(self, x):
        return F.dropout(x, self.p, self.training, self.generator)

    def extra_repr(self):
        return f"p={self.p}"


class Identity(Module):
    """x as it is."""

    def forward(self, x):
        return x


class Flatten(Module):
    """(N, ...) -> (N, -1)."""

    def forward(self, x):
        return F.flatten(x, 1)


class Unflatten(Module):
    """(N, -1) -> (N, *shape)."""

    @checked()
    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return F.reshape(x, x.shape[0], *self.shape)

    def extra_repr(self):
        return f"{self.shape}"


class Upsample(Module):
    """Images of another size, by "nearest" or "bilinear" interpolation."""

    @checked()
    def __init__(self, size=None, scale_factor=None, mode="nearest", align_corners=False):
        super().__init__()
        self.settings = {
            "size": size,
            "scale_factor": scale_factor,
            "mode": mode,
            "align_corners": align_corners,
        }

    def forward(self, x):
        return F.interpolate(x, **self.settings)

    def extra_repr(self):
        return ", ".join(f"{k}={v!r}" for k, v in self.settings.items() if v)


def _reset(layer, fan_in, generator):
    """PyTorch's initial weights: uniform within 1 / √fan_in, weight and bias alike."""
    bound = 1 / math.sqrt(max(fan_in, 1))
    init.uniform_(layer.weight, -bound, bound, generator)
    if layer.bias is not None:
        init.uniform_(layer.bias, -bound, bound, generator)
