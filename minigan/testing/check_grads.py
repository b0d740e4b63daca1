"""Gradients against finite differences, to any order, by random directions.

For y = f(x), a cotangent u and a direction v, reverse mode gives ⟨∇ₓ⟨u, f(x)⟩, v⟩, and so does the
slope of the scalar function t ↦ ⟨u, f(x + t v)⟩ at 0. Both are one number, whatever the sizes; u and
v being random, a wrong entry anywhere changes the first and not the second. The idea is Chainer's
and HIPS autograd's.

The next order is the same check of the function (x, u) ↦ ∇ₓ⟨u, f(x)⟩.

Slopes are central differences at a step and at its half and quarter, extrapolated twice (Richardson
1911): the error is of the sixth power of the step, so that the step can be large against rounding.
"""

from collections import Counter

import numpy as np

import minigan_kernels as kernels
from minigan.autograd import Tensor, enable_grad, grad, no_grad
from minigan.random import Generator

checked = Counter()  # how many functions were checked, by engine: for the pytest plugin's closing line

STEP = {"float64": 1e-4, "float32": 2e-2}  # relative to the size of the input; about eps ** (1 / 4)
RTOL = {"float64": 1e-6, "float32": 3e-3}  # some hundred times what rounding makes at that step
DIRECTIONS = 2  # one may by chance be nearly blind to a small error in a few entries


def check_grads(f, inputs, order=2, rtol=None, atol=None, full=False, seed=0, allow_unused=False):
    """Check the derivatives of `f` at `inputs`, of every order up to `order`.

    f: takes one Tensor per input, returns a Tensor or a sequence of them. Smooth around the inputs,
        the same at every call.
    inputs: arrays or Tensors of one dtype, float64 or float32. The check moves all of them.
    rtol: how far the two may be apart, relative to the larger, or to a thousandth of the sum of the
        sizes that add up to it. By default 1e-6 for float64, 3e-3 for float32. atol: the same,
        absolute; by default rtol / 1000.
    full: compare the whole Jacobians at the first order, entry by entry, and name the worst; for
        small inputs.
    allow_unused: whether outputs may be independent of an input.

    Returns the largest relative error seen, over all orders. Raises

    - AssertionError for a wrong gradient: the order, the input, both numbers, the relative error and
      the step, and whether the two come closer at a smaller step (a kink) or not (a bug);
    - ValueError for an `f` that this check cannot judge: not deterministic, not finite, changing its
      inputs, or independent of one of them;
    - TypeError for inputs or outputs of another dtype.
    """
    arrays = [np.array(x) for x in inputs]
    _check_usable(f, arrays, allow_unused)
    checker = _Checker(arrays, rtol, atol, Generator(seed))
    checked[kernels.engine_name(arrays[0])] += 1
    worst = 0.0
    for n in range(1, order + 1):
        if full and n == 1:
            worst = max(worst, checker.jacobians(f, arrays))
        worst = max(worst, *(checker.direction(f, arrays, n, bool(k)) for k in range(DIRECTIONS)))
        f, arrays = checker.vjp(f, arrays)
    return worst


