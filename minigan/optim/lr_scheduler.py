"""Learning-rate schedules: the rate as a function of how many steps of the schedule were taken."""

import math
from collections.abc import Callable

from .optimizer import Optimizer


class LambdaLR:
    """lr = base · factor(n) after n calls of `step`; the base is the optimiser's rate at the start."""

    def __init__(self, optimizer: Optimizer, factor: Callable[[int], float]):
        self.optimizer, self.factor = optimizer, factor
        self.base, self.n = optimizer.lr, 0
        self._set()

    def step(self):
        """Go on to the next rate."""
        self.n += 1
        self._set()

    def state_dict(self) -> dict[str, float]:
        return {"base": self.base, "n": self.n}

    def load_state_dict(self, state):
        self.base, self.n = state["base"], state["n"]
        self._set()

    def _set(self):
        self.optimizer.lr = self.base * self.factor(self.n)


class StepLR(LambdaLR):
    """Multiplied by gamma every step_size steps."""

    def __init__(self, optimizer, step_size: int, gamma: float = 0.1):
        super().__init__(optimizer, lambda n: gamma ** (n // step_size))


class ExponentialLR(LambdaLR):
    """Multiplied by gamma every step."""

    def __init__(self, optimizer, gamma: float):
        super().__init__(optimizer, lambda n: gamma**n)


class LinearLR(LambdaLR):
    """From start_factor to end_factor, linearly over total_iters steps, constant from then on."""

    def __init__(self, optimizer, start_factor=1 / 3, end_factor=1.0, total_iters=5):
        def factor(n):
            return start_factor + (end_factor - start_factor) * min(n, total_iters) / total_iters

        super().__init__(optimizer, factor)


class CosineAnnealingLR(LambdaLR):
    """From the base rate down to eta_min along half a cosine of T_max steps.

    Loshchilov, Hutter, "SGDR", 2017, equation 5.
    """

    def __init__(self, optimizer, T_max: int, eta_min: float = 0.0):
        base = optimizer.lr

        def factor(n):
            rate = eta_min + (base - eta_min) * (1 + math.cos(math.pi * n / T_max)) / 2
            return rate / base if base else 0.0

        super().__init__(optimizer, factor)
