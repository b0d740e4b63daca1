"""Convolution and pooling of sequences (N, C, L): they are images of one row.

Here too convolution is a closed trio, see `conv`. A stride, padding or dilation is an integer.
"""

from minigan.autograd import Tensor

from .conv import check_axes, check_extra, check_fit, conv2d, conv2d_weight, conv_transpose2d, several
from .pool import avg_pool2d, max_pool2d
from .shape import squeeze, unsqueeze


def conv1d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
    negative_slope: float | None = None,
) -> Tensor:
    """Cross-correlation: x (N, C, L), w (O, C/groups, K), b (O,) -> (N, O, OL), float32 or float64.

    OL = ⌊(L + 2·padding - dilation·(K - 1) - 1) / stride⌋ + 1. Derivatives of every order. Slope and errors
    as in `conv2d`: ValueError for shapes that do not fit, TypeError for mixed dtypes.
    """
    check_axes("conv1d", "NCL", x=x, w=w)
    window = [several(n, 1) for n in (stride, padding, dilation)]
    check_fit("conv1d", x.shape[2:], w.shape[2:], *window)
    steps, border, spread = _of_a_row(*window)
    return _sequence(conv2d(_row(x), _row(w), b, steps, border, spread, groups, negative_slope))


def conv_transpose1d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    groups: int = 1,
    dilation: int = 1,
    negative_slope: float | None = None,
) -> Tensor:
    """The x-adjoint of `conv1d`: x (N, O, L), w (O, C/groups, K), b (C,) -> (N, C, OL).

    OL = (L - 1)·stride - 2·padding + dilation·(K - 1) + output_padding + 1. Slope and errors as in `conv1d`;
    ValueError also for an output_padding that is not below the stride or the dilation.
    """
    check_axes("conv_transpose1d", "NCL", x=x, w=w)
    extra = several(output_padding, 1)
    window = [several(n, 1) for n in (stride, padding, dilation)]
    check_extra("conv_transpose1d", extra, window[0], window[2])
    steps, border, spread = _of_a_row(*window)
    y = conv_transpose2d(_row(x), _row(w), b, steps, border, (0, *extra), groups, spread, negative_slope)
    return _sequence(y)


def conv1d_weight(
    x: Tensor,
    gy: Tensor,
    kernel_size: int,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """The w-adjoint of `conv1d`: x (N, C, L), gy (N, O, OL) -> (O, C/groups, K). Errors as `conv1d`."""
    check_axes("conv1d_weight", "NCL", x=x, gy=gy)
    window = [several(n, 1) for n in (stride, padding, dilation)]
    check_fit("conv1d_weight", x.shape[2:], several(kernel_size, 1), *window)
    kernel = (1, *several(kernel_size, 1))
    steps, border, spread = _of_a_row(*window)
    return _sequence(conv2d_weight(_row(x), _row(gy), kernel, steps, border, spread, groups))


def max_pool1d(x: Tensor, kernel_size: int, stride: int | None = None, padding: int = 0) -> Tensor:
    """The largest value of each window: x (N, C, L) -> (N, C, OL), of stride `kernel_size` by default.

    The first of equal values gets the gradient. ValueError for a window that does not fit, or a padding of
    more than half of it.
    """
    return _pooled("max_pool1d", max_pool2d, x, kernel_size, stride, padding)


def avg_pool1d(x: Tensor, kernel_size: int, stride: int | None = None, padding: int = 0) -> Tensor:
    """The mean of each window, padding counted as zeros: x (N, C, L) -> (N, C, OL).

    Errors as `max_pool1d`.
    """
    return _pooled("avg_pool1d", avg_pool2d, x, kernel_size, stride, padding)


def _pooled(name, pool, x, kernel_size, stride, padding):
    check_axes(name, "NCL", x=x)
    kernel, padding = several(kernel_size, 1), several(padding, 1)
    stride = kernel if stride is None else several(stride, 1)
    check_fit(name, x.shape[2:], kernel, stride, padding)
    return _sequence(pool(_row(x), (1, *kernel), (1, *stride), (0, *padding)))


def _row(x):
    return unsqueeze(x, 2)


def _sequence(x):
    return squeeze(x, 2)


def _of_a_row(stride, padding, dilation):
    return (1, *stride), (0, *padding), (1, *dilation)