class _Checker:
    def __init__(self, arrays, rtol, atol, generator):
        dtype = str(arrays[0].dtype)
        self.rtol = RTOL[dtype] if rtol is None else rtol
        self.atol = self.rtol / 1000 if atol is None else atol
        self.step = STEP[dtype]
        self.generator = generator

    # One direction

    def direction(self, f, arrays, order, create_graph):
        """The relative error along a random direction; AssertionError if it is too large."""
        directions = [self.like(a) * _size(a) for a in arrays]
        with no_grad():
            cotangents = [self.like(y.data) for y in _outputs(f, arrays)]
        terms = self.reverse(f, arrays, cotangents, directions, create_graph)
        slope = _slope(f, arrays, cotangents, directions, self.step)
        error = self.error(slope, terms)
        if not error <= self.rtol:
            raise AssertionError(self.explain(f, arrays, cotangents, directions, terms, order))
        return error

    def reverse(self, f, arrays, cotangents, directions, create_graph=False):
        """For each input, the entries of gradient · direction; their sum is the slope by reverse mode."""
        leaves = [Tensor(a, requires_grad=True) for a in arrays]
        gradients = _pull_back(f, leaves, [Tensor(u) for u in cotangents], create_graph)
        return [g.numpy().astype(np.float64) * v for g, v in zip(gradients, directions, strict=True)]

    def error(self, slope, terms):
        """How far the slope by differences is from the sum of the terms, relative to their size."""
        found = sum(float(t.sum()) for t in terms)
        sizes = sum(float(np.abs(t).sum()) for t in terms)
        return abs(found - slope) / max(abs(slope), abs(found), 1e-3 * sizes, self.atol / self.rtol)

    def explain(self, f, arrays, cotangents, directions, terms, order):
        """Which input it is, what was found, and whether a smaller step helps."""
        culprits = []
        for i in range(len(arrays)):
            alone = [v if i == j else 0 * v for j, v in enumerate(directions)]
            slope = _slope(f, arrays, cotangents, alone, self.step)
            part = [terms[i]]
            if not self.error(slope, part) <= self.rtol:
                closer = _slope(f, arrays, cotangents, alone, self.step / 1000)
                culprits.append((self.error(slope, part), i, slope, part, self.error(closer, part)))
        if not culprits:
            return f"gradient of order {order} is wrong along a direction that moves several inputs"
        error, i, slope, part, closer = max(culprits, key=lambda c: c[0] if c[0] == c[0] else np.inf)
        advice = "A smaller step does not help: this is a bug."
        if closer < 0.1 * error:
            advice = f"A smaller step helps ({closer:.1e}): f has a kink near the inputs, or bends too much."
        return (
            f"gradient of order {order} is wrong in input {i} of {len(arrays)}: "
            f"reverse mode gives {float(part[0].sum()):.10g}, finite differences {slope:.10g}; "
            f"relative error {error:.2e} at step {self.step:.1e}. {advice}"
        )

    # Whole Jacobians

    def jacobians(self, f, arrays):
        """The largest error of an entry of a Jacobian; AssertionError naming the entry if it is too large."""
        with no_grad():
            outputs = [y.data for y in _outputs(f, arrays)]
        worst = 0.0
        for o, y in enumerate(outputs):
            found = [np.zeros((y.size, a.size)) for a in arrays]
            for row in range(y.size):
                cotangents = [np.zeros_like(u) for u in outputs]
                cotangents[o].flat[row] = 1
                ones = [np.ones_like(a) for a in arrays]
                for i, entries in enumerate(self.reverse(f, arrays, cotangents, ones)):
                    found[i][row] = entries.reshape(-1)
            for i, a in enumerate(arrays):
                expected = np.stack(
                    [_column(f, arrays, o, i, k, self.step * _size(a)) for k in range(a.size)], axis=1
                )
                worst = max(worst, self.compare_entries(found[i], expected, (o, y.shape), (i, a.shape)))
        return worst

    def compare_entries(self, found, expected, output, input):
        (o, out_shape), (i, in_shape) = output, input
        difference = np.abs(found - expected)
        scale = max(float(np.abs(expected).max(initial=0)), float(np.abs(found).max(initial=0)))
        if not (difference <= self.atol + self.rtol * scale).all():
            row, col = np.unravel_index(np.argmax(np.nan_to_num(difference, nan=np.inf)), difference.shape)
            at_output = tuple(map(int, np.unravel_index(row, out_shape)))
            at_input = tuple(map(int, np.unravel_index(col, in_shape)))
            raise AssertionError(
                f"the Jacobian is wrong, worst at output {o} {at_output} and input {i} {at_input}: "
                f"reverse mode gives {found[row, col]:.10g}, finite differences {expected[row, col]:.10g}"
            )
        return float(difference.max(initial=0)) / scale if scale else 0.0

    # The next order

    def vjp(self, f, arrays):
        """`next_order` of f, and arrays to evaluate it at."""
        with no_grad():
            cotangents = [self.like(y.data) for y in _outputs(f, arrays)]
        return next_order(f, len(arrays)), arrays + cotangents

    def like(self, array):
        return self.generator.normal(array.shape, dtype=array.dtype)


def next_order(f, n):
    """The function (x, u) ↦ ∇ₓ⟨u, f(x)⟩, x being n tensors."""

    @enable_grad()  # the differences of the next order are taken under no_grad
    def vjp(*args):
        leaves = [x if x.requires_grad else x.detach().requires_grad_() for x in args[:n]]
        return _pull_back(f, leaves, args[n:], create_graph=True)

    return vjp


