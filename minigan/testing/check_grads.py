"""Gradients against finite differences, to any order, by random directions.

For y = f(x), a cotangent u and a direction v, reverse mode gives ⟨∇ₓ⟨u, f(x)⟩, v⟩, and so does the
slope of the scalar function t ↦ ⟨u, f(x + t v)⟩ at 0. Both are one number, whatever the sizes; u and
v being random, a wrong entry anywhere changes the first and not the second. The idea is Chainer's
and HIPS autograd's.

The next order is the same check of the function (x, u) ↦ ∇ₓ⟨u, f(x)⟩.

Slopes are central differences at a step and at its half and quarter, extrapolated twice (Richardson
1911): the error is of the sixth power of the step, so that the step can be large against rounding.
"""

import copy
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

import minigan_kernels as kernels
from minigan.autograd import Tensor, enable_grad, grad, no_grad
from minigan.random import Generator

checked: Counter[str] = (
    Counter()
)  # how many functions were checked, by engine: for the pytest plugin's closing line

STEP = {"float64": 1e-4, "float32": 2e-2}  # relative to the size of the input; about eps ** (1 / 4)
RTOL = {"float64": 1e-6, "float32": 3e-3}  # some hundred times what rounding makes at that step
BESIDE = 4  # points at which a gradient has to be wrong to be called so, where f has a kink at the inputs
KINKS = 8  # directions along which f is looked at for kinks at the inputs
DIRECTIONS = 2  # one may by chance be nearly blind to a small error in a few entries


