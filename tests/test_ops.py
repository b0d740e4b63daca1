"""Every op of the table, in all that an op has to keep to; then bad input and special values."""

import numpy as np
import pytest

import minigan.functional as F
from minigan import Generator, Tensor, grad, no_grad
from minigan.testing import assert_close, check_op
from minigan.testing.op_table import NO_ROWS, ROWS


def test_every_op_is_in_the_table():
    assert {row.op for row in ROWS} == set(F.__all__) - set(NO_ROWS)


def test_names_in_the_table_are_unique():
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("engine", ["reference", pytest.param("cpu", marks=pytest.mark.slow)])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_op(row, engine):
    check_op(row.f, row.sample(), row.reference, order=row.order, engine=engine)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_without_a_graph_the_gradient_is_the_same(row):
    """An op may then take a short cut; `backward`, which runs when a graph is built, is what it means."""
    leaves = [Tensor(a, requires_grad=True) for a in row.sample()]
    y = row.f(*leaves)
    u = np.random.default_rng(1).standard_normal(y.shape)
    together = grad(y, leaves, u)
    for i, rule in enumerate(grad(y, leaves, u, create_graph=True)):
        alone = grad(y, leaves[i], u)[0]
        for short in (together[i], alone):
            assert_close(short, rule, rtol=1e-9, atol=1e-9 * np.abs(rule.numpy()).max(initial=1e-3))


ENTRY_BY_ENTRY = [
    F.add,
    F.sub,
    F.mul,
    F.div,
    F.maximum,
    F.minimum,
    F.exp,
    F.tanh,
    F.sigmoid,
    F.softplus,
    F.gelu,
]


@pytest.mark.parametrize("f", ENTRY_BY_ENTRY, ids=lambda f: f.__name__)
def test_sizes_1_and_0_broadcast(f):
    two = f in ENTRY_BY_ENTRY[:6]
    inputs = [np.arange(1.0, 13).reshape(3, 4) / 7, np.arange(12.0, 0, -1).reshape(3, 4) / 5][: 1 + two]
    check_op(f, inputs, broadcasts=True)


# Bad input


def t(*shape, dtype=np.float32):
    return Tensor(np.ones(shape, dtype))


LABELS = np.array([0, 1])
IMAGE, CLIP = t(2, 3, 5, 5), t(2, 3, 4, 5, 5)

