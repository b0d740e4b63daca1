"""Held-out data, for models whose samples are made of those."""


def some_of(data, n, rng):
    """What `data.batch` gives of n samples in random order: each at most once, if there are as many."""
    return data.batch(rng.permutation(len(data))[:n] if n <= len(data) else rng.integers(0, len(data), n))
