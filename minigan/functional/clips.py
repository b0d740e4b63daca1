"""Convolution and pooling of clips (N, C, D, H, W): D frames, or the layers of a volume.

A convolution over the depth is one of images: KD neighbouring frames, laid over each other, are an image of
KD times the channels, and the KD layers of a filter one of its filters. So the trio of `conv` gives the one
here: frames are gathered before it, or, which is the adjoint, what it made is spread over them and added up.
Clips are channels-last in memory on the way. A stride, padding or dilation is an integer or three, depth
first.
"""

from typing import Any

from minigan.autograd import Tensor
from minigan.checks import integer

from .border import pad
from .conv import (
    check_axes,
    check_bias,
    check_extra,
    check_fit,
    check_numbers,
    conv2d,
    conv2d_weight,
    conv_transpose2d,
    several,
)
from .leaky import LeakyReLU, slope_of
from .pool import avg_pool2d, max_pool2d
from .shape import concat, narrow, permute, reshape, stack


def conv3d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    stride: int | tuple[int, int, int] = 1,
    padding: int | tuple[int, int, int] = 0,
    dilation: int | tuple[int, int, int] = 1,
    groups: int = 1,
    negative_slope: float | None = None,
) -> Tensor:
    """Cross-correlation: x (N, C, D, H, W), w (O, C/groups, KD, KH, KW), b (O,) -> (N, O, OD, OH, OW).

    OD = ⌊(D + 2·padding - dilation·(KD - 1) - 1) / stride⌋ + 1, and so on. float32 or float64, derivatives of
    every order. Slope and errors as in `conv2d`: ValueError for shapes that do not fit, TypeError for mixed
    dtypes.
    """
    check_axes("conv3d", "NCDHW", x=x, w=w)
    depth, (steps, border, spread) = _window("conv3d", x, w.shape[2:], stride, padding, dilation)
    groups = _check_groups("conv3d", groups, x, w.shape[1])
    frames = _gathered(x, w.shape[2], depth, groups)
    y = conv2d(frames, _layers(w), b, steps, border, spread, groups, negative_slope)
    return _clips(y, x.shape[0])


def conv_transpose3d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    stride: int | tuple[int, int, int] = 1,
    padding: int | tuple[int, int, int] = 0,
    output_padding: int | tuple[int, int, int] = 0,
    groups: int = 1,
    dilation: int | tuple[int, int, int] = 1,
    negative_slope: float | None = None,
) -> Tensor:
    """The x-adjoint of `conv3d`: x (N, O, D, H, W), w (O, C/groups, KD, KH, KW), b (C,) -> (N, C, OD, ...).

    OD = (D - 1)·stride - 2·padding + dilation·(KD - 1) + output_padding + 1, and so on. Slope and errors as
    in `conv3d`; ValueError also for an output_padding that is not below the stride or the dilation.
    """
    check_axes("conv_transpose3d", "NCDHW", x=x, w=w)
    steps, border, spread, extra = (several(n, 3) for n in (stride, padding, dilation, output_padding))
    check_numbers("conv_transpose3d", w.shape[2:], steps, border, spread)
    check_extra("conv_transpose3d", extra, steps, spread)
    groups, slope = (
        integer("conv_transpose3d", "groups", groups, 1),
        slope_of("conv_transpose3d", negative_slope),
    )
    check_bias("conv_transpose3d", b, (w.shape[1] * groups,))
    depth = (x.shape[2] - 1) * steps[0] - 2 * border[0] + spread[0] * (w.shape[2] - 1) + extra[0] + 1
    if depth < 1:
        raise ValueError(f"conv_transpose3d: {x.shape[2]} frames and padding={border} would give {depth}")
    window: Any = steps[1:], border[1:], extra[1:], groups, spread[1:]
    y = permute(conv_transpose2d(_frames(x), _layers(w), None, *window), 0, 2, 3, 1)
    rows = reshape(y, x.shape[0], x.shape[2], *y.shape[1:3], groups, w.shape[2], w.shape[1])
    rows = _added_up(rows, steps[0], spread[0])
    missing = max(0, border[0] + depth - rows.shape[1])
    rows = pad(rows, (0,) * 7 + (missing,)) if missing else rows
    rows = narrow(rows, 1, border[0], depth)
    rows = rows if b is None else rows + b
    return permute(rows if slope is None else LeakyReLU(slope)(rows), 0, 4, 1, 2, 3)


