"""SGD, RMSprop, Adam, AdamW: PyTorch's settings, defaults and update rules. Formulas: `minigan_kernels`."""

from collections.abc import Iterable
from typing import Any, ClassVar

import minigan_kernels as kernels
from minigan import backend
from minigan.autograd import Tensor
from minigan.checks import number, shown

from .optimizer import Optimizer
from .unrolled import meeting, root


class SGD(Optimizer):
    """Gradient descent with momentum, plain or Nesterov's. Sutskever et al. 2013, as PyTorch has it."""

    limits: ClassVar[dict] = {**Optimizer.limits, "momentum": (0,), "dampening": ()}

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        self._check(momentum=momentum, dampening=dampening)
        if not isinstance(nesterov, bool):
            raise TypeError(f"SGD: nesterov must be True or False, got {shown(nesterov)}")
        if nesterov and (not momentum or dampening):
            raise ValueError("SGD: nesterov needs a momentum, and no dampening")
        self.state_names = ("momentum_buffer",) if momentum else ()
        super().__init__(params, lr, weight_decay)
        self.momentum, self.dampening, self.nesterov = momentum, dampening, nesterov

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "momentum": self.momentum, "dampening": self.dampening}

    def _update(self, p, g, state):
        kernels.sgd(
            p,
            g,
            state.get("momentum_buffer"),
            self._rate,
            self.momentum,
            self.dampening,
            self.weight_decay,
            self.nesterov,
            first=not self._begun,
        )

    def _moved(self, p, g, state, steps, rate, first):
        g = self._decayed(p, g)
        if self.momentum:
            buf = g if first else self.momentum * state["momentum_buffer"] + (1 - self.dampening) * g
            state = {"momentum_buffer": buf}
            g = g + self.momentum * buf if self.nesterov else buf
        return p - meeting(p, rate) * g, state


class RMSprop(Optimizer):
    """Steps divided by a running root mean square of the gradient. Tieleman, Hinton 2012."""

    state_names = ("square_avg",)
    limits: ClassVar[dict] = {**Optimizer.limits, "alpha": (0,), "eps": (0,)}

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        self._check(alpha=alpha, eps=eps)
        super().__init__(params, lr, weight_decay)
        self.alpha, self.eps = alpha, eps

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "alpha": self.alpha, "eps": self.eps}

    def _update(self, p, g, state):
        kernels.rmsprop(p, g, state["square_avg"], self._rate, self.alpha, self.eps, self.weight_decay)

    def _moved(self, p, g, state, steps, rate, first):
        g = self._decayed(p, g)
        square = self.alpha * state["square_avg"] + (1 - self.alpha) * g * g
        return p - meeting(p, rate) * (g / (root(square) + self.eps)), {"square_avg": square}


class Adam(Optimizer):
    """Kingma, Ba, "Adam: a method for stochastic optimization", 2015, Algorithm 1."""

    state_names = ("exp_avg", "exp_avg_sq")
    limits: ClassVar[dict] = {**Optimizer.limits, "beta1": (0, 1), "beta2": (0, 1), "eps": (0,)}

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        who = type(self).__name__
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise TypeError(f"{who}: betas must be two numbers, got {shown(betas)}")
        for beta in betas:
            number(who, "betas", beta, 0, 1)
        self.beta1, self.beta2 = betas
        self._check(eps=eps, beta1=self.beta1, beta2=self.beta2)
        super().__init__(params, lr, weight_decay)
        self.eps = eps

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "beta1": self.beta1, "beta2": self.beta2, "eps": self.eps}

    def _update(self, p, g, state):
        self._adam(p, g, state, self.weight_decay)

    def _adam(self, p, g, state, weight_decay):
        kernels.adam(
            p,
            g,
            state["exp_avg"],
            state["exp_avg_sq"],
            self._steps,
            self._rate,
            self.beta1,
            self.beta2,
            self.eps,
            weight_decay,
        )

    def _moved(self, p, g, state, steps, rate, first):
        return self._adam_moved(p, self._decayed(p, g), state, steps, rate)

    def _adam_moved(self, p, g, state, steps, rate):
        average, square = state["exp_avg"], state["exp_avg_sq"]
        average = average + (1 - self.beta1) * (g - average)
        square = self.beta2 * square + (1 - self.beta2) * g * g
        step_size, unbiased = rate / (1 - self.beta1**steps), (1 - self.beta2**steps) ** 0.5
        slower = root(square) / meeting(p, unbiased) + self.eps
        moved = p - meeting(p, step_size) * (average / slower)
        return moved, {"exp_avg": average, "exp_avg_sq": square}


class AdamW(Adam):
    """Adam whose weight decay stays out of the moments: p shrinks by lr · weight_decay before each step.

    Loshchilov, Hutter, "Decoupled weight decay regularization", 2019, Algorithm 2.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def _update(self, p, g, state):
        kept = 1 - self._rate * self.weight_decay
        p *= kept.astype(p.dtype) if backend.is_array(kept) else kept
        self._adam(p, g, state, 0.0)

    def _moved(self, p, g, state, steps, rate, first):
        return self._adam_moved(p * meeting(p, 1 - rate * self.weight_decay), g, state, steps, rate)
