"""The hypothesis strategies: what they promise holds, what they name is reached, what fails is shrunk."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

import minigan.functional as F
from minigan import Tensor, grad
from minigan.testing import strategies as some
from minigan_kernels import out_size, transposed_size

pytestmark = pytest.mark.slow  # searches for examples by the thousand

moderate = settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
searching = settings(max_examples=5000, derandomize=True, database=None, phases=[Phase.generate])
shrinking = settings(searching, phases=[Phase.generate, Phase.shrink])


def some_of(strategy, condition):
    """An example that meets `condition`. NoSuchExample if there is none among many."""
    return find(strategy, condition, settings=searching)


def smallest(strategy, condition=lambda value: True):
    """The example that a failure under `condition` is shrunk to."""
    return find(strategy, condition, settings=shrinking)


# Arrays

DOMAINS = {
    "arrays": (some.arrays, lambda x: np.abs(x) <= 2),
    "positive": (some.positive, lambda x: (x >= 0.5) & (x <= 2)),
    "open_unit": (some.open_unit, lambda x: (x >= 0.1) & (x <= 0.9)),
    "away_from_zero": (some.away_from_zero, lambda x: (np.abs(x) >= 0.5) & (np.abs(x) <= 2)),
    "distinct": (some.distinct, lambda x: np.full(x.shape, np.unique(x).size == x.size)),
}
each_domain = pytest.mark.parametrize(("domain", "holds"), DOMAINS.values(), ids=DOMAINS)


@each_domain
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_lie_in_their_domain_and_off_the_kinks(domain, holds, dtype):
    @moderate
    @given(domain(dtype=dtype))
    def check(x):
        assert x.dtype == dtype
        assert holds(x).all()
        np.testing.assert_array_equal(8 * x % 2, 1)

    check()


@each_domain
def test_large_arrays_lie_in_the_domain_and_are_not_all_equal(domain, holds):
    shape = 7, 50
    x = some_of(domain(shape), lambda x: len(np.unique(x)) >= 4)
    assert x.shape == shape
    assert holds(x).all()


@given(some.arrays(5, offset=0.0625), some.arrays(5))
def test_arrays_of_two_offsets_have_no_value_in_common(a, b):
    assert not set(a) & set(b)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((2, 3), (2, 3)), (4, (4,)), (st.just((1, 2)), (1, 2)), (st.just(3), (3,)), ((), ()), ((0, 2), (0, 2))],
)
def test_a_shape_is_a_tuple_an_integer_or_a_strategy(shape, expected):
    assert smallest(some.arrays(shape)).shape == expected


def test_every_layout_keeps_its_promise():
    @moderate
    @given(st.sampled_from([name for name in some.LAYOUTS if name != "broadcast"]), st.data())
    def check(name, data):
        plain = np.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
        axis = data.draw(st.integers(0, 3))
        x = some.LAYOUTS[name](plain, axis)
        np.testing.assert_array_equal(x, plain)
        normal, step = plain.strides, plain.itemsize
        promised = {
            "contiguous": normal,
            "transposed": (step, 2 * step, 6 * step, 24 * step),
            "channels last": (60 * step, step, 15 * step, 3 * step),
            "reversed": tuple(-s if a == axis else s for a, s in enumerate(normal)),
            "every second": tuple(s * (1 + (a <= axis)) for a, s in enumerate(normal)),
        }
        assert x.strides == promised[name]

    check()


def test_a_broadcast_array_repeats_its_first_entries_and_is_read_only():
    x = some.LAYOUTS["broadcast"](np.arange(12.0).reshape(3, 4), 0)
    assert x.strides == (0, 8)
    assert not x.flags.writeable
    np.testing.assert_array_equal(x, [[0, 1, 2, 3]] * 3)


def test_the_gaps_of_a_sliced_array_are_not_numbers():
    x = some.LAYOUTS["every second"](np.ones((2, 3)), 1)
    np.testing.assert_array_equal(x.base, [[1, np.nan] * 3] * 2)


STRIDES = {
    "contiguous": lambda x: x.flags.c_contiguous,
    "transposed": lambda x: x.flags.f_contiguous,
    "channels last": lambda x: x.transpose(0, 2, 3, 1).flags.c_contiguous,
    "reversed": lambda x: min(x.strides) < 0,
    "every second": lambda x: x.base is not None and np.isnan(x.base).any(),
    "broadcast": lambda x: 0 in x.strides and not x.flags.writeable,
}


@pytest.mark.parametrize("name", some.LAYOUTS)
def test_layouts_are_chosen_by_name(name):
    @moderate
    @given(some.arrays((2, 3, 2, 3), layouts=name))
    def check(x):
        assert STRIDES[name](x)

    check()
    some_of(some.arrays((2, 3, 2, 3)), lambda x: x.std() > 0 and STRIDES[name](x))


@given(some.arrays((), layouts="channels last"), some.arrays((2, 3), layouts=["channels last", "broadcast"]))
def test_layouts_that_a_shape_cannot_have_are_passed_over(number, table):
    assert number.flags.c_contiguous
    assert 0 in table.strides


def test_bad_arguments_are_refused_when_they_are_given():
    with pytest.raises(ValueError, match=r"no 0\.125 \+ k/4 lies in \[0\.2, 0\.3\]"):
        some.arrays(3, low=0.2, high=0.3)
    with pytest.raises(ValueError, match=r"no odd multiple of 1/8 lies in \[0\.9, 1\]"):
        some.away_from_zero(3, least=0.9, most=1)
    with pytest.raises(ValueError, match=r"no layouts \['diagonal'\]; there are: contiguous, "):
        some.arrays(3, layouts=["diagonal", "reversed"])


@given(some.labels(6, 3))
def test_labels_are_integers_below_the_number_of_classes(labels):
    assert (labels.shape, labels.dtype) == ((6,), np.int64)
    assert set(labels.tolist()) <= {0, 1, 2}


# Shapes


@given(some.shapes(1, 3, 5))
def test_shapes_are_within_their_bounds(shape):
    assert 1 <= len(shape) <= 3
    assert all(1 <= n <= 5 for n in shape)


@given(some.broadcastable_shapes(3))
def test_broadcastable_shapes_broadcast(shapes):
    assert len(shapes) == 3
    np.broadcast_shapes(*shapes)


@given(st.integers(0, 4).flatmap(lambda n: st.tuples(st.just(n), some.reduction_axes(n))))
def test_reduction_axes_are_what_numpy_takes(drawn):
    ndim, axis = drawn
    np.zeros((2,) * ndim).sum(axis)


@pytest.mark.parametrize(
    ("strategy", "condition"),
    [
        (some.shapes(), lambda shape: shape == ()),
        (some.shapes(), lambda shape: 1 in shape and max(shape) == 4),
        (some.shapes(empty=True), lambda shape: 0 in shape),
        (some.broadcastable_shapes(2), lambda shapes: len({len(s) for s in shapes}) == 2),
        (
            some.broadcastable_shapes(2),
            lambda shapes: 1 in shapes[0] and 1 in shapes[1] and max(shapes[1]) > 1,
        ),
        (some.reduction_axes(3), lambda axis: axis is None),
        (some.reduction_axes(3), lambda axis: axis == 2),
        (some.reduction_axes(3), lambda axis: axis == -3),
        (some.reduction_axes(3), lambda axis: isinstance(axis, tuple) and len(axis) == 3),
        (some.reduction_axes(3), lambda axis: isinstance(axis, tuple) and min(axis) < 0),
    ],
)
def test_corners_of_shapes_and_axes_are_reached(strategy, condition):
    some_of(strategy, condition)


# Geometries


@moderate
@given(some.conv_geometries())
def test_convolutions_are_valid(geometry):
    x, w, y = (Tensor(np.zeros(shape)) for shape in (geometry.x_shape, geometry.w_shape, geometry.y_shape))
    assert F.conv2d(x, w, **geometry.kwargs).shape == geometry.y_shape
    assert F.conv_transpose2d(y, w, **geometry.transposed_kwargs).shape == geometry.x_shape
    assert max(geometry.size) <= 15


def span(g):
    return tuple(d * (k - 1) + 1 for k, d in zip(g.kernel_size, g.dilation, strict=True))


def padded(g):
    return tuple(n + 2 * p for n, p in zip(g.size, g.padding, strict=True))


CONV_CORNERS = {
    "kernel of 7": lambda g: g.kernel_size == (7, 7),
    "rectangular kernel": lambda g: g.kernel_size == (1, 7),
    "stride beyond the kernel": lambda g: min(g.stride) > max(g.kernel_size),
    "kernel as large as the padded image": lambda g: span(g) == padded(g) and min(g.kernel_size) > 2,
    "kernel beyond the image": lambda g: min(span(g)) > max(g.size),
    "padding": lambda g: min(g.padding) == 3,
    "padding beyond the kernel": lambda g: min(g.padding) > max(g.kernel_size),
    "dilation": lambda g: min(g.dilation) == 3 and min(g.kernel_size) == 3,
    "groups": lambda g: g.groups == 2 and g.in_channels == g.out_channels == 4,
    "depthwise": lambda g: g.groups == g.in_channels == g.out_channels == 3,
    "depthwise with a multiplier": lambda g: g.groups == g.in_channels == 3 and g.out_channels == 6,
    "output padding": lambda g: min(g.output_padding) > 0,
    "rows unlike columns": lambda g: g.stride[0] != g.stride[1] and g.padding[0] != g.padding[1],
    "pixels that no window sees": lambda g: min(g.output_padding) > 1 and g.padding == (0, 0),
    "image of one pixel": lambda g: g.size == (1, 1) and g.padding != (0, 0),
}


@pytest.mark.parametrize("corner", CONV_CORNERS.values(), ids=CONV_CORNERS)
def test_corners_of_convolutions_are_reached(corner):
    some_of(some.conv_geometries(), corner)


@moderate
@given(some.conv_geometries())
def test_output_padding_is_what_the_transposed_convolution_lacks(g):
    window = g.kernel_size, g.stride, g.padding, g.dilation
    assert all(0 <= extra < step for extra, step in zip(g.output_padding, g.stride, strict=True))
    assert transposed_size(g.y_shape[2:], *window, g.output_padding) == g.size
    assert out_size(g.size, *window) == g.y_shape[2:]


@moderate
@given(some.pool_geometries())
def test_poolings_are_valid(geometry):
    x = Tensor(np.zeros(geometry.x_shape))
    assert F.max_pool2d(x, **geometry.kwargs).shape == geometry.y_shape
    assert F.avg_pool2d(x, **geometry.kwargs).shape == geometry.y_shape


POOL_CORNERS = {
    "gaps": lambda g: min(g.stride) > max(g.kernel_size),
    "overlap": lambda g: min(g.kernel_size) > max(g.stride) and min(g.y_shape) > 1,
    "the whole image": lambda g: g.kernel_size == g.size and g.size[0] > 2 and g.padding == (0, 0),
    "padding of half the kernel": lambda g: (
        min(g.kernel_size) > 1 and all(2 * p == k for p, k in zip(g.padding, g.kernel_size, strict=True))
    ),
    "pixels left over": lambda g: (g.y_shape[2] - 1) * g.stride[0] + g.kernel_size[0] < padded(g)[0],
}


@pytest.mark.parametrize("corner", POOL_CORNERS.values(), ids=POOL_CORNERS)
def test_corners_of_poolings_are_reached(corner):
    some_of(some.pool_geometries(), corner)


# Networks


@moderate
@given(some.networks(), st.data())
def test_networks_run_and_can_be_differentiated_twice(network, data):
    x = Tensor(data.draw(some.arrays(network.input_shape)), requires_grad=True)
    y = network.module(x)
    assert y.shape in {(len(x), 1), (len(x), 3)}
    assert y.dtype == np.float64
    (gx,) = grad((y * y).sum(), [x], create_graph=True)
    second = grad((gx * gx).sum(), network.module.parameters(), allow_unused=True)
    assert all(np.isfinite(g.numpy()).all() for g in second if g is not None)


@given(some.networks())
def test_a_network_is_the_same_whenever_it_is_built(network):
    again = some.Network(network.layers, network.input_shape, network.seed)
    assert again == network
    for name, value in again.module.state_dict().items():
        np.testing.assert_array_equal(value, network.module.state_dict()[name])


LAYERS = (
    *("Conv2d", "ConvTranspose2d", "BatchNorm1d", "BatchNorm2d", "LayerNorm", "InstanceNorm2d"),
    *("Tanh", "Sigmoid", "Softplus", "GELU", "LeakyReLU"),
)


def has(*names):
    return lambda network: set(names) <= {name for name, *_ in network.layers}


@pytest.mark.parametrize("layer", LAYERS)
def test_every_kind_of_layer_is_reached(layer):
    some_of(some.networks(), has(layer))


@moderate
@given(some.networks(activations=["Tanh"], norms=["instance"]))
def test_activations_and_norms_can_be_chosen(network):
    kinds = {name for name, *_ in network.layers}
    assert kinds <= {"Conv2d", "ConvTranspose2d", "Flatten", "Linear", "Tanh", "InstanceNorm2d"}


# Shrinking

ONE = "batch=1, in_channels=1, out_channels=1"
MINIMAL = [
    (some.arrays((2, 2)), lambda x: True, "array([[0.125, 0.125],\n       [0.125, 0.125]])"),
    (some.arrays(), lambda x: x.ndim > 0 and (x < 0).any(), "array([-0.125])"),
    (some.arrays(), lambda x: x.max() > 1, "array(1.125)"),
    (some.arrays(3), lambda x: x.sum() > 2.5, "array([0.875, 0.875, 0.875])"),
    (some.arrays((5, 8)), lambda x: True, f"{np.full((5, 8), 0.125)!r}"),
    (some.positive(2), lambda x: True, "array([0.625, 0.625])"),
    (some.away_from_zero(2), lambda x: x[0] < 0, "array([-0.625,  0.625])"),
    (some.distinct(4), lambda x: True, "array([-0.375, -0.125,  0.125,  0.375])"),
    (some.distinct(3), lambda x: x[0] > x[1], "array([ 0.125, -0.125,  0.375])"),
    (some.labels(3, 4), lambda x: x.any(), "array([0, 0, 1])"),
    (some.shapes(), lambda shape: len(shape) == 2, "(1, 1)"),
    (some.shapes(empty=True), lambda shape: len(shape) == 2, "(1, 1)"),
    (some.reduction_axes(3), lambda axis: axis is not None, "0"),
    (
        some.conv_geometries(),
        lambda g: True,
        f"ConvGeometry({ONE}, size=(1, 1), kernel_size=(1, 1), stride=(1, 1), padding=(0, 0), "
        "dilation=(1, 1), groups=1)",
    ),
    (
        some.conv_geometries(),
        lambda g: g.output_padding[1] > 0,
        f"ConvGeometry({ONE}, size=(1, 2), kernel_size=(1, 1), stride=(1, 2), padding=(0, 0), "
        "dilation=(1, 1), groups=1)",
    ),
    (
        some.pool_geometries(),
        lambda g: g.padding[0] > 0,
        "PoolGeometry(batch=1, channels=1, size=(1, 1), kernel_size=(2, 1), stride=(1, 1), padding=(1, 0))",
    ),
    (some.networks(), lambda net: True, "Network((2, 1, 2, 2) -> Flatten(), Linear(4, 1); seed 0)"),
    (
        some.networks(),
        has("BatchNorm2d"),
        "Network((2, 1, 2, 2) -> Conv2d(1, 1, 1, 1, 0), BatchNorm2d(1, 0.1), Flatten(), Linear(4, 1); "
        "seed 0)",
    ),
]


@pytest.mark.parametrize(("strategy", "condition", "expected"), MINIMAL)
def test_failures_are_shrunk_to_something_readable(strategy, condition, expected):
    assert repr(smallest(strategy, condition)) == expected


@each_domain
def test_failures_are_shrunk_to_contiguous_arrays(domain, holds):
    assert smallest(domain((2, 3, 2, 2)), lambda x: x.ndim == 4).flags.c_contiguous


# Without hypothesis


def run_without_hypothesis(code):
    code = f"import sys; sys.modules['hypothesis'] = None; {code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")


def test_without_hypothesis_the_error_says_what_to_install():
    run = run_without_hypothesis("import minigan.testing.strategies")
    last = run.stderr.strip().splitlines()[-1]
    assert last == "ImportError: minigan.testing.strategies needs hypothesis: pip install hypothesis"


def test_the_rest_of_testing_works_without_hypothesis():
    run = run_without_hypothesis("from minigan.testing import assert_close, check_grads")
    assert (run.returncode, run.stderr) == (0, "")
