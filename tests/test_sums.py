"""Sums of 20 million numbers, along any axis and memory order: within 1e-6 of the truth, on every engine.

Sums of ones are the sharpest test of adding one after the other: in float32 they stop at 16,777,216. Those of
one fraction are lost to roundings that all go the same way. What the emulator runs is as much as it bears.
"""

import numpy as np
import pytest

import minigan.functional as F
import minigan_kernels as kernels
from minigan import Tensor, grad
from minigan_kernels import arrays, engine_missing

MILLIONS = 20_000_000
BOUND = {np.float32: 1e-6, np.float64: 1e-12}
slow = pytest.mark.slow
each_kind = pytest.mark.parametrize("kind", ["ones", "tenths", "random"])

# name: (shape, the axes that are summed, the order of the axes in memory)
CASES = {
    "one row": ((MILLIONS,), (0,), (0,)),
    "one column": ((MILLIONS, 1), (0,), (0, 1)),
    "three columns": ((MILLIONS // 3, 3), (0,), (0, 1)),
    "many columns": ((20_000, 1000), (0,), (0, 1)),
    "columns, by columns": ((20_000, 1000), (0,), (1, 0)),
    "few rows, by columns": ((4, MILLIONS // 4), (1,), (1, 0)),
    "a picture, channels-last": ((1, 3, 2581, 2583), (0, 2, 3), (0, 2, 3, 1)),
    "pictures of a pixel": ((MILLIONS // 3, 3, 1, 1), (0, 2, 3), (0, 1, 2, 3)),
    "pictures, pixel by pixel": ((60_000, 1, 18, 18), (0,), (0, 1, 2, 3)),
    "the middle": ((100, 2000, 100), (1,), (0, 1, 2)),
    "the ends": ((2000, 5, 2000), (0, 2), (0, 1, 2)),
}


def values(kind, shape, order=None, dtype=np.float32):
    """Of one sign, so that a relative error is one of the sum."""
    order = tuple(range(len(shape))) if order is None else order
    memory = [shape[axis] for axis in order]
    if kind == "random":
        x = np.resize(np.random.default_rng(0).random(100_003, dtype=dtype), memory)
    else:
        x = np.full(memory, 1 if kind == "ones" else 0.1, dtype)
    return x.transpose(np.argsort(order))


def truth(x, axes):
    if x.strides == () or (x == x.flat[0]).all():
        count = np.prod([x.shape[axis] for axis in axes])
        return np.longdouble(x.flat[0]) * count
    return x.sum(axis=axes, dtype=np.longdouble, keepdims=True)


def error(found, right):
    """The largest relative one."""
    return float(np.max(np.abs(np.asarray(found, np.longdouble) - right) / np.abs(right)))


@slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@each_kind
@pytest.mark.parametrize("case", CASES)
def test_total_of_millions(case, kind, dtype):
    shape, axes, order = CASES[case]
    x = values(kind, shape, order, dtype)
    found = arrays.total(x, axes, keepdims=True)
    assert found.dtype == dtype
    assert error(found, truth(x, axes)) <= BOUND[dtype]


def test_total_is_a_sum_of_any_strides():
    rng = np.random.default_rng(0)
    for shape in ((), (0,), (3, 0), (200,), (1, 70), (70, 1, 97), (66, 5, 67, 2)):
        x = rng.standard_normal([2 * n for n in shape])
        for view in (x, x[::-1] if shape else x, x[tuple(slice(None, None, -2) for _ in shape)], x.T):
            for axes in (
                (),
                *[(axis,) for axis in range(x.ndim)],
                tuple(range(x.ndim)),
                tuple(range(-1, 1))[: x.ndim],
            ):
                if len({axis % x.ndim for axis in axes}) < len(axes):
                    continue
                for keepdims in (False, True):
                    found, right = arrays.total(view, axes, keepdims), view.sum(axis=axes, keepdims=keepdims)
                    assert (type(found), np.shape(found)) == (type(right), np.shape(right))
                    np.testing.assert_allclose(found, right, atol=1e-10)
    spread = np.broadcast_to(rng.standard_normal((1, 7, 1)), (500, 7, 90))
    np.testing.assert_allclose(arrays.total(spread, (0, 2)), spread.sum(axis=(0, 2)), rtol=1e-12)


def test_scatter_adds_up_all_that_meet():
    rng = np.random.default_rng(0)
    index, x = rng.integers(-5, 5, 100_003), rng.standard_normal((100_003, 3))
    right = np.zeros((5, 3))
    np.add.at(right, index, x)
    np.testing.assert_allclose(arrays.scatter(x, index, 5), right, rtol=1e-9)
    with pytest.raises(IndexError):
        arrays.scatter(x, index + 1, 5)


# Ops, of both engines of the CPU


def variance(x):
    wide = x.astype(np.float64)
    return ((wide - wide.mean(axis=0)) ** 2).mean(axis=0)


def sigmoid_sum(kind):
    x = values(kind, (2, MILLIONS // 2))
    e = np.exp(x[:, :1].astype(np.float64)) / np.exp(x.astype(np.float64)).sum(axis=1, keepdims=True)
    return kernels.softmax(x, 1)[:, :1], e


def column_statistics(kind):
    x = values(kind, (MILLIONS // 3, 3))
    mean = np.broadcast_to(truth(x, (0,)) / len(x), (1, 3))
    _, found_mean, found_var = kernels.normalize(x, None, None, (0,), 1e-5)
    if kind == "random":
        assert error(found_var, variance(x)) <= 1e-6
    weight = np.ones((1, 3), np.float32)
    _, _, gbias = kernels.normalize_backward(x, x, weight, weight, found_mean, found_var, (0,), 1e-5)
    return np.concatenate([found_mean, gbias]), np.concatenate([mean, mean * len(x)])


def row_statistics(kind):
    x = values(kind, (4, MILLIONS // 4))
    return kernels.normalize(x, None, None, (1,), 1e-5)[1], truth(x, (1,)) / x.shape[1]


def row_weights(kind):
    x = values(kind, (MILLIONS // 8, 8))
    _, mean, var = kernels.normalize(x, None, None, (1,), 1e-5)
    weight = np.ones((1, 8), np.float32)
    return kernels.normalize_backward(x, x, weight, weight, mean, var, (1,), 1e-5)[2], truth(x, (0,))


def largest_window(kind):
    x = values(kind, (1, 1, 4000, 5000), (0, 2, 3, 1))
    return kernels.avg_pool2d(x, (4000, 5000), (1, 1), (0, 0)), truth(x, (2, 3)) / x.size


def overlapping_windows(kind):
    gy = values(kind, (1, 1, 2000, 2), (0, 2, 3, 1))
    found = kernels.avg_pool2d_input(gy, (4000, 2), (2001, 1), (1, 1), (0, 0))
    return found[:, :, 2000, :1], gy[0, 0, :, 0].sum(
        dtype=np.float64
    ) / 2001  # the pixel that is in all of them


def one_pixel(kind):
    y = values(kind, (1, 1, 4000, 5000), (0, 2, 3, 1))
    index = np.zeros(y.shape, np.int64)
    return kernels.pixels_scatter(y, index, (4, 4))[:, :, :1, :1], truth(y, (2, 3))


def one_row_of_a_table(kind):
    gy = values(kind, (MILLIONS // 4, 4))
    return kernels.embedding_weight(gy, np.ones(len(gy), np.int64), 2)[1:], truth(gy, (0,))


def long_distances(kind):
    x = values(kind, (1, 1, MILLIONS))
    return kernels.l1_distances(x, np.zeros_like(x)), truth(abs(x), (2,)).reshape(1, 1, 1)


def long_steps(kind):
    u = values(kind, (1, 1, MILLIONS))
    return kernels.l1_distances_along(u, np.ones_like(u), np.zeros_like(u)), truth(u, (2,)).reshape(1, 1, 1)


def gradient_of_many_points(kind):
    gy = values(kind, (1, 1, MILLIONS))
    x, y = np.ones((1, 1, 1), np.float32), np.zeros((1, MILLIONS, 1), np.float32)
    return kernels.l1_distances_backward(gy, x, y), truth(gy, (2,)).reshape(1, 1, 1)


def discriminator_loss(kind):
    x = values(kind, (MILLIONS,))
    right = np.logaddexp(0, x.astype(np.float64)).sum() - 0.5 * x.sum(dtype=np.float64)
    return kernels.bce_with_logits(x, 0.5, 1 / MILLIONS), right / MILLIONS


OPS = {
    "sums": lambda kind: (
        kernels.sums(x := values(kind, (MILLIONS // 3, 3)), (0,)),
        truth(x, (0,)),
    ),
    "sum_to": lambda kind: (
        kernels.sum_to(x := values(kind, (1, 3, 2581, 2583), (0, 2, 3, 1)), (3, 1, 1)),
        truth(x, (0, 2, 3)),
    ),
    "channel_sums": lambda kind: (
        kernels.channel_sums(x := values(kind, (1, 3, 2581, 2583), (0, 2, 3, 1))),
        truth(x, (0, 2, 3)).reshape(-1),
    ),
    "row_norms": lambda kind: (
        kernels.row_norms(x := values(kind, (1, MILLIONS)), 0.0),
        np.sqrt((x.astype(np.float64) ** 2).sum(axis=1)),
    ),
    "softmax": sigmoid_sum,
    "normalize columns": column_statistics,
    "normalize rows": row_statistics,
    "normalize rows, weights": row_weights,
    "avg_pool2d": largest_window,
    "avg_pool2d_input": overlapping_windows,
    "pixels_scatter": one_pixel,
    "embedding_weight": one_row_of_a_table,
    "bce_with_logits": discriminator_loss,
    "l1_distances": long_distances,
    "l1_distances_along": long_steps,
    "l1_distances_backward": gradient_of_many_points,
}


@slow
@pytest.mark.parametrize("engine", ["reference", "cpu"])
@each_kind
@pytest.mark.parametrize("op", OPS)
def test_kernels_add_up_millions(op, kind, engine):
    with kernels.engine(engine):
        found, right = OPS[op](kind)
    assert found.dtype == np.float32
    assert error(found, right) <= 1e-6


@slow
@pytest.mark.parametrize("engine", ["reference", "cpu"])
@pytest.mark.parametrize("kind", ["ones", "random"])
def test_products_over_millions(kind, engine):
    """Whose sums of 256 products are made in registers, one after the other, as everywhere."""
    a, b = values(kind, (2, MILLIONS // 2)), values(kind, (MILLIONS // 2, 3))
    with kernels.engine(engine):
        assert error(kernels.matmul(a, b), a.astype(np.float64) @ b.astype(np.float64)) <= 1e-6


@slow
@pytest.mark.parametrize("kind", ["ones", "random"])
@pytest.mark.parametrize("algorithm", ["direct", "im2col", "winograd"])
@pytest.mark.parametrize(("images", "size", "channels"), [(1, (1001, 2002), 1), (60, (201, 171), 3)])
def test_weight_gradients_over_millions_of_pixels(images, size, channels, algorithm, kind):
    """Winograd's transforms lose more, by themselves: see its file."""
    x = values(kind, (images, channels, *size), (0, 2, 3, 1))
    gy = values(kind, (images, 32, size[0] - 1, size[1] - 1), (0, 2, 3, 1))
    with kernels.conv_algorithm(algorithm):
        gw = kernels.conv2d_weight(x, gy, (2, 2), (1, 1), (0, 0), (1, 1), 1)
    pixels, gradients = (a.transpose(0, 2, 3, 1).astype(np.float64) for a in (x, gy))
    right = gradients.reshape(-1, 32).T @ pixels[:, :-1, 1:].reshape(-1, channels)
    assert error(gw[:, :, 0, 1], right) <= (1e-5 if algorithm == "winograd" else 1e-6)


# What users saw


@slow
def test_the_mean_of_millions_of_ones_is_one():
    assert F.mean(Tensor(np.ones((MILLIONS, 1), np.float32)), 0).item() == 1


@slow
def test_the_variance_of_60_000_pictures_pixel_by_pixel():
    x = np.random.default_rng(0).integers(0, 256, (60_000, 300), dtype=np.uint8).astype(np.float32) / 255
    assert error(F.var(Tensor(x), 0, correction=0).numpy(), variance(x)) <= 1e-6


def test_the_channels_of_one_large_picture_and_the_gradient_of_their_scale():
    x = np.random.default_rng(0).random((1, 1500, 1500, 3), dtype=np.float32).transpose(0, 3, 1, 2)
    right = x.mean(axis=(0, 2, 3), dtype=np.float64)
    assert error(F.mean(Tensor(x), (0, 2, 3)).numpy(), right) <= 1e-6
    scale = Tensor(np.ones((3, 1, 1), np.float32), requires_grad=True)
    (found,) = grad((Tensor(x) * scale).sum(), scale)
    assert error(found.numpy().reshape(3), right * 1500**2) <= 1e-6


@slow
def test_equal_entries_share_the_gradient_of_a_maximum():
    x = Tensor(np.ones((MILLIONS, 1), np.float32), requires_grad=True)
    (found,) = grad(F.max(x, 0).sum(), x)
    assert found.numpy()[0, 0] == np.float32(1 / MILLIONS)


def test_picking_one_entry_many_times_adds_up():
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    (found,) = grad((x[np.zeros(1_000_000, np.int64)] * 0.1).sum(), x)
    assert error(found.numpy()[:1], np.float32(0.1) * 1e6) <= 1e-6


# The GPU's kernels, as far as they can be run here


SIMULATED = {
    "sums": lambda x: kernels.sums(x, (0,)),
    "rows": lambda x: kernels.sums(x.T, (1,)),
    "row_norms": lambda x: kernels.row_norms(np.sqrt(x).T, 0.0) ** 2,
    "channel_sums": kernels.channel_sums,
    "bias": lambda x: kernels.bias_leaky_relu_backward(x, x, 0.2)[1],
    "normalize": lambda x: kernels.normalize(x, None, None, (0,), 1e-5)[1] * len(x),
    "embedding_weight": lambda x: kernels.embedding_weight(x, np.zeros(len(x), np.int64), 1),
    "avg_pool2d": lambda x: (
        kernels.avg_pool2d(x.reshape(1, 1, 1000, -1), (1000, len(x) // 1000), (1, 1), (0, 0)) * len(x)
    ),
    "pixels_scatter": lambda x: kernels.pixels_scatter(
        x.reshape(1, 1, 1000, -1), np.zeros((1, 1, 1000, len(x) // 1000), np.int64), (1, 1)
    ),
    "l1_distances": lambda x: kernels.l1_distances(x.reshape(1, 1, -1), np.zeros((1, 1, len(x)), np.float32)),
    "l1_distances_along": lambda x: kernels.l1_distances_along(
        *(x.reshape(1, 1, -1), np.ones((1, 1, len(x)), np.float32), np.zeros((1, 1, len(x)), np.float32))
    ),
    "l1_distances_backward": lambda x: kernels.l1_distances_backward(
        *(x.reshape(1, 1, -1), np.ones((1, 1, 1), np.float32), np.zeros((1, len(x), 1), np.float32))
    ),
    "softmax": lambda x: 1 / kernels.softmax(np.log(x), 0)[0] * x[0],
}


@slow
@pytest.mark.skipif(bool(engine_missing("cuda-emulated")), reason=str(engine_missing("cuda-emulated")))
@pytest.mark.parametrize("op", SIMULATED)
def test_emulated_kernels_add_up_all_that_they_are_given(op):
    x = values("tenths", (300_000, 1))
    with kernels.engine("cuda-emulated"):
        found = SIMULATED[op](x)
    assert error(found, truth(x, (0,))) <= 1.1e-6  # a rounding more, of what this test does to it
