"""Every op, a row for each of its interesting forms: what to call, on what, and what it must equal.

The table is read by `minigan gradcheck`, and by the project's tests of values, derivatives, dtypes
and layouts and against PyTorch: a row that is added here is checked for all of them. A name begins
with the op's own, up to the first comma.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
from scipy import special

import minigan.functional as F
from minigan.autograd import Tensor
from minigan.random import Generator
from minigan_kernels import out_size, transposed_size


@dataclass(frozen=True)
class Row:
    """An op in one form.

    f: Tensors in, Tensor out; smooth around the inputs, and the same at every call.
    inputs: for each argument a shape, to be filled with normal numbers, or one of the domains below.
    reference: the same on NumPy arrays.
    torch: the same in PyTorch. A string names one of its functions, which takes the same arguments;
        else a function of the module `torch` and the tensors.
    order: how many derivatives exist at the inputs.
    """

    name: str
    f: Callable
    inputs: list
    reference: Callable | None = None
    torch: str | Callable | None = None
    order: int = 3

    @property
    def op(self) -> str:
        return self.name.partition(",")[0]

    def sample(self, seed=0) -> list[np.ndarray]:
        """float64 arrays to call `f` on."""
        rng = np.random.default_rng(seed)
        return [
            rng.standard_normal(draw) if isinstance(draw, tuple) else np.asarray(draw(rng))
            for draw in self.inputs
        ]

    def twin(self, torch) -> Callable:
        """The PyTorch function, given the module."""
        return (
            operator.attrgetter(self.torch)(torch)
            if isinstance(self.torch, str)
            else partial(self.torch, torch)
        )


def alike(name, f, inputs, **settings):
    """A row whose `f` is written the same in all three libraries."""
    return Row(name, f, inputs, f, lambda torch, *tensors: f(*tensors), **settings)


# Domains: arrays that stay clear of what is not smooth.


def positive(*shape):
    """Numbers in [0.5, 2)."""
    return lambda rng: rng.uniform(0.5, 2, shape)


def signed(*shape):
    """Numbers of both signs, not near 0."""
    return lambda rng: rng.choice([-1, 1], shape) * rng.uniform(0.5, 2, shape)


def fractions(*shape):
    """Numbers in [0.1, 0.9)."""
    return lambda rng: rng.uniform(0.1, 0.9, shape)


def apart(*shape, at=0.25):
    """Steps of 1/4 in random order, off the multiples of 1/4: no two are equal, none is 0, 1/2 or 1.
    With another `at`, none is equal to those of this one either."""
    n = int(np.prod(shape))
    return lambda rng: ((rng.permutation(n) - n // 2 + at) / 4).reshape(shape)


def zeros(*shape):
    return lambda rng: np.zeros(shape)


def like(x, values):
    """A constant in the dtype of the Tensor `x`, on its device."""
    return Tensor(np.asarray(values, dtype=x.dtype), device=x.device)


def beside(x, array):
    """The array on the device of the Tensor `x`; itself on the CPU. So for each part of a tuple, and
    what is no array is left alone."""
    if isinstance(array, tuple):
        return tuple(beside(x, part) for part in array)
    return x.device.put(array) if isinstance(array, np.ndarray) else array


# Entry by entry


def arithmetic_rows(name, op, right):
    """A binary operator: between tensors that broadcast, and with numbers and arrays on either side."""
    array = np.array([0.5, 2.0, 1.5])
    return [
        Row(name, getattr(F, name), [(2, 3), right(2, 3)], op, name),
        *(
            alike(f"{name}, {a} and {b}", op, [a, right(*b)])
            for a, b in [((2, 3), (3,)), ((3,), (2, 3)), ((2, 1, 3), (4, 1)), ((), (2, 3)), ((2, 3), ())]
        ),
        alike(f"{name}, number on the right", lambda a: op(a, 2.5), [(2, 3)]),
        alike(f"{name}, number on the left", lambda b: op(2.5, b), [right(2, 3)]),
        Row(
            f"{name}, array on the right",
            lambda a: op(a, beside(a, array.astype(a.dtype))),
            [(2, 3)],
            lambda a: op(a, array),
        ),
        Row(
            f"{name}, array on the left",
            lambda b: op(beside(b, array.astype(b.dtype)), b),
            [right(2, 3)],
            lambda b: op(array, b),
        ),
        alike(f"{name}, with itself", lambda a: op(a, a), [right(2, 3)]),
    ]


def power_row(p, domain, place=""):
    return alike(f"pow, x ** {p}{place}", lambda x: x**p, [domain])


def clip_row(low, high):
    return Row(
        f"clip, {low} to {high}",
        lambda x: F.clip(x, low, high),
        [apart(3, 4)],
        lambda x: np.clip(x, low, high),
        lambda t, x: t.clip(x, low, high),
    )


def clip_to_tensors_row(how, inputs):
    return Row(f"clip, to tensors{how}", F.clip, inputs, np.clip, "clip")


MASK = np.array([[True, False, True], [False, False, True]])

ELEMENTWISE = [
    *arithmetic_rows("add", operator.add, signed),
    *arithmetic_rows("sub", operator.sub, signed),
    *arithmetic_rows("mul", operator.mul, signed),
    *arithmetic_rows("div", operator.truediv, signed),
    alike("neg", operator.neg, [(2, 3)]),
    alike("abs", operator.abs, [apart(3, 4)]),
    *(power_row(p, (3, 4)) for p in (0, 1, 2, 3, 2.0)),
    *(power_row(p, signed(3, 4)) for p in (-1.0, -2.0)),
    *(power_row(p, positive(3, 4)) for p in (0.5, -1.5, 2.7)),
    *(power_row(p, zeros(3), " at 0") for p in (0, 1, 2, 3)),
    alike("pow, 2 ** x", lambda x: 2**x, [(3, 4)]),
    alike("pow, 2.1 ** x", lambda x: 2.1**x, [(3, 4)]),
    Row("pow, F.pow(2.1, x)", lambda x: F.pow(2.1, x), [(3, 4)], lambda x: 2.1**x, lambda t, x: 2.1**x),
    alike("pow, of tensors", operator.pow, [positive(2, 3), (2, 3)]),
    alike("pow, of tensors that broadcast", operator.pow, [positive(2, 1), (3,)]),
    Row("exp", F.exp, [(3, 4)], np.exp, "exp"),
    Row("log", F.log, [positive(3, 4)], np.log, "log"),
    Row("sqrt", F.sqrt, [positive(3, 4)], np.sqrt, "sqrt"),
    Row("erf", F.erf, [(3, 4)], special.erf, "erf"),
    Row("maximum", F.maximum, [apart(3, 4), apart(3, 4, at=0.75)], np.maximum, "maximum"),
    Row("minimum", F.minimum, [apart(3, 4), apart(3, 4, at=0.75)], np.minimum, "minimum"),
    Row("maximum, broadcast", F.maximum, [apart(3, 1), apart(4, at=0.75)], np.maximum, "maximum"),
    Row("maximum, number", lambda x: F.maximum(x, 0.5), [apart(3, 4)], lambda x: np.maximum(x, 0.5)),
    Row("minimum, number", lambda x: F.minimum(0.5, x), [apart(3, 4)], lambda x: np.minimum(x, 0.5)),
    clip_row(-0.5, 0.75),
    clip_row(None, 0.5),
    clip_row(0.0, None),
    clip_to_tensors_row("", [apart(3, 4), apart(3, 4, at=0.5), apart(3, 4, at=0.75)]),
    clip_to_tensors_row(" that broadcast", [apart(3, 4), apart(3, 1, at=0.5), apart(4, at=0.75)]),
    Row(
        "clip, broadcast", F.clip, [apart(4), apart(3, 1, at=0.5), apart(at=0.75)], np.clip
    ),  # not in PyTorch
    Row(
        "clip, from a tensor",
        lambda x, a: F.clip(x, a),
        [apart(3, 4), apart(4, at=0.5)],
        lambda x, a: np.clip(x, a, None),
        lambda t, x, a: t.clip(x, a),
    ),
    Row(
        "clip, to a tensor",
        lambda x, b: F.clip(x, max=b),
        [apart(3, 4), apart(4, at=0.5)],
        lambda x, b: np.clip(x, None, b),
        lambda t, x, b: t.clip(x, max=b),
    ),
    Row(
        "where",
        lambda a, b: F.where(beside(a, MASK), a, b),
        [(2, 3), (2, 3)],
        lambda a, b: np.where(MASK, a, b),
        lambda t, a, b: t.where(t.tensor(MASK), a, b),
    ),
    Row(
        "where, broadcast",
        lambda a, b: F.where(Tensor(MASK, device=a.device), a, b),
        [(3,), (4, 1, 1)],
        lambda a, b: np.where(MASK, a, b),
        lambda t, a, b: t.where(t.tensor(MASK), a, b),
    ),
    Row(
        "where, numbers",
        lambda x: F.where(beside(x, MASK), x, 0.0),
        [(2, 3)],
        lambda x: np.where(MASK, x, 0),
    ),
    Row("cast, there and back", lambda x: F.cast(F.cast(x, np.longdouble), x.dtype), [(2, 3)], np.array),
]


# Activations


def leaky_relu_row(slope):
    return Row(
        f"leaky_relu, slope {slope}",
        lambda x: F.leaky_relu(x, slope),
        [apart(3, 4)],
        lambda x: np.where(x > 0, x, slope * x),
        lambda t, x: t.nn.functional.leaky_relu(x, slope),
    )


def softmax_rows(axis):
    return [
        Row(
            f"softmax, axis={axis}",
            lambda x: F.softmax(x, axis),
            [(2, 3, 4)],
            lambda x: special.softmax(x, axis),
            lambda t, x: t.softmax(x, axis),
        ),
        Row(
            f"log_softmax, axis={axis}",
            lambda x: F.log_softmax(x, axis),
            [(2, 3, 4)],
            lambda x: special.log_softmax(x, axis),
            lambda t, x: t.log_softmax(x, axis),
        ),
    ]


DROPPED = Generator(7).uniform((3, 4)) < 0.3

ACTIVATIONS = [
    Row("relu", F.relu, [apart(3, 4)], lambda x: np.maximum(x, 0), "relu"),
    Row("leaky_relu", F.leaky_relu, [apart(3, 4)], torch="nn.functional.leaky_relu"),
    *map(leaky_relu_row, (0, 0.2, 1)),
    Row("elu", F.elu, [apart(3, 4)], lambda x: np.where(x > 0, x, np.expm1(x)), "nn.functional.elu"),
    Row("elu, alpha", lambda x: F.elu(x, 0.7), [apart(3, 4)], torch=lambda t, x: t.nn.functional.elu(x, 0.7)),
    Row("selu", F.selu, [apart(3, 4)], torch="selu"),
    Row("tanh", F.tanh, [(3, 4)], np.tanh, "tanh"),
    Row("sigmoid", F.sigmoid, [(3, 4)], special.expit, "sigmoid"),
    Row("softplus", F.softplus, [(3, 4)], lambda x: np.log1p(np.exp(x)), "nn.functional.softplus"),
    Row("gelu", F.gelu, [(3, 4)], lambda x: x * special.ndtr(x), "nn.functional.gelu"),
    Row(
        "gelu, tanh",
        lambda x: F.gelu(x, "tanh"),
        [(3, 4)],
        lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
        lambda t, x: t.nn.functional.gelu(x, approximate="tanh"),
    ),
    *(row for axis in (-1, 0, 1) for row in softmax_rows(axis)),
    Row("maxout", lambda x: F.maxout(x, 3), [apart(2, 6)], lambda x: x.reshape(2, 2, 3).max(2)),
    Row(
        "maxout, of images",
        lambda x: F.maxout(x, 2, axis=-3),
        [apart(2, 4, 3, 3)],
        lambda x: np.maximum(x[:, 0::2], x[:, 1::2]),
    ),
    Row(
        "dropout",
        lambda x: F.dropout(x, 0.3, generator=Generator(7)),
        [(3, 4)],
        lambda x: np.where(DROPPED, 0, x / 0.7),
    ),
    Row("dropout, not training", lambda x: F.dropout(x, 0.3, training=False), [(3, 4)], np.array),
]


# Reductions


def reduction_rows(axis, keepdims):
    """All reductions over `axis` of three."""
    how = {"axis": axis, "keepdims": keepdims}
    dims = {"dim": (0, 1, 2) if axis is None else axis, "keepdim": keepdims}
    form = f"axis={axis}" + ", keepdims" * keepdims

    def row(op, domain, reference, torch):
        return Row(f"{op}, {form}", lambda x: getattr(F, op)(x, **how), [domain], reference, torch)

    return [
        row("sum", (2, 3, 4), lambda x: x.sum(**how), lambda t, x: t.sum(x, **dims)),
        row("mean", (2, 3, 4), lambda x: x.mean(**how), lambda t, x: t.mean(x, **dims)),
        row("var", (2, 3, 4), lambda x: x.var(**how, ddof=1), lambda t, x: t.var(x, **dims)),
        row("max", apart(2, 3, 4), lambda x: x.max(**how), lambda t, x: t.amax(x, **dims)),
        row("min", apart(2, 3, 4), lambda x: x.min(**how), lambda t, x: t.amin(x, **dims)),
        row(
            "logsumexp",
            (2, 3, 4),
            lambda x: special.logsumexp(x, **how),
            lambda t, x: t.logsumexp(x, **dims),
        ),
        row(
            "norm",
            (2, 3, 4),
            lambda x: np.sqrt((x * x).sum(**how)),
            lambda t, x: t.linalg.vector_norm(x, **dims),
        ),
    ]


def expand_row(given, shape, full):
    return Row(
        f"expand, {given} to {shape}",
        lambda x: F.expand(x, shape),
        [given],
        lambda x: np.broadcast_to(x, full),
        lambda t, x: x.expand(shape),
    )


def sum_to_row(given, shape, axes):
    return Row(
        f"sum_to, {given} to {shape}",
        lambda x: F.sum_to(x, shape),
        [given],
        lambda x: x.sum(axes).reshape(shape),
        lambda t, x: x.sum_to_size(shape) if shape else x.sum(),
    )


REDUCTIONS = [
    *(
        row
        for axis, keepdims in product((None, 0, -1, (0, 2), (-1, 1)), (False, True))
        for row in reduction_rows(axis, keepdims)
    ),
    Row("sum, of a scalar", F.sum, [()], np.sum, "sum"),
    Row("sum, of nothing", F.sum, [(0, 3)], np.sum, "sum"),
    Row("var, correction=0", lambda x: F.var(x, correction=0), [(3, 4)], np.var),
    Row(
        "row_norms",
        lambda x: F.row_norms(x, 0.1),
        [(2, 3, 2)],
        lambda x: np.sqrt((x * x).sum((1, 2)) + 0.1),
        lambda t, x: (x.flatten(1).square().sum(1) + 0.1).sqrt(),
    ),
    Row("row_norms, at zero", lambda x: F.row_norms(x, 0.25), [zeros(2, 3)], lambda x: np.full(2, 0.5)),
    Row("norm, at zero", F.norm, [zeros(3)], lambda x: np.zeros(()), "linalg.vector_norm", order=1),
    Row(
        "norm, with a row of zeros",
        lambda x: F.norm(x * like(x, [[1.0], [0.0]]), axis=1),
        [(2, 3)],
        lambda x: np.array([np.linalg.norm(x[0]), 0]),
        order=1,
    ),
    expand_row((3,), (2, 3), full=(2, 3)),
    expand_row((2, 1, 3), (2, 4, 3), full=(2, 4, 3)),
    expand_row((2, 1), (5, -1, 4), full=(5, 2, 4)),
    expand_row((), (2, 2), full=(2, 2)),
    sum_to_row((2, 3), (3,), axes=0),
    sum_to_row((2, 3), (2, 1), axes=1),
    sum_to_row((2, 3, 4), (3, 1), axes=(0, 2)),
    sum_to_row((2, 3), (1, 1), axes=None),
    sum_to_row((2, 3), (), axes=None),
    Row("sum_to, the same shape", lambda x: F.sum_to(x, (2, 3)), [(2, 3)], np.array),
]


# Shapes


def unsqueeze_row(axis):
    return Row(
        f"unsqueeze, {axis}",
        lambda x: F.unsqueeze(x, axis),
        [(2, 3)],
        lambda x: np.expand_dims(x, axis),
        lambda t, x: t.unsqueeze(x, axis),
    )


def flip_row(*axes):
    return Row(
        f"flip, {axes}",
        lambda x: F.flip(x, axes if len(axes) > 1 else axes[0]),
        [(2, 3, 4)],
        lambda x: np.flip(x, axes),
        lambda t, x: t.flip(x, axes),
    )


def pad_row(widths, pairs, value=0.0):
    return Row(
        f"pad, {widths}, value {value}",
        lambda x: F.pad(x, widths, value),
        [(2, 3)],
        lambda x: np.pad(x, pairs, constant_values=value),
        lambda t, x: t.nn.functional.pad(x, widths, value=value),
    )


def concat_row(axis, *shapes):
    return Row(
        f"concat, axis={axis}",
        lambda *xs: F.concat(xs, axis),
        shapes,
        lambda *xs: np.concatenate(xs, axis),
        lambda t, *xs: t.concat(xs, axis),
    )


def stack_row(axis):
    return Row(
        f"stack, axis={axis}",
        lambda *xs: F.stack(xs, axis),
        [(2, 3), (2, 3)],
        lambda *xs: np.stack(xs, axis),
        lambda t, *xs: t.stack(xs, axis),
    )


SHAPES = [
    alike("reshape", lambda x: x.reshape(4, 6), [(2, 3, 4)]),
    alike("reshape, a tuple with -1", lambda x: x.reshape((3, -1)), [(2, 3, 4)]),
    alike("reshape, to a scalar", lambda x: x.reshape(()), [(1, 1)]),
    Row("flatten", F.flatten, [(2, 3, 4)], np.ravel, "flatten"),
    Row("flatten, from 1", lambda x: F.flatten(x, 1), [(2, 3, 4)], torch=lambda t, x: t.flatten(x, 1)),
    Row("permute", lambda x: F.permute(x, 2, 0, 1), [(2, 3, 4)], torch=lambda t, x: x.permute(2, 0, 1)),
    Row("permute, negative", lambda x: x.permute((-1, 0, -2)), [(2, 3, 4)], lambda x: x.transpose(2, 0, 1)),
    Row("transpose", lambda x: F.transpose(x, 0, -1), [(2, 3, 4)], lambda x: x.swapaxes(0, 2)),
    alike("transpose, T", lambda x: x.T, [(2, 3)]),
    Row("squeeze", F.squeeze, [(1, 3, 1, 2)], np.squeeze, "squeeze"),
    Row("squeeze, -2", lambda x: F.squeeze(x, -2), [(1, 3, 1, 2)], lambda x: np.squeeze(x, -2)),
    *map(unsqueeze_row, (0, 1, 2, -1, -3)),
    flip_row(0),
    flip_row(-1),
    flip_row(0, 2),
    pad_row((1, 2), [(0, 0), (1, 2)]),
    pad_row((0, 1, 2, 0), [(2, 0), (0, 1)], value=0.5),
    pad_row((0, 0, 0, 0), [(0, 0), (0, 0)]),
    concat_row(0, (1, 3), (2, 3), (3, 3)),
    concat_row(-1, (2, 1), (2, 0), (2, 4)),
    Row("concat, with itself", lambda x: F.concat([x, x]), [(2, 3)], torch=lambda t, x: t.concat([x, x])),
    *map(stack_row, (0, 1, -1)),
    Row(
        "pixel_shuffle",
        lambda x: F.pixel_shuffle(x, 2),
        [(2, 8, 3, 2)],
        torch=lambda t, x: t.nn.functional.pixel_shuffle(x, 2),
    ),
    Row(
        "pixel_shuffle, to one channel",
        lambda x: F.pixel_shuffle(x, 3),
        [(2, 9, 2, 3)],
        lambda x: x.reshape(2, 3, 3, 2, 3).transpose(0, 3, 1, 4, 2).reshape(2, 1, 6, 9),
        lambda t, x: t.nn.functional.pixel_shuffle(x, 3),
    ),
]


# Picking by position

PICKED = np.array([[0, 2, 2], [3, 0, 2]])

KEYS = {
    "an integer": 2,
    "a negative integer": -1,
    "two integers": (1, -2),
    "slices": (slice(1, 3), slice(None, None, 2)),
    "an ellipsis and a new axis": (..., None, 1),
    "everything": ...,
    "a list of integers": [3, 0],
    "an array with repeats": PICKED,
    "pairs of integers with repeats": (np.array([0, 0, 3]), np.array([1, 1, 4])),
    "an array after a slice": (slice(None), np.array([4, 4, 0])),
    "an empty slice": slice(2, 2),
    "a mask": np.random.default_rng(0).random((4, 5)) < 0.5,
    "a mask of rows": np.array([True, False, False, True]),
    "a mask of nothing": np.zeros((4, 5), bool),
}
KEYS_NOT_IN_TORCH = {
    "a negative step": slice(None, None, -1),
    "negative steps of two": (slice(3, None, -2), slice(-1, 0, -2)),
    "an array before a negative step": (np.array([1, 1]), slice(None, None, -1)),
    "a new axis before an array": (None, np.array([1, 1])),
}


def index_row(name, key):
    torch = None if name in KEYS_NOT_IN_TORCH else lambda t, x: x[key]
    return Row(f"index, {name}", lambda x: x[beside(x, key)], [(4, 5)], operator.itemgetter(key), torch)


def gather_row(axis, index):
    return Row(
        f"gather, axis={axis}",
        lambda x: F.gather(x, axis, beside(x, index)),
        [(3, 4)],
        lambda x: np.take_along_axis(x, index, axis),
        lambda t, x: t.gather(x, axis, t.tensor(index)),
    )


INDEXING = [
    *(index_row(name, key) for name, key in (KEYS | KEYS_NOT_IN_TORCH).items()),
    Row("index, by a Tensor", lambda x: x[Tensor(PICKED, device=x.device)], [(4, 5)], lambda x: x[PICKED]),
    gather_row(0, np.array([[2, 0, 0, 1]])),
    gather_row(-1, np.array([[3, 3], [0, 1], [2, 2]])),
    Row(
        "embedding",
        lambda w: F.embedding(beside(w, PICKED), w),
        [(4, 5)],
        lambda w: w[PICKED],
        lambda t, w: t.nn.functional.embedding(t.tensor(PICKED), w),
    ),
]


# Products


def matmul_row(a, b):
    return alike(f"matmul, {a} @ {b}", operator.matmul, [a, b])


def einsum_row(equation, *shapes):
    return Row(
        f"einsum, {equation}",
        lambda *xs: F.einsum(equation, *xs),
        shapes,
        lambda *xs: np.einsum(equation, *xs),
        lambda t, *xs: t.einsum(equation, *xs),
    )


PRODUCTS = [
    matmul_row((2, 3), (3, 4)),
    matmul_row((3,), (3, 4)),
    matmul_row((2, 3), (3,)),
    matmul_row((3,), (3,)),
    matmul_row((5, 2, 3), (5, 3, 4)),
    matmul_row((2, 3), (5, 3, 4)),
    matmul_row((5, 1, 2, 3), (6, 3, 4)),
    matmul_row((3,), (5, 3, 4)),
    matmul_row((5, 2, 3), (3,)),
    matmul_row((0, 3), (3, 4)),
    alike("matmul, with its own transpose", lambda x: x @ x.T, [(2, 3)]),
    Row(
        "matmul, array on the left",
        lambda x: beside(x, np.ones((2, 3), x.dtype)) @ x,
        [(3, 4)],
        lambda x: np.ones((2, 3)) @ x,
    ),
    Row("linear", F.linear, [(5, 3), (2, 3), (2,)], lambda x, w, b: x @ w.T + b, "nn.functional.linear"),
    Row(
        "linear, no bias, three axes",
        F.linear,
        [(2, 5, 3), (4, 3)],
        lambda x, w: x @ w.T,
        "nn.functional.linear",
    ),
    Row(
        "linear, one row", F.linear, [(3,), (4, 3), (4,)], lambda x, w, b: x @ w.T + b, "nn.functional.linear"
    ),
    Row(
        "linear, activated",
        lambda x, w, b: F.linear(x, w, b, negative_slope=0.2),
        [(5, 3), (2, 3), (2,)],
        lambda x, w, b: leaky(x @ w.T + b),
        lambda t, x, w, b: t.nn.functional.leaky_relu(t.nn.functional.linear(x, w, b), 0.2),
    ),
    Row(
        "linear, no bias, activated",
        lambda x, w: F.linear(x, w, negative_slope=0.0),
        [(2, 5, 3), (2, 3)],
        lambda x, w: np.maximum(x @ w.T, 0),
        lambda t, x, w: t.relu(t.nn.functional.linear(x, w)),
    ),
    einsum_row("ij -> ji", (2, 3)),
    einsum_row("ijk -> j", (2, 3, 4)),
    einsum_row("ij ->", (2, 3)),
    einsum_row("i, i ->", (3,), (3,)),
    einsum_row("i, j -> ij", (2,), (3,)),
    einsum_row("ij, jk -> ki", (2, 3), (3, 4)),
    einsum_row("bij, bjk -> bik", (2, 3, 4), (2, 4, 5)),
    einsum_row("bhqd, bhkd -> bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
    einsum_row("ij, ij -> i", (2, 3), (2, 3)),
    einsum_row("ij, kl -> k", (2, 3), (4, 5)),
    einsum_row("ij, j, ik -> jk", (2, 3), (3,), (2, 4)),
    einsum_row("i, ij, ij -> j", (2,), (2, 3), (2, 3)),
    einsum_row("nchw, oc -> nohw", (2, 3, 2, 2), (4, 3)),
    einsum_row(", ij -> ij", (), (2, 3)),
]


# Convolution


def conv_rows(name, x, w, stride=1, padding=0, dilation=1, groups=1):
    """The trio in one geometry: images of shape `x`, weights of shape `w`."""
    window = {"stride": stride, "padding": padding, "dilation": dilation}
    pairs = [F.conv.pair(n) for n in (stride, padding, dilation)]
    out = out_size(x[2:], w[2:], *pairs)
    y = (x[0], w[0], *out)
    # What the stride cannot reach of the image, the transposed convolution is told to add.
    left = np.subtract(x[2:], transposed_size(out, w[2:], *pairs)).tolist()
    bias = [(w[0],), (w[1] * groups,)]
    window["groups"] = groups
    transposed = {**window, "output_padding": left}
    return [
        Row(
            f"conv2d, {name}",
            lambda x, w, b: F.conv2d(x, w, b, **window),
            [x, w, bias[0]],
            torch=lambda t, x, w, b: t.nn.functional.conv2d(x, w, b, **window),
        ),
        Row(
            f"conv_transpose2d, {name}",
            lambda y, w, b: F.conv_transpose2d(y, w, b, **transposed),
            [y, w, bias[1]],
            torch=lambda t, y, w, b: t.nn.functional.conv_transpose2d(y, w, b, **transposed),
        ),
        Row(
            f"conv2d_weight, {name}",
            lambda x, gy: F.conv2d_weight(x, gy, w[2:], **window),
            [x, y],
            torch=lambda t, x, gy: t.nn.grad.conv2d_weight(x, w, gy, **window),
        ),
    ]


GEOMETRIES = {
    "1x1": {"x": (2, 3, 4, 5), "w": (2, 3, 1, 1)},
    "1x1 of stride 2": {"x": (2, 3, 5, 5), "w": (2, 3, 1, 1), "stride": 2},
    "3x3 in a border": {"x": (2, 2, 5, 4), "w": (3, 2, 3, 3), "padding": 1},
    "4x4 halves the image": {"x": (2, 2, 8, 8), "w": (3, 2, 4, 4), "stride": 2, "padding": 1},
    "5x5 of stride 2 with a rest": {"x": (1, 2, 8, 9), "w": (2, 2, 5, 5), "stride": 2, "padding": 1},
    "7x7": {"x": (1, 2, 9, 8), "w": (2, 2, 7, 7), "padding": 3},
    "2x3 on a wide image": {"x": (2, 2, 3, 7), "w": (2, 2, 2, 3)},
    "as large as the image": {"x": (2, 3, 4, 5), "w": (2, 3, 4, 5)},
    "larger than the image without its border": {"x": (1, 2, 2, 3), "w": (2, 2, 4, 4), "padding": 1},
    "stride beyond the kernel": {"x": (2, 2, 7, 8), "w": (3, 2, 2, 2), "stride": 3},
    "dilation 2": {"x": (2, 2, 6, 7), "w": (2, 2, 3, 3), "dilation": 2, "padding": 2},
    "dilation and stride with a rest": {"x": (1, 2, 8, 8), "w": (2, 2, 3, 2), "dilation": 3, "stride": 2},
    "every pair unequal": {
        "x": (2, 2, 9, 10),
        "w": (2, 2, 3, 2),
        "stride": (2, 3),
        "padding": (1, 2),
        "dilation": (2, 1),
    },
    "two groups": {"x": (2, 4, 4, 4), "w": (6, 2, 3, 3), "padding": 1, "groups": 2},
    "one channel a group": {"x": (2, 3, 5, 5), "w": (6, 1, 3, 3), "stride": 2, "groups": 3},
    "one pixel": {"x": (3, 2, 1, 1), "w": (2, 2, 1, 1)},
}

CONVOLUTION = [row for name, geometry in GEOMETRIES.items() for row in conv_rows(name, **geometry)]
CONVOLUTION += [
    Row(
        "conv2d, activated",
        lambda x, w, b: F.conv2d(x, w, b, 2, 1, negative_slope=0.2),
        [(2, 3, 4, 6), (2, 3, 4, 4), (2,)],
        torch=lambda t, x, w, b: t.nn.functional.leaky_relu(t.nn.functional.conv2d(x, w, b, 2, 1), 0.2),
    ),
    Row(
        "conv_transpose2d, no bias, activated",
        lambda x, w: F.conv_transpose2d(x, w, None, 2, 1, negative_slope=0.0),
        [(2, 3, 2, 3), (3, 2, 4, 4)],
        torch=lambda t, x, w: t.relu(t.nn.functional.conv_transpose2d(x, w, None, 2, 1)),
    ),
    Row("conv2d, no bias", F.conv2d, [(2, 3, 4, 4), (2, 3, 3, 3)], torch="nn.functional.conv2d"),
    Row(
        "conv_transpose2d, no bias",
        F.conv_transpose2d,
        [(2, 3, 4, 4), (3, 2, 3, 3)],
        torch="nn.functional.conv_transpose2d",
    ),
    Row(
        "conv_transpose2d, output padding beyond the stride",
        lambda x, w: F.conv_transpose2d(x, w, dilation=3, output_padding=2),
        [(1, 2, 3, 3), (2, 2, 2, 2)],
        torch=lambda t, x, w: t.nn.functional.conv_transpose2d(x, w, dilation=3, output_padding=2),
    ),
]


# Pooling and resampling

WINDOWS = {
    "2x2": {"kernel_size": 2},
    "overlapping": {"kernel_size": 3, "stride": 2, "padding": 1},
    "with gaps": {"kernel_size": 2, "stride": 3},
    "the whole image": {"kernel_size": (6, 7)},
    "every pair unequal": {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 0)},
}


def pool_row(op, name, window):
    return Row(
        f"{op}, {name}",
        lambda x: getattr(F, op)(x, **window),
        [apart(2, 2, 6, 7)],
        torch=lambda t, x: getattr(t.nn.functional, op)(x, **window),
    )


POOLING = [pool_row(op, *window) for op in ("max_pool2d", "avg_pool2d") for window in WINDOWS.items()]

SIZES = {
    "twice": {"scale_factor": 2},
    "unequal factors": {"scale_factor": (2, 3)},
    "a factor of 1.5": {"scale_factor": 1.5},
    "half": {"scale_factor": 0.5},
    "to 4x7": {"size": (4, 7)},
    "to one pixel": {"size": 1},
    "as it is": {"size": (3, 5)},
}
MODES = {
    "nearest": {"mode": "nearest"},
    "bilinear": {"mode": "bilinear"},
    "bilinear between corners": {"mode": "bilinear", "align_corners": True},
}


def interpolate_row(size, mode):
    how = SIZES[size] | MODES[mode]
    return Row(
        f"interpolate, {mode}, {size}",
        lambda x: F.interpolate(x, **how),
        [(2, 2, 3, 5)],
        torch=lambda t, x: t.nn.functional.interpolate(x, **how),
    )


RESAMPLING = [interpolate_row(size, mode) for size, mode in product(SIZES, MODES)]


# Normalisation


def leaky(y):
    return np.where(y > 0, y, 0.2 * y)


def normalized(x, axes, eps=1e-5):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


MEAN, VAR = [0.5, -1.0, 0.2], [1.5, 0.3, 2.0]


def batch_norm_rows(name, shape):
    """With and without running statistics, and with and without an affine map."""

    def ours(x, *affine, training):
        return F.batch_norm(x, like(x, MEAN), like(x, VAR), *affine, training=training)

    def twin(torch, x, *affine, training):
        running = [torch.tensor(values, dtype=x.dtype) for values in (MEAN, VAR)]
        return torch.nn.functional.batch_norm(x, *running, *affine, training=training)

    def row(form, affine, reference=None, **training):
        inputs = [shape, *affine]
        return Row(
            f"batch_norm, {name}, {form}",
            partial(ours, **training),
            inputs,
            reference,
            partial(twin, **training),
        )

    axes, channel = (0, *range(2, len(shape))), (3,) + (1,) * (len(shape) - 2)
    mean, var = np.reshape(MEAN, channel), np.reshape(VAR, channel)

    def of_the_batch(x, w=1.0, b=0.0):
        return normalized(x, axes) * per_channel(w) + per_channel(b)

    def of_the_past(x, w=1.0, b=0.0):
        return (x - mean) / np.sqrt(var + 1e-5) * per_channel(w) + per_channel(b)

    def per_channel(a):
        return np.reshape(a, channel) if np.ndim(a) else a

    return [
        row("training", [], of_the_batch, training=True),
        row("training, affine", [(3,), (3,)], of_the_batch, training=True),
        row("evaluation", [], of_the_past, training=False),
        row("evaluation, affine", [(3,), (3,)], of_the_past, training=False),
    ]


NORMALISATION = [
    *batch_norm_rows("a table", (5, 3)),
    *batch_norm_rows("images", (2, 3, 2, 4)),
    Row("batch_norm, no running statistics", F.batch_norm, [(4, 3)], lambda x: normalized(x, 0)),
    Row(
        "batch_norm, weight of zeros",
        lambda x, w, b: F.batch_norm(x, weight=w, bias=b, training=True),
        [(4, 3), zeros(3), (3,)],
        lambda x, w, b: np.broadcast_to(b, (4, 3)),
        lambda t, x, w, b: t.nn.functional.batch_norm(x, None, None, w, b, training=True),
    ),
    Row(
        "batch_norm, activated",
        lambda x, w, b: F.batch_norm(x, weight=w, bias=b, training=True, negative_slope=0.2),
        [(2, 3, 2, 4), (3,), (3,)],
        torch=lambda t, x, w, b: t.nn.functional.leaky_relu(
            t.nn.functional.batch_norm(x, None, None, w, b, training=True), 0.2
        ),
    ),
    Row(
        "batch_norm, evaluation, activated",
        lambda x: F.batch_norm(x, like(x, MEAN), like(x, VAR), negative_slope=0.0),
        [(5, 3)],
        lambda x: np.maximum((x - MEAN) / np.sqrt(np.add(VAR, 1e-5)), 0),
    ),
    Row(
        "batch_norm, weight alone",
        lambda x, w: F.batch_norm(x, weight=w),
        [(4, 3), (3,)],
        lambda x, w: normalized(x, 0) * w,
    ),
    Row(
        "layer_norm",
        lambda x: F.layer_norm(x, 4),
        [(2, 3, 4)],
        lambda x: normalized(x, -1),
        lambda t, x: t.nn.functional.layer_norm(x, (4,)),
    ),
    Row(
        "layer_norm, two axes, affine",
        lambda x, w, b: F.layer_norm(x, (3, 4), w, b),
        [(2, 3, 4), (3, 4), (3, 4)],
        lambda x, w, b: normalized(x, (1, 2)) * w + b,
        lambda t, x, w, b: t.nn.functional.layer_norm(x, (3, 4), w, b),
    ),
    Row(
        "group_norm",
        lambda x: F.group_norm(x, 2),
        [(2, 4, 3)],
        lambda x: normalized(x.reshape(2, 2, 2, 3), (2, 3)).reshape(2, 4, 3),
        lambda t, x: t.nn.functional.group_norm(x, 2),
    ),
    Row(
        "group_norm, one group, affine",
        lambda x, w, b: F.group_norm(x, 1, w, b),
        [(2, 3, 2, 2), (3,), (3,)],
        lambda x, w, b: normalized(x, (1, 2, 3)) * w[:, None, None] + b[:, None, None],
        lambda t, x, w, b: t.nn.functional.group_norm(x, 1, w, b),
    ),
    Row(
        "instance_norm",
        F.instance_norm,
        [(2, 3, 2, 4)],
        lambda x: normalized(x, (2, 3)),
        "nn.functional.instance_norm",
    ),
    Row(
        "instance_norm, affine",
        F.instance_norm,
        [(2, 3, 5), (3,), (3,)],
        torch=lambda t, x, w, b: t.nn.functional.instance_norm(x, weight=w, bias=b),
    ),
]


# Losses

LABELS = np.array([2, 0, 0, 1, 2])
SIGNS = np.array([[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0]])


def loss_rows(reduction):
    how = {"reduction": reduction}
    reduced = {"mean": np.mean, "sum": np.sum, "none": np.array}[reduction]

    def row(name, f, inputs, reference, torch=None):
        op, _, form = name.partition(",")
        return Row(f"{op}, {reduction}{form and ','}{form}", f, inputs, reference, torch)

    return [
        row(
            "binary_cross_entropy_with_logits",
            lambda x, t: F.binary_cross_entropy_with_logits(x, t, **how),
            [(2, 3), fractions(2, 3)],
            lambda x, t: reduced(-t * np.log(special.expit(x)) - (1 - t) * np.log(special.expit(-x))),
            lambda torch, x, t: torch.nn.functional.binary_cross_entropy_with_logits(x, t, **how),
        ),
        row(
            "binary_cross_entropy_with_logits, target 0.9",
            lambda x: F.binary_cross_entropy_with_logits(x, 0.9, **how),
            [(2, 3)],
            lambda x: reduced(np.logaddexp(0, x) - 0.9 * x),
        ),
        row(
            "mse_loss",
            lambda x, t: F.mse_loss(x, t, **how),
            [(2, 3), (2, 3)],
            lambda x, t: reduced((x - t) ** 2),
            lambda torch, x, t: torch.nn.functional.mse_loss(x, t, **how),
        ),
        row(
            "mse_loss, target 1",
            lambda x: F.mse_loss(x, 1, **how),
            [(2, 3)],
            lambda x: reduced((x - 1) ** 2),
        ),
        row(
            "l1_loss",
            lambda x, t: F.l1_loss(x, t, **how),
            [apart(2, 3), apart(2, 3, at=0.75)],
            lambda x, t: reduced(np.abs(x - t)),
            lambda torch, x, t: torch.nn.functional.l1_loss(x, t, **how),
        ),
        row(
            "hinge_loss",
            lambda x: F.hinge_loss(x, like(x, SIGNS), **how),
            [apart(2, 3)],
            lambda x: reduced(np.maximum(0, 1 - SIGNS * x)),
        ),
        row(
            "hinge_loss, target -1",
            lambda x: F.hinge_loss(x, -1, **how),
            [apart(2, 3)],
            lambda x: reduced(np.maximum(0, 1 + x)),
        ),
        row(
            "cross_entropy",
            lambda x: F.cross_entropy(x, beside(x, LABELS), **how),
            [(5, 3)],
            lambda x: reduced(-special.log_softmax(x, 1)[np.arange(5), LABELS]),
            lambda torch, x: torch.nn.functional.cross_entropy(x, torch.tensor(LABELS), **how),
        ),
    ]


LOSSES = [row for reduction in ("mean", "sum", "none") for row in loss_rows(reduction)]


ROWS = [
    *ELEMENTWISE,
    *ACTIVATIONS,
    *REDUCTIONS,
    *SHAPES,
    *INDEXING,
    *PRODUCTS,
    *CONVOLUTION,
    *POOLING,
    *RESAMPLING,
    *NORMALISATION,
    *LOSSES,
]

NO_ROWS = {"one_hot": "makes a constant, and has no gradient"}
