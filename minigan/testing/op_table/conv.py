"""Convolution."""

import numpy as np

import minigan.functional as F
from minigan_kernels import out_size, transposed_size

from .row import Row


def conv_rows(name, x, w, stride=1, padding=0, dilation=1, groups=1):
    """The trio in one geometry: sequences, images or clips of shape `x`, weights of shape `w`."""
    axes = len(x) - 2
    window = {"stride": stride, "padding": padding, "dilation": dilation}
    each = [F.conv.several(n, axes) for n in (stride, padding, dilation)]
    out = out_size(x[2:], w[2:], *each)
    y = (x[0], w[0], *out)
    # What the stride cannot reach of the image, the transposed convolution is told to add.
    left = np.subtract(x[2:], transposed_size(out, w[2:], *each, (0,) * axes)).tolist()
    bias = [(w[0],), (w[1] * groups,)]
    window["groups"] = groups
    transposed = {**window, "output_padding": left}
    conv, conv_transpose, conv_weight = f"conv{axes}d", f"conv_transpose{axes}d", f"conv{axes}d_weight"
    return [
        Row(
            f"{conv}, {name}",
            lambda x, w, b: getattr(F, conv)(x, w, b, **window),
            [x, w, bias[0]],
            torch=lambda t, x, w, b: getattr(t.nn.functional, conv)(x, w, b, **window),
        ),
        Row(
            f"{conv_transpose}, {name}",
            lambda y, w, b: getattr(F, conv_transpose)(y, w, b, **transposed),
            [y, w, bias[1]],
            torch=lambda t, y, w, b: getattr(t.nn.functional, conv_transpose)(y, w, b, **transposed),
        ),
        Row(
            f"{conv_weight}, {name}",
            lambda x, gy: getattr(F, conv_weight)(x, gy, w[2:], **window),
            [x, y],
            torch=lambda t, x, gy: getattr(t.nn.grad, conv_weight)(x, w, gy, **window),
        ),
    ]


def modulated_in_torch(t, x, w, styles, stride=1, padding=0, demodulate=True, transposed=False, gain=1):
    """As it is defined: with a weight for each sample, here a group each."""
    N, C, H, W = x.shape
    out = 1 if transposed else 0  # the axis of the output channels
    scale = styles.reshape(N, C, 1, 1, 1) if transposed else styles.reshape(N, 1, C, 1, 1)
    weights = w[None] * scale
    if demodulate:
        weights = weights / (weights.square().sum((2 - out, 3, 4), keepdim=True) + 1e-8).sqrt()
    conv = t.nn.functional.conv_transpose2d if transposed else t.nn.functional.conv2d
    y = conv(x.reshape(1, N * C, H, W), weights.flatten(0, 1), None, stride, padding, groups=N)
    return gain * y.reshape(N, w.shape[out], *y.shape[2:])


def modulated_row(x, w, **how):
    return Row(
        f"modulated_conv2d, {x} by {w}, {how}",
        lambda x, w, styles: F.modulated_conv2d(x, w, styles, **how),
        [x, w, x[:2]],
        torch=lambda t, x, w, styles: modulated_in_torch(t, x, w, styles, **how),
    )


GEOMETRIES: dict[str, dict] = {
    "1x1": {"x": (2, 3, 4, 5), "w": (2, 3, 1, 1)},
    "1x1 of stride 2": {"x": (2, 3, 5, 5), "w": (2, 3, 1, 1), "stride": 2},
    "3x3 in a border": {"x": (2, 2, 5, 4), "w": (3, 2, 3, 3), "padding": 1},
    "4x4 halves the image": {"x": (2, 2, 8, 8), "w": (3, 2, 4, 4), "stride": 2, "padding": 1},
    "5x5 of stride 2 with a rest": {"x": (1, 2, 8, 9), "w": (2, 2, 5, 5), "stride": 2, "padding": 1},
    "7x7": {"x": (1, 2, 9, 8), "w": (2, 2, 7, 7), "padding": 3},
    "2x3 on a wide image": {"x": (2, 2, 3, 7), "w": (2, 2, 2, 3)},
    "as large as the image": {"x": (2, 3, 4, 5), "w": (2, 3, 4, 5)},
    "larger than the image without its border": {"x": (1, 2, 2, 3), "w": (2, 2, 4, 4), "padding": 1},
    "stride beyond the kernel": {"x": (2, 2, 7, 8), "w": (3, 2, 2, 2), "stride": 3},
    "dilation 2": {"x": (2, 2, 6, 7), "w": (2, 2, 3, 3), "dilation": 2, "padding": 2},
    "dilation and stride with a rest": {"x": (1, 2, 8, 8), "w": (2, 2, 3, 2), "dilation": 3, "stride": 2},
    "every pair unequal": {
        "x": (2, 2, 9, 10),
        "w": (2, 2, 3, 2),
        "stride": (2, 3),
        "padding": (1, 2),
        "dilation": (2, 1),
    },
    "two groups": {"x": (2, 4, 4, 4), "w": (6, 2, 3, 3), "padding": 1, "groups": 2},
    "one channel a group": {"x": (2, 3, 5, 5), "w": (6, 1, 3, 3), "stride": 2, "groups": 3},
    "one pixel": {"x": (3, 2, 1, 1), "w": (2, 2, 1, 1)},
    # sequences
    "3 in a border": {"x": (2, 2, 5), "w": (3, 2, 3), "padding": 1},
    "4 halves the sequence": {"x": (2, 2, 8), "w": (3, 2, 4), "stride": 2, "padding": 1},
    "dilation 4 with a rest": {"x": (1, 2, 11), "w": (2, 2, 3), "stride": 3, "padding": 2, "dilation": 4},
    "groups of a sequence": {"x": (2, 4, 6), "w": (6, 2, 2), "groups": 2},
    # clips
    "3x3x3 in a border": {"x": (1, 2, 3, 4, 3), "w": (2, 2, 3, 3, 3), "padding": 1},
    "4x4x4 halves the clip": {"x": (2, 1, 4, 4, 6), "w": (2, 1, 4, 4, 4), "stride": 2, "padding": 1},
    "frames alone": {"x": (1, 2, 3, 4, 4), "w": (2, 2, 1, 3, 3)},
    "the depth alone": {"x": (2, 2, 5, 2, 1), "w": (3, 2, 3, 1, 1), "stride": (2, 1, 1)},
    "stride beyond the depth": {"x": (1, 1, 6, 3, 3), "w": (2, 1, 1, 2, 2), "stride": (3, 1, 2)},
    "every three unequal, two groups": {
        "x": (1, 4, 7, 6, 5),
        "w": (2, 2, 3, 2, 3),
        "stride": (2, 3, 1),
        "padding": (2, 1, 0),
        "dilation": (3, 1, 2),
        "groups": 2,
    },
}

