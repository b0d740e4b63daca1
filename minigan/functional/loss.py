"""Losses. Each takes `reduction`: "mean" over all entries, "sum" or "none". Differentiable to any order."""

import minigan_kernels as kernels
from minigan import backend
from minigan.autograd import Function, Tensor
from minigan.checks import shown

from .activation import relu, sigmoid, softmax, softplus
from .elementwise import operand
from .index import integers, one_hot
from .reduce import count


def binary_cross_entropy_with_logits(input, target, reduction="mean"):
    """-t log σ(x) - (1 - t) log(1 - σ(x)) = softplus(x) - t x, on logits of any size.

    target: of input's shape, or a number for all entries; in [0, 1].
    """
    _check_shapes("binary_cross_entropy_with_logits", input, target)
    if reduction in ("mean", "sum"):
        scale = 1 / count(input, None, "mean") if reduction == "mean" else 1.0
        return BCEWithLogits(scale)(input, operand(target))
    return _reduced(softplus(input) - target * input, reduction)


def mse_loss(input, target, reduction="mean"):
    """(x - t)²."""
    _check_shapes("mse_loss", input, target)
    difference = input - target
    return _reduced(difference * difference, reduction)


def l1_loss(input, target, reduction="mean"):
    """|x - t|."""
    _check_shapes("l1_loss", input, target)
    return _reduced((input - target).abs(), reduction)


def cross_entropy(input, target, reduction="mean"):
    """-log softmax(x)[t]: logits (N, C), integer labels (N,) in [0, C).

    ValueError for other shapes or a label out of range, TypeError for labels that are not integers.
    """
    if input.ndim != 2:
        raise ValueError(f"cross_entropy: logits must have shape (N, C), got {input.shape}")
    labels = integers("cross_entropy", "target", target, input.shape[1], "classes", input.device)
    if labels.shape != input.shape[:1]:
        raise ValueError(
            f"cross_entropy: {input.shape[0]} rows of logits, but labels of shape {labels.shape}"
        )
    with backend.beside(labels):
        labels = labels.copy()  # the gradient must not see later changes
    return _reduced(CrossEntropy(labels)(input), reduction)


def hinge_loss(input, target, reduction="mean"):
    """max(0, 1 - t x), with targets of +1 and -1: of input's shape, or one number for all entries."""
    _check_shapes("hinge_loss", input, target)
    return _reduced(relu(1.0 - target * input), reduction)


def _check_shapes(name, input, target):
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}: input must be a Tensor, got {shown(input)}")
    shape = getattr(target, "shape", ())
    if shape not in ((), input.shape):  # broadcasting (N, 1) against (N,) would give (N, N)
        raise ValueError(f"{name}: input has shape {input.shape}, target {shape}")


def _reduced(x: Tensor, reduction):
    if reduction == "mean":
        return x.mean()
    if reduction == "sum":
        return x.sum()
    if reduction == "none":
        return x
    raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")


class CrossEntropy(Function):
    """-log softmax(x[n])[labels[n]] of each n."""

    def __init__(self, labels):
        self.labels = labels

    def forward(self, x):
        return kernels.cross_entropy(x, self.labels)

    def backward(self, gy):
        (x,) = self.inputs
        return gy.unsqueeze(1) * (softmax(x, 1) - one_hot(self.labels, x.shape[1], x.dtype))

    def first_order(self, gy, x):
        return kernels.cross_entropy_backward(gy, x, self.labels)


class BCEWithLogits(Function):
    """scale · Σ (softplus(x) - t x)."""

    def __init__(self, scale):
        self.scale = scale

    def forward(self, x, t):
        return kernels.bce_with_logits(x, t, self.scale)

    def backward(self, gy):
        x, t = self.inputs
        g = gy * self.scale
        gx = g * (sigmoid(x) - t) if self.wanted[0] else None
        return gx, -g * x if self.wanted[1] else None

    def first_order(self, gy, x, t):
        gx = kernels.bce_with_logits_backward(gy, x, t, self.scale) if self.wanted[0] else None
        return gx, -gy * self.scale * x if self.wanted[1] else None
