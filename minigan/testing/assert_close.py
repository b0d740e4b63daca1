"""Comparison of arrays, with a message that helps."""

import numpy as np
import numpy.typing as npt

from minigan.autograd import Tensor, no_grad


def assert_close(
    actual: Tensor | npt.ArrayLike, expected: Tensor | npt.ArrayLike, rtol: float = 1e-7, atol: float = 0.0
) -> None:
    """Raise AssertionError unless |actual - expected| <= atol + rtol · |expected| everywhere.

    Takes Tensors and arrays. The shapes must be equal, and NaN equals nothing, itself included. The
    message names the worst entry by its index.
    """
    with no_grad():  # the values of Tensors, whether they require a gradient or not
        actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape:
        raise AssertionError(f"shapes differ: {actual.shape}, expected {expected.shape}")
    with np.errstate(invalid="ignore"):  # ∞ - ∞
        error = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
        close = np.isfinite(expected) & (error <= atol + rtol * np.abs(expected.astype(np.float64)))
    bad = ~(close | (actual == expected))
    if bad.any():
        worst = np.unravel_index(np.argmax(np.where(bad, np.nan_to_num(error, nan=np.inf), -1)), error.shape)
        at = tuple(int(i) for i in worst)
        raise AssertionError(
            f"{int(bad.sum())} of {error.size} entries differ; the worst, at {at}: "
            f"{actual[at]!r}, expected {expected[at]!r} (difference {error[at]:.3g})"
        )
