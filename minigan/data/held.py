"""Samples that are held out of data without a test split of their own."""

from typing import TypeVar

import numpy as np

from minigan.data.dataset import Dataset
from minigan.data.domains import Domains
from minigan.data.pairs import Pairs
from minigan.errors import MiniganError

EVERY = 5

D = TypeVar("D", Dataset, Pairs, Domains)


def hold_out(data: D, every: int = EVERY) -> tuple[D, D]:
    """(the data without every fifth sample, those): in the order of the samples, so that a sorted dataset
    gives of everything. MiniganError for fewer than five samples."""
    if len(data) < every:
        raise MiniganError(f"{data.name} has {len(data)} samples; to hold some out takes at least {every}")
    held = np.arange(len(data)) % every == every - 1
    return data.part(~held), data.part(held)
