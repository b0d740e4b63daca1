"""Loading a state: all of it is looked at before any of it is written.

What does not fit is told with its name, and nothing has been changed then.
"""

import numpy as np

from minigan import backend
from minigan.autograd import Tensor
from minigan.errors import MiniganError


def fitted(given, own: dict) -> tuple[dict, list[str]]:
    """What `given` has in the place of the arrays `own`, both by name: as arrays of their dtypes on their
    devices, ready to be written; and what hinders, a sentence each."""
    arrays, problems = {}, []
    for name, like in own.items():
        try:
            arrays[name] = _fitted(given[name], like)
        except _Misfit as misfit:
            problems.append(f"{name} {misfit}")
        except (TypeError, ValueError, BufferError, MiniganError) as error:
            problems.append(f"{name} cannot be used: {error}")
    return arrays, problems


class _Misfit(Exception):
    pass


def _fitted(value, like):
    """bfloat16, which NumPy lacks, is taken as well: float32 holds all of its numbers."""
    value = value.data if isinstance(value, Tensor) else value
    dtype = str(getattr(value, "dtype", "")).rpartition(".")[2]
    if dtype == "bfloat16":  # of PyTorch, or of JAX and ml_dtypes
        value = value.detach().float() if hasattr(value, "float") else value.astype(np.float32)
    elif dtype.startswith("complex"):
        raise _Misfit(f"is {dtype}, expected {like.dtype}")
    array = backend.as_array(value)
    if array.shape != like.shape:
        raise _Misfit(f"has shape {array.shape}, expected {like.shape}")
    if array.dtype.kind != like.dtype.kind:
        raise _Misfit(f"is {array.dtype}, expected {like.dtype}")
    if isinstance(like, np.ndarray) and not like.flags.writeable:
        raise _Misfit("lies in memory that cannot be written to")
    return backend.as_array(array, like.dtype, backend.device_of(like))