def _pull_back(f, leaves, cotangents, create_graph):
    """∇⟨cotangents, f(leaves)⟩, as many tensors as leaves; zeros where f does not depend on one."""
    kept = [(y, u) for y, u in zip(_sequence(f(*leaves)), cotangents, strict=True) if y.requires_grad]
    if not kept:
        return [0.0 * x for x in leaves]
    outputs, seeds = ([pair[i] for pair in kept] for i in (0, 1))
    gradients = grad(outputs, leaves, seeds, create_graph=create_graph, allow_unused=True)
    return [0.0 * x if g is None else g for g, x in zip(gradients, leaves, strict=True)]


def _slope(f, arrays, cotangents, directions, step):
    """The derivative of t ↦ ⟨cotangents, f(arrays + t · directions)⟩ at 0."""

    def along(t):
        moved = [a + a.dtype.type(t) * v for a, v in zip(arrays, directions, strict=True)]
        with no_grad():
            outputs = _outputs(f, moved)
        products = (u.astype(np.float64) * y.numpy() for u, y in zip(cotangents, outputs, strict=True))
        return sum(float(p.sum()) for p in products)

    return _extrapolated(along, step)


def _column(f, arrays, output, i, k, step):
    """∂f_output / ∂arrays[i].flat[k], flat."""

    def along(t):
        moved = list(arrays)
        moved[i] = arrays[i].copy()
        moved[i].flat[k] += t
        with no_grad():
            return _outputs(f, moved)[output].numpy().astype(np.float64).reshape(-1)

    return _extrapolated(along, step)


def _extrapolated(along, step):
    a, b, c = ((along(h) - along(-h)) / (2 * h) for h in (step, step / 2, step / 4))
    coarse, fine = (4 * b - a) / 3, (4 * c - b) / 3
    return (16 * fine - coarse) / 15


def _size(array):
    """The typical size of the entries, 1 where they are all 0."""
    return float(np.sqrt(np.mean(np.square(array)))) or 1.0 if array.size else 1.0


def _outputs(f, arrays):
    return outputs_of(f, [Tensor(a) for a in arrays])


def outputs_of(f, tensors):
    """What f returns, as a list."""
    return _sequence(f(*tensors))


def _sequence(y):
    return list(y) if isinstance(y, (list, tuple)) else [y]


# What the check cannot judge


def _check_usable(f, arrays, allow_unused):
    """Raise a sentence of its own for an f that no finite difference can judge."""
    dtypes = {str(a.dtype) for a in arrays}
    if len(dtypes) != 1 or not dtypes <= {"float32", "float64"}:
        raise TypeError(f"check_grads: inputs must be all float64 or all float32, got {sorted(dtypes)}")
    before = [a.copy() for a in arrays]
    with no_grad():
        first = _outputs(f, arrays)
        changed = any(not np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))
        second = first if changed else _outputs(f, arrays)
    for y in first:
        if not isinstance(y, Tensor):
            raise TypeError(f"check_grads: f must return Tensors, it returned {type(y).__name__}")
        if y.dtype != arrays[0].dtype:
            raise TypeError(f"check_grads: f returned {y.dtype} for inputs of {arrays[0].dtype}")
        if not np.isfinite(y.numpy()).all():
            raise ValueError("check_grads: f is not finite at the inputs")
    if any(not np.array_equal(a.numpy(), b.numpy()) for a, b in zip(first, second, strict=True)):
        raise ValueError("check_grads: f is not deterministic: two calls on the same inputs differ")
    leaves = [Tensor(a, requires_grad=True) for a in arrays]
    kept = [y for y in _sequence(f(*leaves)) if y.requires_grad]
    seeds = [np.ones_like(y.data) for y in kept]
    used = grad(kept, leaves, seeds, allow_unused=True) if kept else [None] * len(leaves)
    if changed or any(not np.array_equal(a, b) for a, b in zip(arrays, before, strict=True)):
        raise ValueError("check_grads: f or its gradient changes its inputs")
    for i, g in enumerate(used):
        if g is None and not allow_unused:
            raise ValueError(
                f"check_grads: f does not depend on input {i} in a way that is recorded; "
                f"allow_unused=True accepts that"
            )
