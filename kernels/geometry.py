"""Sizes of convolutions and poolings, and the checks that every engine relies on.

A geometry is `stride, padding, dilation`: pairs of integers, rows first.
"""


def out_size(size, kernel, stride, padding, dilation=(1, 1)):
    """(OH, OW) of a window of `kernel` taps slid over an image of `size`, both (H, W)."""
    return tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
    )


def transposed_size(size, kernel, stride, padding, dilation=(1, 1), output_padding=(0, 0)):
    """(H, W) that a transposed convolution makes of an image of `size`; inverts `out_size`."""
    return tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + op + 1
        for n, k, s, p, d, op in zip(size, kernel, stride, padding, dilation, output_padding, strict=True)
    )


def check_window(name, size, kernel, stride, padding, dilation=(1, 1)):
    """Raise ValueError unless the window fits at least once; return (OH, OW)."""
    for what, pair, least in (
        ("kernel_size", kernel, 1),
        ("stride", stride, 1),
        ("padding", padding, 0),
        ("dilation", dilation, 1),
    ):
        if len(pair) != 2 or min(pair) < least:
            raise ValueError(f"{name}: {what} must be two integers of at least {least}, got {pair}")
    out = out_size(size, kernel, stride, padding, dilation)
    if min(out) < 1:
        span = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
        raise ValueError(
            f"{name}: a kernel that spans {span[0]}x{span[1]} pixels does not fit an image of "
            f"{size[0]}x{size[1]} with padding {padding}"
        )
    return out


def check_conv(name, x, w, stride, padding, dilation, groups):
    """Check a convolution of images of shape `x` by weights of shape `w`; return (OH, OW)."""
    if len(x) != 4:
        raise ValueError(f"{name}: x must have shape (N, C, H, W), got {x}")
    if len(w) != 4:
        raise ValueError(f"{name}: w must have shape (C_out, C_in / groups, KH, KW), got {w}")
    if groups < 1 or x[1] % groups or w[0] % groups:
        raise ValueError(f"{name}: groups={groups} must divide the channels, {x[1]} in and {w[0]} out")
    if x[1] != w[1] * groups:
        raise ValueError(f"{name}: x has {x[1]} channels, w expects {w[1] * groups}")
    return check_window(name, x[2:], w[2:], stride, padding, dilation)


def check_dtypes(name, **arrays):
    """Raise TypeError unless all arrays are of one floating dtype."""
    first = next(iter(arrays.values())).dtype
    if first.kind != "f" or any(a.dtype != first for a in arrays.values()):
        given = ", ".join(f"{k} is {a.dtype}" for k, a in arrays.items())
        raise TypeError(f"{name}: the arrays must share one floating dtype, but {given}")