BAD_INPUT = [
    # what, call, error, what its message says
    ("add, shapes", lambda: t(2, 3) + t(4), ValueError, r"\(2,3\) \(4,\)"),
    ("clip, no limit", lambda: F.clip(t(2)), ValueError, "clip: needs min or max"),
    ("where, no mask", lambda: F.where(t(2), t(2), t(2)), TypeError, "where: .* bool, got float32"),
    ("leaky_relu, slope", lambda: F.leaky_relu(t(2), 1.5), ValueError, r"leaky_relu: .*\[0, 1\], got 1.5"),
    ("elu, alpha", lambda: F.elu(t(2), -1.0), ValueError, r"elu: alpha .*got -1\.0"),
    ("gelu, form", lambda: F.gelu(t(2), "exact"), ValueError, "gelu: .*got 'exact'"),
    ("softmax, axis", lambda: F.softmax(t(2, 3), 2), ValueError, "axis 2"),
    ("maxout, pieces", lambda: F.maxout(t(2, 5), 2), ValueError, "maxout: 5 channels .* 2 pieces"),
    ("maxout, axis", lambda: F.maxout(t(2, 4), 2, axis=2), ValueError, "axis 2"),
    ("dropout, p", lambda: F.dropout(t(2), 1.0), ValueError, r"dropout: p .*got 1\.0"),
    ("dropout, p below 0", lambda: F.dropout(t(2), -0.1), ValueError, r"dropout: p .*got -0\.1"),
    ("sum, axis", lambda: t(2, 3).sum(2), ValueError, "axis 2 does not exist in a tensor of 2 axes"),
    ("sum, axis twice", lambda: t(2, 3).sum((0, -2)), ValueError, r"axis \(0, -2\) names an axis twice"),
    ("mean, of nothing", lambda: t(0, 3).mean(), ValueError, r"mean: no values .*\(0, 3\)"),
    ("mean, of nothing along 0", lambda: t(0, 3).mean(0), ValueError, r"mean: .*\(0, 3\) over axis 0"),
    ("var, of one", lambda: t(1, 3).var(0), ValueError, "var: 1 values are too few"),
    ("max, of nothing", lambda: t(0).max(), ValueError, r"max: no values .*\(0,\)"),
    ("logsumexp, of nothing", lambda: t(0).logsumexp(), ValueError, "logsumexp: no values"),
    ("expand, sizes", lambda: t(3).expand((2, 4)), ValueError, r"\(3,\).*\(2,4\)"),
    ("reshape, size", lambda: t(2, 3).reshape(4), ValueError, r"size 6 into shape \(4,\)"),
    ("reshape, a tuple and more", lambda: t(2, 3).reshape((2, 3), 1), TypeError, "tuple"),
    ("permute, axes", lambda: t(2, 3).permute(0, 0), ValueError, r"permute: \(0, 0\) .*\(2, 3\)"),
    ("squeeze, size", lambda: t(2, 3).squeeze(1), ValueError, r"squeeze: axis 1 of \(2, 3\)"),
    ("unsqueeze, axis", lambda: t(2, 3).unsqueeze(3), ValueError, "axis 3"),
    ("flip, axis", lambda: t(2, 3).flip(2), ValueError, "axis 2"),
    ("pad, odd", lambda: F.pad(t(2, 3), (1, 1, 1)), ValueError, r"pad: \(1, 1, 1\).*\(2, 3\)"),
    ("pad, too many", lambda: F.pad(t(2), (1, 1, 1, 1)), ValueError, r"pad: .*\(2,\)"),
    ("pad, one pair too many", lambda: F.pad(t(2, 3), (1,) * 6), ValueError, r"pad: .*\(2, 3\)"),
    ("pad, negative", lambda: F.pad(t(2), (-1, 1)), ValueError, r"pad: \(-1, 1\)"),
    ("pad, mode", lambda: F.pad(t(2), (1, 1), 0.5), ValueError, "pad: mode must be .* got 0.5"),
    ("pad, a value", lambda: F.pad(t(2), (1, 1), "reflect", 1.0), ValueError, "pad: .*takes no value"),
    (
        "pad, mirror",
        lambda: F.pad(t(2, 3), (3, 0), "reflect"),
        ValueError,
        "pad: an axis of 3 has no mirror image of 3",
    ),
    ("pad, nothing to repeat", lambda: F.pad(t(0), (1, 0), "replicate"), ValueError, "pad: there is nothing"),
    ("unflatten, sizes", lambda: F.unflatten(t(2, 6), 1, (4, -1)), ValueError, r"unflatten: .*\(4, -1\) .*6"),
    ("flatten, axes", lambda: F.flatten(t(2, 3), 1, 0), ValueError, "flatten: end_axis 0 lies before"),
    ("narrow, end", lambda: F.narrow(t(2, 3), 1, 2, 2), ValueError, r"narrow: axis 1 of \(2, 3\) has no 2"),
    ("narrow, front", lambda: F.narrow(t(2, 3), 1, -4, 1), ValueError, "narrow: .*from -4 on"),
    ("split, sizes", lambda: F.split(t(5), [2, 2]), ValueError, r"split: .*\[2, 2\] .*5"),
    ("split, nothing", lambda: F.split(t(5), 0), ValueError, "split: .*got size_or_sections=0"),
    ("chunk, none", lambda: F.chunk(t(5), 0), ValueError, "chunk: chunks"),
    ("repeat, too few", lambda: F.repeat(t(2, 3), 2), ValueError, "repeat: 2 axes need"),
    ("tile, below 0", lambda: F.tile(t(2, 3), -1), ValueError, r"tile: .*\(-1,\)"),
    ("roll, axes", lambda: F.roll(t(2, 3), (1, 2), 0), ValueError, "roll: 2 shifts for 1 axes"),
    ("topk, too many", lambda: F.topk(t(2, 3), 4), ValueError, "topk: k=4 is more than the 3 entries"),
    ("index_select, table", lambda: F.index_select(t(3), 0, LABELS[None]), ValueError, "index_select: .*row"),
    ("std, of one", lambda: t(1, 3).std(0), ValueError, "std: 1 values are too few"),
    ("masked_fill, value", lambda: t(2).masked_fill(t(2) > 0, t(2)), TypeError, "masked_fill: value must be"),
    ("concat, sizes", lambda: F.concat([t(2, 3), t(2, 4)]), ValueError, r"alone, got \(2, 3\), \(2, 4\)"),
    ("concat, nothing", lambda: F.concat([]), ValueError, "concat"),
    (
        "pixel_shuffle, channels",
        lambda: F.pixel_shuffle(t(1, 6, 2, 2), 2),
        ValueError,
        "pixel_shuffle: 6 channels",
    ),
    (
        "pixel_shuffle, axes",
        lambda: F.pixel_shuffle(t(4, 2, 2), 2),
        ValueError,
        r"pixel_shuffle: .*\(4, 2, 2\)",
    ),
    ("index, range", lambda: t(2, 3)[2], IndexError, "index 2 .* size 2"),
    ("gather, axes", lambda: F.gather(t(2, 3), 0, LABELS), ValueError, "gather: index has 1 axes, x has 2"),
    ("gather, range", lambda: F.gather(t(2), 0, np.array([2])), IndexError, "index 2 .* size 2"),
    (
        "embedding, floats",
        lambda: F.embedding(t(2), t(3, 4)),
        TypeError,
        "embedding: labels must be integers, but input has float32",
    ),
    ("embedding, range", lambda: F.embedding([0, 3], t(3, 4)), ValueError, "embedding: label 3 .* 3 rows"),
    ("embedding, negative", lambda: F.embedding([-1], t(3, 4)), ValueError, "embedding: label -1"),
    (
        "one_hot, range",
        lambda: F.one_hot([4], 3),
        ValueError,
        "one_hot: label 4 is out of range for 3 classes",
    ),
    ("one_hot, floats", lambda: F.one_hot(t(2), 3), TypeError, "one_hot: .*float32"),
    ("matmul, sizes", lambda: t(2, 3) @ t(4, 2), ValueError, r"matmul: .*\(2, 3\) and \(4, 2\)"),
    ("matmul, scalar", lambda: t(2, 3) @ t(), ValueError, "matmul: b must be .* at least one axis"),
    ("linear, sizes", lambda: F.linear(t(2, 3), t(5, 4)), ValueError, "linear: x has 3 .* expects 4"),
    (
        "einsum, no output",
        lambda: F.einsum("ij", t(2, 3)),
        ValueError,
        "einsum: the equation 'ij' does not name",
    ),
    ("einsum, operands", lambda: F.einsum("ij,jk->ik", t(2, 3)), ValueError, "einsum: .* 1 operands"),
    ("einsum, axes", lambda: F.einsum("ijk->i", t(2, 3)), ValueError, "einsum: 'ijk' .* 2 axes"),
    ("einsum, a letter twice", lambda: F.einsum("ii->i", t(2, 2)), ValueError, "einsum: 'ii' .*once"),
    ("einsum, no letter", lambda: F.einsum("i1->i", t(2, 2)), ValueError, "einsum: 'i1'"),
    ("einsum, ellipsis", lambda: F.einsum("...i->i", t(2, 2)), ValueError, "einsum"),
    ("einsum, unknown output", lambda: F.einsum("ij->k", t(2, 3)), ValueError, "einsum: the output 'k'"),
    ("einsum, output twice", lambda: F.einsum("ij->ii", t(2, 3)), ValueError, "einsum: the output 'ii'"),
    (
        "einsum, sizes",
        lambda: F.einsum("ij,jk->ik", t(2, 3), t(4, 2)),
        ValueError,
        "einsum: .*'j' .* 3 and 4",
    ),
    (
        "conv2d, image axes",
        lambda: F.conv2d(t(3, 5, 5), t(2, 3, 3, 3)),
        ValueError,
        r"conv2d: x .*\(3, 5, 5\)",
    ),
    ("conv2d, weight axes", lambda: F.conv2d(IMAGE, t(2, 3, 3)), ValueError, r"conv2d: w .*\(2, 3, 3\)"),
    ("conv2d, channels", lambda: F.conv2d(IMAGE, t(2, 4, 3, 3)), ValueError, "conv2d: x has 3 .* expects 4"),
    (
        "conv2d, groups",
        lambda: F.conv2d(IMAGE, t(2, 3, 3, 3), groups=2),
        ValueError,
        "conv2d: groups=2 .* 3 in and 2",
    ),
    ("conv2d, kernel", lambda: F.conv2d(IMAGE, t(2, 3, 6, 6)), ValueError, "conv2d: .*6x6 .*5x5"),
    (
        "conv2d, dilated",
        lambda: F.conv2d(IMAGE, t(2, 3, 3, 3), dilation=3),
        ValueError,
        "conv2d: .*7x7 .*5x5",
    ),
    (
        "conv2d, stride",
        lambda: F.conv2d(IMAGE, t(2, 3, 3, 3), stride=0),
        ValueError,
        r"conv2d: stride .*\(0, 0\)",
    ),
    ("conv2d, padding", lambda: F.conv2d(IMAGE, t(2, 3, 3, 3), padding=-1), ValueError, "conv2d: padding"),
    (
        "conv2d, bias",
        lambda: F.conv2d(IMAGE, t(2, 3, 3, 3), t(3)),
        ValueError,
        r"conv2d: .*\(3,\), expected \(2,\)",
    ),
    (
        "conv2d, mixed dtypes",
        lambda: F.conv2d(IMAGE, t(2, 3, 3, 3, dtype=np.float64)),
        TypeError,
        "conv2d: .*x is float32, w is float64",
    ),
    (
        "conv2d, integers",
        lambda: F.conv2d(t(2, 3, 5, 5, dtype=np.int64), t(2, 3, 3, 3, dtype=np.int64)),
        TypeError,
        "conv2d: .*x is int64",
    ),
    (
        "conv_transpose2d, axes",
        lambda: F.conv_transpose2d(t(3, 5, 5), t(3, 2, 3, 3)),
        ValueError,
        r"conv_transpose2d: .*\(3, 5, 5\)",
    ),
    (
        "conv_transpose2d, weight axes",
        lambda: F.conv_transpose2d(IMAGE, t(3, 2, 3, 3, 3)),
        ValueError,
        r"conv_transpose2d: .*need 4 axes.*\(3, 2, 3, 3, 3\)",
    ),
    (
        "conv_transpose2d, channels",
        lambda: F.conv_transpose2d(IMAGE, t(4, 2, 3, 3)),
        ValueError,
        "conv_transpose2d: x has 3 channels, w expects 4",
    ),
    (
        "conv_transpose2d, output_padding",
        lambda: F.conv_transpose2d(IMAGE, t(3, 2, 3, 3), stride=2, output_padding=2),
        ValueError,
        r"conv_transpose2d: output_padding \(2, 2\)",
    ),
    (
        "conv_transpose2d, bias",
        lambda: F.conv_transpose2d(IMAGE, t(3, 2, 3, 3), t(3)),
        ValueError,
        r"conv_transpose2d: .*\(3,\), expected \(2,\)",
    ),
    (
        "conv2d_weight, gradient",
        lambda: F.conv2d_weight(IMAGE, t(2, 4, 5, 5), 3),
        ValueError,
        r"conv2d_weight: gy has shape \(2, 4, 5, 5\), .*\(2, 4, 3, 3\)",
    ),
    ("max_pool2d, axes", lambda: F.max_pool2d(t(5, 5), 2), ValueError, r"max_pool2d: .*\(5, 5\)"),
    ("max_pool2d, window", lambda: F.max_pool2d(IMAGE, 6), ValueError, "max_pool2d: .*6x6 .*5x5"),
    (
        "max_pool2d, padding",
        lambda: F.max_pool2d(IMAGE, 3, padding=2),
        ValueError,
        r"max_pool2d: padding \(2, 2\)",
    ),
    ("avg_pool2d, axes", lambda: F.avg_pool2d(t(5, 5), 2), ValueError, r"avg_pool2d: .*\(5, 5\)"),
    ("avg_pool2d, window", lambda: F.avg_pool2d(IMAGE, (2, 6)), ValueError, "avg_pool2d: .*2x6 .*5x5"),
    ("conv1d, axes", lambda: F.conv1d(IMAGE, t(2, 3, 3)), ValueError, r"conv1d: x must .*\(N, C, L\)"),
    ("conv1d, weight axes", lambda: F.conv1d(t(2, 3, 5), IMAGE), ValueError, "conv1d: w must have 3 axes"),
    ("conv1d, channels", lambda: F.conv1d(t(2, 3, 5), t(2, 4, 3)), ValueError, "conv1d: x has 3 .* 4"),
    ("conv1d, kernel", lambda: F.conv1d(t(2, 3, 5), t(2, 3, 6)), ValueError, "conv1d: .* spans 6 .* fit 5"),
    ("conv1d, sizes", lambda: F.conv1d(t(2, 3, 5), t(2, 3, 2), stride=(1, 1)), TypeError, "conv1d: stride"),
    (
        "conv_transpose1d, output_padding",
        lambda: F.conv_transpose1d(t(2, 3, 5), t(3, 2, 3), stride=2, output_padding=2),
        ValueError,
        r"conv_transpose1d: output_padding \(2,\)",
    ),
    ("conv3d, axes", lambda: F.conv3d(IMAGE, t(2, 3, 3, 3, 3)), ValueError, r"conv3d: x .*\(N, C, D, H, W\)"),
    ("conv3d, channels", lambda: F.conv3d(CLIP, t(2, 2, 1, 1, 1)), ValueError, "conv3d: x has 3 .* 2"),
    ("conv3d, kernel", lambda: F.conv3d(CLIP, t(2, 3, 5, 2, 2)), ValueError, "conv3d: .*5x2x2 .*4x5x5"),
    ("conv3d, stride", lambda: F.conv3d(CLIP, t(2, 3, 1, 1, 1), stride=0), ValueError, "conv3d: stride"),
    (
        "conv3d, mixed dtypes",
        lambda: F.conv3d(CLIP, t(2, 3, 1, 1, 1, dtype=np.float64)),
        TypeError,
        "conv3d: .*x is float32, w is float64",
    ),
    (
        "conv_transpose3d, channels",
        lambda: F.conv_transpose3d(CLIP, t(4, 2, 1, 1, 1)),
        ValueError,
        "conv_transpose3d: x has 3 channels, w expects 4",
    ),
    (
        "conv_transpose3d, nothing left",
        lambda: F.conv_transpose3d(CLIP, t(3, 2, 1, 1, 1), padding=(2, 0, 0)),
        ValueError,
        "conv_transpose3d: 4 frames .*would give 0",
    ),
    (
        "conv_transpose3d, bias",
        lambda: F.conv_transpose3d(CLIP, t(3, 2, 1, 1, 1), t(3)),
        ValueError,
        r"conv_transpose3d: .*\(3,\), expected \(2,\)",
    ),
    (
        "conv3d_weight, gradient",
        lambda: F.conv3d_weight(CLIP, t(2, 4, 4, 5, 5), 2),
        ValueError,
        "conv3d_weight: gy",
    ),
    ("max_pool1d, window", lambda: F.max_pool1d(t(2, 3, 5), 6), ValueError, "max_pool1d: .* 6 .* 5"),
    ("max_pool3d, window", lambda: F.max_pool3d(CLIP, (5, 1, 1)), ValueError, "max_pool3d: .*5x1x1 .*4x5x5"),
    ("max_pool3d, padding", lambda: F.max_pool3d(CLIP, 3, padding=2), ValueError, "max_pool3d: padding"),
    ("avg_pool3d, axes", lambda: F.avg_pool3d(IMAGE, 2), ValueError, "avg_pool3d: x must have shape"),
    ("min_pool2d, window", lambda: F.min_pool2d(IMAGE, 6), ValueError, "min_pool2d: .*6x6 .*5x5"),
    (
        "adaptive_avg_pool2d, axes",
        lambda: F.adaptive_avg_pool2d(t(2, 3, 5), 1),
        ValueError,
        "adaptive_avg_pool2d: x must",
    ),
    (
        "interpolate, mode of other axes",
        lambda: F.interpolate(IMAGE, 4, mode="linear"),
        ValueError,
        "interpolate: mode must be 'nearest' or 'bilinear' .*got 'linear'",
    ),
    (
        "pixel_unshuffle, sizes",
        lambda: F.pixel_unshuffle(IMAGE, 2),
        ValueError,
        "pixel_unshuffle: images of 5x5 .* 2",
    ),
    ("glu, halves", lambda: F.glu(t(2, 3)), ValueError, r"glu: axis 1 of \(2, 3\) has no two halves"),
    ("prelu, weight", lambda: F.prelu(t(2, 3), t(2)), ValueError, r"prelu: .*\(1,\) or \(3,\), got \(2,\)"),
    ("upfirdn2d, axes", lambda: F.upfirdn2d(t(3, 5, 5), [1.0]), ValueError, "upfirdn2d: x must have shape"),
    ("upfirdn2d, taps", lambda: F.upfirdn2d(IMAGE, [1.0] * 6), ValueError, "upfirdn2d: f has 6 taps"),
    (
        "modulated_conv2d, styles",
        lambda: F.modulated_conv2d(IMAGE, t(2, 3, 3, 3), t(2, 2)),
        ValueError,
        r"modulated_conv2d: styles must have shape \(2, 3\), got \(2, 2\)",
    ),
    (
        "modulated_conv2d, channels",
        lambda: F.modulated_conv2d(IMAGE, t(2, 4, 3, 3), t(2, 3)),
        ValueError,
        "modulated_conv2d: x has 3 channels, w expects 4",
    ),
    (
        "straight_through, shapes",
        lambda: F.straight_through(t(2, 1), t(2)),
        ValueError,
        r"straight_through: hard .*\(2, 1\), soft \(2,\)",
    ),
    ("gumbel_softmax, tau", lambda: F.gumbel_softmax(t(2), 0.0), ValueError, "gumbel_softmax: tau .*0"),
    ("smooth_l1_loss, beta", lambda: F.smooth_l1_loss(t(2), 0, beta=0), ValueError, "smooth_l1_loss: beta"),
    ("binary_cross_entropy, logits", lambda: F.binary_cross_entropy(t(2) * 2, 0.0), ValueError, "logits"),
    ("binary_cross_entropy, NaN", lambda: F.binary_cross_entropy(t(2) * np.nan, 0.0), ValueError, "got NaN"),
    (
        "nll_loss, places",
        lambda: F.nll_loss(t(2, 3), LABELS[:1]),
        ValueError,
        "nll_loss: 2 rows of input, but",
    ),
    ("tril, a row", lambda: F.tril(t(2)), ValueError, r"tril: x must have shape \(..., H, W\), got \(2,\)"),
    ("dropout2d, shape", lambda: F.dropout2d(t(2, 3)), ValueError, r"dropout2d: x must have .*\(2, 3\)"),
    ("kl_div, shapes", lambda: F.kl_div(t(2, 1), t(2)), ValueError, "kl_div: input has shape"),
    (
        "cross_entropy, places",
        lambda: F.cross_entropy(IMAGE, LABELS),
        ValueError,
        r"cross_entropy: input for places of shape \(2, 5, 5\), but labels of shape \(2,\)",
    ),
    (
        "cross_entropy, weight",
        lambda: F.cross_entropy(t(2, 3), LABELS, weight=t(2)),
        ValueError,
        r"cross_entropy: weight must have shape \(3,\), got \(2,\)",
    ),
    (
        "cross_entropy, ignored probabilities",
        lambda: F.cross_entropy(t(2, 3), t(2, 3), ignore_index=1),
        ValueError,
        "cross_entropy: ignore_index is one of labels",
    ),
    (
        "cross_entropy, too few probabilities",
        lambda: F.cross_entropy(t(2, 3), [[0.5, 0.5], [1.0, 0.0]]),
        ValueError,
        r"cross_entropy: input has shape \(2, 3\), target, of probabilities, \(2, 2\)",
    ),
    (
        "cross_entropy, rows of different lengths",
        lambda: F.cross_entropy(t(2, 3), [[0.5, 0.5], [1.0]]),
        ValueError,
        "cross_entropy: target must be labels, which are integers, or probabilities",
    ),
    (
        "cross_entropy, floats",
        lambda: F.cross_entropy(t(2, 3), [0.5, 1.0]),
        TypeError,
        "labels must be integers",
    ),
    (
        "cross_entropy, ignored beside others",
        lambda: F.cross_entropy(t(2, 3), np.array([-100, 3]), ignore_index=-100),
        ValueError,
        "cross_entropy: label 3 is out of range",
    ),
    ("interpolate, no size", lambda: F.interpolate(IMAGE), ValueError, "interpolate: give either"),
    (
        "interpolate, factors",
        lambda: F.interpolate(IMAGE, scale_factor=(2, 2, 2)),
        ValueError,
        r"interpolate: scale_factor must be a number or two, got \(2, 2, 2\)",
    ),
    ("interpolate, both", lambda: F.interpolate(IMAGE, 4, 2), ValueError, "interpolate: give either"),
    (
        "interpolate, mode",
        lambda: F.interpolate(IMAGE, 4, mode="cubic"),
        ValueError,
        "interpolate: .*'cubic'",
    ),
    ("interpolate, to nothing", lambda: F.interpolate(IMAGE, 0), ValueError, r"interpolate: .*\(0, 0\)"),
    (
        "interpolate, axes",
        lambda: F.interpolate(t(5, 5), scale_factor=2),
        ValueError,
        r"interpolate: .*\(5, 5\)",
    ),
    ("batch_norm, axes", lambda: F.batch_norm(t(3)), ValueError, r"batch_norm: .*\(3,\)"),
    (
        "batch_norm, one value",
        lambda: F.batch_norm(t(1, 3)),
        ValueError,
        r"batch_norm: .*more than one.*\(1, 3\)",
    ),
    (
        "batch_norm, weight",
        lambda: F.batch_norm(IMAGE, weight=t(4)),
        ValueError,
        r"batch_norm: x has 3 channels, but weight has shape \(4,\)",
    ),
    (
        "layer_norm, shape",
        lambda: F.layer_norm(t(2, 3), 4),
        ValueError,
        r"layer_norm: .*\(2, 3\) are not the normalized_shape \(4,\)",
    ),
    ("layer_norm, bias", lambda: F.layer_norm(t(2, 3), 3, bias=t(2)), ValueError, "layer_norm: bias"),
    (
        "instance_norm, one pixel",
        lambda: F.instance_norm(t(2, 3, 1)),
        ValueError,
        r"instance_norm: .*\(2, 3, 1\)",
    ),
    (
        "instance_norm, weight",
        lambda: F.instance_norm(IMAGE, t(2)),
        ValueError,
        "instance_norm: x has 3 .* weight",
    ),
    (
        "binary_cross_entropy_with_logits, shapes",
        lambda: F.binary_cross_entropy_with_logits(t(4, 1), t(4)),
        ValueError,
        r"binary_cross_entropy_with_logits: input has shape \(4, 1\), target \(4,\)",
    ),
    ("mse_loss, shapes", lambda: F.mse_loss(t(4, 1), t(4)), ValueError, "mse_loss: .*target"),
    ("l1_loss, shapes", lambda: F.l1_loss(t(4, 1), t(4)), ValueError, "l1_loss: .*target"),
    ("hinge_loss, shapes", lambda: F.hinge_loss(t(4, 1), t(4)), ValueError, "hinge_loss: .*target"),
    ("mse_loss, reduction", lambda: F.mse_loss(t(2), t(2), "max"), ValueError, "reduction must be .*'max'"),
    ("cross_entropy, axes", lambda: F.cross_entropy(t(3), LABELS), ValueError, r"cross_entropy: .*\(3,\)"),
    (
        "cross_entropy, rows",
        lambda: F.cross_entropy(t(3, 4), LABELS),
        ValueError,
        r"cross_entropy: 3 rows .*\(2,\)",
    ),
    (
        "cross_entropy, range",
        lambda: F.cross_entropy(t(2, 3), np.array([0, 3])),
        ValueError,
        "cross_entropy: label 3 is out of range for 3 classes",
    ),
    ("cross_entropy, floats", lambda: F.cross_entropy(t(2, 3), t(2)), TypeError, "cross_entropy: .*float32"),
]


