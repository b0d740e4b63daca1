"""Losses. Each takes `reduction`: "mean" over all entries, "sum" or "none". Differentiable to any order."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import minigan_kernels as kernels
from minigan import backend
from minigan.autograd import Function, Operand, Tensor
from minigan.checks import integer, shown

from .activation import log_softmax, relu, sigmoid, softmax, softplus
from .elementwise import log, operand, where
from .index import as_integers, check_range, gather, index, one_hot
from .reduce import count

LEAST = math.exp(-100)  # a probability whose logarithm PyTorch's binary cross-entropy, too, stops at


def binary_cross_entropy_with_logits(input: Tensor, target: Operand, reduction: str = "mean") -> Tensor:
    """-t log σ(x) - (1 - t) log(1 - σ(x)) = softplus(x) - t x, on logits of any size.

    target: of input's shape, or a number for all entries; in [0, 1].
    """
    _check_shapes("binary_cross_entropy_with_logits", input, target)
    if reduction in ("mean", "sum"):
        scale = 1 / count(input, None, "mean") if reduction == "mean" else 1.0
        return BCEWithLogits(scale)(input, operand(target))
    return _reduced(softplus(input) - target * input, reduction)


def binary_cross_entropy(input: Tensor, target: Operand, reduction: str = "mean") -> Tensor:
    """-t log x - (1 - t) log(1 - x), on probabilities; logarithms below -100 are -100, without a slope.

    Of logits, `binary_cross_entropy_with_logits` is exact where this rounds.
    target: of input's shape, or a number for all entries; in [0, 1]. ValueError for an input outside of
    [0, 1], or with NaN. On a GPU this check waits for the device, in each step that is not captured; in one
    that is, nothing is checked.
    """
    _check_shapes("binary_cross_entropy", input, target)
    with backend.beside(input.data):
        if not backend.capturing() and not ((input.data >= 0) & (input.data <= 1)).all():
            nan = bool((input.data != input.data).any())
            raise ValueError(
                "binary_cross_entropy: input must be probabilities, in [0, 1]"
                + (", got NaN" if nan else "; are these logits?")
            )
    yes, no = (-log(p.clip(min=LEAST)) for p in (input, 1.0 - input))
    return _reduced(operand(target) * yes + (1.0 - operand(target)) * no, reduction)


def mse_loss(input: Tensor, target: Operand, reduction: str = "mean") -> Tensor:
    """(x - t)²."""
    _check_shapes("mse_loss", input, target)
    difference = input - target
    return _reduced(difference * difference, reduction)


def l1_loss(input: Tensor, target: Operand, reduction: str = "mean") -> Tensor:
    """|x - t|."""
    _check_shapes("l1_loss", input, target)
    return _reduced((input - target).abs(), reduction)


def smooth_l1_loss(input: Tensor, target: Operand, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """|x - t| - beta / 2, but where |x - t| < beta: (x - t)² / (2 beta), without a kink. Girshick 2015.

    beta: above 0. ValueError otherwise.
    """
    _check_shapes("smooth_l1_loss", input, target)
    if not 0 < beta < math.inf:
        raise ValueError(f"smooth_l1_loss: beta must be above 0, got {beta}")
    distance = (input - target).abs()
    near = distance.clip(max=float(beta))
    return _reduced(near * (distance - 0.5 * near) / float(beta), reduction)


def kl_div(input: Tensor, target: Operand, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """t · (log t - x), 0 where t is 0: the Kullback-Leibler divergence from exp x to t, entry by entry.

    input: log-probabilities. target: probabilities of the same shape, or with log_target their logarithms.
    reduction: also "batchmean", the sum over the first axis' size, which the divergence of each sample is the
    mean of.
    """
    _check_shapes("kl_div", input, target)
    target = target if isinstance(target, Tensor) else Tensor(target, dtype=input.dtype, device=input.device)
    log_t, t = (target, target.exp()) if log_target else (log(target + (target == 0)), target)
    losses = t * (log_t - input)
    if reduction == "batchmean":
        return losses.sum() / len(input)
    return _reduced(losses, reduction)


def cross_entropy(
    input: Tensor,
    target: Tensor | np.ndarray | Sequence,
    reduction: str = "mean",
    weight: Tensor | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(x)[t]: logits (N, C) or (N, C, ...), integer labels (N,) or (N, ...) in [0, C).

    target: the labels; or probabilities of the classes, floats of input's shape, for -Σ t · log softmax(x).
    weight: a factor for each class, (C,); the mean is then that by their sum, NaN where that is 0.
    ignore_index: a label whose places count nothing, such as that of padding. None for none. The mean of
        nothing else is NaN.
    label_smoothing: the share of the target, in [0, 1], that is spread evenly over all classes.
    ValueError for other shapes or a label out of range, TypeError for labels that are not integers.
    """
    C, places = _classes("cross_entropy", input, weight, ignore_index)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing must be in [0, 1], got {label_smoothing}")
    rows = _classes_last(input)
    given: Any = np.asarray(target) if isinstance(target, (list, tuple)) else target
    if getattr(given, "ndim", 0) > 1 and given.dtype.kind == "f":
        if given.shape != input.shape:
            raise ValueError(
                f"cross_entropy: input has shape {input.shape}, target, of probabilities, {given.shape}"
            )
        if ignore_index is not None:
            raise ValueError("cross_entropy: ignore_index is one of labels, but target holds probabilities")
        if given is not target:  # a list, which has neither dtype nor device
            given = Tensor(given, dtype=input.dtype, device=input.device)
        shares = _classes_last(given if isinstance(given, Tensor) else Tensor(given))
        losses = _spread(rows, weight, (1 - label_smoothing) * shares + label_smoothing / C)
        return _in_places(_reduced(losses, reduction), places)

    labels, kept = _labels("cross_entropy", target, places, C, ignore_index, input.device)
    weights = None if weight is None else index(weight, labels)
    losses = _times(CrossEntropy(labels)(rows), weights)
    if label_smoothing:
        losses = (1 - label_smoothing) * losses + label_smoothing / C * _spread(rows, weight, 1.0)
    return _over_labels(losses, weights, kept, reduction, places)


