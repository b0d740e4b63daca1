"""The tools that test the rest: what they must accept, and what they must not."""

import numpy as np
import pytest

import minigan.functional as F
from minigan import Function, Tensor
from minigan.testing import assert_close, check_grads

SEEDS = range(10)


# Ops with planted errors, each right but for the comment beside it


class NoFactor(Function):
    def forward(self, x):
        return x**3

    def backward(self, gy):
        return gy * self.inputs[0] ** 2  # 3 is missing


class ZeroSoftmax(Function):
    saves = ""

    def forward(self, x):
        e = np.exp(x)
        return e / e.sum(-1, keepdims=True)

    def backward(self, gy):
        return gy * 0.0  # true of the sum of the outputs, and of nothing else


class DetachedNorm(Function):
    def forward(self, x):
        centred = x - x.mean()
        self.std = centred.std()
        self.y = centred / self.std
        return self.y

    def backward(self, gy):
        y, std = self.y, self.std  # arrays: the second derivative takes them for constants
        return (gy - gy.mean() - y * (gy * y).mean()) / std


class TransposedWeight(Function):
    def forward(self, x, w):
        return x @ w

    def backward(self, gy):
        x, w = self.inputs
        return gy @ w.T, (x.T @ gy).T  # should not be transposed: of the right shape by chance


class ConstantSlope(Function):
    def forward(self, x):
        return np.exp(x)

    def backward(self, gy):
        return gy * np.exp(self.inputs[0].numpy())  # an array again


class OneWrongEntry(Function):
    def forward(self, x):
        return x * x

    def backward(self, gy):
        slope = 2 * self.inputs[0].numpy()
        slope.flat[7] *= 1.001
        return gy * slope


class NotANumber(Function):
    def forward(self, x):
        return x * x

    def backward(self, gy):
        return gy * self.inputs[0] * np.nan


class DroppedTerm(Function):
    """f = a² b, whose mixed second derivative is lost."""

    def forward(self, a, b):
        return a * a * b

    def backward(self, gy):
        a, b = self.inputs
        return gy * 2.0 * a * b.detach(), gy * a * a


PLANTED = [
    (NoFactor, [(3, 4)], 1),
    (ZeroSoftmax, [(3, 4)], 1),
    (TransposedWeight, [(3, 4), (4, 4)], 1),
    (OneWrongEntry, [(3, 4)], 1),
    (NotANumber, [(3, 4)], 1),
    (DetachedNorm, [(3, 4)], 2),
    (ConstantSlope, [(3, 4)], 2),
    (DroppedTerm, [(3, 4), (3, 4)], 2),
]
each_error = pytest.mark.parametrize(("op", "shapes", "order"), PLANTED, ids=[p[0].__name__ for p in PLANTED])


def normal(shapes, seed):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


@pytest.mark.parametrize("seed", SEEDS)
@each_error
def test_a_wrong_gradient_is_rejected_at_its_order(op, shapes, order, seed):
    inputs = normal(shapes, seed)
    if order == 2:
        check_grads(lambda *xs: op()(*xs), inputs, order=1, seed=seed)
    with pytest.raises(AssertionError, match=f"gradient of order {order} is wrong"):
        check_grads(lambda *xs: op()(*xs), inputs, seed=seed)


RIGHT = {
    "cube": (lambda x: x**3, [(3, 4)]),
    "softmax": (F.softmax, [(3, 4)]),
    "norm": (lambda x: F.layer_norm(x, 4), [(3, 4)]),
    "product": (F.matmul, [(3, 4), (4, 4)]),
    "exp": (F.exp, [(3, 4)]),
    "a linear op": (lambda x: 3 * x, [(3, 4)]),
    "two outputs": (lambda x: (x.exp(), (x * x).sum()), [(3, 4)]),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("f", "shapes"), RIGHT.values(), ids=RIGHT)
def test_right_gradients_pass(f, shapes, seed):
    assert check_grads(f, normal(shapes, seed), order=3, seed=seed) < 1e-6


def test_tensors_are_as_good_as_arrays():
    check_grads(F.exp, [Tensor(np.ones(3))])


def test_an_error_of_the_second_output_is_seen():
    with pytest.raises(AssertionError, match="order 1"):
        check_grads(lambda x: (x, NoFactor()(x)), normal([(3,)], 0))


def test_the_message_has_both_numbers():
    with pytest.raises(
        AssertionError, match=r"reverse mode gives -?[\d.]+, finite differences -?[\d.]+; relative"
    ):
        check_grads(lambda x: NoFactor()(x), [np.ones(2)])


@pytest.mark.parametrize("f", [lambda x, y: x * x, lambda x, y: x.exp() + y.detach() * 0.0])
def test_an_input_without_influence_is_refused_unless_that_is_said(f):
    inputs = normal([(3,), (3,)], 0)
    with pytest.raises(ValueError, match="does not depend on input 1"):
        check_grads(f, inputs)
    check_grads(f, inputs, allow_unused=True)


@pytest.mark.parametrize("dtypes", [[np.int64], [np.float16], [np.float64, np.float32]])
def test_inputs_must_share_a_dtype_that_can_be_checked(dtypes):
    with pytest.raises(TypeError, match=str(np.dtype(dtypes[-1]))):
        check_grads(lambda *xs: sum(xs), [np.ones(2, dtype) for dtype in dtypes])


# assert_close


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (1.0, 1.0),
        ([1.0, 2.0], Tensor([1.0, 2.0])),
        (np.inf, np.inf),
        ([-np.inf, 1.0], [-np.inf, 1.0]),
        (np.ones((0, 3)), np.ones((0, 3))),
        ([True, False], [True, False]),
        (np.float32(0.1), 0.1),
    ],
)
@pytest.mark.parametrize("rtol", [0, 1e-7])
def test_close_arrays_pass(actual, expected, rtol):
    assert_close(actual, expected, rtol=rtol, atol=1e-8)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (1.0, 1.1),
        (np.nan, np.nan),
        (np.nan, 1.0),
        (1.0, np.nan),
        (np.inf, 1.0),
        (1.0, np.inf),
        (-np.inf, np.inf),
        ([1.0, 2.0], [1.0]),
        ([1.0], 1.0),
        ([True], [False]),
    ],
)
def test_arrays_that_differ_are_rejected(actual, expected):
    with pytest.raises(AssertionError):
        assert_close(actual, expected, rtol=1e-3)


def test_tolerances_are_relative_to_the_expected_value():
    assert_close(101.0, 100.0, rtol=0.0101)
    assert_close(1.0, 0.0, atol=1.0)
    with pytest.raises(AssertionError):
        assert_close(101.0, 100.0, rtol=0.0099)


def test_bytes_do_not_wrap():
    assert_close(np.uint8([1]), np.uint8([2]), atol=1)
    with pytest.raises(AssertionError, match=r"difference 1\b"):
        assert_close(np.uint8([1]), np.uint8([2]))


def test_the_message_names_the_worst_entry():
    expected = np.zeros((2, 3))
    actual = expected.copy()
    actual[0, 1], actual[1, 2] = 0.1, -5
    with pytest.raises(
        AssertionError, match=r"2 of 6 entries differ; the worst, at \(1, 2\): .*-5.*0.*difference 5"
    ):
        assert_close(actual, expected, atol=0.01)
    actual[0, 0] = np.nan
    with pytest.raises(AssertionError, match=r"at \(0, 0\): .*nan"):
        assert_close(actual, expected)


def test_the_message_names_the_shapes():
    with pytest.raises(AssertionError, match=r"shapes differ: \(2,\), expected \(3,\)"):
        assert_close(np.ones(2), np.ones(3))
