"""ONNX's operators in terms of minigan's functions: the table that `test_onnx.py` runs.

Each entry takes an operator's inputs by position (floating ones as Tensors, others as arrays, None
for one that is left out) and its attributes by name, with ONNX's own defaults. It gives the
operator's outputs, or the first of them where minigan has no more. What minigan has no setting for
raises Unsupported; what minigan itself refuses raises minigan's own error.
"""

from functools import reduce
from math import prod

import numpy as np

import minigan.functional as F

ONE, NONE = (1, 1), (0, 0, 0, 0)  # a stride or dilation by rows, columns; pads at top, left, bottom, right


class Unsupported(ValueError):
    """minigan has nothing to set this attribute with."""


def need(holds, otherwise):
    if not holds:
        raise Unsupported(otherwise)


def ints(numbers):
    return tuple(int(n) for n in numbers)


# Convolution and pooling


def bordered(x, value, kernel, strides, dilations, pads, auto_pad):
    """x and the padding to call an op with: one that is not the same on both sides is put on first."""
    if auto_pad.startswith("SAME"):  # an output for each stride; the odd pixel goes last or first
        windows = zip(x.shape[2:], kernel, strides, dilations, strict=True)
        total = np.array([max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0) for n, k, s, d in windows])
        ends = [total // 2, total - total // 2]
        pads = np.concatenate(ends if auto_pad == "SAME_UPPER" else ends[::-1])
    top, left, bottom, right = ints(pads)
    if (top, left) == (bottom, right):
        return x, (top, left)
    return F.pad(x, (left, right, top, bottom), value=value), 0


def conv(
    x, w, b=None, *, strides=ONE, pads=NONE, dilations=ONE, group=1, kernel_shape=None, auto_pad="NOTSET"
):
    x, padding = bordered(x, 0, w.shape[2:], strides, dilations, pads, auto_pad)
    return F.conv2d(x, w, b, strides, padding, dilations, group)


def conv_transpose(
    x, w, b=None, *, strides=ONE, pads=NONE, dilations=ONE, group=1, kernel_shape=None, auto_pad="NOTSET",
    output_padding=0, output_shape=None
):  # fmt: skip
    n = x.ndim - 2
    f, pads = getattr(F, f"conv_transpose{n}d"), pads if any(pads) else [0] * 2 * n
    strides, dilations = of_axes(n, strides), of_axes(n, dilations)
    need(auto_pad == "NOTSET" and pads[:n] == pads[n:], "a transposed convolution cut on one side")
    if output_shape:  # given instead of pads; what is missing is put on at the end
        full = f(x, w, None, strides, 0, 0, group, dilations).shape[2:]
        output_padding = np.subtract(output_shape, full)
    return f(x, w, b, strides, pads[:n], output_padding, group, dilations)


def of_axes(n, numbers):
    """Numbers that are of so many axes, or the default, which is of two."""
    return numbers if len(numbers) == n else (1,) * n


def pooling(kind, border):
    def adapter(
        x, *, kernel_shape, strides=ONE, pads=NONE, dilations=ONE, auto_pad="NOTSET", ceil_mode=0,
        count_include_pad=0, storage_order=0
    ):  # fmt: skip
        n = x.ndim - 2
        f = getattr(F, f"{kind}_pool{n}d")
        need(set(dilations) == {1}, "windows with holes")
        need(not ceil_mode, "windows that reach beyond the border")
        whole = count_include_pad or not (any(pads) or auto_pad.startswith("SAME"))
        need(kind == "max" or whole, "a mean that leaves the padding out")
        if n != 2:
            return f(x, kernel_shape, of_axes(n, strides), 0)
        x, padding = bordered(x, border, kernel_shape, strides, dilations, pads, auto_pad)
        return f(x, kernel_shape, strides, padding)

    return adapter


# Norms


def batch_norm(x, scale, bias, mean, var, *, epsilon=1e-5, momentum=0.9, training_mode=0):
    if not training_mode:
        return F.batch_norm(x, mean, var, scale, bias, eps=epsilon)
    n, kept = x.numel() // x.shape[1], var.data * momentum
    y = F.batch_norm(x, mean, var, scale, bias, True, 1 - momentum, epsilon)
    # ONNX moves towards the variance over n; minigan, like PyTorch, to that over n - 1.
    return y, mean, kept + (var.data - kept) * ((n - 1) / n)


def layer_norm(x, scale, bias=None, *, axis=-1, epsilon=1e-5, stash_type=1):
    return F.layer_norm(x, x.shape[axis:], scale, bias, epsilon)


# Products, losses and reductions


def gemm(a, b, c=0.0, *, alpha=1.0, beta=1.0, transA=0, transB=0):
    return alpha * F.matmul(a.T if transA else a, b.T if transB else b) + beta * c


def cross_entropy(x, labels, weights=None, *, reduction="mean", ignore_index=None):
    return F.cross_entropy(x, labels, reduction, weights, ignore_index), F.log_softmax(x, 1)


def reduction(f):
    def adapter(x, axes=(), *, keepdims=1, noop_with_empty_axes=0):
        everything = not (len(axes) or noop_with_empty_axes)
        return f(x, None if everything else ints(axes), keepdims=bool(keepdims))

    return adapter


# Shapes and indices


def reshape(x, shape, *, allowzero=0):
    return F.reshape(x, *(x.shape[i] if n == 0 and not allowzero else n for i, n in enumerate(ints(shape))))


def squeeze(x, axes):
    return reduce(F.squeeze, sorted((a % x.ndim for a in ints(axes)), reverse=True), x)


def unsqueeze(x, axes):
    return reduce(F.unsqueeze, sorted(a % (x.ndim + len(axes)) for a in ints(axes)), x)


def slices(x, starts, ends, axes=None, steps=None):
    axes = range(x.ndim) if axes is None else axes
    steps = np.ones_like(starts) if steps is None else steps
    key = [slice(None)] * x.ndim
    for axis, *bounds in zip(axes, starts, ends, steps, strict=True):
        key[axis] = slice(*ints(bounds))
    return x[tuple(key)]


def pad(x, pads, value=0.0, axes=None, *, mode="constant"):
    need(mode != "wrap", "a border of the other side")
    widths = np.zeros((x.ndim, 2), int)
    widths[slice(None) if axes is None else axes] = np.reshape(pads, (2, -1)).T
    mode = "replicate" if mode == "edge" else mode
    return F.pad(x, widths[::-1].flatten().tolist(), mode, float(value))


def one_hot(labels, depth, values, *, axis=-1):
    off, on = values.numpy()
    y = F.one_hot(np.asarray(labels).astype(int), int(depth), values.dtype) * (on - off) + off
    order = list(range(y.ndim - 1))
    order.insert(axis % y.ndim, y.ndim - 1)
    return y.permute(order)


def resize(
    x, roi=None, scales=None, sizes=None, *, mode="nearest", coordinate_transformation_mode="half_pixel",
    nearest_mode="round_prefer_floor", keep_aspect_ratio_policy="stretch", antialias=0, axes=None, **cubic
):  # fmt: skip
    at = coordinate_transformation_mode
    need(mode in ("nearest", "linear"), "cubic interpolation")
    need(at in ("half_pixel", "align_corners"), "pixels at other places")
    need(keep_aspect_ratio_policy == "stretch", "sizes that keep the aspect ratio")
    need(not antialias, "antialiasing")
    size, axes = np.array(x.shape, float), slice(None) if axes is None else list(axes)
    size[axes] = size[axes] * np.asarray(scales) if sizes is None else sizes
    # Between corners PyTorch goes by the whole sizes, ONNX by the scale that it was given.
    by_scale = sizes is None and (mode, at) == ("linear", "half_pixel")
    need(by_scale or (size % 1 == 0).all(), "a scale that is not the ratio of the sizes")
    # For whole multiples alone, the nearest centre is the pixel that PyTorch's rule takes.
    same_rule = not (size % x.shape).any() and (at, nearest_mode) == ("half_pixel", "round_prefer_floor")
    need(mode == "linear" or same_rule, "another nearest pixel than PyTorch's")
    mode = {"nearest": "nearest", "linear": "bilinear"}[mode]
    how = {"scale_factor": [float(f) for f in scales[-2:]]} if by_scale else {"size": ints(size[2:])}
    return F.interpolate(x, **how, mode=mode, align_corners=at == "align_corners")


def depth_to_space(x, *, blocksize, mode="DCR"):
    need(mode == "CRD", "blocks of depth first")
    return F.pixel_shuffle(x, blocksize)


def cumulative_sum(x, axis, *, exclusive=0, reverse=0):
    need(not exclusive, "sums of the others")
    y = F.cumsum(F.flip(x, int(axis)) if reverse else x, int(axis))
    return F.flip(y, int(axis)) if reverse else y


def split(x, sizes=None, *, axis=0, num_outputs=None):
    need(sizes is not None or num_outputs, "parts that only the outputs count")
    return F.chunk(x, num_outputs, axis) if sizes is None else F.split(x, ints(sizes), axis)


def top_k(x, k, *, axis=-1, largest=1, sorted=1):
    return F.topk(x, int(k.item()), axis, bool(largest))


def selu(x, *, alpha=None, gamma=None):
    need(alpha is gamma is None, "other constants of selu")
    return F.selu(x)


OPS = {
    "Abs": F.abs,
    "Add": F.add,
    "AveragePool": pooling("avg", 0),
    "BatchNormalization": batch_norm,
    "Clip": F.clip,
    "Concat": lambda *xs, axis: F.concat(xs, axis),
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Cos": F.cos,
    "CumSum": cumulative_sum,
    "DepthToSpace": depth_to_space,
    "Div": F.div,
    "Einsum": lambda *xs, equation: F.einsum(equation, *xs),
    "Elu": F.elu,
    "Erf": F.erf,
    "Exp": F.exp,
    "Expand": lambda x, shape: F.expand(x, np.broadcast_shapes(x.shape, ints(shape))),
    "Flatten": lambda x, axis=1: F.flatten(x, axis).reshape(-1, prod(x.shape[axis:])),
    "Gather": lambda x, index, axis=0: x[(slice(None),) * (axis % x.ndim) + (index,)],
    "GatherElements": lambda x, index, axis=0: F.gather(x, axis, index),
    "Gelu": F.gelu,
    "Gemm": gemm,
    "GlobalAveragePool": lambda x: F.avg_pool2d(x, x.shape[2:]),
    "GlobalMaxPool": lambda x: F.max_pool2d(x, x.shape[2:]),
    "InstanceNormalization": lambda x, w, b, epsilon=1e-5: F.instance_norm(x, w, b, epsilon),
    "LayerNormalization": layer_norm,
    "LeakyRelu": lambda x, alpha=0.01: F.leaky_relu(x, alpha),
    "Log": F.log,
    "LogSoftmax": F.log_softmax,
    "MatMul": F.matmul,
    "Max": lambda *xs: reduce(F.maximum, xs),
    "MaxPool": pooling("max", -np.inf),
    "Mean": lambda *xs: F.mean(F.stack(xs), 0),
    "Min": lambda *xs: reduce(F.minimum, xs),
    "Mul": F.mul,
    "Neg": F.neg,
    "OneHot": one_hot,
    "Pad": pad,
    "Pow": lambda x, n: x ** np.asarray(n, x.dtype),  # ONNX gives the result the dtype of x
    "ReduceL1": reduction(lambda x, *how, **keep: F.sum(F.abs(x), *how, **keep)),
    "ReduceL2": reduction(F.norm),
    "ReduceLogSumExp": reduction(F.logsumexp),
    "ReduceMax": reduction(F.max),
    "ReduceMean": reduction(F.mean),
    "ReduceMin": reduction(F.min),
    "ReduceSum": reduction(F.sum),
    "ReduceSumSquare": reduction(lambda x, *how, **keep: F.sum(x * x, *how, **keep)),
    "Relu": F.relu,
    "Reshape": reshape,
    "Resize": resize,
    "Selu": selu,
    "Sigmoid": F.sigmoid,
    "Sin": F.sin,
    "Slice": slices,
    "Softmax": F.softmax,
    "SoftmaxCrossEntropyLoss": cross_entropy,
    "Softplus": F.softplus,
    "Split": split,
    "Sqrt": F.sqrt,
    "Squeeze": squeeze,
    "Sub": F.sub,
    "Sum": lambda *xs: reduce(F.add, xs),
    "Tanh": F.tanh,
    "Tile": lambda x, repeats: F.tile(x, ints(repeats)),
    "TopK": top_k,
    "Transpose": lambda x, perm=None: F.permute(x, *perm) if perm else x.T,
    "Unsqueeze": unsqueeze,
    "Where": F.where,
}

MOVING = {"Pad"}  # copies entries as they are, so that its cases of integers run in floats, which hold them

SMALL_INTEGERS = [
    f"{op}_{kind}"
    for op in ("add", "div", "max", "min", "mul", "sub")
    for kind in ("int8", "int16", "uint8", "uint16", "uint32", "uint64")
]

# Cases of these operators that do not run, by what the refusal says.
LEFT_OUT = {
    # What minigan does not take, and says so.
    "does not name": "einsum_batch_diagonal einsum_inner_prod",
    "is more than half of": "maxpool_2d_pads",
    "needs min or max": "clip_default_inbounds",
    "no values to reduce": "reduce_log_sum_exp_empty_set reduce_max_empty_set reduce_min_empty_set",
    "out of range": "onehot_negative_indices onehot_out_of_range_indices",
    # What minigan has no setting for.
    "a mean that leaves the padding out": """
        averagepool_2d_precomputed_pads averagepool_2d_precomputed_same_upper averagepool_2d_same_upper
        averagepool_2d_same_lower averagepool_2d_pads
    """,
    "a scale that is not the ratio of the sizes": """
        resize_downsample_scales_nearest resize_downsample_scales_linear_align_corners
    """,
    "a border of the other side": "wrap_pad",
    "a transposed convolution cut on one side": "convtranspose_autopad_same",
    "another nearest pixel than PyTorch's": """
        resize_upsample_sizes_nearest resize_downsample_sizes_nearest
        resize_upsample_sizes_nearest_floor_align_corners resize_upsample_sizes_nearest_ceil_half_pixel
        resize_upsample_sizes_nearest_axes_2_3 resize_upsample_sizes_nearest_axes_3_2
    """,
    "antialiasing": "resize_downsample_scales_linear_antialias resize_downsample_sizes_linear_antialias",
    "blocks of depth first": "depthtospace_example",
    "cubic interpolation": """
        resize_upsample_scales_cubic resize_upsample_scales_cubic_align_corners resize_downsample_scales_cubic
        resize_downsample_scales_cubic_align_corners resize_upsample_sizes_cubic resize_downsample_sizes_cubic
        resize_upsample_scales_cubic_A_n0p5_exclude_outside
        resize_downsample_scales_cubic_A_n0p5_exclude_outside resize_upsample_scales_cubic_asymmetric
        resize_downsample_scales_cubic_antialias resize_downsample_sizes_cubic_antialias
    """,
    "neither float32 nor float64": " ".join(SMALL_INTEGERS)
    + """
        max_int32 max_int64 max_float16 min_int32 min_int64 min_float16
        clip_default_int8_min clip_default_int8_max clip_default_int8_inbounds div_int32_trunc
        einsum_batch_matmul_bfloat16 einsum_sum_bfloat16 einsum_transpose_bfloat16 maxpool_2d_uint8
        onehot_without_axis onehot_with_bfloat16_values pow_types_int64_float32
        pow_types_int32_float32 pow_types_int64_int64 pow_types_int32_int32 reduce_max_bool_inputs
        reduce_max_empty_set_bool reduce_min_bool_inputs where_long_example cumsum_2d_int32
        cumsum_1d_int32_exclusive top_k_uint64 top_k_same_values top_k_same_values_largest
        top_k_same_values_2d
    """,
    "sums of the others": "cumsum_1d_exclusive cumsum_1d_reverse_exclusive",
    "parts that only the outputs count": """
        split_equal_parts_1d_opset13 split_equal_parts_2d_opset13 split_equal_parts_default_axis_opset13
    """,
    "other constants of selu": "selu_example selu",
    "pixels at other places": """
        resize_tf_crop_and_resize resize_tf_crop_and_resize_extrapolation_value
        resize_downsample_sizes_linear_pytorch_half_pixel
        resize_upsample_sizes_nearest_round_prefer_ceil_asymmetric resize_tf_crop_and_resize_axes_2_3
        resize_tf_crop_and_resize_axes_3_2 resize_downsample_scales_linear_half_pixel_symmetric
        resize_upsample_scales_linear_half_pixel_symmetric
    """,
    "sizes that keep the aspect ratio": """
        resize_upsample_sizes_nearest_not_larger resize_upsample_sizes_nearest_not_smaller
        resize_downsample_sizes_nearest_not_larger resize_downsample_sizes_nearest_not_smaller
    """,
    "windows that reach beyond the border": """
        averagepool_2d_ceil averagepool_2d_ceil_last_window_starts_on_pad maxpool_2d_ceil
        maxpool_2d_ceil_output_size_reduce_by_one
    """,
    "windows with holes": """
        averagepool_2d_dilations averagepool_3d_dilations_small
        averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_True
        averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_False
        averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True
        averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_False maxpool_2d_dilations
        maxpool_3d_dilations maxpool_3d_dilations_use_ref_impl maxpool_3d_dilations_use_ref_impl_large
    """,
}
LEFT_OUT = {reason: ["test_" + name for name in names.split()] for reason, names in LEFT_OUT.items()}