CONVOLUTION = [row for name, geometry in GEOMETRIES.items() for row in conv_rows(name, **geometry)]
CONVOLUTION += [
    Row(
        "conv2d, activated",
        lambda x, w, b: F.conv2d(x, w, b, 2, 1, negative_slope=0.2),
        [(2, 3, 4, 6), (2, 3, 4, 4), (2,)],
        torch=lambda t, x, w, b: t.nn.functional.leaky_relu(t.nn.functional.conv2d(x, w, b, 2, 1), 0.2),
    ),
    Row(
        "conv_transpose2d, no bias, activated",
        lambda x, w: F.conv_transpose2d(x, w, None, 2, 1, negative_slope=0.0),
        [(2, 3, 2, 3), (3, 2, 4, 4)],
        torch=lambda t, x, w: t.relu(t.nn.functional.conv_transpose2d(x, w, None, 2, 1)),
    ),
    Row(
        "conv1d, activated",
        lambda x, w, b: F.conv1d(x, w, b, 2, 1, negative_slope=0.2),
        [(2, 3, 6), (2, 3, 4), (2,)],
        torch=lambda t, x, w, b: t.nn.functional.leaky_relu(t.nn.functional.conv1d(x, w, b, 2, 1), 0.2),
    ),
    Row(
        "conv3d, activated",
        lambda x, w, b: F.conv3d(x, w, b, 2, 1, negative_slope=0.2),
        [(1, 2, 4, 4, 4), (2, 2, 4, 4, 4), (2,)],
        torch=lambda t, x, w, b: t.nn.functional.leaky_relu(t.nn.functional.conv3d(x, w, b, 2, 1), 0.2),
    ),
    Row(
        "conv_transpose3d, no bias, activated",
        lambda x, w: F.conv_transpose3d(x, w, None, 2, 1, negative_slope=0.0),
        [(1, 2, 2, 2, 2), (2, 2, 4, 4, 4)],
        torch=lambda t, x, w: t.relu(t.nn.functional.conv_transpose3d(x, w, None, 2, 1)),
    ),
    modulated_row((2, 3, 4, 5), (2, 3, 3, 3), padding=1),
    modulated_row((2, 2, 3, 3), (2, 2, 1, 1), gain=2**0.5),
    modulated_row((2, 2, 4, 4), (3, 2, 3, 3), stride=2, demodulate=False, gain=-2.0),
    modulated_row((2, 3, 2, 3), (3, 2, 4, 4), stride=2, padding=1, transposed=True),
    Row("conv2d, no bias", F.conv2d, [(2, 3, 4, 4), (2, 3, 3, 3)], torch="nn.functional.conv2d"),
    Row(
        "conv_transpose2d, no bias",
        F.conv_transpose2d,
        [(2, 3, 4, 4), (3, 2, 3, 3)],
        torch="nn.functional.conv_transpose2d",
    ),
    Row(
        "conv_transpose2d, output padding beyond the stride",
        lambda x, w: F.conv_transpose2d(x, w, dilation=3, output_padding=2),
        [(1, 2, 3, 3), (2, 2, 2, 2)],
        torch=lambda t, x, w: t.nn.functional.conv_transpose2d(x, w, dilation=3, output_padding=2),
    ),
]
