"""Ops with one planted error each, of kinds that engines have shipped. `check_op` must reject them all."""

import numpy as np
import pytest
from hypothesis import strategies as st

import minigan.functional as F
import minigan_kernels as kernels
from minigan import Function, Tensor, is_grad_enabled
from minigan.nn import Linear, Module, Parameter
from minigan.optim import SGD
from minigan.testing import check_grads, check_module, check_op, check_optimizer
from minigan.testing import strategies as some

GEOMETRY = (1, 1), (1, 1), (1, 1), 1  # stride, padding, dilation, groups


class ZeroSoftmax(Function):
    """The sum of a softmax has gradient 0: a test of the sum alone would accept this."""

    def forward(self, x):
        e = np.exp(x)
        return e / e.sum(-1, keepdims=True)

    def backward(self, gy):
        return gy * 0.0


class ConstantStatistics(Function):
    """Batch norm that takes mean and variance for constants."""

    def forward(self, x):
        self.std = x.std(0)
        return (x - x.mean(0)) / self.std

    def backward(self, gy):
        return gy / self.std


class ConstantStatisticsAtSecondOrder(Function):
    """The right gradient, from arrays that the second derivative takes for constants."""

    def forward(self, x):
        self.std = x.std(0)
        self.y = (x - x.mean(0)) / self.std
        return self.y

    def backward(self, gy):
        return (gy - gy.mean(0) - self.y * (gy * self.y).mean(0)) / self.std


class UnbroadcastAlongTheWrongAxis(Function):
    def forward(self, x, b):
        return x + b

    def backward(self, gy):
        return gy, gy.sum(1)  # of the right shape by chance


class WrongSignOnOneAxis(Function):
    def forward(self, x):
        return x[:, ::-1] - x[::-1]

    def backward(self, gy):
        return F.flip(gy, 1) + F.flip(gy, 0)


class TransposedWeight(Function):
    def forward(self, x, w):
        return x @ w

    def backward(self, gy):
        x, w = self.inputs
        return gy @ w.T, gy.T @ x


class ConvWithoutSecondDerivative(Function):
    """The weight's gradient is a plain array, as if it were a constant."""

    def forward(self, x, w):
        return kernels.conv2d(x, w, *GEOMETRY)

    def backward(self, gy):
        x, w = self.inputs
        gw = kernels.conv2d_weight(x.data, gy.data, w.shape[2:], *GEOMETRY)
        return F.conv_transpose2d(gy, w, padding=1), Tensor(gw)


class OffByOneInPadding(Function):
    def forward(self, x):
        return np.pad(x, 1)

    def backward(self, gy):
        return gy[:-2, :-2]


class SlopeForgottenAtSecondOrder(Function):
    def forward(self, x):
        return np.where(x > 0, x, 0.2 * x) ** 2

    def backward(self, gy):
        return SlopeForgottenInTheGradient()(gy, self.inputs[0])


class SlopeForgottenInTheGradient(Function):
    def forward(self, gy, x):
        return gy * 2 * x * np.where(x > 0, 1, 0.04)

    def backward(self, ggx):
        gy, x = self.inputs
        return ggx * 2.0 * x * np.where(x.data > 0, 1, 0.04), ggx * gy * 2.0  # the slope again


class AnotherGradientInAGraph(Function):
    """The gradient has two forms, and the one that is differentiable is three times too large."""

    def forward(self, x):
        return x**2

    def backward(self, gy):
        (x,) = self.inputs
        return gy * (6.0 if is_grad_enabled() else 2.0) * x


class DamagesItsInput(Function):
    def forward(self, x):
        x *= 2
        return x + 0

    def backward(self, gy):
        return gy * 2.0


class DamagesItsInputInBackward(Function):
    def forward(self, x):
        return x**2

    def backward(self, gy):
        (x,) = self.inputs
        gx = gy * 2.0 * x
        x.data[...] = 0
        return gx


class LeaksFloat32(Function):
    """Computes in single precision whatever it is given."""

    def forward(self, x):
        return np.exp(x.astype(np.float32)).astype(x.dtype)

    def backward(self, gy):
        return gy * F.exp(self.inputs[0])


