"""The hot paths of minigan: raw arrays in, raw arrays out. Imported as `minigan_kernels`.

Each kernel has one meaning, given here and defined by its version in `reference`. What is checked
here, before any engine runs, is what the arrays have to be: shapes, dtypes, geometry. What does not fit is
refused in one sentence: ValueError for shapes, TypeError for mixed dtypes.

Arrays are NumPy or CuPy arrays of float32 or float64, in any stride order. Images are (N, C, H, W).
Sizes, strides, paddings and dilations are pairs, rows first.
"""

import numpy as np

from .arrays import array_module, stretched_axes
from .engines import ENGINES, engine, engine_for, engine_for_new, engine_missing, engine_name, engines_here
from .geometry import (
    check_axes,
    check_broadcast,
    check_conv,
    check_dtypes,
    check_factors,
    check_gradient,
    check_images,
    check_integers,
    check_labels,
    check_like,
    check_linear,
    check_matmul,
    check_norm,
    check_pairs,
    check_positions,
    check_shape,
    check_state,
    check_target,
    check_window,
    out_size,
    transposed_size,
)
from .precisions import PRECISIONS, precision, precision_name, set_precision

__all__ = [
    "ENGINES",
    "PRECISIONS",
    "adam",
    "add_bias",
    "array_module",
    "avg_pool2d",
    "avg_pool2d_input",
    "bce_with_logits",
    "bce_with_logits_backward",
    "bias_leaky_relu_backward",
    "channel_sums",
    "compile_ahead",
    "conv2d",
    "conv2d_input",
    "conv2d_weight",
    "conv_algorithm",
    "cross_entropy",
    "cross_entropy_backward",
    "embedding_weight",
    "engine",
    "engine_missing",
    "engine_name",
    "engines_here",
    "l1_distances",
    "l1_distances_along",
    "l1_distances_backward",
    "layout_copies",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "log_softmax",
    "log_softmax_backward",
    "matmul",
    "max_pool2d",
    "move_statistics",
    "normal",
    "normalize",
    "normalize_backward",
    "normalize_double_backward",
    "num_threads",
    "on_compile",
    "out_size",
    "philox",
    "pixels_gather",
    "pixels_scatter",
    "precision",
    "precision_name",
    "rmsprop",
    "row_norms",
    "row_norms_backward",
    "set_num_threads",
    "set_precision",
    "sgd",
    "sigmoid",
    "softmax",
    "softmax_backward",
    "sum_to",
    "sums",
    "tanh_backward",
    "transposed_size",
    "uniform",
    "upsample2d",
    "upsample2d_input",
    "vector_bits",
]


# How the engines run. What needs Numba is imported when it is asked for.


def num_threads() -> int:
    """Threads that a kernel of the `cpu` engine uses: MINIGAN_NUM_THREADS, or one for each processor
    of this process. ValueError for a MINIGAN_NUM_THREADS that is no positive integer."""
    from .cpu import threads

    return threads.num_threads()


def set_num_threads(n: int):
    """Use `n` threads from now on. ValueError unless it is an integer from 1 to the size of Numba's pool."""
    from .cpu import threads

    threads.set_num_threads(n)


def vector_bits() -> int:
    """The width of the vectors that the `cpu` engine multiplies matrices with."""
    from .cpu import microkernel

    return 8 * microkernel.VECTOR


def compile_ahead(step, report=lambda place, total, name: None):
    """Compile the kernels of the `cpu` engine that `step()` needs, on as many processors as they use threads.

    step is called once, and dry: compiled kernels do nothing in it. So what it computes is worthless, and it
    must change nothing that is used later. report(place, total, kernel name) is called before a kernel is
    compiled, and not for what is on disk already.
    """
    from .cpu import ahead

    ahead.compile_ahead(step, report)


