"""Choices that gradients pass: what was chosen goes on, and the gradient of what it was chosen by comes back.

Such a gradient is not that of the value, which has none; it is an estimate, of use in training.
"""

import math

import numpy as np

from minigan import backend, random
from minigan.autograd import Tensor
from minigan.random import Generator
from minigan_kernels import array_module

from .activation import softmax
from .axes import axes_of


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """The values of `hard`, with the gradient of `soft`, of the same shape: straight through what made the
    one from the other. Derivatives of every order are those of `soft`; hard gets none. ValueError for shapes
    that differ.

    Bengio, Léonard, Courville, "Estimating or propagating gradients through stochastic neurons", 2013.
    """
    if hard.shape != soft.shape:
        raise ValueError(f"straight_through: hard has shape {hard.shape}, soft {soft.shape}")
    return hard.detach() + (soft - soft.detach())


def gumbel_softmax(
    logits: Tensor, tau: float = 1.0, hard: bool = False, axis: int = -1, generator: Generator | None = None
) -> Tensor:
    """A sample of classes: softmax((logits + g) / tau) along `axis`, g being noise of Gumbel's distribution.

    The largest entry is that of class c with the probability softmax(logits)[c]; the lower tau, the nearer
    are samples to 0 and 1, and the rougher is the gradient.
    hard: 1 for the largest entry and 0 for the others, straight through to the gradient of the soft sample.
    generator: a `random.Generator`, by default the one that `minigan.manual_seed` seeds.
    ValueError for a tau that is not above 0. Derivatives of every order, with hard those of the soft sample.

    Jang, Gu, Poole, "Categorical reparameterization with Gumbel-softmax", 2017; Maddison, Mnih, Teh, "The
    concrete distribution", 2017.
    """
    if not 0 < tau < math.inf:
        raise ValueError(f"gumbel_softmax: tau must be above 0, got {tau}")
    (axis,) = axes_of(axis, logits.ndim)
    u = (generator or random.default_generator).uniform(logits.shape, device=logits.device)
    with backend.beside(u):
        noise = -np.log(-np.log(np.maximum(u, SMALLEST))).astype(logits.dtype)
    soft = softmax((logits + noise) * float(1 / tau), axis)
    if not hard:
        return soft
    with backend.beside(soft.data):
        largest = soft.data.argmax(axis=axis, keepdims=True)
        classes = array_module(u).arange(soft.shape[axis]).reshape(-1, *(1,) * (soft.ndim - 1 - axis))
        chosen = (largest == classes).astype(soft.dtype)
    return straight_through(Tensor(chosen), soft)


SMALLEST = 2.0**-25  # in the place of a uniform number of 0: half of the next one