class LeaksFloat64(Function):
    def forward(self, x):
        return x * np.float64(2.0)

    def backward(self, gy):
        return gy * 2.0


class DependsOnTheLayout(Function):
    def forward(self, x):
        return x * np.arange(x.size).reshape(x.shape, order="C" if x.flags.c_contiguous else "F")

    def backward(self, gy):
        x = self.inputs[0].data
        return gy * np.arange(x.size).reshape(x.shape, order="C" if x.flags.c_contiguous else "F")


class NotFinite(Function):
    def forward(self, x):
        return x / np.where(x > 0, 1, 0)

    def backward(self, gy):
        return gy


N, M, IMAGE, KERNEL = (4, 4), (4,), (2, 2, 5, 5), (3, 2, 3, 3)
PLANTED = [  # op, shapes of its inputs, what the message says
    (ZeroSoftmax, [N], "order 1 is wrong in input 0"),
    (ConstantStatistics, [N], "order 1 is wrong in input 0"),
    (ConstantStatisticsAtSecondOrder, [N], "order 2 is wrong in input 0"),
    (UnbroadcastAlongTheWrongAxis, [N, M], "order 1 is wrong in input 1"),
    (WrongSignOnOneAxis, [N], "order 1 is wrong in input 0"),
    (TransposedWeight, [N, N], "order 1 is wrong in input 1"),
    (ConvWithoutSecondDerivative, [IMAGE, KERNEL], "order 2 is wrong in input"),
    (OffByOneInPadding, [N], "order 1 is wrong in input 0"),
    (SlopeForgottenAtSecondOrder, [N], "order 2 is wrong in input"),
    (AnotherGradientInAGraph, [N], "order 1 is wrong in input 0"),
    (DamagesItsInput, [N], "f or its gradient changes its inputs"),
    (DamagesItsInputInBackward, [N], "f or its gradient changes its inputs"),
    (LeaksFloat32, [N], "order 1 is wrong"),
    (LeaksFloat64, [N], "float32 in, but the output is float64"),
    (DependsOnTheLayout, [N], "in memory give something else"),
    (NotFinite, [N], "not finite"),
]


def normal(shapes, seed):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("op", "shapes", "message"), PLANTED, ids=[p[0].__name__ for p in PLANTED])
def test_check_op_rejects(op, shapes, message, seed):
    with (
        np.errstate(divide="ignore", invalid="ignore"),
        pytest.raises((AssertionError, ValueError), match=message),
    ):
        check_op(lambda *xs: op()(*xs), normal(shapes, seed), seed=seed)


@pytest.mark.slow
def test_check_op_draws_its_inputs_from_a_strategy():
    pairs = some.broadcastable_shapes(2).flatmap(lambda shapes: st.tuples(*map(some.arrays, shapes)))
    assert check_op(F.mul, strategy=pairs, reference=np.multiply) < 1e-6
    with pytest.raises(AssertionError, match="order 1 is wrong in input 0"):
        check_op(lambda x: ZeroSoftmax()(x), strategy=st.tuples(some.arrays((2, 3))))
    for nothing_or_both in ({}, {"inputs": [np.ones(2)], "strategy": pairs}):
        with pytest.raises(ValueError, match="either inputs or a strategy"):
            check_op(F.mul, **nothing_or_both)


def test_check_op_rejects_another_value_than_the_reference():
    with pytest.raises(AssertionError, match="9 of 9 entries differ"):
        check_op(F.exp, normal([(3, 3)], 0), reference=np.expm1)


def test_check_op_rejects_what_does_not_broadcast():
    def outer(a, b):  # right for equal shapes alone
        return a * F.flip(F.flip(b, 0), 0).reshape(a.shape)

    check_op(outer, normal([(3, 2), (3, 2)], 0), np.multiply)
    with pytest.raises(ValueError, match="reshape"):
        check_op(outer, normal([(3, 2), (3, 2)], 0), np.multiply, broadcasts=True)


