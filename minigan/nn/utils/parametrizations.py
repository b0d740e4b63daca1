"""Weights as functions of what is learned: made anew whenever a layer reads them. Names are PyTorch's."""

import numpy as np

from minigan import backend, random
from minigan import functional as F
from minigan.arguments import AT_LEAST_0, COUNT, Kind, checked, instance
from minigan.autograd import Tensor, no_grad
from minigan.checks import is_integer, shown
from minigan.random import Generator

from ..containers import ModuleDict
from ..module import Module

__all__ = ["spectral_norm"]

FIRST = 15  # steps of the power iteration before the first use, as in PyTorch


@checked(
    module=instance(Module, "a Module"),
    name=instance(str, "the name of a parameter"),
    n_power_iterations=COUNT,
    eps=AT_LEAST_0,
    dim=Kind("an axis, an integer", is_integer),
)
def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
    generator: Generator | None = None,
) -> Module:
    """Give `module` the weight W / σ(W), σ the largest singular value of W, in the place of W. Returns it.

        v = Wᵀu / |Wᵀu|,  u = Wv / |Wv|,  σ(W) ≈ uᵀ W v

    W is a matrix whose rows lie along axis `dim`: by default the output channels, 0, or 1 for a transposed
    convolution. u and v are buffers; they go on by n_power_iterations at each reading of the weight in
    training mode, and stay in evaluation. They are constants of the derivatives, which are of every order.

    W itself, the same Parameter, is called `parametrizations.weight.original` from now on, u and v
    `parametrizations.weight.0._u` and `._v`, as in PyTorch. Draw first weights before: `module.weight` is no
    more than a result.
    generator: what the first u and v are drawn from.
    ValueError for a name that is no parameter of the module, is normed already or has fewer than two axes.

    Miyato et al., "Spectral normalization for generative adversarial networks", 2018, Algorithm 1.
    """
    who = f"spectral_norm: {name} of {type(module).__name__}"
    parametrizations = module.__dict__.get("parametrizations")
    if parametrizations is not None and name in parametrizations:
        raise ValueError(f"{who} is normed already")
    weight = module._parameters.get(name)
    if weight is None:
        known = ", ".join(module._parameters) or "it has none"
        raise ValueError(
            f"spectral_norm: name must be a parameter of {type(module).__name__} ({known}), got {name!r}"
        )
    if weight.ndim < 2:
        raise ValueError(f"{who} has shape {weight.shape}, expected at least two axes")
    axis = int(getattr(module, "transposed", False)) if dim is None else dim
    if not -weight.ndim <= axis < weight.ndim:
        raise ValueError(f"spectral_norm: dim must be an axis of {weight.shape}, got {shown(dim)}")
    norm = SpectralNorm(weight, n_power_iterations, axis, eps, generator or random.default_generator)
    delattr(module, name)
    if parametrizations is None:
        module.parametrizations = ModuleDict()
    module.parametrizations[name] = Parametrized(weight, norm)
    module.parametrizations.train(module.training)
    return module


class Parametrized(Module):
    """A parameter and what is made of it; called, it gives that."""

    def __init__(self, original, parametrization):
        super().__init__()
        self.original = original
        setattr(self, "0", parametrization)

    def forward(self):
        return self._modules["0"](self.original)


class SpectralNorm(Module):
    """W / σ(W); see `spectral_norm`."""

    def __init__(self, weight, n_power_iterations, axis, eps, generator):
        super().__init__()
        self.n_power_iterations, self.axis, self.eps = n_power_iterations, axis, eps
        matrix = self._matrix(weight)
        for name, n in zip(("_u", "_v"), matrix.shape, strict=True):
            drawn = generator.normal((n,), dtype=np.float64, device=weight.device)
            self.register_buffer(name, Tensor(drawn).to(weight.dtype))
        self._iterate(matrix, FIRST)

    def forward(self, weight):
        matrix = self._matrix(weight)
        if self.training:
            self._iterate(matrix, self.n_power_iterations)
        with backend.beside(weight.data):  # copies: the next reading moves u and v in place
            u, v = (Tensor(t.data.copy()) for t in (self._u, self._v))
        return weight / (u * (matrix @ v)).sum()

    def _matrix(self, weight):
        axes = sorted(range(weight.ndim), key=lambda axis: axis != self.axis % weight.ndim)
        return F.flatten(F.permute(weight, *axes), 1)

    def _iterate(self, matrix, count):
        with no_grad():
            u, v, matrix = self._u, self._v, matrix.detach()
            for _ in range(count):
                u = self._unit(matrix @ v)
                v = self._unit(matrix.T @ u)
            self._u.copy_(u)
            self._v.copy_(v)

    def _unit(self, x):
        return x / F.maximum((x * x).sum().sqrt(), self.eps)

    def extra_repr(self):
        return f"n_power_iterations={self.n_power_iterations}"