@pytest.mark.parametrize(("call", "error", "says"), [b[1:] for b in BAD_INPUT], ids=[b[0] for b in BAD_INPUT])
def test_bad_input_is_refused_with_its_sizes(call, error, says):
    with pytest.raises(error, match=says):
        call()


# Special values


def value_and_slope(f, x):
    """f and its derivative, entry by entry, at the numbers x."""
    leaf = Tensor(np.asarray(x, np.float64), requires_grad=True)
    y = f(leaf)
    (g,) = grad(y.sum(), leaf)
    return y.numpy(), g.numpy()


HUGE = [-1e4, 1e4]

AT_HUGE_INPUT = [
    ("sigmoid", F.sigmoid, [0, 1], [0, 0]),
    ("softplus", F.softplus, [0, 1e4], [0, 1]),
    ("tanh", F.tanh, [-1, 1], [0, 0]),
    ("softmax", F.softmax, [0, 1], [0, 0]),
    ("log_softmax", F.log_softmax, [-2e4, 0], [1, -1]),
    ("logsumexp", F.logsumexp, 1e4, [0, 1]),
    ("elu", F.elu, [-1, 1e4], [0, 1]),
    ("silu", F.silu, [0, 1e4], [0, 1]),
    ("logsigmoid", F.logsigmoid, [-1e4, 0], [1, 0]),
    ("gelu", F.gelu, [0, 1e4], [0, 1]),
    ("bce of fakes", lambda x: F.binary_cross_entropy_with_logits(x, 0.0, "none"), [0, 1e4], [0, 1]),
    ("bce of reals", lambda x: F.binary_cross_entropy_with_logits(x, 1.0, "none"), [1e4, 0], [-1, 0]),
    ("norm", F.norm, 2**0.5 * 1e4, [-(0.5**0.5), 0.5**0.5]),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("f", "value", "slope"), [a[1:] for a in AT_HUGE_INPUT], ids=[a[0] for a in AT_HUGE_INPUT]
)
def test_huge_inputs_do_not_overflow(f, value, slope, dtype):
    y, g = value_and_slope(lambda x: f(x.to(dtype)), HUGE)
    assert_close(y, np.asarray(value), rtol=1e-6)
    assert_close(g, np.asarray(slope), rtol=1e-6)


