"""A few samples of a dataset, to learn from them alone."""

from dataclasses import replace
from typing import TypeVar

import numpy as np

from minigan.data.dataset import Dataset
from minigan.data.domains import Domains
from minigan.data.pairs import Pairs
from minigan.errors import MiniganError

D = TypeVar("D", Dataset, Pairs, Domains, Dataset | Pairs | Domains)


def few(data: D, n: int) -> D:
    """n samples of the data, of domains n of each: always the same, at equal distances, so that a sorted
    dataset gives of everything. They have no copy of their own. MiniganError for more than there are."""
    if isinstance(data, Domains):
        return replace(data, x=few(data.x, n), y=few(data.y, n))
    if n > len(data):
        raise MiniganError(f"{data.name} has {len(data):,} samples, got samples = {n:,}")
    return data.part(np.arange(n) * len(data) // n)
