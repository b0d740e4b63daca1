"""Laws that differentiable ops obey whatever the numbers, and that need no finite differences."""

import copy
from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigan.functional as F
from minigan import Generator, Tensor, grad
from minigan.testing import assert_close
from minigan.testing import strategies as some

often = settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
factors = st.integers(-8, 8).map(lambda k: k / 4)


def close(found, expected, tolerance=1e-11):
    """Equal but for rounding, relative to the largest entry."""
    size = float(np.abs(expected.numpy() if isinstance(expected, Tensor) else expected).max(initial=0))
    assert_close(found, expected, atol=tolerance * max(size, 1))


def dot(a, b):
    return (a * b).sum()


def leaf(array):
    return Tensor(array, requires_grad=True)


def with_arrays(strategy, *shapes_of):
    """Draws of `strategy`, each with an array for each of the shapes that are functions of it."""
    return strategy.flatmap(
        lambda drawn: st.tuples(st.just(drawn), *(some.arrays(f(drawn)) for f in shapes_of))
    )


# Convolution

x_shape, w_shape, y_shape = (lambda g: g.x_shape), (lambda g: g.w_shape), (lambda g: g.y_shape)


@pytest.mark.slow
@often
@given(with_arrays(some.conv_geometries(), x_shape, w_shape, y_shape))
def test_the_convolutions_are_each_others_adjoints(drawn):
    geometry, *arrays = drawn
    x, w, g = map(Tensor, arrays)
    product = dot(F.conv2d(x, w, **geometry.kwargs), g)
    close(dot(x, F.conv_transpose2d(g, w, **geometry.transposed_kwargs)), product)
    close(dot(w, F.conv2d_weight(x, g, geometry.kernel_size, **geometry.kwargs)), product)


@pytest.mark.slow
@often
@given(with_arrays(some.conv_geometries(), x_shape, w_shape, y_shape))
def test_the_gradients_of_a_convolution_are_the_other_two(drawn):
    geometry, *arrays = drawn
    x, w, g = map(leaf, arrays)
    gx, gw = grad(F.conv2d(x, w, **geometry.kwargs), [x, w], g)
    close(gx, F.conv_transpose2d(g, w, **geometry.transposed_kwargs))
    close(gw, F.conv2d_weight(x, g, geometry.kernel_size, **geometry.kwargs))


@often
@given(some.arrays(st.tuples(*[st.integers(1, 4)] * 4)), st.integers(1, 3))
def test_convolutions_of_a_delta_show_the_kernel(w, dilation):
    O, C, KH, KW = w.shape
    stretched = np.zeros((O, C, dilation * (KH - 1) + 1, dilation * (KW - 1) + 1))
    stretched[:, :, ::dilation, ::dilation] = w
    border = stretched.shape[2] - 1, stretched.shape[3] - 1
    each_channel, each_filter = (Tensor(np.eye(n).reshape(n, n, 1, 1)) for n in (C, O))
    y = F.conv2d(each_channel, Tensor(w), padding=border, dilation=dilation)
    close(y, np.flip(stretched, (2, 3)).swapaxes(0, 1))
    close(F.conv_transpose2d(each_filter, Tensor(w), dilation=dilation), stretched)


@often
@given(some.arrays((2, 3, 4, 2)), some.arrays((5, 3)))
def test_a_1x1_convolution_is_a_matrix_product(x, w):
    y = F.conv2d(Tensor(x), Tensor(w[:, :, None, None]))
    close(y.reshape(2, 5, 8), Tensor(w) @ Tensor(x).reshape(2, 3, 8))


# Linear maps

LINEAR_MAPS = {}


def linear(f):
    """Enter a strategy for linear maps: the shape of what one takes, and the map."""
    LINEAR_MAPS[f.__name__] = st.composite(f)()
    return f


def images():
    return st.tuples(*(st.integers(1, n) for n in (2, 3, 6, 6)))


@linear
def conv2d_in_x(draw):
    g, w = draw(with_arrays(some.conv_geometries(), w_shape))
    return g.x_shape, partial(F.conv2d, w=Tensor(w), **g.kwargs)


