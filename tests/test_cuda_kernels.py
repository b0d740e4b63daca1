"""What the suite of engines does not ask of the CUDA kernels: chunks, few launches, no copies, counters in
arrays, and what they make of bad input. On the emulator."""

from unittest import mock

import fake_cupy
import numpy as np
import pytest

import minigan_kernels as kernels
from minigan import Generator, Tensor, grad, nn, optim
from minigan import functional as F
from minigan.testing import assert_close
from minigan.testing.layouts import LAYOUTS
from minigan_kernels import cuda, engine_missing, reference
from minigan_kernels.cuda import norm, pool
from minigan_kernels.cuda.columns import columns_of, grid
from minigan_kernels.cuda.emulator import order
from minigan_kernels.cuda.launch import Source
from minigan_kernels.cuda.layout import by_stride, in_order, inverse, order_of
from minigan_kernels.engines import kernels_in

pytestmark = [
    pytest.mark.slow,  # each file of kernels is compiled by g++
    pytest.mark.skipif(bool(engine_missing("cuda-emulated")), reason=str(engine_missing("cuda-emulated"))),
]


def normals(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def channels_last(a):
    return LAYOUTS["channels last"](a, 0)


def wide(*arrays):
    return [a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in arrays]


# Columns in chunks

CHUNKED = {  # shape, axes, and the axes of the weights
    "a table": ((20_011, 3), (0,), (1,)),
    "a wide table": ((5_000, 33), (0,), (1,)),  # more chunks than threads a column
    "a column": ((20_000, 1), (0,), (1,)),
    "rows": ((2, 30_001), (1,), (1,)),
    "instances": ((2, 9_000, 3), (1,), (2,)),
    "instances, rows first": ((2, 3, 20_000), (2,), (1,)),
    "images": ((2, 3, 111, 97), (0, 2, 3), (1,)),
}


@pytest.mark.parametrize(("shape", "axes", "weights"), CHUNKED.values(), ids=CHUNKED)
def test_rows_that_are_cut_into_chunks_are_put_together_again(shape, axes, weights):
    x, gy = normals(*shape) + 100, normals(*shape, seed=1)
    if len(shape) == 4:
        x, gy = channels_last(x), channels_last(gy)
    assert columns_of(x, axes).grid(chunked=True).chunks > 1
    w, b = (normals(*(n if i in weights else 1 for i, n in enumerate(shape)), seed=s) for s in (2, 3))
    found = cuda.normalize(x, w, b, axes, 1e-5)
    expected = reference.normalize(*wide(x, w, b), axes, 1e-5)
    for a, e, bound in zip(found, expected, (1e-4, 1e-6, 1e-5), strict=True):
        assert_close(a, e, rtol=bound, atol=bound)
    found = cuda.normalize_backward(gy, x, w, b, *found[1:], axes, 1e-5)
    expected = reference.normalize_backward(*wide(gy, x, w, b), *expected[1:], axes, 1e-5)
    for a, e in zip(found, expected, strict=True):
        assert_close(a, e, rtol=1e-4, atol=1e-5 * np.abs(e).max())
    sums = cuda.sums(x, axes)
    assert_close(sums, reference.sums(x.astype(np.float64), axes), rtol=1e-6)
    with order("shuffled", seed=1):
        np.testing.assert_array_equal(cuda.sums(x, axes), sums)


@pytest.mark.parametrize(("shape", "axes", "weights"), CHUNKED.values(), ids=CHUNKED)
def test_an_activation_in_the_launches_of_chunks_changes_no_bit(shape, axes, weights):
    x, gy = normals(*shape), normals(*shape, seed=1)
    if len(shape) == 4:
        x, gy = channels_last(x), channels_last(gy)
    w, b = (normals(*(n if i in weights else 1 for i, n in enumerate(shape)), seed=s) for s in (2, 3))
    y, *statistics = cuda.normalize(x, w, b, axes, 1e-5, 0.2)
    np.testing.assert_array_equal(y, cuda.leaky_relu(cuda.normalize(x, w, b, axes, 1e-5)[0], 0.2))
    g = cuda.leaky_relu_backward(gy, y, 0.2)
    together = cuda.normalize_backward(gy, x, w, b, *statistics, axes, 1e-5, 0.2)
    apart = cuda.normalize_backward(g, x, w, b, *statistics, axes, 1e-5)
    together += cuda.bias_leaky_relu_backward(gy, y, 0.2)
    for a, e in zip(together, (*apart, g, cuda.channel_sums(g)), strict=True):
        np.testing.assert_array_equal(a, e)


@pytest.mark.parametrize(("shape", "axes", "weights"), CHUNKED.values(), ids=CHUNKED)
def test_so_are_those_of_the_second_derivative(shape, axes, weights):
    ggx, gy, x = (normals(*shape, seed=seed) + mean for seed, mean in ((0, 0.5), (1, -1), (2, 10)))
    if len(shape) == 4:
        ggx, gy, x = channels_last(ggx), channels_last(gy), channels_last(x)
    w = normals(*(n if i in weights else 1 for i, n in enumerate(shape)), seed=3)
    arrays = ggx, gy, x, w, *reference.normalize(x, None, None, axes, 1e-5)[1:]
    expected = reference.normalize_double_backward(*wide(*arrays), axes, 1e-5)
    found = cuda.normalize_double_backward(*arrays, axes, 1e-5)
    for a, e in zip(found, expected, strict=True):
        assert_close(a, e, rtol=1e-4, atol=1e-5 * np.abs(e).max())
    with order("shuffled", seed=1):
        again = cuda.normalize_double_backward(*arrays, axes, 1e-5)
    for a, b in zip(again, found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_large_mean_does_not_spoil_the_variance():
    x = 1e4 + normals(20_000, 1)
    _, _, var = cuda.normalize(x, None, None, (0,), 0.0)
    assert_close(var, x.astype(np.float64).var(0, keepdims=True), rtol=1e-3)


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("which", range(5))
def test_what_is_not_finite_comes_out_of_a_norm_as_from_reference(which, value):
    x, gy, w = normals(4, 3, 5), normals(4, 3, 5, seed=1), normals(1, 3, 1, seed=2)
    arrays = [gy, x, w, *reference.normalize(x, w, None, (0, 2), 1e-5)[1:]]
    arrays[which].reshape(-1)[1] = value
    gy, x, w, mean, var = arrays
    with np.errstate(all="ignore"):
        expected = reference.normalize_backward(gy, x, w, None, mean, var, (0, 2), 1e-5)[:2]
        expected = [*expected, *reference.normalize(x, w, None, (0, 2), 1e-5)]
    found = cuda.normalize_backward(gy, x, w, None, mean, var, (0, 2), 1e-5)[:2]
    found = [*found, *cuda.normalize(x, w, None, (0, 2), 1e-5)]
    for a, b in zip(found, expected, strict=True):
        for kind in (np.isnan, np.isposinf, np.isneginf):
            np.testing.assert_array_equal(kind(a), kind(b))


@pytest.mark.parametrize(
    ("S", "R", "C"), [(1, 1, 1), (1, 10**7, 64), (128, 1024, 512), (10**6, 3, 1), (7, 10**6, 1), (1, 64, 5)]
)
@pytest.mark.parametrize("chunked", [True, False])
def test_a_grid_is_one_that_the_kernels_can_take(S, R, C, chunked):
    plan = grid(S, R, C, chunked)
    assert plan.wide * plan.deep <= plan.threads <= 512
    assert plan.threads % 32 == 0
    tiles = S * -(-C // plan.wide) if C > 1 else -(-S // plan.wide)
    assert plan.blocks == tiles * plan.chunks
    assert 1 <= plan.chunks <= (R if chunked else 1)


# Launches and copies

SETS = normals(3, 4, 4)
X, TABLE, LABELS = channels_last(normals(4, 5, 6, 6)), normals(6, 7), np.array([0, 6, 3, 1, 1, 2])
W = normals(1, 5, 1, 1)
MEAN, VAR = X.mean((0, 2, 3), keepdims=True), X.var((0, 2, 3), keepdims=True)
Y, INDEX = reference.max_pool2d(X, (2, 2), (2, 2), (0, 0))
WINDOW = (2, 2), (2, 2), (0, 0)
ONCE = {
    "add_bias": (X.copy(order="K"), W.reshape(-1), 0.2),
    "avg_pool2d": (X, *WINDOW),
    "avg_pool2d_input": (channels_last(Y), (6, 6), *WINDOW),
    "bce_with_logits": (X, 1.0, 0.5),
    "bce_with_logits_backward": (np.ones((), np.float32), X, 1.0, 0.5),
    "bias_leaky_relu_backward": (X, X, 0.2),
    "channel_sums": (X,),
    "cross_entropy": (TABLE, LABELS),
    "cross_entropy_backward": (normals(6), TABLE, LABELS),
    "embedding_weight": (TABLE, LABELS, 8),
    "l1_distances": (SETS, SETS),
    "l1_distances_along": (SETS, SETS, SETS),
    "l1_distances_backward": (SETS, SETS, SETS),
    "leaky_relu": (X, 0.2),
    "leaky_relu_backward": (X, X, 0.2),
    "log_softmax": (X, 1),
    "log_softmax_backward": (X, X, 1),
    "max_pool2d": (X, *WINDOW),
    "normalize": (X, W, W, (0, 2, 3), 1e-5, 0.2),
    "normalize_backward": (X, X, W, W, MEAN, VAR, (0, 2, 3), 1e-5, 0.2),
    "normalize_double_backward": (X, X, X, W, MEAN, VAR, (0, 2, 3), 1e-5),
    "pixels_gather": (X, channels_last(INDEX)),
    "pixels_scatter": (channels_last(Y), channels_last(INDEX), (6, 6), WINDOW),
    "row_norms": (X, 0.1),
    "row_norms_backward": (normals(4), X, normals(4)),
    "sigmoid": (X,),
    "softmax": (X, 1),
    "softmax_backward": (X, X, 1),
    "sums": (X, (0, 2, 3)),
    "tanh_backward": (X, X),
    "upsample2d": (X, (2, 2)),
    "upsample2d_input": (X, (2, 2)),
}


@pytest.mark.parametrize("name", ONCE)
def test_channels_last_images_take_one_launch_and_no_copy(name):
    with (
        mock.patch.object(Source, "launch", autospec=True, side_effect=Source.launch) as launch,
        mock.patch("minigan_kernels.cuda.layout.array_module", return_value=NoCopies),
    ):
        getattr(cuda, name)(*ONCE[name])
    assert launch.call_count == 1


SECOND = {  # shape, axes, the axes of the weights, and the launches that it takes
    "batch": ((4, 5, 6, 6), (0, 2, 3), (1,), 1),
    "instance, without weights": ((4, 5, 6, 6), (2, 3), None, 1),
    "instance": ((4, 5, 6, 6), (2, 3), (1,), 2),  # its weights are those of all instances
    "instance, in chunks": ((2, 3, 111, 97), (2, 3), (1,), 3),
    "layer": ((6, 40), (1,), (1,), 2),
    "layer, of images": ((4, 5, 6, 6), (1, 2, 3), (1, 2, 3), 2),
    "layer, of many rows": ((6_000, 3), (1,), (1,), 3),
}


@pytest.mark.parametrize(("shape", "axes", "weights", "launches"), SECOND.values(), ids=SECOND)
def test_the_second_derivative_of_a_norm_takes_few_launches(shape, axes, weights, launches):
    ggx, gy, x = (normals(*shape, seed=seed) for seed in range(3))
    if len(shape) == 4:
        ggx, gy, x = (channels_last(a) for a in (ggx, gy, x))
    w = None
    if weights:
        w = normals(*(n if i in weights else 1 for i, n in enumerate(shape)), seed=3)
    arrays = ggx, gy, x, w, *reference.normalize(x, None, None, axes, 1e-5)[1:]
    expected = reference.normalize_double_backward(*wide(*arrays), axes, 1e-5)
    with (
        mock.patch.object(Source, "launch", autospec=True, side_effect=Source.launch) as launch,
        mock.patch.object(norm.reference, "normalize_double_backward", side_effect=AssertionError),
    ):
        found = cuda.normalize_double_backward(*arrays, axes, 1e-5)
    assert launch.call_count == launches
    for a, e in zip(found, expected, strict=True):
        assert (a is None) == (e is None)
        if a is not None:
            assert_close(a, e, rtol=1e-4, atol=1e-5 * np.abs(e).max())


class NoCopies:
    """NumPy as far as layouts need it, without a copy."""

    empty = staticmethod(np.empty)

    @staticmethod
    def ascontiguousarray(a):
        assert a.flags.c_contiguous, f"a copy of {a.shape}"
        return a


@pytest.mark.parametrize("name", sorted({"contiguous", "transposed", "channels last"}))
def test_dense_arrays_are_taken_as_they_lie(name):
    x = LAYOUTS[name](normals(2, 3, 4, 5), 0)
    assert np.shares_memory(in_order(x, order_of(x)), x)
    y = cuda.leaky_relu(x, 0.2)
    assert y.strides == x.strides


def test_an_array_that_is_not_aligned_gives_the_same():
    room = normals(4 * 25 + 1)
    x = room[1:]
    np.testing.assert_array_equal(cuda.leaky_relu(x, 0.2), cuda.leaky_relu(x.copy(), 0.2))


def test_large_and_small_images_are_pooled_by_the_same_code():
    args = channels_last(normals(2, 5, 9, 8)), (3, 2), (2, 1), (1, 1)
    narrow = cuda.max_pool2d(*args)
    with mock.patch.object(pool, "MOST_NARROW", 0):
        for a, b in zip(cuda.max_pool2d(*args), narrow, strict=True):
            np.testing.assert_array_equal(a, b)


# CuPy's arrays, of the stand-in: its rules are kept, and nothing is copied to or from the host

RATE = np.array([0.1])
STEP = tuple(normals(4, 9)), np.array([3]), (RATE, 0.5, 0.9, 1e-8, 0.1)
ON_GPU = {
    **ONCE,
    "adam": (*np.abs(STEP[0]), STEP[1], *STEP[2]),
    "move_statistics": (*np.abs(normals(2, 5)), MEAN, VAR, 0.1, 1.25),
    "normal": (5, np.array([2**40], np.uint64), 7, np.float32),
    "philox": (5, np.array([2**40], np.uint64), 7),
    "rmsprop": (*np.abs(normals(3, 9)), RATE, 0.99, 1e-8, 0.1),
    "sgd": (*normals(3, 9), RATE, 0.9, 0.0, 0.1, True, False),
    "uniform": (5, np.array([2**40], np.uint64), 7, np.float32),
}
DRAWN = {"normal", "philox", "uniform"}
PRODUCTS = {"conv2d", "conv2d_input", "conv2d_weight", "linear", "matmul"}  # see test_cuda_products.py


def test_every_kernel_is_tried_on_arrays_of_cupy():
    assert set(ON_GPU) == kernels_in(cuda).keys() - PRODUCTS


@pytest.mark.parametrize(
    "lie", [by_stride, lambda a: tuple(range(a.ndim))], ids=["channels last", "rows first"]
)
@pytest.mark.parametrize("name", ON_GPU)
def test_a_kernel_can_be_captured_on_arrays_of_cupy(name, lie, monkeypatch):
    """Launches are done by the emulator, when the graph is replayed."""
    given = [a.copy(order="K") if isinstance(a, np.ndarray) else a for a in ON_GPU[name]]
    expected = arrays_of(getattr(cuda, name)(*given), given)

    cupy = fake_cupy.install(monkeypatch)
    monkeypatch.setattr(Source, "_on_gpu", recorded)
    given = [put(cupy, a, lie(a)) if isinstance(a, np.ndarray) else a for a in ON_GPU[name]]
    with cupy.cuda.Stream(non_blocking=True) as stream:
        stream.begin_capture()
        made = getattr(cuda, name)(*given, **({"xp": cupy} if name in DRAWN else {}))
        graph = stream.end_capture()
    graph.launch()
    for found, right in zip(arrays_of(made, given), expected, strict=True):
        assert_close(found.get(), right, rtol=1e-6, atol=1e-6)


def put(cupy, a, order):
    """The array on the stand-in's GPU, dense in that order of memory."""
    return cupy.asarray(a.transpose(order).copy(order="C")).transpose(inverse(order))


def recorded(source, cupy, kernel, grid, block, args, shared):
    """In the place of `Source._on_gpu`."""
    args = [a._a if isinstance(a, cupy.ndarray) else a for a in args]
    fake_cupy.state.capture.append(lambda: source._emulated.launch(kernel, grid, block, args, shared))


def arrays_of(made, given):
    """What a kernel has made or may have changed."""
    made = made if isinstance(made, tuple) else (made,)
    return [a for a in (*made, *given) if isinstance(a, np.ndarray | fake_cupy.ndarray)]


# Random numbers


@pytest.mark.parametrize("n", [0, 1, 4, 7, 1001])
@pytest.mark.parametrize(("key", "counter"), [(0, 0), (2**64 - 1, 3), (5, 2**64 - 1), (2**33 + 1, 2**40)])
def test_random_numbers_are_those_of_reference(key, counter, n):
    for known in (counter, np.array([counter], np.uint64)):
        with kernels.engine("cuda-emulated"):
            words = kernels.philox(key, known, n)
            u = kernels.uniform(key, known, n, np.float32)
            z = kernels.normal(key, known, n, np.float32)
            z64 = kernels.normal(key, counter, n, np.float64)
        assert (words.dtype, u.dtype, z.dtype, z64.dtype) == (np.uint32, *[np.float32] * 2, np.float64)
        np.testing.assert_array_equal(words, reference.philox(key, counter, n))
        np.testing.assert_array_equal(u, reference.uniform(key, counter, n, np.float32))
        np.testing.assert_array_max_ulp(z, reference.normal(key, counter, n, np.float32), 1)
        np.testing.assert_array_equal(z64, reference.normal(key, counter, n, np.float64))


def test_a_counter_of_another_kind_is_refused():
    with pytest.raises(TypeError, match="one uint64"):
        cuda.philox(0, np.array([1, 2], np.uint64), 4)
    with pytest.raises(TypeError, match="one int64"):
        cuda.adam(*(normals(3) for _ in range(4)), np.array([1.0]), 0.1, 0.5, 0.9, 1e-8, 0.0)
    with pytest.raises(TypeError, match="sgd: a rate in an array is one float64, got 1 float32"):
        cuda.sgd(normals(3), normals(3), None, np.array([0.1], np.float32), 0, 0, 0, False, True)


def test_adam_counts_in_an_array_as_with_an_integer():
    p, g, m, v = normals(4, 101)
    v = v * v
    for step in (1, 7, 100_000):
        known, counted = [a.copy() for a in (p, m, v)], [a.copy() for a in (p, m, v)]
        for arrays, t in ((known, step), (counted, np.array([step]))):
            cuda.adam(arrays[0], g, *arrays[1:], t, 1e-3, 0.5, 0.999, 1e-8, 0.1)
        np.testing.assert_array_equal(known, counted)


@pytest.mark.parametrize("lr", [1e-3, 0.1, 1 / 3])
def test_a_rate_in_an_array_gives_the_bits_of_the_number(lr):
    p, g, m, v = normals(4, 101)
    steps = {
        "sgd": (cuda.sgd, (), lambda lr: (None, lr, 0.0, 0.0, 0.1, False, False)),
        "momentum": (cuda.sgd, (m,), lambda lr: (lr, 0.9, 0.0, 0.1, True, False)),
        "rmsprop": (cuda.rmsprop, (v * v,), lambda lr: (lr, 0.9, 1e-8, 0.1)),
        "adam": (cuda.adam, (m, v * v), lambda lr: (7, lr, 0.5, 0.999, 1e-8, 0.1)),
    }
    for name, (step, state, settings) in steps.items():
        known, held = ([a.copy() for a in (p, *state)] for _ in range(2))
        for arrays, rate in ((known, lr), (held, np.array([lr]))):
            step(arrays[0], g, *arrays[1:], *settings(rate))
        np.testing.assert_array_equal(known, held, err_msg=name)


# Bad input


def test_positions_and_labels_out_of_range_read_no_memory_and_give_nan():
    x, index = normals(1, 1, 2, 2), np.array([[[[0, 4, -1]]]])
    assert np.isnan(cuda.pixels_gather(x, index)).tolist() == [[[[False, True, True]]]]
    assert np.isnan(cuda.pixels_scatter(normals(1, 1, 1, 3), index, (2, 2))).any()
    labels = np.array([0, 7, -1, 1, 1, 1])
    assert np.isnan(cuda.cross_entropy(TABLE, labels)).tolist() == [False, True, True, False, False, False]
    found = np.isnan(cuda.cross_entropy_backward(normals(6), TABLE, labels)).all(1)
    assert found.tolist() == [False, True, True, False, False, False]
    assert not np.isnan(cuda.embedding_weight(TABLE, labels, 3)).any()


ROW = np.ones((2, 1, 7), np.float32)


def second(ggx, gy, x, mean=None, var=None):
    mean, var = (one if a is None else a for one, a in zip(ROW, (mean, var), strict=True))
    return cuda.normalize_double_backward(ggx, gy, x, None, mean, var, (0,), 1e-5)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: cuda.add_bias(normals(2, 3), normals(2)), "b has shape"),
        (lambda: cuda.leaky_relu_backward(normals(2, 3), normals(3, 2), 0.2), "shapes .* differ"),
        (lambda: cuda.bce_with_logits(normals(2), normals(3), 1.0), "target"),
        (lambda: cuda.bce_with_logits_backward(normals(2), normals(2), 1.0, 1.0), "one value"),
        (lambda: cuda.cross_entropy(TABLE, LABELS[:2]), "labels of shape"),
        (lambda: cuda.embedding_weight(TABLE, LABELS[:2], 8), "index"),
        (lambda: second(normals(3), TABLE, TABLE), r"double_backward: .* shape \(3,\) where \(6, 7\)"),
        (lambda: second(TABLE, normals(6, 6), TABLE), r"shape \(6, 6\) where \(6, 7\)"),
        (lambda: second(TABLE, TABLE, TABLE, normals(6, 7)), r"shape \(6, 7\) where \(1, 7\)"),
        (lambda: second(TABLE, TABLE, TABLE, None, normals(7)), r"shape \(7,\) where \(1, 7\)"),
        (
            lambda: cuda.normalize_backward(normals(7), TABLE, None, None, *ROW, (0,), 1e-5),
            r"normalize_backward: .* shape \(7,\)",
        ),
        (lambda: cuda.pixels_gather(normals(1, 2, 3, 3), np.zeros((1, 1, 2, 2), int)), "index has shape"),
        (lambda: cuda.sgd(normals(6)[::2], normals(3), None, 0.1, 0, 0, 0, False, True), "contiguous"),
        (lambda: kernels.upsample2d_input(normals(1, 1, 3, 4), (2, 2)), "no multiple"),
    ],
)
def test_what_does_not_fit_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_other_floats_are_refused():
    x = normals(2, 3)
    for call in (
        lambda: cuda.leaky_relu_backward(x, x.astype(np.float64), 0.2),
        lambda: cuda.softmax_backward(x.astype(np.float64), x, 1),
        lambda: cuda.embedding_weight(x.astype(np.float16), np.array([0, 1]), 2),
        lambda: cuda.normalize_backward(x, x, None, None, np.ones((1, 3)), np.ones((1, 3)), (0,), 1e-5),
        lambda: second(TABLE.astype(np.float64), TABLE, TABLE),
    ):
        with pytest.raises(TypeError, match="float32, but an array"):
            call()


