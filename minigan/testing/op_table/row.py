"""A row of the op table, and the domains that its inputs are drawn from."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minigan.autograd import Tensor


@dataclass(frozen=True)
class Row:
    """An op in one form.

    f: Tensors in, Tensor out; smooth around the inputs, and the same at every call.
    inputs: for each argument a shape, to be filled with normal numbers, or one of the domains below.
    reference: the same on NumPy arrays.
    torch: the same in PyTorch. A string names one of its functions, which takes the same arguments;
        else a function of the module `torch` and the tensors.
    order: how many derivatives exist at the inputs.
    """

    name: str
    f: Callable
    inputs: list
    reference: Callable | None = None
    torch: Any = None
    order: int = 3

    @property
    def op(self) -> str:
        """The op, without the words on which form of it this is."""
        return self.name.partition(",")[0]

    def sample(self, seed: int = 0) -> list[np.ndarray]:
        """float64 arrays to call `f` on."""
        rng = np.random.default_rng(seed)
        return [
            rng.standard_normal(draw) if isinstance(draw, tuple) else np.asarray(draw(rng))
            for draw in self.inputs
        ]

    def twin(self, torch: Any) -> Callable:
        """The PyTorch function, given the module."""
        return (
            operator.attrgetter(self.torch)(torch)
            if isinstance(self.torch, str)
            else partial(self.torch, torch)
        )


def alike(name, f, inputs, **settings):
    """A row whose `f` is written the same in all three libraries."""
    return Row(name, f, inputs, f, lambda torch, *tensors: f(*tensors), **settings)


# Domains: arrays that stay clear of what is not smooth.


def positive(*shape):
    """Numbers in [0.5, 2)."""
    return lambda rng: rng.uniform(0.5, 2, shape)


def signed(*shape):
    """Numbers of both signs, not near 0."""
    return lambda rng: rng.choice([-1, 1], shape) * rng.uniform(0.5, 2, shape)


def fractions(*shape):
    """Numbers in [0.1, 0.9)."""
    return lambda rng: rng.uniform(0.1, 0.9, shape)


def apart(*shape, at=0.25):
    """Steps of 1/4 in random order, off the multiples of 1/4: no two are equal, none is 0, 1/2 or 1.
    With another `at`, none is equal to those of this one either."""
    n = int(np.prod(shape))
    return lambda rng: ((rng.permutation(n) - n // 2 + at) / 4).reshape(shape)


def zeros(*shape):
    return lambda rng: np.zeros(shape)


def like(x, values):
    """A constant in the dtype of the Tensor `x`, on its device."""
    return Tensor(np.asarray(values, dtype=x.dtype), device=x.device)


def beside(x, array):
    """The array on the device of the Tensor `x`; itself on the CPU. So for each part of a tuple, and
    what is no array is left alone."""
    if isinstance(array, tuple):
        return tuple(beside(x, part) for part in array)
    return x.device.put(array) if isinstance(array, np.ndarray) else array


# On NumPy arrays, what several families are checked against.


def leaky(y):
    return np.where(y > 0, y, 0.2 * y)
