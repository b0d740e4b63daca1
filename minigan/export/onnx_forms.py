"""What an op becomes in ONNX where that is more than one operator of the same inputs.

Each form takes the graph, the op (a `Both`) and its inputs, adds operators, returns the last one's output.
"""

import math

import numpy as np

from minigan.errors import MiniganError
from minigan_kernels import transposed_size
from minigan_kernels.arrays import stretched_axes

LAST, FIRST = 2**63 - 1, -(2**63)  # beyond either end of any axis


def leaky_relu(g, op, x):
    return g.add("Relu", x) if op.slope == 0 else g.add("LeakyRelu", x, alpha=op.slope)


def activated(form):
    """The form of an op that a LeakyReLU may follow."""

    def with_activation(g, op, *inputs):
        y = form(g, op, *inputs)
        return y if op.slope is None else leaky_relu(g, op, y)

    return with_activation


def power_by_number(g, op, x):
    return g.add("Pow", x, g.number(op.exponent, x))


def extremum(g, op, a, b):
    return g.add("Max" if op.choose is np.maximum else "Min", a, b)


def clip(g, op, x, low, high):
    if all(end is None or end.shape == () for end in (low, high)):
        return g.add("Clip", x, low, high)
    y = x if low is None else g.add("Max", x, low)  # the ends of ONNX's Clip are single numbers
    return y if high is None else g.add("Min", y, high)


def sum_(g, op, x):
    n = math.prod(x.shape[axis] for axis in op.axes)
    if n and op.scale == 1 / n:
        return g.reduce("ReduceMean", x, op.axes, op.keepdims)
    y = g.reduce("ReduceSum", x, op.axes, op.keepdims)
    return y if op.scale is None else g.add("Mul", y, g.number(op.scale, x))


def extreme(g, op, x):
    return g.reduce({"max": "ReduceMax", "min": "ReduceMin"}[op.kind], x, op.axes, op.keepdims)


def position(operator):
    def form(g, op, x):
        if op.axis is not None:
            return g.add(operator, x, axis=op.axis, keepdims=int(op.keepdims))
        found = g.add(operator, g.add("Reshape", x, g.integers([-1])), axis=0, keepdims=0)
        return g.reshape(found, op.out)

    return form


def row_norms(g, op, x):
    squares = g.reduce("ReduceSum", g.add("Mul", x, x), range(1, len(x.shape)), False)
    return g.add("Sqrt", g.add("Add", squares, g.number(op.eps, x)))


def sum_to(g, op, x):
    return g.reshape(g.reduce("ReduceSum", x, stretched_axes(x.shape, op.out), True), op.out)


def expand(g, op, x):
    """A 1 leaves an axis as it is."""
    own = [None] * (len(op.out) - len(x.shape)) + list(x.shape)
    return g.add("Expand", x, g.integers([1 if n == m else n for n, m in zip(op.out, own, strict=True)]))


def normalize(g, op, x, weight, bias):
    mean = g.reduce("ReduceMean", x, op.axes, True)
    centred = g.add("Sub", x, mean)
    variance = g.reduce("ReduceMean", g.add("Mul", centred, centred), op.axes, True)
    y = g.add("Div", centred, g.add("Sqrt", g.add("Add", variance, g.number(op.eps, x))))
    if weight is not None:
        y = g.add("Mul", y, g.reshape(weight, op.affine))
    return y if bias is None else g.add("Add", y, g.reshape(bias, op.affine))


def linear(g, op, x, weight, bias):
    if len(x.shape) == 2:
        return g.add("Gemm", x, weight, bias, transB=1)
    y = g.add("MatMul", x, g.add("Transpose", weight, perm=[1, 0]))
    return y if bias is None else g.add("Add", y, bias)


def matmul(g, op, a, b):
    def turned(x, is_transposed):
        n = len(x.shape)
        return g.add("Transpose", x, perm=[*range(n - 2), n - 1, n - 2]) if is_transposed else x

    return g.add("MatMul", *map(turned, (a, b), op.transposed))


def l1_distances(g, op, x, y):
    x, y = (g.add("Unsqueeze", a, g.integers([axis])) for a, axis in ((x, 2), (y, 1)))
    return g.reduce("ReduceSum", g.add("Abs", g.add("Sub", x, y)), (3,), False)


def window(geometry):
    (top, left) = geometry.padding
    return {
        "strides": geometry.stride,
        "pads": [top, left, top, left],
        "dilations": geometry.dilation,
        "group": geometry.groups,
    }


