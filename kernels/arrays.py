"""What the kernels need to know about arrays, whichever module made them."""

import sys

import numpy as np


def array_module(array):
    """numpy or cupy: the module that `array` belongs to. Never imports cupy by itself."""
    if isinstance(array, np.ndarray):
        return np
    cupy = sys.modules.get("cupy")
    if cupy is not None and isinstance(array, cupy.ndarray):
        return cupy
    raise TypeError(f"expected a NumPy or CuPy array, got {type(array).__name__}")


def sum_to(array, shape):
    """Sum `array` down to `shape`, over the axes along which `shape` broadcasts to it."""
    if array.shape == shape:
        return array
    return array.sum(axis=stretched_axes(array.shape, shape), keepdims=True).reshape(shape)


def stretched_axes(to, shape):
    """The axes of an array of shape `to` along which one of `shape` broadcasts to it."""
    lead = len(to) - len(shape)
    return (*range(lead), *(i + lead for i, n in enumerate(shape) if n == 1 and to[i + lead] != 1))
