"""Labels as an input of a network: one channel a class, 1 for the class that is meant.

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
    """x (N, C, ...) with the labels y (N, K) as K more channels, constant over each sample."""
    planes = F.expand(F.reshape(y, *y.shape, *(1,) * (x.ndim - 2)), *y.shape, *x.shape[2:])
    return F.concat([x, planes], axis=1)


class Conditional(nn.Module):
    """A network of its input and the labels, joined: (x, labels) -> net(x and one channel a class)."""

    def __init__(self, net, classes):
        super().__init__()
        self.net, self.classes = net, classes

    def forward(self, x, labels):
        return self.net(join(x, one_hot(labels, self.classes)))


def cycle(n, classes):
    """n labels that take every class in turn: int64 (n,)."""
    return np.arange(n) % classes
