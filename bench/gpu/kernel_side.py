"""The process that times kernels; `minigan/speed/serve.py` says what it is asked.

A job names a row (see `rows.py`). Its one result is what was measured.
"""

import math
import os
import sys
from pathlib import Path

import numpy as np

import minigan_kernels as kernels

# `bench` is not installed, and this is started by its path.
sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.gpu import rows, timing
from minigan.speed.compare import relative_difference

ROWS = {(row.name, row.precision): row for row in rows.kernel_rows()}

# Relative to the largest entry of the result; float64 is what it is compared with.
RTOL = {"fp32": 1e-4, "tf32": 3e-3, "bf16": 2e-2}


def about():
    return {"threads": int(os.environ["OMP_NUM_THREADS"]), "versions": {}}


def prepare(job):
    import cupy

    cupy.get_default_memory_pool().free_all_blocks()  # of the row before, which had other sizes
    row = ROWS[job["name"], job["precision"]]
    yield ceiling(row.work) if row.group == "ceiling" else measured(row.work, row.precision, cupy)


def ceiling(call):
    return {"ms": {call.kernel: 1e3 * timing.seconds(call.make())}}


def measured(call, precision, xp):
    """The time of a call, after a check against `reference` in float64 on the same card."""
    kernel = getattr(kernels, call.kernel)
    with kernels.precision(precision):
        difference = checked(kernel, call, xp, RTOL[precision])
        arguments = call.make(Arrays(xp))
        ms = 1e3 * timing.seconds(lambda: kernel(*arguments))
    return {"ms": {"minigan": ms}, "difference": difference}


def checked(kernel, call, xp, rtol=RTOL["fp32"]):
    """The largest difference of a result, relative to its largest entry. ValueError above rtol."""
    arguments = call.make(Arrays(xp))
    precise = [a.astype(np.float64) if is_float32(a) else a for a in arguments]
    found = results(kernel, call, arguments)
    with kernels.engine("reference"):
        expected = results(kernel, call, precise)
    worst = 0.0
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        difference = relative_difference(a, b)
        if not difference <= rtol:
            raise ValueError(f"nothing is timed: result {i} differs from the reference by {difference:.1e}")
        worst = max(worst, difference)
    return worst


def results(kernel, call, arguments):
    """A list of arrays: what the kernel gives, or the arguments that it changes."""
    given = kernel(*arguments)
    if call.changes:
        given = tuple(arguments[i] for i in call.changes)
    return [a for a in (given if isinstance(given, tuple) else (given,)) if a is not None]


def is_float32(a):
    return getattr(a, "ndim", None) is not None and a.dtype == np.float32


class Arrays:
    """The arrays of module `xp` that a row asks for: images channels-last, the same every time."""

    def __init__(self, xp):
        self.xp, self.counter = xp, 0

    def normal(self, shape):
        shape = (shape,) if isinstance(shape, int) else shape
        if len(shape) == 4:
            N, C, H, W = shape
            return self._normal((N, H, W, C)).transpose(0, 3, 1, 2)
        return self._normal(shape)

    def _normal(self, shape):
        n = math.prod(shape)
        self.counter += n  # more than were used
        with kernels.engine("reference"):
            return kernels.normal(0, self.counter, n, np.float32, self.xp).reshape(shape)

    def zeros(self, shape):
        return self.xp.zeros(shape, np.float32)

    def ones(self, shape):
        return self.xp.ones(shape, np.float32)

    def positions(self, shape, images):
        """Of pixels in the images, as `max_pool2d` of neighbouring windows gives them."""
        N, C, H, W = shape
        rows, columns = (self.xp.arange(n) * (size // n) for n, size in zip((H, W), images[2:], strict=True))
        index = (rows[:, None] * images[3] + columns).reshape(1, H, W, 1)
        return self.xp.ascontiguousarray(self.xp.broadcast_to(index, (N, H, W, C))).transpose(0, 3, 1, 2)

    def labels(self, n, classes):
        return self.xp.arange(n) * 7919 % classes
