"""Reductions, and what goes back from them."""

from itertools import product

import numpy as np
from scipy import special

import minigan.functional as F

from .row import Row, apart, like, zeros


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


def std_row(axis, keepdims):
    return Row(
        f"std, axis={axis}{', keepdims' * keepdims}",
        lambda x: F.std(x, axis, keepdims),
        [(2, 3, 4)],
        lambda x: x.std(axis, keepdims=keepdims, ddof=1),
        lambda t, x: t.std(x, axis, keepdim=keepdims),
    )


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
    std_row(None, False),
    std_row(-1, True),
    std_row((1, 2), False),
    Row("std, correction=0", lambda x: F.std(x, correction=0), [(3, 4)], np.std),
    Row("cumsum", lambda x: F.cumsum(x, 1), [(2, 3, 4)], lambda x: x.cumsum(1), lambda t, x: t.cumsum(x, 1)),
    Row(
        "cumsum, last",
        lambda x: F.cumsum(x, -1),
        [(3, 4)],
        lambda x: x.cumsum(-1),
        lambda t, x: t.cumsum(x, -1),
    ),
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
