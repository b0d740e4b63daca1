"""L1 distances of all pairs of two sets of points, and their derivatives."""

from ..arrays import array_module, total


def l1_distances(x, y):
    """d[b, i, j] = Σ_c |x[b, i, c] - y[b, j, c]|: x (B, N, C), y (B, M, C) -> (B, N, M)."""
    return total(abs(_apart(x, y)), (3,))


def l1_distances_backward(gy, x, y):
    """Σ_j gy[b, i, j] · sign(x[b, i, c] - y[b, j, c]): the gradient of `l1_distances` in x, (B, N, C)."""
    return total(gy[..., None] * array_module(x).sign(_apart(x, y)), (2,))


def l1_distances_along(u, x, y):
    """Σ_c u[b, i, c] · sign(x[b, i, c] - y[b, j, c]): how `l1_distances` change where x moves along u,
    (B, N, M)."""
    return total(u[:, :, None] * array_module(x).sign(_apart(x, y)), (3,))


def _apart(x, y):
    """x[b, i, c] - y[b, j, c], (B, N, M, C): as large as nothing else is."""
    return x[:, :, None] - y[:, None]