def nll_loss(
    input: Tensor,
    target: Tensor | np.ndarray | Sequence,
    reduction: str = "mean",
    weight: Tensor | None = None,
    ignore_index: int | None = None,
) -> Tensor:
    """-x[t]: log-probabilities (N, C) or (N, C, ...), integer labels (N,) or (N, ...) in [0, C).

    Of what `log_softmax` gives, this is `cross_entropy`. weight: a factor for each class, (C,); the mean is
    then that by their sum, NaN where that is 0. ignore_index: a label whose places count nothing, None for
    none; the mean of nothing else is NaN.
    ValueError for other shapes or a label out of range, TypeError for labels that are not integers.
    """
    C, places = _classes("nll_loss", input, weight, ignore_index)
    labels, kept = _labels("nll_loss", target, places, C, ignore_index, input.device)
    weights = None if weight is None else index(weight, labels)
    with backend.beside(labels):
        column = labels[:, None]
    losses = _times(-gather(_classes_last(input), 1, column).squeeze(1), weights)
    return _over_labels(losses, weights, kept, reduction, places)


def _classes(name, input, weight, ignore_index):
    """(how many classes, the shape of the places) of an input (N, C, ...); the settings checked beside it."""
    if input.ndim < 2:
        raise ValueError(f"{name}: input must have shape (N, C) or (N, C, ...), got {input.shape}")
    C, places = input.shape[1], (input.shape[0], *input.shape[2:])
    if ignore_index is not None:
        integer(name, "ignore_index", ignore_index)
    if weight is not None and weight.shape != (C,):
        raise ValueError(f"{name}: weight must have shape ({C},), got {weight.shape}")
    return C, places


def _times(losses, weights):
    return losses if weights is None else losses * weights


def _over_labels(losses, weights, kept, reduction, places):
    """Losses of labels reduced: nothing where they are not kept, the mean by the sum of the weights."""
    if kept is not None:
        losses = where(kept, losses, 0.0)
        weights = Tensor(kept).to(losses.dtype) if weights is None else where(kept, weights, 0.0)
    if reduction == "mean" and weights is not None:
        total = weights.sum()
        return losses.sum() / where(total == 0, math.nan, total)  # by 0 NumPy would warn
    return _in_places(_reduced(losses, reduction), places)


def _classes_last(x):
    """(N, C, ...) as rows of C."""
    return x if x.ndim == 2 else x.permute(0, *range(2, x.ndim), 1).reshape(-1, x.shape[1])


def _in_places(losses, places):
    """Losses of rows where the rows stood; a single number as it is."""
    return losses.reshape(places) if losses.ndim and len(places) > 1 else losses


def _spread(rows, weight, target):
    """-Σ target · log softmax(x) over the classes, each by its weight."""
    y = target * -log_softmax(rows, 1)
    return (y if weight is None else y * weight).sum(1)


def _labels(name, target, places, C, ignore_index, device):
    """The labels as one row, 0 where they are ignored, and a mask of those that are not, or None."""
    kept = None
    labels = as_integers(name, "target", target, device)
    if labels.shape != places:
        given = f"{places[0]} rows of input" if len(places) == 1 else f"input for places of shape {places}"
        raise ValueError(f"{name}: {given}, but labels of shape {labels.shape}")
    with backend.beside(labels):
        labels = labels.reshape(-1)
        if ignore_index is not None:
            kept = labels != ignore_index
            labels = np.where(kept, labels, 0)
        check_range(name, labels, C, "classes")
        return labels.copy(), kept  # the gradient must not see later changes


def hinge_loss(input: Tensor, target: Operand, reduction: str = "mean") -> Tensor:
    """max(0, 1 - t x), with targets of +1 and -1: of input's shape, or one number for all entries."""
    _check_shapes("hinge_loss", input, target)
    return _reduced(relu(1.0 - operand(target) * input), reduction)


def _check_shapes(name, input, target):
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}: input must be a Tensor, got {shown(input)}")
    shape = getattr(target, "shape", ())
    if shape not in ((), input.shape):  # broadcasting (N, 1) against (N,) would give (N, N)
        raise ValueError(f"{name}: input has shape {input.shape}, target {shape}")


def _reduced(x, reduction):
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
