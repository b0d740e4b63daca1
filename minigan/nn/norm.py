"""Normalisation by the statistics of a batch, a layer, a group or an instance, as PyTorch's modules."""

import numpy as np

from minigan import functional as F
from minigan.arguments import checked
from minigan.autograd import Tensor

from .module import Module, Parameter


class BatchNorm1d(Module):
    """Batch norm of (N, C) or (N, C, L), with running statistics for evaluation."""

    axes: tuple[int, ...] = (2, 3)

    @checked()
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = Parameter(np.ones(num_features, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(num_features, np.float32)) if affine else None
        self.running_mean = self.running_var = None
        if track_running_stats:
            self.not_kept = ("num_batches_tracked",)  # PyTorch's count, for a momentum that we have not
            self.register_buffer("running_mean", Tensor(np.zeros(num_features, np.float32)))
            self.register_buffer("running_var", Tensor(np.ones(num_features, np.float32)))

    def forward(self, x: Tensor, negative_slope: float | None = None) -> Tensor:
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

    def extra_repr(self) -> str:
        return f"eps={self.eps}, momentum={self.momentum}"


class BatchNorm2d(BatchNorm1d):
    """Batch norm of images (N, C, H, W)."""

    axes = (4,)


class BatchNorm3d(BatchNorm1d):
    """Batch norm of clips (N, C, D, H, W)."""

    axes = (5,)


class LayerNorm(Module):
    """Layer norm over the last axes, of shape `normalized_shape`."""

    @checked()
    def __init__(
        self, normalized_shape: int | tuple[int, ...], eps: float = 1e-5, elementwise_affine: bool = True
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.eps = shape, eps
        self.weight = Parameter(np.ones(shape, np.float32)) if elementwise_affine else None
        self.bias = Parameter(np.zeros(shape, np.float32)) if elementwise_affine else None

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}"


class GroupNorm(Module):
    """Group norm of (N, num_channels, ...), each of `num_groups` groups by a sample's own statistics."""

    @checked()
    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps
        self.weight = Parameter(np.ones(num_channels, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(num_channels, np.float32)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}"


class InstanceNorm2d(Module):
    """Instance norm of images (N, C, H, W), by each image's own statistics."""

    axes = "N, {}, H, W"

    @checked()
    def __init__(self, num_features: int, eps: float = 1e-5, affine: bool = False) -> None:
        super().__init__()
        self.num_features, self.eps = num_features, eps
        self.weight = Parameter(np.ones(num_features, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(num_features, np.float32)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        expected = f"({self.axes.format(self.num_features)})"
        if x.ndim != expected.count(",") + 1 or x.shape[1] != self.num_features:
            raise ValueError(f"{type(self).__name__}: x has shape {x.shape}, expected {expected}")
        return F.instance_norm(x, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}"


class InstanceNorm1d(InstanceNorm2d):
    """Instance norm of sequences (N, C, L), by each sequence's own statistics."""

    axes = "N, {}, L"


class InstanceNorm3d(InstanceNorm2d):
    """Instance norm of clips (N, C, D, H, W), by each clip's own statistics."""

    axes = "N, {}, D, H, W"
