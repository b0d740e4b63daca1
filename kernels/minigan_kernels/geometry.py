"""Sizes of convolutions and poolings, and the checks that every engine relies on.

A geometry is `stride, padding, dilation`: pairs of integers, rows first. A small network's step makes dozens
of calls, so a check that passes compares tuples and no more; sentences are made when one fails.
"""

import math
from functools import lru_cache


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


def overlap(kernel, stride):
    """How many windows a pixel may lie in."""
    return math.prod(-(-k // s) for k, s in zip(kernel, stride, strict=True))


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


def check_images(name, x):
    """Raise ValueError unless `x` is a shape (N, C, H, W)."""
    if len(x) != 4:
        raise ValueError(f"{name}: images have shape (N, C, H, W), got {x}")


def check_positions(name, index, shape, of):
    """Check an array of pixel positions: integers, in the order of the N images and C channels of `shape`."""
    if len(shape) < 2 or index.shape[:2] != shape[:2]:
        raise ValueError(f"{name}: index has shape {index.shape}, {of} {shape}")
    check_integers(name, "index", index)


def check_factors(name, x, factors):
    """Check the blocks of an upsampling of images of shape `x`."""
    check_images(name, x)
    if len(factors) != 2 or min(factors) < 1:
        raise ValueError(f"{name}: factors must be two integers of at least 1, got {factors}")


# Any arrays


def check_dtypes(name, **arrays):
    """Raise TypeError unless all arrays are of one floating dtype."""
    first = next(iter(arrays.values())).dtype
    if first.kind != "f" or any(a.dtype != first for a in arrays.values()):
        given = ", ".join(f"{k} is {a.dtype}" for k, a in arrays.items())
        raise TypeError(f"{name}: the arrays must share one floating dtype, but {given}")


def check_integers(name, what, a):
    if a.dtype.kind not in "iu":
        raise TypeError(f"{name}: {what} must hold integers, but is {a.dtype}")


def check_shape(name, what, given, expected):
    """Raise ValueError unless an array has the shape that the others call for."""
    if given != expected:
        raise ValueError(f"{name}: {what} has shape {given}, expected {expected}")


def check_gradient(name, gy, y):
    """Check gy against y, whose gradient it is."""
    if gy.shape != y.shape:
        raise ValueError(f"{name}: gy has shape {gy.shape}, y {y.shape}")
    if gy.dtype != y.dtype:
        check_dtypes(name, gy=gy, y=y)


def check_like(name, what, a, shape, x):
    """Check an array that is of `shape`, and of the dtype of x."""
    if a.shape != shape:
        check_shape(name, what, a.shape, shape)
    if a.dtype != x.dtype:
        check_dtypes(name, **{"x": x, what: a})


def check_state(name, p, **others):
    """Check what an optimiser takes beside the parameters p: arrays like p, or None."""
    shape = p.shape
    for what, a in others.items():
        if a is not None:
            check_like(name, what, a, shape, p)


def check_pairs(name, x, y):
    """Check two sets of points, (B, N, C) and (B, M, C)."""
    if len(x.shape) != 3 or len(y.shape) != 3 or x.shape[::2] != y.shape[::2]:
        raise ValueError(f"{name}: x must be (B, N, C) and y (B, M, C), got shapes {x.shape} and {y.shape}")
    if x.dtype != y.dtype:
        check_dtypes(name, x=x, y=y)


@lru_cache(1024)
def check_axes(name, ndim, axes):
    """Raise ValueError unless `axes` are different axes of an array of `ndim`."""
    for axis in axes:
        if not -ndim <= axis < ndim:
            raise ValueError(f"{name}: an array of {ndim} axes has no axis {axis}")
    if len({axis % ndim for axis in axes}) < len(axes):
        raise ValueError(f"{name}: the axes {axes} are not different")


@lru_cache(1024)
def check_broadcast(name, what, shape, to):
    """Raise ValueError unless an array of `shape` broadcasts to the shape `to`."""
    lead = len(to) - len(shape)
    if lead < 0 or any(n not in (1, m) for n, m in zip(shape, to[lead:], strict=True)):
        raise ValueError(f"{name}: {what} of shape {shape} does not broadcast to {to}")


# Products, losses, norms


def check_matmul(a, b):
    """Check the shapes of a matrix product."""
    if len(a) < 2 or len(b) < 2:
        raise ValueError(f"matmul: a and b must have two axes or more, got shapes {a} and {b}")
    if a[-1] != b[-2]:
        raise ValueError(f"matmul: a has {a[-1]} columns, b has {b[-2]} rows")
    if len(a) > 2 and len(b) > 2:
        for n, m in zip(a[-3::-1], b[-3::-1], strict=False):
            if n != m and n != 1 and m != 1:
                raise ValueError(f"matmul: the leading axes of {a} and {b} do not broadcast")


def check_linear(x, w, b):
    """Check the arrays of a dense layer; b may be None."""
    if x.dtype != w.dtype or (b is not None and x.dtype != b.dtype):
        check_dtypes("linear", x=x, w=w, **({} if b is None else {"b": b}))
    given, weights = x.shape, w.shape
    if len(given) != 2 or len(weights) != 2:
        raise ValueError(f"linear: x and w must be matrices, got shapes {given} and {weights}")
    if given[1] != weights[1]:
        raise ValueError(f"linear: x has {given[1]} columns, w expects {weights[1]}")
    if b is not None and b.shape != weights[:1]:
        check_shape("linear", "b", b.shape, weights[:1])


def check_target(name, x, target):
    """Check the target of a loss: a number, or an array like x."""
    shape = getattr(target, "shape", ())
    if shape:
        if shape != x.shape:
            raise ValueError(f"{name}: x has shape {x.shape}, target {shape}")
        if target.dtype != x.dtype:
            check_dtypes(name, x=x, target=target)


def check_labels(name, x, labels):
    """Check logits (N, C) and the label of each row."""
    shape = x.shape
    if len(shape) != 2 or labels.shape != shape[:1]:
        raise ValueError(f"{name}: x must be (N, C) and labels (N,), got shapes {shape} and {labels.shape}")
    check_integers(name, "labels", labels)


def check_norm(name, x, axes, *, weight=None, bias=None, mean=None, var=None, **gradients):
    """Check the arrays of a normalisation of x over `axes`; the gradients are like x."""
    shape, dtype = x.shape, x.dtype
    kept = kept_shape(name, shape, axes)
    for what, a in (("weight", weight), ("bias", bias)):
        if a is not None:
            check_broadcast(name, what, a.shape, shape)
            if a.dtype != dtype:
                check_dtypes(name, **{"x": x, what: a})
    for what, a in (("mean", mean), ("var", var)):
        if a is not None:
            check_like(name, what, a, kept, x)
    for what, a in gradients.items():
        check_like(name, what, a, shape, x)


@lru_cache(1024)
def kept_shape(name, shape, axes):
    """The shape of a reduction over `axes` that keeps them, with size 1."""
    check_axes(name, len(shape), axes)
    axes = {axis % len(shape) for axis in axes}
    return tuple(1 if i in axes else n for i, n in enumerate(shape))
