"""Every op, a row for each of its interesting forms: what to call, on what, and what it must equal.

The table is read by `minigan gradcheck`, and by the project's tests of values, derivatives, dtypes
and layouts and against PyTorch: a row that is added here is checked for all of them. A name begins
with the op's own, up to the first comma.
"""

from .activation import ACTIVATIONS
from .conv import CONVOLUTION
from .elementwise import ELEMENTWISE
from .index import INDEXING
from .loss import LOSSES
from .matmul import PRODUCTS
from .norm import NORMALISATION
from .pool import POOLING
from .reduce import REDUCTIONS
from .resample import RESAMPLING
from .row import Row, alike, apart, beside, fractions, like, positive, signed, zeros
from .shape import SHAPES

__all__ = [
    "NO_ROWS",
    "ROWS",
    "Row",
    "alike",
    "apart",
    "beside",
    "fractions",
    "like",
    "positive",
    "signed",
    "zeros",
]

ROWS = [
    *ELEMENTWISE,
    *ACTIVATIONS,
    *REDUCTIONS,
    *SHAPES,
    *INDEXING,
    *PRODUCTS,
    *CONVOLUTION,
    *POOLING,
    *RESAMPLING,
    *NORMALISATION,
    *LOSSES,
]

NO_ROWS = dict.fromkeys(("argmax", "argmin", "argsort", "one_hot"), "makes a constant, and has no gradient")
NO_ROWS["straight_through"] = "has a gradient that is not its own, by intent"