AT_A_KINK = [
    # PyTorch's choices, which are pinned here so that no change goes unseen
    ("relu", F.relu, [0.0], [0]),
    ("leaky_relu", lambda x: F.leaky_relu(x, 0.2), [0.0], [0.2]),
    ("elu", lambda x: F.elu(x, 0.7), [0.0], [0.7]),
    ("abs", F.abs, [0.0], [0]),
    ("prelu", lambda x: F.prelu(x, Tensor([0.2], dtype=np.float64)), [0.0], [0.2]),
    ("smooth_l1_loss", lambda x: F.smooth_l1_loss(x, 0.0, "none"), [-1.0, 0.0, 1.0], [-1, 0, 1]),
    ("binary_cross_entropy", lambda x: F.binary_cross_entropy(x, 0.0, "none"), [0.0, 0.5, 1.0], [1, 2, 0]),
    ("min_pool2d", lambda x: F.min_pool2d(x.reshape(1, 1, 1, 2), (1, 2)), [1.0, 1.0], [1, 0]),
    ("clip", lambda x: F.clip(x, -1, 1), [-2.0, -1.0, 1.0, 2.0], [0, 1, 1, 0]),
    ("maximum", lambda x: F.maximum(x, 1.0), [1.0], [0.5]),
    ("minimum", lambda x: F.minimum(1.0, x), [1.0], [0.5]),
    ("max", F.max, [3.0, 1.0, 3.0], [0.5, 0, 0.5]),
    ("min", F.min, [3.0, 1.0, 1.0], [0, 0.5, 0.5]),
    ("maxout", lambda x: F.maxout(x, 2, axis=0), [1.0, 1.0], [1, 0]),
    ("max_pool2d", lambda x: F.max_pool2d(x.reshape(1, 1, 2, 2), 2), [1.0, 1.0, 1.0, 1.0], [1, 0, 0, 0]),
    ("norm", F.norm, [0.0, 0.0], [0, 0]),
    ("hinge_loss", lambda x: F.hinge_loss(x, 1.0, "none"), [1.0], [0]),
]