def conv(g, op, x, weight, bias):
    return g.add("Conv", x, weight, bias, **window(op.geometry))


def conv_transpose(g, op, x, weight, bias):
    smallest = transposed_size(x.shape[2:], weight.shape[2:], *op.geometry.window, (0, 0))
    extra = [n - m for n, m in zip(op.size, smallest, strict=True)]
    return g.add("ConvTranspose", x, weight, bias, output_padding=extra, **window(op.geometry))


def pool(operator, **settings):
    def form(g, op, x):
        size, strides, (top, left) = op.window
        pads = [top, left, top, left]
        return g.add(operator, x, kernel_shape=size, strides=strides, pads=pads, **settings)

    return form


def upsample(g, op, x):
    scales = g.constant(np.array([1, 1, *op.factors], np.float32))
    how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return g.add("Resize", x, None, scales, **how)


def upfirdn(g, op, x):
    """Zeros between the pixels by a transposed convolution with a pixel of 1, then a convolution: of images
    of one channel, one for each."""
    (H, W), taps = x.shape[2:], op.taps
    y = g.add("Reshape", x, g.integers([-1, 1, H, W]))
    if op.up > 1:
        one, between = g.constant(np.ones((1, 1, 1, 1), x.dtype)), [op.up - 1] * 2
        y = g.add("ConvTranspose", y, one, None, strides=[op.up] * 2, output_padding=between)
    ends = [
        (m - 1) * op.down + len(t) - n * op.up - before
        for n, m, t, before in zip((H, W), op.size, taps, op.before, strict=True)
    ]
    y = g.add("Pad", y, g.integers([0, 0, *op.before, 0, 0, *ends]), g.number(0, x))
    filters = np.outer(*taps).astype(x.dtype)[None, None]
    return g.reshape(g.add("Conv", y, g.constant(filters), None, strides=[op.down] * 2), op.out)


def pad(g, op, x):
    before, after = zip(*op.widths, strict=True)
    mode = "edge" if op.mode == "replicate" else op.mode
    return g.add("Pad", x, g.integers([*before, *after]), g.number(op.value, x), mode=mode)


def cumulative_sum(g, op, x):
    return g.add("CumSum", x, g.constant(np.asarray(op.axis, np.int64)), reverse=int(op.from_end))


def embedding(g, op, weight):
    return g.add("Gather", weight, g.setting(op, "rows"), axis=0)


def index(g, op, x):
    """Slices, integers, new axes; and one axis read by an array."""
    keys = whole(op.key, len(x.shape))
    own = list(enumerate(key for key in keys if key is not None))
    arrays = [(axis, key) for axis, key in own if isinstance(key, np.ndarray)]
    dropped = [axis for axis, key in own if isinstance(key, int | np.integer)]
    if len(arrays) + bool(dropped and arrays) > 1 or any(key.dtype == bool for _, key in arrays):
        raise MiniganError("Index by a mask or by several arrays has no form in ONNX: it cannot be exported")
    widths = [0 if isinstance(key, int | np.integer) else getattr(key, "ndim", 1) for key in keys]
    made = [sum(widths[:i]) for i, key in enumerate(keys) if key is None]

    cuts = [(axis, *ends(k)) for axis, k in own if not isinstance(k, np.ndarray) and k != slice(None)]
    if cuts:
        axes, starts, stops, steps = map(g.integers, zip(*cuts, strict=True))
        x = g.add("Slice", x, starts, stops, axes, steps)
    for axis, key in arrays:
        x = g.add("Gather", x, g.constant(key.astype(np.int64)), axis=axis)
    if dropped:
        x = g.add("Squeeze", x, g.integers(dropped))
    return g.add("Unsqueeze", x, g.integers(made)) if made else x


def whole(key, ndim):
    """A key as a list with one entry for each axis, and None for each new one."""
    keys = list(key) if isinstance(key, tuple) else [key]
    at = next((i for i, k in enumerate(keys) if k is Ellipsis), len(keys))
    rest = ndim - sum(k is not None and k is not Ellipsis for k in keys)
    return [*keys[:at], *[slice(None)] * rest, *keys[at + 1 :]]


def ends(key):
    """(start, stop, step) of a slice or of an integer, in numbers."""
    if not isinstance(key, slice):
        return key, LAST if key == -1 else key + 1, 1
    step = 1 if key.step is None else key.step
    start, stop = (0, LAST) if step > 0 else (LAST, FIRST)
    return start if key.start is None else key.start, stop if key.stop is None else key.stop, step