# Awkward, and right


RIGHT = {
    "many sizes": lambda x: F.concat([(1e-6 * x).exp(), 1e6 * x]),
    "a steep function": lambda x: (30.0 * x).tanh().sum(),
    "nearly constant": lambda x: 1e-12 * x,
    "constant": lambda x: 0.0 * x,
    "a chain": lambda x: x.tanh().exp().tanh().exp().tanh(),
    "several outputs": lambda x: [x, x * x, x.sum()],
    "the same input twice": lambda x: x @ x.T,
    "cancelling": lambda x: (x + 1e2) - 1e2 + x,
}


@pytest.mark.parametrize(
    "seeds", [range(20), pytest.param(range(20, 1000), marks=pytest.mark.slow)], ids=["few", "many"]
)
@pytest.mark.parametrize("f", RIGHT.values(), ids=RIGHT)
def test_right_gradients_pass_without_a_false_alarm(f, seeds):
    for seed in seeds:
        check_grads(f, normal([(3, 4)], seed), seed=seed)


# Modules and optimisers


class ForgetsItsWeight(Module):
    """A parameter that the gradient does not reach, though the output depends on it."""

    def __init__(self):
        super().__init__()
        self.scale = Parameter(np.full(3, 2.0, np.float32))

    def forward(self, x):
        return x * self.scale.detach()


class HidesState(Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x * self.calls


def test_check_module_accepts_a_layer_and_rejects_a_weight_without_gradient():
    check_module(Linear(3, 2), normal([(4, 3)], 0))
    with pytest.raises(AssertionError, match="order 1 is wrong in input 1 of 2"):
        check_module(ForgetsItsWeight(), normal([(4, 3)], 0))


def test_check_module_rejects_hidden_state():
    with pytest.raises(ValueError, match="not deterministic"):
        check_module(HidesState(), normal([(4, 3)], 0))


class Ascends(SGD):
    def _update(self, p, g, state):
        p += self.lr * g


class ForgetsItsMomentum(SGD):
    def state_dict(self):
        return {k: v for k, v in super().state_dict().items() if "buffer" not in k}

    def load_state_dict(self, state):
        self.steps = state["steps"]


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (lambda ps: Ascends(ps, 0.1), "does not descend"),
        (lambda ps: ForgetsItsMomentum(ps, 0.1, momentum=0.9), "goes on differently"),
    ],
)
def test_check_optimizer_rejects(optimizer, message):
    with pytest.raises(AssertionError, match=message):
        check_optimizer(optimizer)


def test_check_optimizer_accepts():
    check_optimizer(lambda ps: SGD(ps, 0.1, momentum=0.9))


# What a check cannot judge is said as such


def test_what_cannot_be_judged_is_no_wrong_gradient():
    state = np.random.default_rng(0)
    x = [np.ones(3)]
    for f, error, message in [
        (lambda x: x * state.standard_normal(), ValueError, "not deterministic"),
        (lambda x: x.detach() * 2.0, ValueError, "does not depend on input 0"),
        (lambda x: x > 0, TypeError, "returned bool for inputs of float64"),
        (lambda x: x.to(np.float32), TypeError, "returned float32 for inputs of float64"),
        (lambda x: 3.0, TypeError, "must return Tensors, it returned float"),
    ]:
        with pytest.raises(error, match=message):
            check_grads(f, x)
    for inputs in ([np.ones(3, int)], [np.ones(3), np.ones(3, np.float32)]):
        with pytest.raises(TypeError, match="inputs must be all float64 or all float32"):
            check_grads(lambda *xs: xs[0], inputs)


def test_a_kink_is_told_from_a_bug():
    with pytest.raises(AssertionError, match="A smaller step helps"):
        check_grads(F.relu, [np.array([1e-6, -2.0, 3.0])])
    with pytest.raises(AssertionError, match="does not help: this is a bug"):
        check_grads(lambda x: ZeroSoftmax()(x), [np.array([1.0, 2.0])])


