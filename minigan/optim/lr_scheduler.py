"""Learning-rate schedules: the rate as a function of how many steps of the schedule were taken."""

import math
from collections.abc import Callable

from minigan.arguments import Kind, checked, instance
from minigan.checks import integer, mapping, names_that_differ, number, read_back

from .optimizer import Optimizer

OPTIMIZER = instance(Optimizer, "an optimiser")
FUNCTION = Kind("a function of the number of steps", callable)


class Schedule:
    """Sets an optimiser's rate to `rate(n)` after n calls of `step`.

    `base` is the optimiser's rate at the start. `state_dict` saves base and n.

    A step that was captured as a CUDA graph takes the rate of the day, if `step` is called outside it.
    """

    @checked(optimizer=OPTIMIZER)
    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer, self.base, self.n = optimizer, optimizer.lr, 0
        self._set()

    def rate(self, n: int) -> float:
        """The rate after n steps of the schedule. A subclass gives it."""
        raise NotImplementedError

    def step(self) -> None:
        """Go on to the next rate."""
        self.n += 1
        self._set()

    def state_dict(self) -> dict[str, float]:
        """The rate at the start, and how many steps were taken."""
        return {"base": self.base, "n": self.n}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on from a `state_dict`. ValueError or TypeError, with nothing changed, if it does not fit."""
        who = type(self).__name__
        mapping(who, state)
        if problems := names_that_differ(state, self.state_dict()):
            raise ValueError(f"{who}: the state does not fit: {'; '.join(problems)}")
        base, n = number(who, "base", read_back(state["base"])), integer(who, "n", read_back(state["n"]), 0)
        self.base, self.n = base, n
        self._set()

    def _set(self):
        self.optimizer.lr = self.rate(self.n)


class LambdaLR(Schedule):
    """base · lr_lambda(n)."""

    @checked(optimizer=OPTIMIZER, lr_lambda=FUNCTION)
    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float]) -> None:
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def rate(self, n: int) -> float:
        return self.base * self.lr_lambda(n)


class StepLR(Schedule):
    """Multiplied by gamma every step_size steps."""

    @checked(optimizer=OPTIMIZER)
    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def rate(self, n: int) -> float:
        return self.base * self.gamma ** (n // self.step_size)


class ExponentialLR(Schedule):
    """Multiplied by gamma every step."""

    @checked(optimizer=OPTIMIZER)
    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = gamma
        super().__init__(optimizer)

    def rate(self, n: int) -> float:
        return self.base * self.gamma**n


class LinearLR(Schedule):
    """The factor goes from start_factor to end_factor, linearly over total_iters steps, and stays there."""

    @checked(optimizer=OPTIMIZER)
    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        self.start, self.end, self.total = start_factor, end_factor, total_iters
        super().__init__(optimizer)

    def rate(self, n: int) -> float:
        if n >= self.total:  # end_factor itself: by the line below, a factor of 0 may come out as -1e-17
            return self.base * self.end
        return self.base * (self.start + (self.end - self.start) * n / self.total)


class CosineAnnealingLR(Schedule):
    """The rate goes from the base rate down to eta_min along half a cosine of T_max steps.

    Loshchilov, Hutter, "SGDR", 2017, equation 5.
    """

    @checked(optimizer=OPTIMIZER)
    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def rate(self, n: int) -> float:
        return self.eta_min + (self.base - self.eta_min) * (1 + math.cos(math.pi * n / self.T_max)) / 2
