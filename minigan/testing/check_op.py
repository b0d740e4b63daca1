"""All that an op has to keep to, in one call."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import minigan_kernels as kernels
from minigan.autograd import Tensor, grad
from minigan.random import Generator

from .assert_close import assert_close
from .check_grads import check_grads
from .layouts import LAYOUTS, fits


def check_op(
    f: Callable,
    inputs: Sequence[Tensor | np.ndarray] | None = None,
    reference: Callable | None = None,
    *,
    strategy: Any = None,
    examples: int = 25,
    order: int = 2,
    broadcasts: bool = False,
    float32: bool = True,
    engine: str | None = None,
    seed: int = 0,
) -> float:
    """Check a differentiable op: its values, derivatives, dtypes, memory layouts and manners.

    f: takes Tensors, returns a Tensor; the same at every call.
    inputs: the float64 arrays to call it on, smooth around them; or
    strategy: a hypothesis strategy of lists of such arrays, of which `examples` are drawn. The
        arrays of `minigan.testing.strategies` keep clear of kinks.
    reference: the same on NumPy arrays; may be left out.
    order: how many derivatives exist.
    broadcasts: whether f works entry by entry; then inputs of size 1 and 0 along each axis are tried.
    float32: whether f takes float32 as well, and then gives it.
    engine: run every kernel on this one.

    For each example: outputs are finite and equal the reference's; derivatives are right up to
    `order` (`check_grads`); float32 in gives float32 out and float32 gradients, near the exact ones;
    inputs are not changed, forward or backward; any memory layout gives the same. Returns the
    largest relative error of a derivative. AssertionError says what was wrong; ValueError and
    TypeError as in `check_grads`.
    """
    if (inputs is None) == (strategy is None):
        raise ValueError("check_op: give either inputs or a strategy")
    with kernels.engine(engine) if engine else contextlib.nullcontext():
        if inputs is not None:
            example = [np.asarray(x, dtype=np.float64) for x in inputs]
            return _check_example(f, example, reference, order, broadcasts, float32, seed)
        return _over_examples(
            strategy, examples, lambda e: _check_example(f, e, reference, order, broadcasts, float32, seed)
        )


def _over_examples(strategy, examples, check):
    from hypothesis import HealthCheck, given, settings

    worst = 0.0

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(strategy)
    def run(example):
        nonlocal worst
        worst = max(worst, check([np.asarray(x, dtype=np.float64) for x in example]))

    run()
    return worst


def _check_example(f, arrays, reference, order, broadcasts, float32, seed):
    check_values(f, arrays, reference)
    worst = check_grads(f, arrays, order=order, seed=seed, allow_unused=True) if arrays else 0.0
    exact = value_and_gradients(f, arrays, seed)
    check_manners(f, arrays, seed)
    check_layouts(f, arrays, exact, seed)
    if float32:
        check_float32(f, arrays, exact, seed)
    if broadcasts:
        check_broadcasting(f, arrays, seed)
    return worst


def value_and_gradients(f, arrays, seed=0):
    """f's output, and its gradients in all inputs for a random cotangent: arrays."""
    leaves = [Tensor(a, requires_grad=True) for a in arrays]
    y = f(*leaves)
    if not y.requires_grad:
        return [y.numpy()]
    cotangent = Generator(seed).normal(y.shape, dtype=np.float64).astype(y.dtype)
    gradients = grad(y, leaves, cotangent, allow_unused=True)
    zeros = map(np.zeros_like, arrays)
    return [y.numpy(), *(z if g is None else g.numpy() for g, z in zip(gradients, zeros, strict=True))]


def check_values(f, arrays, reference):
    """Outputs are finite, and equal the reference's."""
    y = f(*map(Tensor, arrays)).numpy()
    assert np.isfinite(y).all(), "the output is not finite"
    if reference is not None:
        assert_close(y, reference(*arrays), rtol=1e-11, atol=1e-13)


def check_manners(f, arrays, seed):
    """Neither the op nor its gradient writes to its inputs."""
    before = [a.copy() for a in arrays]
    value_and_gradients(f, arrays, seed)
    for i, (a, b) in enumerate(zip(arrays, before, strict=True)):
        assert np.array_equal(a, b), f"input {i} was changed"


def check_float32(f, arrays, exact, seed):
    """float32 in gives float32 out, and float32 gradients, within rounding of the exact ones."""
    single = value_and_gradients(f, [a.astype(np.float32) for a in arrays], seed)
    for i, (found, expected) in enumerate(zip(single, exact, strict=True)):
        what = f"the gradient of input {i - 1}" if i else "the output"
        assert found.dtype == np.float32, f"float32 in, but {what} is {found.dtype}"
        assert_close(found, expected, atol=3e-6 * max(1, np.abs(expected).max(initial=0)))


def check_layouts(f, arrays, exact, seed):
    """Any order of the axes in memory gives the same values and gradients."""
    for name in ("transposed", "channels last", "reversed", "every second"):
        laid_out = [LAYOUTS[name](a, a.ndim - 1) if fits(name, a.ndim) else a for a in arrays]
        for found, expected in zip(value_and_gradients(f, laid_out, seed), exact, strict=True):
            try:
                assert_close(found, expected, rtol=1e-11, atol=1e-13)
            except AssertionError as error:
                raise AssertionError(
                    f"inputs that lie {name} in memory give something else: {error}"
                ) from None


def check_broadcasting(f, arrays, seed):
    """Inputs of size 1 along an axis are stretched, and their gradients summed; size 0 gives size 0."""
    for i, a in enumerate(arrays):
        for axis in range(a.ndim if len(arrays) > 1 else 0):
            thin = np.take(a, [0], axis=axis)
            y, *gradients = value_and_gradients(f, _with(arrays, i, thin), seed)
            stretched = _with(arrays, i, np.broadcast_to(thin, a.shape))
            expected, *full = value_and_gradients(f, stretched, seed)
            assert_close(y, expected, rtol=1e-11, atol=1e-13)
            assert_close(gradients[i], full[i].sum(axis=axis, keepdims=True), rtol=1e-9, atol=1e-11)
    empty = [a[..., :0] if a.ndim else a for a in arrays]
    y, *gradients = value_and_gradients(f, empty, seed)
    assert y.size == 0 or not any(a.ndim for a in empty), "empty inputs give an output that is not empty"
    for a, g in zip(empty, gradients, strict=False):
        assert g.shape == a.shape, f"an input of shape {a.shape} has a gradient of shape {g.shape}"


def _with(arrays, i, other):
    return [other if i == j else a for j, a in enumerate(arrays)]
