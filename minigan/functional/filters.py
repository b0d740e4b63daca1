"""Images filtered by fixed taps: blurred, and made larger or smaller by way of a blur.

Upsampling, filtering and downsampling in one, y[i] = Σₖ f[k] x̂[i·down + k - before] along each axis, x̂ being
x with zeros between its entries, is a linear map, and its adjoint is one of the same kind: the taps reversed,
`up` and `down` exchanged. So one op gives every order. It is two products with matrices that hold the taps
or, on a GPU, a few sums of shifted images; as a convolution with a group a channel it would take several
times as long.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

import minigan_kernels as kernels
from minigan.autograd import Function, Tensor
from minigan.checks import integer, is_integer, is_number, shown
from minigan_kernels import array_module

from .axes import in_order, memory_order


def upfirdn2d(
    x: Tensor,
    f: Sequence[float],
    up: int = 1,
    down: int = 1,
    padding: int | tuple[int, int, int, int] = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
) -> Tensor:
    """Put up - 1 zeros behind each pixel, pad, filter, keep every down-th: x (N, C, H, W) -> (N, C, OH, OW).

    f: the taps, a list of K numbers, for rows and columns alike: the filter is their outer product.
    padding: zeros around what was upsampled, an integer or (left, right, top, bottom); below 0 it crops.
    flip_filter: False for a convolution, True for a correlation, as `conv2d` is one.
    gain: a factor for all, such as up² to keep the brightness.
    OH = ⌊(H·up + top + bottom - K) / down⌋ + 1: a blur that keeps the size has a padding of K // 2 and
    (K - 1) // 2 on both axes. float32 or float64; derivatives of every order. ValueError for other axes, or a
    filter that does not fit.

    Karras et al., "Analyzing and improving the image quality of StyleGAN", 2020, and its code.
    """
    if x.ndim != 4:
        raise ValueError(f"upfirdn2d: x must have shape (N, C, H, W), got {x.shape}")
    taps = [float(tap) for tap in f]
    up, down = integer("upfirdn2d", "up", up, 1), integer("upfirdn2d", "down", down, 1)
    sides: Any = padding
    left, right, top, bottom = (sides,) * 4 if is_integer(sides) else sides
    size = tuple(
        (n * up + before + after - len(taps)) // down + 1
        for n, before, after in ((x.shape[2], top, bottom), (x.shape[3], left, right))
    )
    if not taps or min(size) < 1:
        raise ValueError(
            f"upfirdn2d: f has {len(taps)} taps, which with padding {padding} makes {size} pixels"
        )
    if not is_number(gain) or not math.isfinite(gain):
        raise ValueError(f"upfirdn2d: gain must be a finite number, got {shown(gain)}")
    root = math.sqrt(abs(gain))  # of the gain, a share for each axis
    rows = [tap * root for tap in (taps if flip_filter else taps[::-1])]
    columns = [math.copysign(tap, tap * gain) for tap in rows]
    return UpFirDn((tuple(rows), tuple(columns)), up, down, (int(top), int(left)), size)(x)


class UpFirDn(Function):
    """taps: of the rows and of the columns. before: their paddings in front. size: that of the output."""

    saves = ""

    def __init__(self, taps, up, down, before, size):
        self.taps, self.up, self.down, self.before, self.size = taps, up, down, before, size

    def forward(self, x):
        if array_module(x) is np:
            return self._by_products(x)
        order = memory_order(x)
        y = x.transpose(order)
        for axis, *how in zip((2, 3), self.taps, self.before, self.size, strict=True):
            y = self._along(y, order.index(axis), *how)
        return in_order(y, order)

    def backward(self, gy):
        taps = tuple(t[::-1] for t in self.taps)
        before = tuple(len(t) - 1 - b for t, b in zip(taps, self.before, strict=True))
        return UpFirDn(taps, self.down, self.up, before, self.shapes[0][2:])(gy)

    def _by_products(self, x):
        """By two products with matrices of taps, which are small where images are: on the CPU they take a
        tenth of the time of sums."""
        rows, columns = (
            matrix(taps, n, size, self.up, self.down, before, x.dtype)
            for taps, before, n, size in zip(self.taps, self.before, x.shape[2:], self.size, strict=True)
        )
        if memory_order(x)[1] == 1:
            return kernels.matmul(kernels.matmul(rows, x), columns.T)
        y = kernels.matmul(rows, x.transpose(0, 3, 2, 1))  # (N, W, OH, C): the channels stay innermost
        return kernels.matmul(columns, y.transpose(0, 2, 1, 3)).transpose(0, 3, 1, 2)

    def _along(self, x, axis, taps, before, size):
        shape = list(x.shape)
        shape[axis] = size
        y, ahead = array_module(x).zeros(shape, x.dtype), (slice(None),) * axis
        for k, tap in enumerate(taps):
            places = meeting(x.shape[axis], size, self.up, self.down, k - before)
            if places is not None and tap:
                out, given = places
                y[(*ahead, out)] += x[(*ahead, given)] * tap
        return y


@lru_cache(256)
def matrix(taps, n, m, up, down, before, dtype):
    """(m, n): what each of n pixels adds to each of m."""
    matrix = np.zeros((m, n), dtype)
    for k, tap in enumerate(taps):
        places = meeting(n, m, up, down, k - before)
        if places is not None:
            out, given = (np.arange(size)[some] for size, some in zip((m, n), places, strict=True))
            matrix[out, given] += tap
    return matrix


def meeting(n, m, up, down, shift):
    """All pairs of i < m and j < n with i·down + shift = j·up, as two slices; None where there are none."""
    step = math.gcd(up, down)
    i_step, j_step = up // step, down // step
    first = next((i for i in range(i_step) if (i * down + shift) % up == 0), None)
    if first is None:
        return None
    j = (first * down + shift) // up
    late = max(0, -(j // j_step))  # steps until j is no longer below 0
    i, j = first + late * i_step, j + late * j_step
    count = min((m - 1 - i) // i_step, (n - 1 - j) // j_step) + 1
    if count < 1:
        return None
    return slice(i, i + (count - 1) * i_step + 1, i_step), slice(j, j + (count - 1) * j_step + 1, j_step)
