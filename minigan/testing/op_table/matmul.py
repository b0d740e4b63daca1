"""Products of matrices."""

import operator

import numpy as np

import minigan.functional as F

from .row import Row, alike, apart, beside, leaky


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


def cdist_row(*shapes):
    """Distances of points no two coordinates of which are equal. PyTorch's own has no second derivative."""
    x1, x2 = shapes
    return Row(
        f"cdist, {x1} and {x2}",
        F.cdist,
        [apart(*x1), apart(*x2, at=0.75)],
        lambda x, y: np.abs(x[..., :, None, :] - y[..., None, :, :]).sum(-1),
        lambda t, x, y: (x.unsqueeze(-2) - y.unsqueeze(-3)).abs().sum(-1),
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
    cdist_row((4, 3), (5, 3)),
    cdist_row((2, 4, 3), (2, 1, 3)),
    cdist_row((2, 1, 3, 2), (2, 1, 2, 2)),
    Row(
        "cdist, to itself",
        lambda x: F.cdist(x, x),
        [apart(2, 4, 3)],
        lambda x: np.abs(x[:, :, None] - x[:, None]).sum(-1),
        lambda t, x: (x.unsqueeze(2) - x.unsqueeze(1)).abs().sum(-1),
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