@pytest.mark.parametrize(("f", "x", "slope"), [k[1:] for k in AT_A_KINK], ids=[k[0] for k in AT_A_KINK])
def test_gradient_at_a_kink_or_tie(f, x, slope):
    assert value_and_slope(f, x)[1].tolist() == slope


def test_infinity_passes_through_relu():
    y, g = value_and_slope(F.relu, [-np.inf, np.inf])
    assert (y.tolist(), g.tolist()) == ([0, np.inf], [0, 1])


def test_logsumexp_and_softmax_ignore_minus_infinity():
    x = [-np.inf, 0.0, 0.0]
    for f, value, slope in (
        (F.logsumexp, np.log(2), [0, 0.5, 0.5]),
        (lambda x: F.softmax(x)[1], 0.5, [0, 0.25, -0.25]),
    ):
        y, g = value_and_slope(f, x)
        assert_close(y, value, rtol=1e-15)
        assert_close(g, slope, rtol=1e-15)


def test_logsumexp_of_infinities():
    assert F.logsumexp(Tensor([np.inf, 0.0])).item() == np.inf
    with np.errstate(divide="ignore"):
        assert F.logsumexp(Tensor([-np.inf, -np.inf])).item() == -np.inf


def test_max_pool_of_minus_infinities_keeps_to_the_image():
    x = Tensor(np.full((2, 1, 2, 2), -np.inf), requires_grad=True)
    (g,) = grad(F.max_pool2d(x, 2, 2, padding=1), x, np.ones((2, 1, 2, 2)))
    assert g.numpy().tolist() == np.ones((2, 1, 2, 2)).tolist()


