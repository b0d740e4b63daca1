"""The datasets: `load` one by its name, draw batches from it."""

from minigan.data.batches import Batches
from minigan.data.dataset import Dataset
from minigan.data.domains import Domains
from minigan.data.fields import Field, Fields
from minigan.data.pairs import Pairs
from minigan.data.table import (
    FROM_FILES,
    NAMES,
    datasets_of,
    datasets_with,
    has_test,
    kind_of,
    load,
    resolved,
)

__all__ = [
    "FROM_FILES",
    "NAMES",
    "Batches",
    "Dataset",
    "Domains",
    "Field",
    "Fields",
    "Pairs",
    "datasets_of",
    "datasets_with",
    "has_test",
    "kind_of",
    "load",
    "resolved",
]