def check_grads(
    f: Callable,
    inputs: Sequence[Tensor | np.ndarray],
    order: int = 2,
    rtol: float | None = None,
    atol: float | None = None,
    full: bool = False,
    seed: int = 0,
    allow_unused: bool = False,
) -> float:
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
      the step, and whether the two come closer at a smaller step (a kink near the inputs) or not (a bug);
    - ValueError for an `f` that this check cannot judge: not deterministic, not finite, changing its
      inputs, independent of one of them, or not differentiable at the inputs, though its gradient is right
      beside them: such a function has no derivative there, and any choice of one differs from the slope;
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
            raise self.explain(f, arrays, cotangents, directions, create_graph, order)
        return error

    def reverse(self, f, arrays, cotangents, directions, create_graph=False):
        """For each input, the entries of gradient · direction; their sum is the slope by reverse mode."""
        leaves = [Tensor(a, requires_grad=True) for a in arrays]
        gradients = _pull_back(f, leaves, [Tensor(u) for u in cotangents], create_graph)
        return [g.numpy().astype(np.float64) * v for g, v in zip(gradients, directions, strict=True)]

    def error(self, slope, terms):
        """How far the slope by differences is from the sum of the terms, relative to their size."""
        found = _total(terms)
        sizes = sum(float(np.abs(t).sum()) for t in terms)
        return abs(found - slope) / max(abs(slope), abs(found), 1e-3 * sizes, self.atol / self.rtol)

    def explain(self, f, arrays, cotangents, directions, create_graph, order):
        """The error to raise: which input it is, what was found, and what can be known of the reason."""
        ways = [[v if i == j else 0 * v for j, v in enumerate(directions)] for i in range(len(arrays))]
        ways.append(directions)  # for what only shows where several inputs move
        found = [self.compare(f, arrays, cotangents, way, create_graph) for way in ways]
        errors = [np.inf if error != error else error for error, *_ in found]
        i = int(np.argmax(errors[:-1]))
        i = i if errors[i] > self.rtol else len(arrays)
        error, slope, terms = found[i]
        place = f"in input {i} of {len(arrays)}"
        place = place if i < len(arrays) else "along a direction that moves several inputs"
        rest = (
            f" {place}: reverse mode gives {_total(terms):.10g}, finite differences {slope:.10g}; "
            f"relative error {error:.2e} at step {self.step:.1e}"
        )
        return self.judged(
            f"gradient of order {order}", rest, f, arrays, cotangents, ways[i], create_graph, found[i]
        )

    def judged(self, what, rest, f, arrays, cotangents, directions, create_graph, found):
        """The error to raise for `what`, a difference along `directions`: whether it is a bug, a kink near
        the inputs, or one at them."""
        error, _, terms = found
        wrong = f"{what} is wrong{rest}."
        closer = self.error(_slope(f, arrays, cotangents, directions, self.step / 1000), terms)
        if closer < 0.1 * (np.inf if error != error else error):
            helps = f"A smaller step helps ({closer:.1e})"
            return AssertionError(f"{wrong} {helps}: f has a kink near the inputs, or bends too much.")
        if self.is_smooth(f, arrays, cotangents, directions, create_graph):
            return AssertionError(f"{wrong} A smaller step does not help: this is a bug.")
        if self.is_wrong_beside(f, arrays, cotangents, directions, create_graph):
            return AssertionError(
                f"{wrong} f has a kink at the inputs, but beside them it is wrong as well: this is a bug."
            )
        return ValueError(
            f"check_grads: f is not differentiable here, so {what} cannot be judged{rest}. "
            f"Beside these inputs it is right: check there."
        )

    def compare(self, f, arrays, cotangents, directions, create_graph):
        """The relative error along `directions`, the slope by differences, and the terms by reverse mode."""
        terms = self.reverse(f, arrays, cotangents, directions, create_graph)
        slope = _slope(f, arrays, cotangents, directions, self.step)
        return self.error(slope, terms), slope, terms

    def is_smooth(self, f, arrays, cotangents, directions, create_graph):
        """Whether f has a derivative at the inputs, along directions like these.

        Several are tried: the kinks of several entries may cancel along one.
        """
        for _ in range(KINKS):
            error, slope, terms = self.compare(f, arrays, cotangents, directions, create_graph)
            along, gap = _moved(f, arrays, cotangents, directions), abs(_total(terms) - slope)
            rounding = np.finfo(arrays[0].dtype).eps * _size_of_sum(f, arrays, cotangents)
            if not error <= self.rtol and not _is_smooth(along, self.step, gap, rounding):
                return False
            cotangents, directions = (
                [self.like(v) * _size(v) * (v != 0) for v in given] for given in (cotangents, directions)
            )
        return True

    def is_wrong_beside(self, f, arrays, cotangents, directions, create_graph):
        """Whether the gradient is wrong at all of some points near by, where f has no kink but by chance."""
        checker = copy.copy(self)
        checker.step = self.step / 10
        reach = 100 * checker.step
        for _ in range(BESIDE):
            beside = [a + a.dtype.type(reach * _size(a)) * self.like(a) for a in arrays]
            with np.errstate(all="ignore"):
                error, *_ = checker.compare(f, beside, cotangents, directions, create_graph)
            if error <= self.rtol or not np.isfinite(error):
                return False
        return True

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
                difference = np.abs(found[i] - expected)
                entries = np.abs([expected, found[i]])
                scale = entries[np.isfinite(entries)].max(initial=0)
                allowed = self.atol + self.rtol * scale
                if not (difference <= allowed).all():
                    raise self.explain_entry(f, arrays, outputs, (o, i), found[i], expected, allowed)
                worst = max(worst, float(difference.max(initial=0) / scale) if scale else 0.0)
        return worst

    def explain_entry(self, f, arrays, outputs, which, found, expected, allowed):
        """The error to raise for the worst entry of the Jacobian of one output in one input, or for the worst
        that is no kink."""
        difference = np.nan_to_num(np.abs(found - expected), nan=np.inf)
        wrong = [k for k in np.argsort(-difference, axis=None) if not difference.flat[k] <= allowed]
        entries = (np.unravel_index(k, difference.shape) for k in wrong)
        errors = (self.judged_entry(f, arrays, outputs, which, entry, found, expected) for entry in entries)
        worst = next(errors)
        if isinstance(worst, AssertionError):
            return worst
        return next((error for error in errors if isinstance(error, AssertionError)), worst)

    def judged_entry(self, f, arrays, outputs, which, entry, found, expected):
        (o, i), (row, col) = which, entry
        at_output = tuple(map(int, np.unravel_index(row, outputs[o].shape)))
        at_input = tuple(map(int, np.unravel_index(col, arrays[i].shape)))
        rest = (
            f", worst at output {o} {at_output} and input {i} {at_input}: "
            f"reverse mode gives {found[row, col]:.10g}, finite differences {expected[row, col]:.10g}"
        )
        cotangents, directions = ([np.zeros_like(a) for a in each] for each in (outputs, arrays))
        cotangents[o].flat[row], directions[i].flat[col] = 1, _size(arrays[i])
        compared = self.compare(f, arrays, cotangents, directions, create_graph=False)
        return self.judged(
            "the Jacobian", rest, f, arrays, cotangents, directions, create_graph=False, found=compared
        )

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
    return _extrapolated(_moved(f, arrays, cotangents, directions), step)


def _moved(f, arrays, cotangents, directions):
    """The function t ↦ ⟨cotangents, f(arrays + t · directions)⟩."""

    def along(t):
        moved = [a + a.dtype.type(t) * v for a, v in zip(arrays, directions, strict=True)]
        with no_grad():
            outputs = _outputs(f, moved)
        products = (u.astype(np.float64) * y.numpy() for u, y in zip(cotangents, outputs, strict=True))
        return sum(float(p.sum()) for p in products)

    return along


def _size_of_sum(f, arrays, cotangents):
    """Σ |cotangents · f(arrays)|."""
    with no_grad():
        return sum(
            float(np.abs(u * y.numpy()).sum()) for u, y in zip(cotangents, _outputs(f, arrays), strict=True)
        )


def _total(terms):
    return sum(float(t.sum()) for t in terms)


def _is_smooth(along, step, gap, rounding):
    """Whether `along`, whose values are rounded by so much, has a derivative at 0, as far as a gap of this
    size to another slope shows it: the slopes to either side, and at different steps, differ by far less."""
    middle, finest = along(0.0), step / 10
    slopes = []
    for h in (step, -step, finest, -finest):
        slopes.append(2 * (along(h / 2) - middle) / (h / 2) - (along(h) - middle) / h)
    spread = max(slopes) - min(slopes)
    return bool(np.isfinite(spread)) and not spread >= 0.1 * gap + 16 * rounding / finest


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
