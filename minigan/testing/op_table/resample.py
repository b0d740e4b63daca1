"""Images of another size."""

from itertools import product

import minigan.functional as F

from .row import Row

SIZES = {
    "twice": {"scale_factor": 2},
    "unequal factors": {"scale_factor": (2, 3)},
    "a factor of 1.5": {"scale_factor": 1.5},
    "half": {"scale_factor": 0.5},
    "to 4x7": {"size": (4, 7)},
    "to one pixel": {"size": 1},
    "as it is": {"size": (3, 5)},
}
MODES = {
    "nearest": {"mode": "nearest"},
    "bilinear": {"mode": "bilinear"},
    "bilinear between corners": {"mode": "bilinear", "align_corners": True},
    "bilinear, antialiased": {"mode": "bilinear", "antialias": True},
    "bicubic": {"mode": "bicubic"},
    "bicubic between corners": {"mode": "bicubic", "align_corners": True},
    "bicubic, antialiased": {"mode": "bicubic", "antialias": True},
}


def interpolate_row(size, mode):
    how = SIZES[size] | MODES[mode]
    return Row(
        f"interpolate, {mode}, {size}",
        lambda x: F.interpolate(x, **how),
        [(2, 2, 3, 5)],
        torch=lambda t, x: t.nn.functional.interpolate(x, **how),
    )


def resized_row(shape, **how):
    return Row(
        f"interpolate, {shape} by {how}",
        lambda x: F.interpolate(x, **how),
        [shape],
        torch=lambda t, x: t.nn.functional.interpolate(x, **how),
    )


def upfirdn2d_in_torch(t, x, f, up=1, down=1, padding=0, flip_filter=False, gain=1.0):
    """The op in PyTorch, by zeros put between pixels, and a convolution with a group a channel."""
    N, C, H, W = x.shape
    f = t.tensor(f, dtype=x.dtype)
    f = f if flip_filter else f.flip(0)
    wide = t.nn.functional.pad(x.reshape(N, C, H, 1, W, 1), (0, up - 1, 0, 0, 0, up - 1))
    wide = t.nn.functional.pad(
        wide.reshape(N, C, H * up, W * up), (padding,) * 4 if padding == 0 else padding
    )
    weight = (gain * f[:, None] * f[None, :]).expand(C, 1, len(f), len(f))
    return t.nn.functional.conv2d(wide, weight, stride=down, groups=C)


def upfirdn2d_row(shape, f, **how):
    return Row(
        f"upfirdn2d, {shape} by {f}, {how}",
        lambda x: F.upfirdn2d(x, f, **how),
        [shape],
        torch=lambda t, x: upfirdn2d_in_torch(t, x, f, **how),
    )


RESAMPLING = [interpolate_row(size, mode) for size, mode in product(SIZES, MODES)]
RESAMPLING += [
    resized_row((2, 2, 5), size=8, mode="linear"),
    resized_row((2, 2, 5), scale_factor=2, mode="linear", align_corners=True),
    resized_row((2, 2, 5), scale_factor=1.5),
    resized_row((1, 2, 2, 3, 2), scale_factor=2),
    resized_row((1, 2, 2, 3, 2), size=(3, 3, 4), mode="trilinear"),
    upfirdn2d_row((2, 2, 4, 5), [0.25, 0.5, 0.25], padding=(1, 1, 1, 1)),
    upfirdn2d_row((1, 2, 3, 3), [1, 3, 3, 1], up=2, padding=(2, 1, 2, 1), gain=4 / 64),
    upfirdn2d_row((1, 2, 6, 4), [1, 3, 3, 1], down=2, padding=(1, 1, 1, 1), gain=1 / 64),
    upfirdn2d_row((1, 1, 4, 5), [0.5, -1, 2], up=3, down=2, padding=(3, 0, 1, 4), gain=-0.5),
    upfirdn2d_row((1, 1, 5, 4), [0.5, -1, 2], up=2, down=4, padding=(2, 3, 0, 1), flip_filter=True),
    upfirdn2d_row((1, 1, 5, 6), [1.0, 2.0], padding=(-1, 0, 1, -2)),
    upfirdn2d_row((1, 1, 3, 3), [2.0], down=2),
    Row(
        "pixel_unshuffle",
        lambda x: F.pixel_unshuffle(x, 2),
        [(2, 2, 6, 4)],
        torch=lambda t, x: t.nn.functional.pixel_unshuffle(x, 2),
    ),
]
