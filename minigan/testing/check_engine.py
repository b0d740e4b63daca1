"""Derivatives in float32 on one engine against those of `reference` in float64.

For engines that take float32 alone, for which finite differences are too coarse.
"""

from collections.abc import Callable, Sequence

import numpy as np

import minigan_kernels as kernels
from minigan.autograd import Tensor
from minigan.backend import to_numpy
from minigan_kernels.engines import kernels_called

from .check_grads import next_order, outputs_of

ATOL = 2e-5  # relative to the largest entry, or to 1: some hundred roundings


def check_engine(
    f: Callable, inputs: Sequence[Tensor | np.ndarray], engine: str, order: int = 2, seed: int = 0
) -> float:
    """Compare the values of `f` and its derivatives up to `order`, on `engine` and on `reference`.

    f: takes one Tensor per input, returns a Tensor or a sequence of them.
    inputs: arrays; both sides start from their values in float32.

    Returns the largest error, relative to the largest entry of what it is an error of, or to 1.
    AssertionError says of which order it is too large.
    """
    inputs = [np.asarray(x, np.float32) for x in inputs]
    expected = _derivatives(f, inputs, "reference", np.float64, order, seed)
    found = _derivatives(f, inputs, engine, np.float32, order, seed)
    worst = 0.0
    for (n, a), (_, b) in zip(found, expected, strict=True):
        assert a.shape == b.shape, (
            f"the derivative of order {n} has shape {a.shape} on {engine}, not {b.shape}"
        )
        error = np.abs(a - b).max(initial=0) / max(1, np.abs(b).max(initial=0))
        assert error <= ATOL, (
            f"the derivative of order {n} on {engine} is off by {error:.1e} of its largest entry"
        )
        worst = max(worst, float(error))
    return worst


def runs_kernels(f: Callable, inputs: Sequence[Tensor | np.ndarray], engine: str) -> bool:
    """Whether `f` or its gradient calls a kernel that `engine` has of its own."""
    inputs = [np.asarray(x, np.float32) for x in inputs]
    with kernels_called() as called:
        _derivatives(f, inputs, engine, np.float32, 1, 0)
    return any(ran == engine for ran, _ in called)


def _derivatives(f, inputs, engine, dtype, order, seed):
    """(n, array) for each output of f, n = 0, and of its derivatives along random cotangents."""
    device = "gpu" if engine == "cuda" else "cpu"
    rng, found = np.random.default_rng(seed), []  # no engine's
    with kernels.engine(engine):
        for n in range(order + 1):
            arguments = [Tensor(x.astype(dtype), device=device) for x in inputs]
            outputs = outputs_of(f, arguments)
            found += [(n, to_numpy(y.data)) for y in outputs]
            if n < order:
                cotangents = [np.asarray(rng.standard_normal(y.shape), np.float32) for y in outputs]
                f, inputs = next_order(f, len(inputs)), inputs + cotangents
    return found
