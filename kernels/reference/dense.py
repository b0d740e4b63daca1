"""Matrix products, and what a layer adds to one: a bias, and the sums that are its gradient."""


def matmul(a, b):
    return a * b if a.shape[-1] == 1 else a @ b  # BLAS takes five times as long for an outer product


def linear(x, w, b):
    y = x @ w.T
    return y if b is None else y + b


def add_bias(y, b):
    y += b.reshape(-1, *(1,) * (y.ndim - 2))


def channel_sums(y):
    return y.sum(axis=(0, *range(2, y.ndim)))