def test_norm_at_zero_has_finite_second_derivatives():
    x = Tensor(np.zeros(3), requires_grad=True)
    (g,) = grad(F.norm(x), x, create_graph=True)
    (gg,) = grad(g.sum(), x)
    assert np.isfinite(gg.numpy()).all()


def test_powers_at_zero():
    x, p = Tensor(np.zeros(4), requires_grad=True), Tensor(np.arange(4.0), requires_grad=True)
    gx, gp = grad((x**p).sum(), (x, p))
    assert (gx.numpy().tolist(), gp.numpy().tolist()) == ([0, 1, 0, 0], [0, 0, 0, 0])


def test_powers_of_a_number_that_is_not_positive():
    assert (0.0 ** Tensor([0.0, 1.0, 2.0])).numpy().tolist() == [1, 0, 0]
    assert ((-2.0) ** Tensor([1.0, 2.0, 3.0])).numpy().tolist() == [-2, 4, -8]


# Settings and operands of other types


SETTINGS_AS_NUMPY_SCALARS = {
    "leaky_relu": lambda x: F.leaky_relu(x, np.float64(0.2)),
    "elu": lambda x: F.elu(x, np.float64(0.7)),
    "clip": lambda x: F.clip(x, np.float64(-1), np.float64(1)),
    "dropout": lambda x: F.dropout(x, np.float64(0.5)),
    "pow": lambda x: x ** np.float64(2),
    "mul": lambda x: np.float64(2) * x,
    "bce": lambda x: F.binary_cross_entropy_with_logits(x, np.float64(0.9)),
}


@pytest.mark.parametrize("f", SETTINGS_AS_NUMPY_SCALARS.values(), ids=SETTINGS_AS_NUMPY_SCALARS)
def test_a_numpy_scalar_as_setting_does_not_change_the_dtype(f):
    assert f(t(4)).dtype == np.float32


def test_reductions_of_bools_count():
    right = Tensor([1, 2, 3]) == Tensor([1, 2, 4])
    assert right.sum().item() == 2
    assert right.mean().item() == pytest.approx(2 / 3)


def test_reductions_of_bytes_do_not_wrap():
    pixels = Tensor(np.array([0, 200, 255], np.uint8))
    assert (pixels.sum().item(), pixels.min().item(), pixels.max().item()) == (455, 0, 255)


def test_activations_of_integers_are_not_rounded():
    assert_close(F.sigmoid(Tensor([0, 1])), [0.5, 1 / (1 + np.exp(-1))], rtol=1e-6)
    assert_close(F.softplus(Tensor([0])), [np.log(2)], rtol=1e-6)


def test_one_hot():
    y = F.one_hot(Tensor([[2, 0]]), 3)
    assert y.dtype == np.float32
    assert y.numpy().tolist() == [[[0, 0, 1], [1, 0, 0]]]
    assert not y.requires_grad


def test_an_order_is_of_integers_and_keeps_equal_values_as_they_stood():
    x = Tensor([[2.0, 1.0, 2.0, 0.0]], requires_grad=True)
    for descending, order in ((False, [3, 1, 0, 2]), (True, [0, 2, 1, 3])):
        values, found = x.sort(descending=descending)
        assert (found.dtype.kind, found.requires_grad, found.tolist()) == ("i", False, [order])
        assert values.tolist() == [[x.tolist()[0][i] for i in order]]
        assert x.argsort(descending=descending).tolist() == [order]
    assert [part.tolist() for part in x.topk(2)] == [[[2, 2]], [[0, 2]]]
    assert [part.tolist() for part in x.topk(2, largest=False)] == [[[0, 1]], [[3, 1]]]
    assert (x.argmin(1).tolist(), x.argmax(-1, keepdims=True).tolist()) == ([3], [[0]])
    assert (x.argmin().tolist(), x.argmax(keepdims=True).tolist()) == (3, [[0]])
    assert not x.argmax().requires_grad


def test_pytorchs_other_names_of_methods():
    x = Tensor(np.arange(6).reshape(2, 3), requires_grad=False, dtype=np.float32)
    assert (x.size(), x.size(-1), x.dim()) == ((2, 3), 3, 2)
    assert x.view(3, -1).tolist() == x.reshape(3, 2).tolist()
    assert x.clamp(1, 2).tolist() == x.clip(1, 2).tolist()
    assert [str(y.dtype) for y in (x.double(), x.double().float(), x.long())] == [
        "float64",
        "float32",
        "int64",
    ]
    assert x.contiguous() is x.cpu() is x


def test_step_functions_give_constants():
    x = Tensor([-1.5, 0.0, 2.5, np.inf], requires_grad=True)
    for y, expected in (
        (x.sign(), [-1, 0, 1, 1]),
        (x.round(), [-2, 0, 2, np.inf]),
        (x.floor(), [-2, 0, 2, np.inf]),
        (x.ceil(), [-1, 0, 3, np.inf]),
        (x.isinf(), [0, 0, 0, 1]),
        (x.isfinite(), [1, 1, 1, 0]),
        (x.isnan(), [0, 0, 0, 0]),
    ):
        assert (y.tolist(), y.requires_grad) == (expected, False)