AT_A_KINK = {  # a function, and an input at which it has no derivative of the first or second order
    "relu": (F.relu, [0.0, 1.0, -2.0]),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.2), [0.0, 0.0, 0.0]),
    "abs": (F.abs, [0.0, 1.0]),
    "max": (F.max, [1.0, 1.0, 0.0]),
    "maximum": (lambda x: F.maximum(x, 1.0), [1.0, 2.0]),
    "clip": (lambda x: F.clip(x, 0.0, 1.0), [0.0, 1.0, 0.5]),
    "max_pool2d": (lambda x: F.max_pool2d(x.reshape(1, 1, 2, 2), 2), [1.0, 1.0, 1.0, 0.0]),
    "norm": (F.norm, [0.0, 0.0]),
    "sqrt": (F.sqrt, [0.0, 1.0]),
    "l1_loss": (lambda x: F.l1_loss(x, 0.0), [0.0, 1.0]),
    "hinge_loss": (lambda x: F.hinge_loss(x, 1.0), [1.0, 1.0]),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # sqrt, beside 0
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("f", "x"), AT_A_KINK.values(), ids=AT_A_KINK)
def test_at_a_kink_a_right_gradient_is_no_bug(f, x, full):
    for seed in range(10):
        with pytest.raises(ValueError, match=r"f is not differentiable here, so .* cannot be judged"):
            check_grads(f, [np.array(x)], full=full, seed=seed)


def said_of(f, x, **how):
    try:
        check_grads(f, [x], **how)
    except (AssertionError, ValueError) as error:
        return str(error)
    return ""


@pytest.mark.slow
def test_kinks_that_cancel_along_a_direction_are_no_bug():
    for seed in range(200):
        x = np.random.default_rng(seed).choice([0.0, 1.0, -1.0], (3, 4))
        for f in (F.relu, lambda x: F.max(x, 0), lambda x: F.clip(x, 0.0, 1.0) ** 2):
            assert "bug" not in said_of(f, x, seed=seed)


class WrongRelu(Function):
    def forward(self, x):
        return np.maximum(x, 0)

    def backward(self, gy):
        return gy * (1.01 * (self.inputs[0].data > 0))


class WrongAtZero(Function):
    """Smooth, and wrong at one number alone."""

    def forward(self, x):
        return np.exp(x)

    def backward(self, gy):
        (x,) = self.inputs
        return gy * F.exp(x) * (1.0 - (x.data == 0))


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("op", "x"),
    [(WrongRelu, [1.0, -2.0, 0.5]), (WrongRelu, [0.0, 1.0, -2.0]), (WrongAtZero, [0.0, 1.0])],
    ids=["away from its kink", "with a kink beside", "where it is smooth"],
)
def test_a_wrong_gradient_of_an_op_with_kinks_is_a_bug(op, x, full, dtype):
    for seed in range(10):
        with pytest.raises(AssertionError, match="this is a bug"):
            check_grads(lambda x: op()(x), [np.array(x, dtype)], full=full, seed=seed)


def test_a_kink_of_the_second_order_is_no_bug():
    check_grads(lambda x: F.relu(x) ** 3, [np.array([0.0, 1.0])], order=1)
    for f in (lambda x: F.relu(x) ** 2, lambda x: F.abs(x) * x):
        said = said_of(f, np.array([0.0, 1.0]))
        assert said
        assert "bug" not in said


@pytest.mark.slow
def test_check_op_says_so_of_an_input_on_a_kink_that_hypothesis_draws():
    with pytest.raises(ValueError, match="not differentiable here"):
        check_op(F.relu, strategy=st.tuples(st.just(np.zeros(3))))


def test_full_jacobians_name_the_worst_entry():
    check_grads(F.softmax, normal([(2, 3)], 0), full=True)

    def f(x, y):
        return UnbroadcastAlongTheWrongAxis()(x, y)

    with pytest.raises(AssertionError, match=r"worst at output 0 \(\d, \d\) and input 1 \(\d,\)"):
        check_grads(f, normal([(3, 3), (3,)], 0), full=True)
