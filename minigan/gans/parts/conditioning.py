"""Labels as an input of a network, joined to its other input as channels.

A mixture of classes is meant as well as one: a label is an integer, or a row of weights over classes.
"""

import numpy as np

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor
from minigan.errors import MiniganError


def one_hot(labels, classes):
    """Labels, integers (N,) or weights (N, classes), as weights (N, classes): a constant.

    MiniganError for weights of another number of classes; ValueError for an integer that is none.
    """
    labels = labels if isinstance(labels, Tensor) else Tensor(labels)
    if labels.ndim != 2:
        return F.one_hot(labels, classes)
    if labels.shape[1] != classes:
        raise MiniganError(f"labels are weights of {labels.shape[1]} classes, there are {classes}")
    return labels.detach()


def join(x, y):
    """x (N, C, ...) with y as K more channels: y (N, K, ...), or (N, K), constant over each sample."""
    if y.ndim < x.ndim:
        y = F.expand(F.reshape(y, *y.shape, *(1,) * (x.ndim - 2)), *y.shape, *x.shape[2:])
    return F.concat([x, y], axis=1)


class Conditional(nn.Module):
    """A network of an input and labels, joined: (x, labels) -> net(x and what `label` makes of the labels).

    label: a module that takes weights (N, classes); by default they are joined as they are, a channel each.
    """

    def __init__(self, net, classes, label=None):
        super().__init__()
        self.net, self.classes, self.label = net, classes, label or nn.Identity()

    def forward(self, x, labels):
        return self.net(join(x, self.label(one_hot(labels, self.classes))))


def label_plane(classes, shape, rng):
    """A learned picture a class, of the size of images (C, H, W): weights (N, classes) -> (N, 1, H, W)."""
    H, W = shape[1:]
    return nn.Sequential(nn.Linear(classes, H * W, bias=False, generator=rng), nn.Unflatten(1, H, W))


def labels_of(n, label, classes):
    """n labels, int64 (n,): `label` for all of them, or n integers; None takes every class in turn.

    MiniganError for labels that are no classes, or another number of them.
    """
    if label is None:
        return np.arange(n) % classes
    labels = np.asarray(label, np.int64)
    wrong = labels[(labels < 0) | (labels >= classes)]
    if wrong.size:
        raise MiniganError(f"label {wrong.flat[0]} is not one of the {classes} classes, 0 to {classes - 1}")
    if labels.ndim and labels.shape != (n,):
        raise MiniganError(f"{n} samples take one label or {n} of them, got {labels.size}")
    return np.broadcast_to(labels, n).copy()