@linear
def conv2d_in_w(draw):
    g, x = draw(with_arrays(some.conv_geometries(), x_shape))
    return g.w_shape, partial(F.conv2d, Tensor(x), **g.kwargs)


@linear
def conv_transpose2d_in_x(draw):
    g, w = draw(with_arrays(some.conv_geometries(), w_shape))
    return g.y_shape, partial(F.conv_transpose2d, w=Tensor(w), **g.transposed_kwargs)


@linear
def conv2d_weight_in_gy(draw):
    g, x = draw(with_arrays(some.conv_geometries(), x_shape))
    return g.y_shape, partial(F.conv2d_weight, Tensor(x), kernel_size=g.kernel_size, **g.kwargs)


def windows(draw, axes):
    """(the shape of x, that of w, the geometry) of a convolution over so many axes."""
    each = st.tuples(*[st.integers(1, 3)] * axes)
    kernel, stride, dilation = draw(each), draw(each), draw(each)
    padding = draw(st.tuples(*[st.integers(0, 2)] * axes))
    groups, (O, C, N) = draw(st.integers(1, 2)), draw(st.tuples(*[st.integers(1, 2)] * 3))
    size = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding, strict=True)]
    size = [n + draw(st.integers(0, 3)) for n in size]
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return (N, C * groups, *size), (O * groups, C, *kernel), geometry


@linear
def conv1d_in_x(draw):
    x, w, geometry = windows(draw, 1)
    return x, partial(F.conv1d, w=Tensor(draw(some.arrays(w))), **geometry)


@linear
def conv3d_in_x(draw):
    x, w, geometry = windows(draw, 3)
    return x, partial(F.conv3d, w=Tensor(draw(some.arrays(w))), **geometry)


@linear
def conv3d_in_w(draw):
    x, w, geometry = windows(draw, 3)
    return w, partial(F.conv3d, Tensor(draw(some.arrays(x))), **geometry)


@linear
def avg_pool2d(draw):
    g = draw(some.pool_geometries())
    return g.x_shape, partial(F.avg_pool2d, **g.kwargs)


@linear
def matmul(draw):
    lead, lead_of_b = draw(some.broadcastable_shapes(2, max_dims=2))
    M, K, N = draw(st.tuples(*[st.integers(1, 4)] * 3))
    return (*lead, M, K), partial(F.matmul, b=Tensor(draw(some.arrays((*lead_of_b, K, N)))))


@linear
def interpolate(draw):
    modes = [{"mode": "nearest"}, {"mode": "bilinear"}, {"mode": "bilinear", "align_corners": True}]
    size = draw(st.tuples(st.integers(1, 8), st.integers(1, 8)))
    return draw(images()), partial(F.interpolate, size=size, **draw(st.sampled_from(modes)))


@linear
def pixel_shuffle(draw):
    (N, C, H, W), r = draw(images()), draw(st.integers(1, 3))
    return (N, C * r * r, H, W), partial(F.pixel_shuffle, upscale_factor=r)


@linear
def index(draw):
    shape = draw(some.shapes(min_dims=1))
    by_integers = hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=5))
    return shape, partial(F.index, key=draw(by_integers | hnp.basic_indices(shape, allow_newaxis=True)))


@linear
def reductions(draw):
    shape = draw(some.shapes())
    settings = {"axis": draw(some.reduction_axes(len(shape))), "keepdims": draw(st.booleans())}
    return shape, partial(draw(st.sampled_from([F.sum, F.mean])), **settings)


@linear
def expand(draw):
    shape, other = draw(some.broadcastable_shapes(2))
    return shape, lambda x: F.expand(x, np.broadcast_shapes(shape, other))


@linear
def pad(draw):
    shape = draw(some.shapes(min_dims=1))
    pairs = draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=len(shape)))
    return shape, partial(F.pad, pad=[n for pair in pairs for n in pair])