def on_compile(callback):
    """Inside the block, call `callback(kernel name)` whenever a kernel is about to be compiled.

    Compiled kernels are kept on disk: only the first process that needs one waits for it.
    """
    from .cpu import compiling

    return compiling.on_compile(callback)


def layout_copies():
    """Inside the block, list the shapes of the images that the `cpu` engine has to copy into
    channels-last memory: `with layout_copies() as copies`. A step that stays in that order copies none."""
    from .cpu import layout

    return layout.layout_copies()


# Convolution: three bilinear maps, each the adjoint of the other two.


def conv2d(x, w, stride, padding, dilation, groups):
    """y[n, o, i, j] = Σ x̂[n, c, s·i + d·a, s·j + d·b] · w[o, c, a, b], x̂ being x padded by zeros.

    x (N, C, H, W), w (O, C/groups, KH, KW) -> (N, O, OH, OW).
    ValueError for shapes that do not fit, TypeError for mixed dtypes.
    """
    check_dtypes("conv2d", x=x, w=w)
    check_conv("conv2d", x.shape, w.shape, stride, padding, dilation, groups)
    return engine_for(x).conv2d(x, w, stride, padding, dilation, groups)


def conv2d_input(gy, w, size, stride, padding, dilation, groups):
    """The x-adjoint of `conv2d`, for images of `size` (H, W): the transposed convolution.

    gy (N, O, OH, OW), w (O, C/groups, KH, KW) -> (N, C, H, W). Errors as `conv2d`.
    """
    check_dtypes("conv2d_input", gy=gy, w=w)
    check_images("conv2d_input", gy.shape)
    check_images("conv2d_input", w.shape)
    shape = (gy.shape[0], w.shape[1] * groups, *size)
    out = check_conv("conv2d_input", shape, w.shape, stride, padding, dilation, groups)
    check_shape("conv2d_input", "gy", gy.shape, (gy.shape[0], w.shape[0], *out))
    return engine_for(gy).conv2d_input(gy, w, size, stride, padding, dilation, groups)


