"""Arithmetic, entry by entry."""

import operator

import numpy as np
from scipy import special

import minigan.functional as F
from minigan.autograd import Tensor

from .row import Row, alike, apart, beside, positive, signed, zeros


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
    Row("square", F.square, [(3, 4)], np.square, "square"),
    Row("sin", F.sin, [(3, 4)], np.sin, "sin"),
    Row("cos", F.cos, [(3, 4)], np.cos, "cos"),
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
    Row(
        "masked_fill",
        lambda x: F.masked_fill(x, beside(x, MASK), -2.0),
        [(4, 2, 3)],
        lambda x: np.where(MASK, -2.0, x),
        lambda t, x: x.masked_fill(t.tensor(MASK), -2.0),
    ),
    Row("cast, there and back", lambda x: F.cast(F.cast(x, np.longdouble), x.dtype), [(2, 3)], np.array),
]