@linear
def upfirdn2d(draw):
    shape, taps = draw(images()), draw(st.lists(factors, min_size=1, max_size=5))
    up, down = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    left, top = draw(st.tuples(*[st.integers(-1, 3)] * 2))
    right, bottom = max(0, len(taps) - left - shape[3] * up), max(0, len(taps) - top - shape[2] * up)
    padding = left, right, top, bottom
    return shape, partial(F.upfirdn2d, f=taps, up=up, down=down, padding=padding)


@linear
def pad_that_repeats(draw):
    mode = draw(st.sampled_from(["reflect", "replicate"]))
    shape = draw(st.tuples(*[st.integers(1, 5)] * 4))
    widths = [draw(st.integers(0, n - 1 if mode == "reflect" else 3)) for n in shape[::-1] for _ in range(2)]
    return shape, partial(F.pad, pad=widths[: draw(st.sampled_from([2, 4, 6]))], mode=mode)


@linear
def cumsum(draw):
    shape = draw(some.shapes(min_dims=1))
    return shape, partial(F.cumsum, axis=draw(st.integers(-len(shape), len(shape) - 1)))


@linear
def permute(draw):
    shape = draw(some.shapes())
    order = draw(st.permutations(range(len(shape))))
    return shape, lambda x: F.permute(x, order)


each_linear_map = pytest.mark.parametrize("maps", LINEAR_MAPS.values(), ids=LINEAR_MAPS)
some_linear_maps = settings(often, max_examples=25)


@pytest.mark.slow
@each_linear_map
def test_linear_maps_are_linear(maps):
    @some_linear_maps
    @given(maps, factors, factors, st.data())
    def check(drawn, a, b, data):
        shape, f = drawn
        x, y = (Tensor(data.draw(some.arrays(shape))) for _ in range(2))
        close(f(a * x + b * y), a * f(x) + b * f(y))

    check()


@each_linear_map
def test_the_gradient_of_a_linear_map_is_its_adjoint(maps):
    """⟨f(x), u⟩ = ⟨x, fᵀu⟩, and fᵀ's own gradient is f again."""

    @some_linear_maps
    @given(maps, st.data())
    def check(drawn, data):
        shape, f = drawn
        x = leaf(data.draw(some.arrays(shape)))
        y = f(x)
        u = leaf(data.draw(some.arrays(y.shape)))
        (adjoint,) = grad(y, [x], u, create_graph=True)
        assert adjoint.shape == shape
        close(dot(x, adjoint), dot(y, u))
        (again,) = grad(adjoint, [u], x.detach())
        close(again, y)

    check()


# Moves


@often
@given(with_arrays(some.broadcastable_shapes(2), lambda shapes: shapes[0]))
def test_sum_to_undoes_expand_up_to_a_count(drawn):
    (small, other), x = drawn
    large = np.broadcast_shapes(small, other)
    count = np.prod(large) / np.prod(small)
    close(Tensor(x).expand(large).sum_to(small), count * x)


@pytest.mark.slow
@often
@given(with_arrays(some.broadcastable_shapes(2), lambda shapes: shapes[0], lambda s: np.broadcast_shapes(*s)))
def test_sum_to_is_the_adjoint_of_expand(drawn):
    (small, _), x, u = drawn
    close(dot(Tensor(x).expand(u.shape), Tensor(u)), dot(Tensor(x), Tensor(u).sum_to(small)))


@often
@given(some.arrays(some.shapes(min_dims=1)), st.data())
def test_flipping_twice_changes_nothing(x, data):
    axis = data.draw(some.reduction_axes(x.ndim))
    np.testing.assert_array_equal(Tensor(x).flip(axis).flip(axis), x)


@often
@given(some.arrays((2, 3)), st.tuples(*[st.integers(0, 3)] * 4), factors)
def test_a_slice_takes_a_padding_off(x, widths, value):
    left, right, top, bottom = widths
    y = F.pad(Tensor(x), widths, value=value)
    assert y.shape == (2 + top + bottom, 3 + left + right)
    np.testing.assert_array_equal(y[top : top + 2, left : left + 3], x)
    close(y.sum(), x.sum() + value * (y.numel() - x.size))