def test_methods_that_change_a_tensor_in_place_tell_the_graph():
    x = Tensor([1.0, 2.0])
    memory = x.data
    assert x.mul_(3).add_(Tensor([1.0, 0.0]), alpha=2).sub_(1).div_(2).clamp_(0, 2.25).tolist() == [2, 2.25]
    assert x.data is memory
    assert (x.version, x.sub_(1, alpha=2).tolist()) == (5, [0, 0.25])
    w = Tensor([1.0], requires_grad=True)
    for change in (lambda: w.mul_(2), lambda: x.add_(w), lambda: w.clamp_(0, 1)):
        with pytest.raises(RuntimeError):
            change()
    with no_grad():
        assert w.clamp_(max=0.5).tolist() == [0.5]


def test_a_clone_has_memory_of_its_own():
    x = Tensor([1.0, 2.0])
    y = x.clone()
    x.fill_(0.0)
    assert y.tolist() == [1, 2]


def test_the_parts_of_a_tensor_are_a_tuple_and_share_its_memory():
    x = Tensor(np.arange(10.0).reshape(5, 2))
    assert [part.shape for part in x.split(2)] == [(2, 2), (2, 2), (1, 2)]
    assert [part.shape for part in x.split((4, 1))] == [(4, 2), (1, 2)]
    assert [part.shape for part in x.chunk(2, 1)] == [(5, 1), (5, 1)]
    first, *rest = x.unbind()
    assert (first.tolist(), len(rest)) == ([0, 1], 4)
    assert all(np.shares_memory(part.data, x.data) for part in (first, *x.split(2), x.narrow(0, 1, 2)))


def test_straight_through_has_one_value_and_the_others_derivatives():
    x = Tensor(np.linspace(-2, 2, 6).reshape(2, 3), requires_grad=True)
    u = Tensor(np.arange(6.0).reshape(2, 3))

    def derivatives(f):
        y = f(x.tanh())
        (first,) = grad((y * y.detach() * u).sum(), x, create_graph=True)
        return y, (first, *grad((first * u).sum(), x))

    signs, found = derivatives(lambda soft: F.straight_through(Tensor(np.sign(soft.data)), soft))
    assert signs.tolist() == np.sign(x.data).tolist()
    y = x.tanh()
    (first,) = grad(y, x, np.sign(x.data) * u.data, create_graph=True)
    for a, b in zip(found, (first, *grad((first * u).sum(), x)), strict=True):
        assert_close(a, b)
    (none,) = grad(F.straight_through(x * 1, x.detach()).sum() + 0 * x.sum(), x)
    assert not none.numpy().any()


@pytest.mark.parametrize("axis", [0, -1])
def test_hard_gumbel_samples_are_of_one_class_each_as_often_as_the_softmax_says(axis):
    logits = np.log([[0.1, 0.2, 0.7]] * 20_000)
    x = Tensor(logits if axis else logits.T, dtype=np.float32, requires_grad=True)
    hard = F.gumbel_softmax(x, 0.5, hard=True, axis=axis, generator=Generator(3))
    soft = F.gumbel_softmax(x, 0.5, axis=axis, generator=Generator(3))
    assert hard.dtype == np.float32
    assert set(np.unique(hard.numpy())) == {0.0, 1.0}
    assert np.array_equal(hard.numpy(), soft.numpy() == soft.numpy().max(axis, keepdims=True))
    assert_close(hard.numpy().mean(0 if axis else 1), [0.1, 0.2, 0.7], atol=0.02)  # six standard deviations
    u = np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)
    for a, b in zip(grad(hard, x, u), grad(soft, x, u), strict=True):
        assert np.array_equal(a.numpy(), b.numpy())


def test_gumbel_noise_is_finite_for_a_uniform_number_of_zero(monkeypatch):
    g = Generator(0)
    monkeypatch.setattr(g, "uniform", lambda shape, device: np.array([0.0, 1 - 2**-24], np.float32))
    assert np.isfinite(F.gumbel_softmax(Tensor([0.0, 0.0]), generator=g).numpy()).all()


def test_a_divergence_of_a_probability_of_zero():
    p = Tensor([[0.0, 1.0]], requires_grad=True)
    y = F.kl_div(Tensor([[-1.0, -2.0]]), p, "sum")
    assert y.item() == 2
    assert np.isfinite(grad(y, p)[0].numpy()).all()


def test_ignored_places_count_nothing_whatever_they_hold():
    x = Tensor([[1.0, 2.0], [np.nan, 0.0]], requires_grad=True)
    y = F.cross_entropy(x, [1, -100], ignore_index=-100)
    assert y.item() == pytest.approx(np.log1p(np.exp(-1)))
    assert grad(y, x)[0].numpy()[0].any()


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
@pytest.mark.parametrize("how", [{"ignore_index": -1}, {"ignore_index": -1, "weight": t(2)}], ids=str)
def test_the_mean_of_no_label_is_nan_without_a_warning_and_without_a_slope(loss, how):
    x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = loss(x, [-1, -1], **how)
    assert np.isnan(y.item())
    assert not grad(y, x)[0].numpy().any()
    assert np.isnan(loss(x, [0, 0], weight=Tensor([0.0, 1.0])).item())
    assert loss(x, [-1, -1], "sum", **how).item() == 0


def test_probabilities_may_be_a_list():
    x, shares = Tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0]]), [[0.5, 0.5, 0], [1, 0, 0]]
    y = F.cross_entropy(x, shares)
    assert y.dtype == np.float32
    assert y.item() == F.cross_entropy(x, Tensor(shares)).item()


def test_demodulated_weights_keep_the_spread():
    rng = np.random.default_rng(0)
    x, w, s = (rng.standard_normal(n) for n in ((4, 32, 12, 12), (16, 32, 3, 3), (4, 32)))
    for scale in (0.1, 10.0):
        y = F.modulated_conv2d(Tensor(x), Tensor(w), Tensor(scale * s), gain=2.0).numpy()
        assert y.std() == pytest.approx(2, abs=0.2)


def test_a_blur_keeps_a_flat_image_inside_its_border_and_the_sum():
    blurred = F.upfirdn2d(t(1, 2, 6, 6), [0.25, 0.5, 0.25], padding=1).numpy()
    assert (blurred[:, :, 1:-1, 1:-1] == 1).all()
    full = F.upfirdn2d(IMAGE, [0.25, 0.5, 0.25], padding=2)
    assert full.shape == (2, 3, 7, 7)
    assert full.sum().item() == pytest.approx(IMAGE.numpy().sum())


def test_a_blur_leaves_images_in_the_memory_order_they_had():
    x = np.random.default_rng(0).standard_normal((2, 5, 6, 3)).transpose(0, 3, 1, 2)
    blurred = [
        F.upfirdn2d(Tensor(a), [1.0, 3, 3, 1], 2, padding=(2, 1, 2, 1)).numpy()
        for a in (x, np.ascontiguousarray(x))
    ]
    np.testing.assert_allclose(*blurred, rtol=1e-12)
    assert blurred[0].transpose(0, 2, 3, 1).flags.c_contiguous
    assert blurred[1].flags.c_contiguous


