"""Learning-rate schedules: the rate as a function of how many steps of the schedule were taken."""

import math
from collections.abc import Callable

from minigan import states
from minigan.arguments import checked, instance
from minigan.checks import integer, number

from .optimizer import Optimizer

OPTIMIZER = instance(Optimizer, "an optimiser")
FUNCTION = instance(Callable, "a function of the number of steps")


class Schedule:
    """Sets an optimiser's rate to `rate(n)` after n calls of `step`.

    `base` is the optimiser's rate at the start. `state_dict` saves base and n.

    A step that was captured as a CUDA graph holds the rate it was captured with: once the schedule changes
    it, the step raises MiniganError. Run such a step within `minigan.graph.graphs(False)`.
    """

    @checked(optimizer=OPTIMIZER)
    def __init__(self, optimizer: Optimizer):
        self.optimizer, self.base, self.n = optimizer, optimizer.lr, 0
        self._set()

    def rate(self, n: int) -> float:
        raise NotImplementedError

    def step(self):
        """Go on to the next rate."""
        self.n += 1
        self._set()

    def state_dict(self) -> dict[str, float]:
        return {"base": self.base, "n": self.n}

    def load_state_dict(self, state: dict[str, float]):
        """Go on from a `state_dict`. ValueError or TypeError, with nothing changed, if it does not fit."""
        who = type(self).__name__
        states.check_mapping(who, state)
        if problems := states.names_that_differ(state, self.state_dict()):
            raise ValueError(f"{who}: the state does not fit: {'; '.join(problems)}")
        base, n = number(who, "base", state["base"]), integer(who, "n", state["n"], 0)
        self.base, self.n = base, n
        self._set()

    def _set(self):
        self.optimizer.lr = self.rate(self.n)


class LambdaLR(Schedule):
    """base · lr_lambda(n)."""

    @checked(optimizer=OPTIMIZER, lr_lambda=FUNCTION)
    def __init__(self, optimizer, lr_lambda: Callable[[int], float]):
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def rate(self, n):
        return self.base * self.lr_lambda(n)


class StepLR(Schedule):
    """Multiplied by gamma every step_size steps."""

    @checked(optimizer=OPTIMIZER)
    def __init__(self, optimizer, step_size: int, gamma: float = 0.1):
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def rate(self, n):
        return self.base * self.gamma ** (n // self.step_size)


class ExponentialLR(Schedule):
    """Multiplied by gamma every step."""

    @checked(optimizer=OPTIMIZER)
    def __init__(self, optimizer, gamma: float):
        self.gamma = gamma
        super().__init__(optimizer)

    def rate(self, n):
        return self.base * self.gamma**n


class LinearLR(Schedule):
    """From start_factor to end_factor, linearly over total_iters steps, constant from then on."""

    @checked(optimizer=OPTIMIZER)
    def __init__(self, optimizer, start_factor=1 / 3, end_factor=1.0, total_iters=5):
        self.start, self.end, self.total = start_factor, end_factor, total_iters
        super().__init__(optimizer)

    def rate(self, n):
        return self.base * (self.start + (self.end - self.start) * min(n, self.total) / self.total)


class CosineAnnealingLR(Schedule):
    """From the base rate down to eta_min along half a cosine of T_max steps.

    Loshchilov, Hutter, "SGDR", 2017, equation 5.
    """

    @checked(optimizer=OPTIMIZER)
    def __init__(self, optimizer, T_max: int, eta_min: float = 0.0):
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def rate(self, n):
        return self.eta_min + (self.base - self.eta_min) * (1 + math.cos(math.pi * n / self.T_max)) / 2
