"""Gradients against finite differences, to any order, by one random direction.

For y = f(x), a cotangent u and a direction v, reverse mode gives ⟨∇ₓ⟨u, f(x)⟩, v⟩, and so does the
slope of the scalar function t ↦ ⟨u, f(x + t v)⟩ at 0. Both are one number, whatever the sizes; u and
v being random, a wrong entry anywhere changes the first and not the second.

The next order is the same check of the function (x, u) ↦ ∇ₓ⟨u, f(x)⟩.
"""

import numpy as np

from minigan.autograd import Tensor, enable_grad, grad, no_grad
from minigan.random import Generator


def check_grads(f, inputs, order=2, rtol=1e-6, atol=1e-9, seed=0):
    """Check the derivatives of `f` at `inputs`, of every order up to `order`.

    f: takes one Tensor per input, returns a Tensor or a sequence of them; must be smooth around
        the inputs, and deterministic.
    inputs: float64 arrays or Tensors; the check moves all of them.
    rtol, atol: the slope and the gradient may differ by atol + rtol · (the larger of the two, or of
        the sizes that add up to it).

    Returns the largest relative error seen, over all orders. Raises AssertionError with the order,
    both numbers and the relative error when they differ, TypeError for inputs that are not float64.
    """
    arrays = [np.asarray(x) for x in inputs]
    if any(a.dtype != np.float64 for a in arrays):
        raise TypeError(f"check_grads: inputs must be float64, got {[str(a.dtype) for a in arrays]}")
    generator = Generator(seed)
    worst = 0.0
    for n in range(1, order + 1):
        error, expected, found = _compare(f, arrays, generator)
        if not error <= rtol + atol / max(abs(expected), abs(found), 1e-300):
            raise AssertionError(
                f"gradient of order {n} is wrong: reverse mode gives {found:.12g}, finite differences "
                f"{expected:.12g}; relative error {error:.2e}"
            )
        worst = max(worst, error)
        f, arrays = _vjp(f, arrays, generator)
    return worst


def _compare(f, arrays, generator):
    """(relative error, slope by differences, slope by reverse mode), along a random direction."""
    direction = [_like(a, generator) for a in arrays]
    with no_grad():
        cotangents = [_like(y, generator) for y in _outputs(f, arrays)]

    def along(t):
        moved = [a + t * v for a, v in zip(arrays, direction, strict=True)]
        with no_grad():
            return sum(
                float((u * y.numpy()).sum()) for u, y in zip(cotangents, _outputs(f, moved), strict=True)
            )

    expected = _slope(along)
    leaves = [Tensor(a, requires_grad=True) for a in arrays]
    outputs = _sequence(f(*leaves))
    kept = [(y, u) for y, u in zip(outputs, cotangents, strict=True) if y.requires_grad]
    ys, us = ([pair[i] for pair in kept] for i in (0, 1))
    gradients = grad(ys, leaves, us, allow_unused=True) if ys else [None] * len(leaves)
    terms = [(g.numpy() * v) for g, v in zip(gradients, direction, strict=True) if g is not None]
    found = float(sum(t.sum() for t in terms))
    scale = max(abs(expected), abs(found), 1e-3 * sum(float(np.abs(t).sum()) for t in terms))
    return (abs(found - expected) / scale if scale else 0.0), expected, found


def _slope(along, step=1e-4):
    """The derivative at 0 by central differences, Richardson-extrapolated twice: error O(step⁶)."""
    a, b, c = ((along(h) - along(-h)) / (2 * h) for h in (step, step / 2, step / 4))
    coarse, fine = (4 * b - a) / 3, (4 * c - b) / 3
    return (16 * fine - coarse) / 15


def _vjp(f, arrays, generator):
    """The function (x, u) ↦ ∇ₓ⟨u, f(x)⟩, and arrays to evaluate it at."""
    with no_grad():
        cotangents = [_like(y, generator) for y in _outputs(f, arrays)]
    n = len(arrays)

    @enable_grad()  # the differences of the next order are taken under no_grad
    def vjp(*args):
        leaves = [x if x.requires_grad else x.detach().requires_grad_() for x in args[:n]]
        outputs = _sequence(f(*leaves))
        kept = [(y, u) for y, u in zip(outputs, args[n:], strict=True) if y.requires_grad]
        if not kept:
            return [0.0 * x for x in leaves]
        ys, us = ([pair[i] for pair in kept] for i in (0, 1))
        gradients = grad(ys, leaves, us, create_graph=True, allow_unused=True)
        return [0.0 * x if g is None else g for g, x in zip(gradients, leaves, strict=True)]

    return vjp, arrays + cotangents


def _outputs(f, arrays):
    return _sequence(f(*[Tensor(a) for a in arrays]))


def _sequence(y):
    return [y] if isinstance(y, Tensor) else list(y)


def _like(x, generator):
    return generator.normal(x.shape, dtype=np.float64)