@often
@given(some.distinct((2, 8, 2, 3)))
def test_pixel_shuffle_is_a_permutation(array):
    x = leaf(array)
    y = F.pixel_shuffle(x, 2)
    np.testing.assert_array_equal(np.sort(y.numpy(), axis=None), np.sort(array, axis=None))
    for i, j in np.ndindex(2, 2):  # of each four channels, the one that these pixels are made of
        np.testing.assert_array_equal(y.numpy()[:, :, i::2, j::2], array[:, 2 * i + j :: 4])
    (back,) = grad(y, [x], y)
    np.testing.assert_array_equal(back, array)


@often
@given(some.arrays(images()), st.tuples(st.integers(1, 8), st.integers(1, 8)), st.booleans())
def test_interpolation_makes_no_new_extremes(x, size, align_corners):
    for how in ({"mode": "nearest"}, {"mode": "bilinear", "align_corners": align_corners}):
        y = F.interpolate(Tensor(x), size, **how).numpy()
        assert (y <= x.max((2, 3), keepdims=True) + 1e-12).all()
        assert (y >= x.min((2, 3), keepdims=True) - 1e-12).all()
        np.testing.assert_array_equal(F.interpolate(Tensor(x), x.shape[2:], **how), x)


@often
@given(with_arrays(some.pool_geometries(), x_shape), factors)
def test_max_pooling_follows_a_shift_and_a_positive_scale(drawn, shift):
    geometry, x = drawn
    y = F.max_pool2d(Tensor(x), **geometry.kwargs)
    close(F.max_pool2d(Tensor(2 * x + shift), **geometry.kwargs), 2 * y + shift)


# Softmax

tables = some.arrays(some.shapes(min_dims=1, max_dims=3))


@often
@given(tables, st.integers(-1000, 1000))
def test_softmax_has_rows_of_sum_1_and_no_level(x, shift):
    y = F.softmax(Tensor(x))
    close(y.sum(-1), np.ones(x.shape[:-1]))
    close(F.softmax(Tensor(x + shift)), y)


@often
@given(tables)
def test_log_softmax_is_the_logarithm_of_softmax(array):
    x = Tensor(array)
    close(F.log_softmax(x), F.softmax(x).log())
    close(F.log_softmax(x), x - x.logsumexp(-1, keepdims=True))


@often
@given(tables)
def test_the_gradient_of_softmax_has_rows_of_sum_0(array):
    x = leaf(array)
    for f in (F.softmax, F.log_softmax):
        (gx,) = grad(dot(f(x), x.detach()), [x])
        close(gx.sum(-1), np.zeros(array.shape[:-1]))


# Norms

NORMS = {
    "batch": (F.batch_norm, (0, 2, 3)),
    "layer": (lambda x, eps: F.layer_norm(x, x.shape[1:], eps=eps), (1, 2, 3)),
    "instance": (F.instance_norm, (2, 3)),
}


@pytest.mark.slow
@pytest.mark.parametrize(("norm", "axes"), NORMS.values(), ids=NORMS)
def test_norms_see_neither_level_nor_scale(norm, axes):
    @often
    @given(some.arrays((3, 2, 2, 3)), some.arrays((3, 2, 1, 1)), some.positive((3, 2, 1, 1)))
    def check(x, level, scale):
        level, scale = (a.mean(tuple(set(axes) - {2, 3}), keepdims=True) for a in (level, scale))
        y = norm(Tensor(x), eps=1e-10)
        close(norm(Tensor(scale * x + level), eps=1e-10), y, 1e-6)
        close(y.mean(axes), np.zeros(y.mean(axes).shape), 1e-6)
        spread = y.var(axes, correction=0)
        close(spread * (spread - 1), np.zeros(spread.shape), 1e-6)  # 1, or 0 where x is constant

    check()


# Gradients

smooth_networks = partial(some.networks, activations=some.SMOOTH)
alone = smooth_networks(norms=["layer", "instance"])  # each image for itself
input_shape = lambda network: network.input_shape  # noqa: E731


def input_gradient(network, x, create_graph=False):
    """∇ₓ ½Σ network(x)², for an array x."""
    x = leaf(x)
    y = network(x)
    return grad(0.5 * dot(y, y), [x], create_graph=create_graph)[0]