def conv2d_weight(x, gy, kernel_size, stride, padding, dilation, groups):
    """The w-adjoint of `conv2d`, for kernels of `kernel_size` (KH, KW).

    x (N, C, H, W), gy (N, O, OH, OW) -> (O, C/groups, KH, KW). Errors as `conv2d`.
    """
    check_dtypes("conv2d_weight", x=x, gy=gy)
    check_images("conv2d_weight", x.shape)
    check_images("conv2d_weight", gy.shape)
    shape = (gy.shape[1], x.shape[1] // max(groups, 1), *kernel_size)
    out = check_conv("conv2d_weight", x.shape, shape, stride, padding, dilation, groups)
    check_shape("conv2d_weight", "gy", gy.shape, (x.shape[0], gy.shape[1], *out))
    return engine_for(x).conv2d_weight(x, gy, kernel_size, stride, padding, dilation, groups)


def conv_algorithm(name, tile=None):
    """Inside the block, on this thread, the `cpu` engine makes every convolution by one algorithm.

    name: "winograd" (float32, square kernels and strides, no dilation, no groups; `tile` outputs a
    tile, 2 to 4), "im2col" (anything), "gemm" (kernels of 1x1, or as large as the image), or "direct" (no
    dilation, no groups, whole vectors of filters: 32 divides them always; not the input gradient).
    ValueError for another name; a convolution that the algorithm cannot make raises ValueError when it is
    called.
    """
    from .cpu import conv  # imports Numba

    return conv.conv_algorithm(name, tile)


# Pooling.


def max_pool2d(x, kernel_size, stride, padding):
    """The largest value of each window, and its flat position in the image (int64; first of equals).

    x (N, C, H, W) -> two arrays (N, C, OH, OW). Padding never wins: at most half the kernel.
    """
    check_dtypes("max_pool2d", x=x)
    check_images("max_pool2d", x.shape)
    check_window("max_pool2d", x.shape[2:], kernel_size, stride, padding)
    if any(2 * p > k for p, k in zip(padding, kernel_size, strict=True)):
        raise ValueError(f"max_pool2d: padding {padding} is more than half of kernel_size {kernel_size}")
    return engine_for(x).max_pool2d(x, kernel_size, stride, padding)


def pixels_gather(x, index):
    """x (N, C, H, W), index (N, C, ...) of flat pixel positions -> the pixels, in index's shape."""
    check_images("pixels_gather", x.shape)
    check_positions("pixels_gather", index, x.shape, "x")
    return engine_for(x).pixels_gather(x, index)


def pixels_scatter(y, index, size, window=None):
    """The adjoint of `pixels_gather`, onto images of `size` (H, W): values add where positions meet.

    window: the (kernel_size, stride, padding) of the `max_pool2d` that made the positions, if one did, in
    whose order y and index are then; so that an engine knows where to look for a pixel's values.
    """
    check_shape("pixels_scatter", "index", index.shape, y.shape)
    check_positions("pixels_scatter", index, y.shape, "y")
    if window is not None:
        out = check_window("pixels_scatter", size, *window)
        check_shape("pixels_scatter", "y", y.shape, (*y.shape[:2], *out))
    return engine_for(y).pixels_scatter(y, index, size, window)


def avg_pool2d(x, kernel_size, stride, padding):
    """The mean of each window, padding counted as zeros. x (N, C, H, W) -> (N, C, OH, OW)."""
    check_dtypes("avg_pool2d", x=x)
    check_images("avg_pool2d", x.shape)
    check_window("avg_pool2d", x.shape[2:], kernel_size, stride, padding)
    return engine_for(x).avg_pool2d(x, kernel_size, stride, padding)


def avg_pool2d_input(gy, size, kernel_size, stride, padding):
    """The adjoint of `avg_pool2d`, for images of `size` (H, W)."""
    check_images("avg_pool2d_input", gy.shape)
    out = check_window("avg_pool2d_input", size, kernel_size, stride, padding)
    check_shape("avg_pool2d_input", "gy", gy.shape, (*gy.shape[:2], *out))
    return engine_for(gy).avg_pool2d_input(gy, size, kernel_size, stride, padding)


def upsample2d(x, factors):
    """Each pixel as a block of `factors` (FH, FW) equal ones: x (N, C, H, W) -> (N, C, H·FH, W·FW)."""
    check_factors("upsample2d", x.shape, factors)
    return engine_for(x).upsample2d(x, factors)


def upsample2d_input(gy, factors):
    """The adjoint of `upsample2d`: gy (N, C, H·FH, W·FW) -> (N, C, H, W), the sums of the blocks."""
    check_factors("upsample2d_input", gy.shape, factors)
    if gy.shape[2] % factors[0] or gy.shape[3] % factors[1]:
        raise ValueError(f"upsample2d_input: images of {gy.shape[2:]} are no multiple of {factors}")
    return engine_for(gy).upsample2d_input(gy, factors)


# Matrix products, and biases.


def matmul(a, b):
    """a @ b, as NumPy has it: (..., M, K) @ (..., K, N), broadcasting the leading axes; any dtypes.

    Either may be a transposed view, which is not copied.
    """
    check_matmul(a.shape, b.shape)
    return engine_for(a).matmul(a, b)


def linear(x, w, b, slope=None):
    """x wᵀ + b: x (N, in), w (out, in), b (out,) or None -> (N, out). slope: that of a `leaky_relu` of it."""
    check_linear(x, w, b)
    return engine_for(x).linear(x, w, b, slope)


def add_bias(y, b, slope=None):
    """y[n, c, ...] += b[c], in place: y (N, C, ...), b (C,). slope: that of a `leaky_relu` after it."""
    if y.dtype != b.dtype:
        check_dtypes("add_bias", y=y, b=b)
    if y.ndim < 2 or b.shape != y.shape[1:2]:
        raise ValueError(f"add_bias: b must have an entry a channel, but has shape {b.shape}, y {y.shape}")
    engine_for(y).add_bias(y, b, slope)


def channel_sums(y):
    """Σ over all axes but the second, the gradient of a bias: y (N, C, ...) -> (C,)."""
    if y.ndim < 2:
        raise ValueError(f"channel_sums: y must have shape (N, C, ...), got {y.shape}")
    return engine_for(y).channel_sums(y)


# Sums, and norms of rows.


def sums(x, axes, scale=None):
    """Σ x over `axes`, or scale·Σ x, a mean; the axes stay, with size 1."""
    check_axes("sums", x.ndim, axes)
    return engine_for(x).sums(x, axes, scale)


def sum_to(x, shape):
    """Σ x down to `shape`, over the axes along which `shape` broadcasts to x's."""
    if x.shape == shape:
        return x
    check_broadcast("sum_to", "a sum", shape, x.shape)
    return engine_for(x).sums(x, stretched_axes(x.shape, shape)).reshape(shape)


def row_norms(x, eps):
    """√(Σ x[n]² + eps) of each entry x[n] of the first axis: x (N, ...) -> (N,)."""
    if not x.ndim:
        raise ValueError("row_norms: x must have shape (N, ...), got ()")
    return engine_for(x).row_norms(x, eps)


def row_norms_backward(gy, x, y):
    """gy[n] / y[n] · x[n]: the gradient of y = `row_norms` in x."""
    check_gradient("row_norms_backward", gy, y)
    check_shape("row_norms_backward", "y", y.shape, x.shape[:1])
    if x.dtype != y.dtype:
        check_dtypes("row_norms_backward", x=x, y=y)
    return engine_for(x).row_norms_backward(gy, x, y)


def embedding_weight(gy, index, rows):
    """The gradient of a table that gave the rows `index`: Σ gy[i] over the i with index[i] = v, of each v.

    gy (..., D), index (...) of integers in [0, rows) -> (rows, D).
    """
    check_shape("embedding_weight", "index", index.shape, gy.shape[:-1])
    check_integers("embedding_weight", "index", index)
    return engine_for(gy).embedding_weight(gy, index, rows)


# All pairs of two sets of points.


def l1_distances(x, y):
    """d[b, i, j] = Σ_c |x[b, i, c] - y[b, j, c]|: x (B, N, C), y (B, M, C) -> (B, N, M)."""
    check_pairs("l1_distances", x, y)
    return engine_for(x).l1_distances(x, y)


def l1_distances_backward(gy, x, y):
    """Σ_j gy[b, i, j] · sign(x[b, i, c] - y[b, j, c]): the gradient of `l1_distances` in x, (B, N, C).

    That in y is the same with x and y exchanged, and gy transposed.
    """
    check_pairs("l1_distances_backward", x, y)
    check_like("l1_distances_backward", "gy", gy, (*x.shape[:2], y.shape[1]), x)
    return engine_for(x).l1_distances_backward(gy, x, y)


def l1_distances_along(u, x, y):
    """Σ_c u[b, i, c] · sign(x[b, i, c] - y[b, j, c]): how `l1_distances` change where x moves along u,
    (B, N, M).

    It is the adjoint of `l1_distances_backward`.
    """
    check_pairs("l1_distances_along", x, y)
    check_like("l1_distances_along", "u", u, x.shape, x)
    return engine_for(x).l1_distances_along(u, x, y)


# Activations and losses.


def leaky_relu(x, slope):
    """x where it is positive, else slope·x; for a slope of 0 exactly 0 there, whatever x."""
    return engine_for(x).leaky_relu(x, slope)


def leaky_relu_backward(gy, y, slope):
    """gy where the value y of `leaky_relu` is positive, else slope·gy."""
    check_gradient("leaky_relu_backward", gy, y)
    return engine_for(gy).leaky_relu_backward(gy, y, slope)


def bias_leaky_relu_backward(gy, y, slope):
    """g = `leaky_relu_backward`(gy, y), and its `channel_sums`: the gradients of y = leaky_relu(x + b), of
    shape (N, C, ...), in x and in b."""
    check_gradient("bias_leaky_relu_backward", gy, y)
    if y.ndim < 2:
        raise ValueError(f"bias_leaky_relu_backward: y must have shape (N, C, ...), got {y.shape}")
    return engine_for(y).bias_leaky_relu_backward(gy, y, slope)


def sigmoid(x):
    """1 / (1 + e⁻ˣ), for any x."""
    return engine_for(x).sigmoid(x)


def tanh_backward(gy, y):
    """gy·(1 - y²), y = tanh x."""
    check_gradient("tanh_backward", gy, y)
    return engine_for(gy).tanh_backward(gy, y)


def bce_with_logits(x, target, scale):
    """scale·Σ (log(1 + eˣ) - target·x), for any x; target is of x's shape, or a number."""
    check_target("bce_with_logits", x, target)
    return engine_for(x).bce_with_logits(x, target, scale)


def bce_with_logits_backward(gy, x, target, scale):
    """gy·scale·(σ(x) - target): the gradient of `bce_with_logits` in x, gy being one value."""
    check_target("bce_with_logits_backward", x, target)
    check_shape("bce_with_logits_backward", "gy", gy.shape, ())
    return engine_for(x).bce_with_logits_backward(gy, x, target, scale)


def softmax(x, axis):
    """eˣ / Σ eˣ along `axis`, without overflow."""
    check_axes("softmax", x.ndim, (axis,))
    return engine_for(x).softmax(x, axis)


def softmax_backward(gy, y, axis):
    """y·(gy - Σ gy·y), y = `softmax` x."""
    check_gradient("softmax_backward", gy, y)
    check_axes("softmax_backward", y.ndim, (axis,))
    return engine_for(y).softmax_backward(gy, y, axis)


def log_softmax(x, axis):
    """x - log Σ eˣ along `axis`, without overflow."""
    check_axes("log_softmax", x.ndim, (axis,))
    return engine_for(x).log_softmax(x, axis)


def log_softmax_backward(gy, y, axis):
    """gy - eʸ·Σ gy, y = `log_softmax` x."""
    check_gradient("log_softmax_backward", gy, y)
    check_axes("log_softmax_backward", y.ndim, (axis,))
    return engine_for(y).log_softmax_backward(gy, y, axis)


def cross_entropy(x, labels):
    """-log softmax(x[n])[labels[n]]: logits (N, C), integers in [0, C) (N,) -> (N,)."""
    check_labels("cross_entropy", x, labels)
    return engine_for(x).cross_entropy(x, labels)


def cross_entropy_backward(gy, x, labels):
    """gy[n]·(softmax(x[n]) - (1 at the label)): the gradient of `cross_entropy` in x."""
    check_labels("cross_entropy_backward", x, labels)
    check_shape("cross_entropy_backward", "gy", gy.shape, labels.shape)
    if gy.dtype != x.dtype:
        check_dtypes("cross_entropy_backward", gy=gy, x=x)
    return engine_for(x).cross_entropy_backward(gy, x, labels)


# Normalisation.


def normalize(x, weight, bias, axes, eps, slope=None):
    """y = (x - mean) / √(var + eps) · weight + bias, with the mean and variance of x over `axes`.

    var is the mean squared deviation. weight and bias broadcast against x, or are None. slope: that of a
    `leaky_relu` of it. Returns y, mean, var; the latter two keep the axes, with size 1.
    """
    check_norm("normalize", x, axes, weight=weight, bias=bias)
    return engine_for(x).normalize(x, weight, bias, axes, eps, slope)


def normalize_backward(gy, x, weight, bias, mean, var, axes, eps, slope=None):
    """The gradients of `normalize` in x, weight and bias (None where that is None)."""
    check_norm("normalize_backward", x, axes, weight=weight, bias=bias, mean=mean, var=var, gy=gy)
    return engine_for(x).normalize_backward(gy, x, weight, bias, mean, var, axes, eps, slope)


def normalize_double_backward(ggx, gy, x, weight, mean, var, axes, eps):
    """The gradients of Σ ggx·gx, gx as of `normalize_backward`, in gy, x and weight (None where that is)."""
    check_norm("normalize_double_backward", x, axes, weight=weight, mean=mean, var=var, ggx=ggx, gy=gy)
    return engine_for(x).normalize_double_backward(ggx, gy, x, weight, mean, var, axes, eps)


def move_statistics(running_mean, running_var, mean, var, momentum, correction):
    """Move running statistics (C,) by `momentum` towards those of `normalize`, in place; the variance is
    multiplied by `correction`."""
    check_state("move_statistics", running_mean, running_var=running_var)
    n = running_mean.size
    if mean.size != n or var.size != n:
        raise ValueError(f"move_statistics: {n} running means, but shapes {mean.shape} and {var.shape}")
    engine_for(running_mean).move_statistics(running_mean, running_var, mean, var, momentum, correction)


# Optimiser steps, in place over flat arrays. lr: a number, or on a GPU an array there of one float64, so that
# a captured CUDA graph takes the rate of the day; both give the same bits.


def sgd(p, g, buf, lr, momentum, dampening, weight_decay, nesterov, first):
    """g += weight_decay·p; buf = momentum·buf + (1 - dampening)·g (g itself at the `first` step);
    p -= lr·buf, or lr·(g + momentum·buf) with nesterov. buf is None without momentum."""
    check_state("sgd", p, g=g, buf=buf)
    engine_for(p).sgd(p, g, buf, lr, momentum, dampening, weight_decay, nesterov, first)


def rmsprop(p, g, square_avg, lr, alpha, eps, weight_decay):
    """square_avg = alpha·square_avg + (1 - alpha)·g²; p -= lr·g / (√square_avg + eps)."""
    check_state("rmsprop", p, g=g, square_avg=square_avg)
    engine_for(p).rmsprop(p, g, square_avg, lr, alpha, eps, weight_decay)


def adam(p, g, exp_avg, exp_avg_sq, step, lr, beta1, beta2, eps, weight_decay):
    """Kingma, Ba, "Adam", 2015, Algorithm 1; weight decay is added to g.

    step: counts from 1; an integer, or a one-element int64 array of the module of p, so that a captured
    CUDA graph can count by itself.
    """
    check_state("adam", p, g=g, exp_avg=exp_avg, exp_avg_sq=exp_avg_sq)
    engine_for(p).adam(p, g, exp_avg, exp_avg_sq, step, lr, beta1, beta2, eps, weight_decay)


# Random numbers. key, counter: integers below 2**64; or the counter is a one-element uint64 array of the
# module `xp`, which the caller moves on, so that a captured CUDA graph draws new numbers in each replay.


def philox(key, counter, n, xp=np):
    """`n` random 32-bit words of module `xp`, as uint32: those of the blocks counter, counter + 1, ...

    Block i holds the words 4i to 4i + 3; they are the same on every engine.
    """
    return engine_for_new(xp, np.float32).philox(key, counter, n, xp)


def uniform(key, counter, n, dtype, xp=np):
    """`n` numbers in [0, 1) of module `xp`: the top 24 bits of a word for float32, of 53 in two words for
    float64; the same on every engine."""
    return engine_for_new(xp, dtype).uniform(key, counter, n, dtype, xp)


def normal(key, counter, n, dtype, xp=np):
    """`n` standard normal numbers of module `xp`, made from the words of Philox's blocks from `counter` on.

    Engines differ in the last bit at most: see `reference/philox.py`.
    """
    return engine_for_new(xp, dtype).normal(key, counter, n, dtype, xp)
