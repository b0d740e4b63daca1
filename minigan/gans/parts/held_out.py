"""Held-out data: some of them, the first ones, or all of them a few at a time."""

from minigan.autograd import Tensor


def some_of(data, n, rng):
    """What `data.batch` gives of n samples in random order: each at most once, if there are as many."""
    return data.batch(rng.permutation(len(data))[:n] if n <= len(data) else rng.integers(0, len(data), n))


def first_of(data, n=40):
    """The first n samples to show, or fewer if there are not as many: (n, *shape)."""
    return Tensor(data.batch(range(min(n, len(data)))))


def all_of(data, device, n=500):
    """All samples in their order, n at a time, on a device: (n, *shape) each, the last one shorter."""
    for first in range(0, len(data), n):
        yield Tensor(data.batch(slice(first, min(first + n, len(data)))), device=device)