def test_comparisons_are_constant_bools():
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    for found, expected in (
        (x < 2, [1, 0, 0]),
        (x <= 2, [1, 1, 0]),
        (Tensor(2.0) < x, [0, 0, 1]),
        (x >= x, [1, 1, 1]),
        (x == Tensor([1.0, 0.0, 3.0]), [1, 0, 1]),
        (x != 1, [0, 1, 1]),
    ):
        assert (found.dtype, found.requires_grad) == (bool, False)
        assert found.numpy().tolist() == expected


DEFAULTS = {
    # op as it is called without the setting, and with what the setting is then
    "leaky_relu": (F.leaky_relu, lambda x: F.leaky_relu(x, 0.01)),
    "elu": (F.elu, lambda x: F.elu(x, 1.0)),
    "softmax": (F.softmax, lambda x: F.softmax(x, 1)),
    "log_softmax": (F.log_softmax, lambda x: F.log_softmax(x, 1)),
    "maxout": (lambda x: F.maxout(x, 2), lambda x: F.maxout(x, 2, 1)),
    "pad": (lambda x: F.pad(x, (1, 1)), lambda x: F.pad(x, (1, 1), "constant", 0.0)),
    "concat": (lambda x: F.concat([x, x]), lambda x: F.concat([x, x], 0)),
    "stack": (lambda x: F.stack([x, x]), lambda x: F.stack([x, x], 0)),
    "flatten": (F.flatten, lambda x: F.flatten(x, 0)),
    "var, correction": (F.var, lambda x: F.var(x, correction=1)),
    **{
        f.__name__: (f, lambda x, f=f: f(x, axis=None, keepdims=False))
        for f in (F.sum, F.mean, F.var, F.max, F.min, F.logsumexp, F.norm)
    },
}


@pytest.mark.parametrize(("short", "full"), DEFAULTS.values(), ids=DEFAULTS)
def test_defaults(short, full):
    x = Tensor(np.linspace(-1, 1, 12).reshape(3, 4))
    assert short(x).numpy().tolist() == full(x).numpy().tolist()


# What the table cannot say


@pytest.mark.parametrize(
    ("mode", "width", "expected"),
    [
        ("nearest", 6, [0, 0, 10, 10, 20, 20]),
        ("nearest", 5, [0, 0, 10, 10, 20]),
        ("nearest", 2, [0, 10]),
        ("nearest", 147, [0] * 49 + [10] * 49 + [20] * 49),  # 49 * (1 / 49) rounds below 1
        ("bilinear", 6, [0, 2.5, 7.5, 12.5, 17.5, 20]),
        ("bilinear", 1, [10]),
        ("corners", 5, [0, 5, 10, 15, 20]),
        ("corners", 2, [0, 20]),
        ("corners", 1, [0]),
    ],
)
def test_interpolation_of_a_row(mode, width, expected):
    how = {"mode": "bilinear", "align_corners": True} if mode == "corners" else {"mode": mode}
    row = Tensor([0.0, 10.0, 20.0]).reshape(1, 1, 1, 3)
    column = F.interpolate(row.transpose(2, 3), (width, 1), **how)
    assert F.interpolate(row, (1, width), **how).numpy().ravel().tolist() == expected
    assert column.numpy().ravel().tolist() == expected


def test_pixel_shuffle_makes_blocks_of_channels():
    x = Tensor(np.arange(16).reshape(1, 8, 1, 2))
    assert F.pixel_shuffle(x, 2).numpy().tolist() == [
        [[[0, 2, 1, 3], [4, 6, 5, 7]], [[8, 10, 9, 11], [12, 14, 13, 15]]]
    ]


def test_selu_keeps_mean_0_and_variance_1():
    z = np.linspace(-9, 9, 100_001)
    weights = np.exp(-(z**2) / 2) / np.exp(-(z**2) / 2).sum()
    y = F.selu(Tensor(z)).numpy()
    assert_close([weights @ y, weights @ y**2], [0.0, 1.0], atol=1e-6)


def test_dropout_keeps_the_mean_and_drops_a_share_of_p():
    y = F.dropout(Tensor(np.ones(100_000)), 0.3, generator=Generator(1)).numpy()
    assert set(np.unique(y)) == {0.0, 1 / 0.7}
    assert (y == 0).mean() == pytest.approx(0.3, abs=0.01)  # seven standard deviations


def test_batch_norm_moves_its_running_statistics_in_training_only():
    rng = np.random.default_rng(0)
    x, mean, var = Tensor(rng.standard_normal((6, 2))), Tensor(np.zeros(2)), Tensor(np.ones(2))
    F.batch_norm(x, mean, var, training=False)
    assert (mean.numpy().tolist(), var.numpy().tolist()) == ([0, 0], [1, 1])
    F.batch_norm(x, mean, var, training=True, momentum=0.2)
    assert_close(mean, 0.2 * x.numpy().mean(0))
    assert_close(var, 0.8 + 0.2 * x.numpy().var(0, ddof=1))
    assert (mean.version, var.version) == (1, 1)


def test_the_fewest_values_that_can_be_normalised():
    ends = np.array([[[-1.0, 1.0]]])
    assert_close(F.instance_norm(Tensor(ends), eps=0.0), ends)
    assert_close(F.batch_norm(Tensor(ends[0].T), eps=0.0), ends[0].T)


def test_a_convolution_adds_its_bias_to_each_channel():
    w, b = t(3, 3, 2, 2), Tensor([1.0, 2.0, 3.0])
    for conv in (F.conv2d, F.conv_transpose2d):
        assert_close(conv(IMAGE, w, b), conv(IMAGE, w).numpy() + b.numpy().reshape(3, 1, 1), rtol=1e-6)


def test_a_batch_of_no_images_goes_through_a_convolution():
    x, w = (
        Tensor(np.zeros((0, 3, 4, 4)), requires_grad=True),
        Tensor(np.ones((2, 3, 3, 3)), requires_grad=True),
    )
    y = F.conv2d(x, w, padding=1)
    gx, gw = grad(y.sum(), (x, w))
    assert (y.shape, gx.shape) == ((0, 2, 4, 4), (0, 3, 4, 4))
    assert not gw.numpy().any()


def test_a_numpy_integer_is_as_good_as_a_python_one():
    assert F.conv2d(IMAGE, t(2, 3, 3, 3), stride=np.int64(2)).shape == (2, 2, 2, 2)
    assert F.interpolate(IMAGE, np.int64(4)).shape == (2, 3, 4, 4)
    assert F.sum(IMAGE, np.int64(1)).shape == (2, 5, 5)
