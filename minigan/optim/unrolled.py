"""Further steps of an optimiser as a function of the gradients, which can be differentiated.

`Optimizer.step` changes parameters in place: nothing can go back through it. Where a loss is taken at the
parameters as they would be some steps later, and its gradient is to go through those steps (Maclaurin et al.
2015; Metz et al. 2017), the same formulas are taken in ops, on Tensors, and the optimiser stays as it is.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from minigan import backend
from minigan.autograd import Tensor
from minigan.checks import shown


class Unrolled:
    """The parameters of an optimiser some steps ahead; `Optimizer.unroll` makes it.

        ahead = opt_d.unroll()
        for _ in range(5):
            loss = d_loss(*ahead.params)
            ahead = ahead.step(grad(loss, ahead.params, create_graph=True))

    params: Tensors, in the order of the optimiser's; its own at first, then functions of the gradients. They
        go into a network by `nn.functional_call`.
    """

    def __init__(
        self, optimizer: Any, params: list[Tensor], state: list[dict], steps: Any, rate: Any, first: bool
    ) -> None:
        self.optimizer, self.params = optimizer, params
        self._state = state  # a dict for each parameter
        self._steps, self._rate, self._first = steps, rate, first  # first: whether no step was ever taken

    def step(self, gradients: Iterable[Tensor | None]) -> "Unrolled":
        """One step further, as `Optimizer.step` takes it: to rounding the same numbers. This one stays.

        A parameter whose gradient is None stays, and so does its state. ValueError for gradients that do not
        fit the parameters. Order of derivative: any.
        """
        who, steps = f"{type(self.optimizer).__name__}.unroll", self._steps + 1
        if isinstance(gradients, Tensor) or not isinstance(gradients, Iterable):
            raise TypeError(f"{who}: gradients is a list of Tensors, got {shown(gradients)}")
        gradients, moved = list(gradients), []
        if len(gradients) != len(self.params):
            raise ValueError(f"{who}: {len(self.params)} parameters, but {len(gradients)} gradients")
        for i, (p, g, state) in enumerate(zip(self.params, gradients, self._state, strict=True)):
            if g is None:
                moved.append((p, state))
                continue
            if not isinstance(g, Tensor):
                raise TypeError(f"{who}: gradients are Tensors or None, but number {i} is {shown(g)}")
            if g.shape != p.shape:
                raise ValueError(f"{who}: the gradient of parameter {i} has shape {g.shape}, not {p.shape}")
            moved.append(self.optimizer._moved(p, g, state, steps, self._rate, self._first))
        params, states = (list(column) for column in zip(*moved, strict=True))
        return Unrolled(self.optimizer, params, states, steps, self._rate, first=False)


def meeting(p: Tensor, number: Any) -> Any:
    """A number as it meets p in an op: one in an array, as on a GPU, is a Tensor of p's dtype."""
    return Tensor(number.astype(p.dtype).reshape(())) if backend.is_array(number) else number


def root(square: Tensor) -> Tensor:
    """The square root of running squares, with the slope 0 at 0, where an entry never had a gradient; below
    the smallest normal number it is constant."""
    return square.maximum(float(np.finfo(square.dtype).tiny)).sqrt()