@pytest.mark.slow
@often
@given(with_arrays(smooth_networks(), input_shape, input_shape))
def test_the_gradient_of_a_sum_is_the_sum_of_gradients(drawn):
    network, array, u = drawn
    x = leaf(array)
    first, second = network.module(x).sum(), dot((x * x).tanh(), Tensor(u))
    (whole,) = grad(first + second, [x])
    (a,), (b,) = grad(first, [x]), grad(second, [x])
    close(whole, a + b)
    (several,) = grad([first, second], [x])
    close(several, a + b)


@pytest.mark.slow
@often
@given(with_arrays(alone, input_shape), st.data())
def test_a_permutation_of_the_batch_permutes_the_gradients(drawn, data):
    network, x = drawn
    order = data.draw(st.permutations(range(len(x))))
    close(input_gradient(network.module, x[order]), input_gradient(network.module, x)[order])


@pytest.mark.slow
@often
@given(with_arrays(alone, input_shape))
def test_images_that_do_not_meet_have_gradients_of_their_own(drawn):
    network, x = drawn
    one_by_one = [input_gradient(network.module, x[i : i + 1]) for i in range(len(x))]
    close(input_gradient(network.module, x), F.concat(one_by_one))


@pytest.mark.slow
@often
@given(with_arrays(smooth_networks(), input_shape, input_shape))
def test_the_gradient_along_a_direction_is_the_difference_quotient(drawn):
    """Of weights and images together; the quotients at two steps are extrapolated (Richardson 1911)."""
    network, array, direction = drawn
    net = network.module
    x = leaf(array)
    leaves = [x, *net.parameters()]
    moves = [direction, *(np.cos(np.arange(p.numel())).reshape(p.shape) for p in net.parameters())]
    gradients = grad(net(x).tanh().sum(), leaves, allow_unused=True)
    slope = sum(dot(g.numpy(), v) for g, v in zip(gradients, moves, strict=True) if g is not None)

    def loss(step):
        moved = copy.deepcopy(net)
        for p, v in zip(moved.parameters(), moves[1:], strict=True):
            p.data = p.data + step * v
        return moved(Tensor(array + step * direction)).tanh().sum().item()

    coarse, fine = ((loss(h) - loss(-h)) / (2 * h) for h in (1e-4, 5e-5))
    close(slope, (4 * fine - coarse) / 3, 1e-7)


@pytest.mark.slow
@often
@given(with_arrays(some.networks(), input_shape))
def test_building_a_graph_of_the_gradient_does_not_change_it(drawn):
    network, x = drawn
    close(input_gradient(network.module, x, create_graph=True), input_gradient(network.module, x))


@pytest.mark.slow
@often
@given(with_arrays(some.networks(), input_shape))
def test_backward_and_grad_agree(drawn):
    network, array = drawn
    net, x = network.module, leaf(array)
    leaves = [x, *net.parameters()]
    y = net(x).tanh().sum()
    expected = grad(y, leaves, allow_unused=True)
    y.backward()
    for p, g in zip(leaves, expected, strict=True):
        assert (p.grad is None) == (g is None)
        if g is not None:
            close(p.grad, g)


@often
@given(with_arrays(smooth_networks(), input_shape))
@pytest.mark.slow
def test_float32_and_float64_agree(drawn):
    network, x = drawn
    single = copy.deepcopy(network.module).to(np.float32)
    found = input_gradient(single, x.astype(np.float32))
    assert found.dtype == np.float32
    close(found, input_gradient(network.module, x), 1e-4)


# Dropout


@often
@given(st.sampled_from([0.1, 0.25, 0.5, 0.9]), st.integers(0, 2**32))
def test_dropout_keeps_the_expectation(p, seed):
    n = 10_000
    x = leaf(np.ones(n))
    y = F.dropout(x, p, generator=Generator(seed))
    assert set(y.numpy()) <= {0, 1 / (1 - p)}
    assert abs(y.mean().item() - 1) < 6 * (p / (1 - p) / n) ** 0.5
    (gx,) = grad(y.sum(), [x])
    np.testing.assert_array_equal(gx, y.numpy())