def conv3d_weight(
    x: Tensor,
    gy: Tensor,
    kernel_size: int | tuple[int, int, int],
    stride: int | tuple[int, int, int] = 1,
    padding: int | tuple[int, int, int] = 0,
    dilation: int | tuple[int, int, int] = 1,
    groups: int = 1,
) -> Tensor:
    """The w-adjoint of `conv3d`: x (N, C, D, H, W), gy (N, O, OD, OH, OW) -> (O, C/groups, KD, KH, KW).

    Errors as `conv3d`.
    """
    check_axes("conv3d_weight", "NCDHW", x=x, gy=gy)
    kernel = several(kernel_size, 3)
    depth, (steps, border, spread) = _window("conv3d_weight", x, kernel, stride, padding, dilation)
    groups = _check_groups("conv3d_weight", groups, x, x.shape[1] // max(1, groups))
    frames = _gathered(x, kernel[0], depth, groups)
    w = conv2d_weight(frames, _frames(gy), kernel[1:], steps, border, spread, groups)
    return permute(reshape(w, w.shape[0], kernel[0], x.shape[1] // groups, *kernel[1:]), 0, 2, 1, 3, 4)


def max_pool3d(
    x: Tensor,
    kernel_size: int | tuple[int, int, int],
    stride: int | tuple[int, int, int] | None = None,
    padding: int | tuple[int, int, int] = 0,
) -> Tensor:
    """The largest value of each window: x (N, C, D, H, W) -> (N, C, OD, OH, OW), of stride `kernel_size` by
    default.

    The first of equal values gets the gradient. ValueError for a window that does not fit, or a padding of
    more than half of it.
    """
    return _pooled("max_pool3d", max_pool2d, x, kernel_size, stride, padding)


def avg_pool3d(
    x: Tensor,
    kernel_size: int | tuple[int, int, int],
    stride: int | tuple[int, int, int] | None = None,
    padding: int | tuple[int, int, int] = 0,
) -> Tensor:
    """The mean of each window, padding counted as zeros: x (N, C, D, H, W) -> (N, C, OD, OH, OW). Errors as
    `max_pool3d`."""
    return _pooled("avg_pool3d", avg_pool2d, x, kernel_size, stride, padding)


def in_planes(f, x):
    """f, a map of images, of every frame of the clips x."""
    return _clips(f(_frames(x)), x.shape[0])


def along_the_depth(f, x):
    """f, a map of images that leaves the columns alone, of (N, C, D, pixels): an image a clip and channel."""
    y = f(reshape(x, *x.shape[:3], x.shape[3] * x.shape[4]))
    return reshape(y, *y.shape[:3], *x.shape[3:])


def _pooled(name, pool, x, kernel_size, stride, padding):
    """First each frame, then its pixels over the depth: the first of equal ones is the same."""
    check_axes(name, "NCDHW", x=x)
    kernel, padding = several(kernel_size, 3), several(padding, 3)
    stride = kernel if stride is None else several(stride, 3)
    check_fit(name, x.shape[2:], kernel, stride, padding)
    y = in_planes(lambda frames: pool(frames, kernel[1:], stride[1:], padding[1:]), x)
    if (kernel[0], stride[0]) == (1, 1):
        return y
    return along_the_depth(lambda rows: pool(rows, (kernel[0], 1), (stride[0], 1), (padding[0], 0)), y)


def _window(name, x, kernel, *window):
    """(stride, padding, dilation) of the depth, and of the plane."""
    window = [several(n, 3) for n in window]
    check_fit(name, x.shape[2:], kernel, *window)
    return [n[0] for n in window], [n[1:] for n in window]


def _check_groups(name, groups, x, channels):
    groups = integer(name, "groups", groups, 1)
    if x.shape[1] != channels * groups:
        raise ValueError(f"{name}: x has {x.shape[1]} channels, w expects {channels * groups}")
    return groups


def _layers(w):
    """(O, C/groups, KD, KH, KW) as filters of images: (O, KD·C/groups, KH, KW)."""
    return reshape(permute(w, 0, 2, 1, 3, 4), w.shape[0], w.shape[2] * w.shape[1], *w.shape[3:])


def _gathered(x, taps, window, groups):
    """The KD frames that each frame of the output looks at, laid over each other: (N·OD, groups·KD·C/groups,
    H, W)."""
    stride, padding, dilation = window
    rows = permute(x, 0, 2, 3, 4, 1)
    rows = pad(rows, (0,) * 6 + (padding, padding)) if padding else rows
    last = rows.shape[1] - dilation * (taps - 1)
    if groups > 1:
        rows = reshape(rows, *rows.shape[:4], groups, x.shape[1] // groups)
    parts = [rows[:, k * dilation : k * dilation + last : stride] for k in range(taps)]
    y = concat(parts, -1) if taps > 1 else parts[0]
    return permute(reshape(y, y.shape[0] * y.shape[1], *x.shape[3:], taps * x.shape[1]), 0, 3, 1, 2)


def _added_up(rows, stride, dilation):
    """rows (N, D, H, W, groups, KD, C/groups), each added to the frame it goes to: (N, OD, H, W, C).

    The frames i·stride + phase are made for each phase, and the phases interleaved: OD is a multiple of the
    stride.
    """
    N, D, H, W, groups, taps, CG = rows.shape
    steps = [divmod(k * dilation, stride) for k in range(taps)]
    longest = max(shift for shift, _ in steps)
    phases = [None] * stride
    for k, (shift, phase) in enumerate(steps):
        part = reshape(rows[:, :, :, :, :, k], N, D, H, W, groups * CG)
        part = pad(part, (0,) * 6 + (shift, longest - shift)) if longest else part
        phases[phase] = part if phases[phase] is None else phases[phase] + part
    if stride == 1:
        return phases[0]
    if any(part is None for part in phases):  # a stride beyond the kernel
        nothing = pad(phases[0][:, :0], (0,) * 7 + (D + longest,))
        phases = [nothing if part is None else part for part in phases]
    return reshape(stack(phases, 2), N, (D + longest) * stride, H, W, groups * CG)


def _frames(x):
    """Clips (N, C, D, H, W) as images (N·D, C, H, W)."""
    return reshape(permute(x, 0, 2, 1, 3, 4), x.shape[0] * x.shape[2], x.shape[1], *x.shape[3:])


def _clips(y, n):
    """Images (n·D, C, H, W) as n clips (n, C, D, H, W)."""
    return permute(reshape(y, n, y.shape[0] // max(n, 1), *y.shape[1:]), 0, 2, 1, 3, 4)
