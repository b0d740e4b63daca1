"""What a function of Tensors computes, op by op: it is called twice, on batches of two sizes.

What differs between the calls is the batch, and nothing else may: a number that grows with it is a `Share` of
it; an array that came from no op has to be the same both times, or it was computed from the inputs behind the
ops' back, and cannot be told from a constant.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from minigan.autograd import Function, Tensor, no_grad
from minigan.autograd.modes import switched
from minigan.errors import MiniganError


class Share(Fraction):
    """A number that is so many times the size of the batch."""


@dataclass(frozen=True)
class Call:
    """An op that ran: the Function, what it was given (arrays, numbers, None), the array it made."""

    op: Function
    inputs: tuple
    output: np.ndarray


def trace(f, inputs: list[Tensor]) -> tuple[list[Call], np.ndarray]:
    """The calls in the order they were made in, and the array that `f` returned. No gradient is recorded."""
    calls = []

    def note(op, given, output):
        calls.append(Call(op, tuple(x.data if isinstance(x, Tensor) else x for x in given), output.data))

    with no_grad(), switched(trace=note):
        return calls, f(*inputs).data


class Both:
    """An op as it was in both calls: its settings, and what of them grows with the batch. `out` is the shape
    of what it made.

    MiniganError, with the name of the op, on reading what changed otherwise.
    """

    def __init__(self, calls: tuple[Call, Call], sizes: tuple[int, int]):
        self._calls, self._sizes = calls, sizes
        self.name = type(calls[0].op).__name__
        self.out = self.same(*(call.output.shape for call in calls))

    def __getattr__(self, setting):
        return self.same(*(getattr(call.op, setting) for call in self._calls))

    def first(self, setting):
        """A setting as it was in the first call."""
        return getattr(self._calls[0].op, setting)

    def same(self, a, b):
        """What a and b have in common: themselves, where they are equal; of integers, their share."""
        if isinstance(a, np.ndarray):
            if np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
                return a
        elif isinstance(a, tuple | list) and len(a) == len(b):
            return tuple(map(self.same, a, b))
        elif isinstance(a, slice):
            return slice(*map(self.same, (a.start, a.stop, a.step), (b.start, b.stop, b.step)))
        elif a == b:
            return a
        elif isinstance(a, int) and a * self._sizes[1] == b * self._sizes[0]:
            return Share(a, self._sizes[0])
        raise MiniganError(
            f"{self.name} depends on its input in a way that a trace does not show: it cannot be exported"
        )