# All together


def critic_of_vectors(g):
    return (5, 6), nn.Sequential(
        *(nn.Linear(6, 8, generator=g), nn.LayerNorm(8), nn.LeakyReLU(0.2)),
        *(nn.Linear(8, 3, generator=g),),
    )


def critic_of_images(g):
    return (5, 2, 6, 6), nn.Sequential(
        *(nn.Conv2d(2, 4, 3, padding=1, generator=g), nn.InstanceNorm2d(4, affine=True), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(4, 3, 3, stride=2, generator=g), nn.LayerNorm((3, 2, 2)), nn.LeakyReLU(0.2)),
        *(nn.Flatten(), nn.Linear(12, 3, generator=g)),
    )


@pytest.mark.parametrize("critic", [critic_of_vectors, critic_of_images])
def test_a_gradient_penalty_is_the_same_on_the_emulated_engine(critic):
    """Two steps of a small critic, by double backward."""

    def train(engine):
        with kernels.engine(engine):
            g = Generator(0)
            shape, net = critic(g)
            opt = optim.Adam(net.parameters(), lr=1e-2)
            x, losses = g.normal(shape), []
            for _ in range(2):
                leaf = Tensor(x.copy(), requires_grad=True)
                loss = F.cross_entropy(net(leaf), [0, 1, 2, 1, 0])
                (gx,) = grad(loss, leaf, create_graph=True)
                total = loss + ((F.row_norms(gx, 1e-8) - 1.0) ** 2).mean()
                opt.step(grad(total, opt.params))
                losses.append(total.item())
        return losses

    expected = train("reference")
    names = {"normalize", "normalize_backward", "normalize_double_backward"}
    with (
        mock.patch.multiple(
            norm.reference, **{name: mock.Mock(side_effect=AssertionError) for name in names}
        ),
        mock.patch.object(Source, "launch", autospec=True, side_effect=Source.launch) as launch,
    ):
        found = train("cuda-emulated")
    assert names <= {call.args[1] for call in launch.call_args_list}
    assert_close(np.array(found), np.array(expected), rtol=1e-5)
