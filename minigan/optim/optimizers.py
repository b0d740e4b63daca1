"""SGD, RMSprop and Adam: PyTorch's settings, defaults and update rules. Formulas: `minigan_kernels`."""

from typing import ClassVar

import minigan_kernels as kernels
from minigan.checks import number, shown

from .optimizer import Optimizer


class SGD(Optimizer):
    """Gradient descent with momentum, plain or Nesterov's. Sutskever et al. 2013, as PyTorch has it."""

    limits: ClassVar[dict] = {**Optimizer.limits, "momentum": (0,), "dampening": ()}

    def __init__(self, params, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
        self._check(momentum=momentum, dampening=dampening)
        if not isinstance(nesterov, bool):
            raise TypeError(f"SGD: nesterov must be True or False, got {shown(nesterov)}")
        if nesterov and (not momentum or dampening):
            raise ValueError("SGD: nesterov needs a momentum, and no dampening")
        self.state_names = ("momentum_buffer",) if momentum else ()
        super().__init__(params, lr, weight_decay)
        self.momentum, self.dampening, self.nesterov = momentum, dampening, nesterov

    def settings(self):
        return {**super().settings(), "momentum": self.momentum, "dampening": self.dampening}

    def _update(self, p, g, state):
        kernels.sgd(
            p,
            g,
            state.get("momentum_buffer"),
            self.lr,
            self.momentum,
            self.dampening,
            self.weight_decay,
            self.nesterov,
            first=not self._begun,
        )


class RMSprop(Optimizer):
    """Steps divided by a running root mean square of the gradient. Tieleman, Hinton 2012."""

    state_names = ("square_avg",)
    limits: ClassVar[dict] = {**Optimizer.limits, "alpha": (0,), "eps": (0,)}

    def __init__(self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0):
        self._check(alpha=alpha, eps=eps)
        super().__init__(params, lr, weight_decay)
        self.alpha, self.eps = alpha, eps

    def settings(self):
        return {**super().settings(), "alpha": self.alpha, "eps": self.eps}

    def _update(self, p, g, state):
        kernels.rmsprop(p, g, state["square_avg"], self.lr, self.alpha, self.eps, self.weight_decay)


class Adam(Optimizer):
    """Kingma, Ba, "Adam: a method for stochastic optimization", 2015, Algorithm 1."""

    state_names = ("exp_avg", "exp_avg_sq")
    limits: ClassVar[dict] = {**Optimizer.limits, "beta1": (0, 1), "beta2": (0, 1), "eps": (0,)}

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise TypeError(f"Adam: betas must be two numbers, got {shown(betas)}")
        for beta in betas:
            number("Adam", "betas", beta, 0, 1)
        self.beta1, self.beta2 = betas
        self._check(eps=eps, beta1=self.beta1, beta2=self.beta2)
        super().__init__(params, lr, weight_decay)
        self.eps = eps

    def settings(self):
        return {**super().settings(), "beta1": self.beta1, "beta2": self.beta2, "eps": self.eps}

    def _update(self, p, g, state):
        kernels.adam(
            p,
            g,
            state["exp_avg"],
            state["exp_avg_sq"],
            self._steps,
            self.lr,
            self.beta1,
            self.beta2,
            self.eps,
            self.weight_decay,
        )
