"""NumPy's functions, called with Tensors: recorded, or refused with the op to call, and never a constant."""

import inspect
import math
import operator
import pickle

import numpy as np
import pytest

import minigan.functional as F
from minigan import Tensor, grad, no_grad
from minigan.functional.numpy_calls import NAMES, QUESTIONS, UFUNCS
from minigan.functional.settings import RECORDED
from minigan.optim import SGD, Adam, RMSprop
from minigan.testing.op_table import ROWS

A = np.array([0.5, 1.5, 2.5, 3.5])
MASK = A > 1


def leaf():
    return Tensor(np.array([2.0, 0.5, 1.0, 3.0]), requires_grad=True)


UNARY = ["negative", "absolute", "exp", "log", "sqrt", "tanh"]
BINARY = ["add", "subtract", "multiply", "divide", "power", "maximum", "minimum"]


@pytest.mark.parametrize("name", UNARY)
def test_a_ufunc_with_an_op_is_recorded(name):
    w = leaf()
    y = getattr(np, name)(w)
    np.testing.assert_array_equal(y.numpy(), getattr(np, name)(w.numpy()))
    (g,) = grad(y.sum(), w)
    step = 1e-6
    slope = (getattr(np, name)(w.data + step) - getattr(np, name)(w.data - step)) / (2 * step)
    np.testing.assert_allclose(g.numpy(), slope, rtol=1e-7)


@pytest.mark.parametrize("name", BINARY)
def test_a_ufunc_of_an_array_and_a_tensor_is_recorded_either_way(name):
    f, w = getattr(np, name), leaf()
    for left, right in ((A, w), (w, A), (w, w), (np.float64(2), w), (w, 2.0)):
        y = f(left, right)
        expected = f(*(v.numpy() if isinstance(v, Tensor) else v for v in (left, right)))
        np.testing.assert_array_equal(y.numpy(), expected)
        assert y.requires_grad
        assert np.isfinite(grad(y.sum(), w)[0].numpy()).all()


def test_an_operator_on_an_array_is_recorded():
    w = leaf()
    for y, slope in (
        (A * w, A),
        (A + w, np.ones(4)),
        (A - w, -np.ones(4)),
        (A / w, -A / w.data**2),
        (A**w, A**w.data * np.log(A)),
        (np.float32(2) * w, np.full(4, 2.0)),
    ):
        np.testing.assert_allclose(grad(y.sum(), w)[0].numpy(), slope)
    assert np.array_equal(grad(A @ w, w)[0], A)
    assert np.array_equal(grad(np.matmul(A, w), w)[0], A)


def test_a_comparison_is_a_constant_tensor_of_bools():
    w = leaf()
    left = [operator.lt(A, w), operator.eq(A, w), operator.and_(MASK, w > 1)]
    for y in (*left, np.greater(w, A), np.not_equal(w, 1.0)):
        assert isinstance(y, Tensor)
        assert (y.dtype, y.requires_grad) == (bool, False)
    assert left[0].tolist() == operator.lt(A, w.data).tolist()


LOST = {  # what would give a constant, and what the error says to call
    "linalg.norm": (lambda w: np.linalg.norm(w), r"np\.linalg\.norm of .* call minigan\.functional\.norm"),
    "concatenate": (
        lambda w: np.concatenate([w, w]),
        r"np\.concatenate of .*functional\.concat",
    ),
    "concatenate, one of them": (lambda w: np.concatenate([A, w]), r"functional\.concat,"),
    "stack": (lambda w: np.stack((w, w)), r"functional\.stack"),
    "where": (lambda w: np.where(MASK, w, 0), r"functional\.where"),
    "outer": (lambda w: np.outer(w, w), r"functional\.einsum"),
    "dot": (lambda w: np.dot(w, w), r"functional\.matmul"),
    "einsum": (lambda w: np.einsum("i,i->", w, w), r"functional\.einsum"),
    "sum": (lambda w: np.sum(w), r"functional\.sum"),
    "sum by a keyword": (lambda w: np.sum(a=w), r"functional\.sum"),
    "mean": (lambda w: np.mean(w), r"functional\.mean"),
    "max": (lambda w: np.max(w), r"functional\.max"),
    "std": (lambda w: np.std(w), r"functional\.std"),
    "clip": (lambda w: np.clip(w, 0, 1), r"functional\.clip"),
    "clip to it": (lambda w: np.clip(A, w, 9), r"functional\.clip"),
    "reshape": (lambda w: np.reshape(w, (2, 2)), r"functional\.reshape"),
    "transpose": (lambda w: np.transpose(w), r"functional\.permute"),
    "repeat": (lambda w: np.repeat(w, 2), r"functional\.repeat_interleave"),
    "sort": (lambda w: np.sort(w), r"np\.sort of .*functional\.sort"),
    "median": (lambda w: np.median(w), r"np\.median of .*write it in ops of minigan\.functional"),
    "sinh": (lambda w: np.sinh(w), r"np\.sinh of .*write it in ops of minigan\.functional"),
    "full_like": (lambda w: np.full_like(A, w[0]), "would lose it"),
    "add.reduce": (lambda w: np.add.reduce(w), r"np\.add\.reduce of"),
    "multiply.outer": (lambda w: np.multiply.outer(A, w), r"np\.multiply\.outer of"),
    "add, into an array": (lambda w: np.add(A, w, out=np.empty(4)), r"np\.add of .*functional\.add"),
    "-=": (lambda w: np.ones(4).__isub__(w), r"np\.subtract of .*functional\.sub,"),
    "+=": (lambda w: np.ones(4).__iadd__(w), r"np\.add of .*functional\.add"),
    "asarray": (np.asarray, r"an array of a tensor that requires a gradient would lose it"),
    "array of a list": (lambda w: np.array([w, w]), "would lose it"),
    "array.dot": (lambda w: A.dot(w), "would lose it"),
    "array[:] =": (lambda w: A.copy().__setitem__(slice(None), w), "would lose it"),
    "array.clip": (lambda w: A.clip(w, 9), r"np\.clip of .*functional\.clip"),
    "full": (lambda w: np.full(3, w[0]), "would lose it"),
    "float32": (lambda w: np.float32(w[0]), "would lose it"),
    "Tensor of a list": (lambda w: Tensor([w, w]), "would lose it"),
    "random": (lambda w: np.random.default_rng(0).normal(w[0], 1.0), "would lose it"),
}
every_loss = pytest.mark.parametrize(("f", "message"), LOST.values(), ids=LOST)


@pytest.mark.slow
@every_loss
def test_what_would_lose_a_gradient_is_refused(f, message):
    with pytest.raises(TypeError, match=message):
        f(leaf())
    with pytest.raises(TypeError, match=message):
        f(leaf() * 2)


@every_loss
def test_it_is_as_ever_for_constants_and_where_nothing_is_recorded(f, message):
    w = leaf()
    expected = f(w.numpy())
    with no_grad():
        found = f(w)
    for y in (found, f(w.detach())):
        assert not getattr(y, "requires_grad", False)
        np.testing.assert_array_equal(np.asarray(y), np.asarray(expected))


@pytest.mark.parametrize(
    "f",
    [
        np.shape,
        np.ndim,
        np.size,
        np.zeros_like,
        np.ones_like,
        np.isfinite,
        np.isnan,
        np.sign,
        np.argmax,
        np.argsort,
        lambda w: np.allclose(w, w),
        lambda w: np.array_equal(w, A),
        lambda w: np.result_type(w, np.float32),
        lambda w: float(w[0]),
        lambda w: int(w[1]),
        lambda w: math.sqrt(w[0]),
        lambda w: A[np.asarray(w > 1)],
        lambda w: w.tolist(),
        lambda w: w[0].item(),
    ],
)
def test_what_has_no_gradient_is_answered(f):
    w = leaf()
    found = f(w)
    np.testing.assert_array_equal(found, f(w.detach()))
    assert not isinstance(found, Tensor)


def test_a_tensor_as_out_is_refused():
    for w in (leaf(), leaf().detach()):
        with pytest.raises(TypeError, match=r"np\.add: out must be an array, got a Tensor"):
            np.add(A, A, out=w)


def test_the_ops_that_are_named_are_there():
    assert set(NAMES.values()) <= set(F.__all__)
    names = {ufunc.__name__ for ufunc in UFUNCS}
    assert not names & QUESTIONS
    assert names >= {*UNARY, *BINARY}


# Settings


def settings_of_ops():
    for op in F.__all__:
        for name, parameter in inspect.signature(getattr(F, op)).parameters.items():
            if name not in RECORDED:
                yield op, name, parameter.kind is parameter.VAR_POSITIONAL


def arguments_before(op, name):
    parameters = list(inspect.signature(getattr(F, op)).parameters)
    return [Tensor(np.ones(3)) for _ in parameters[: parameters.index(name)]]


@pytest.mark.parametrize(("op", "name", "many"), list(settings_of_ops()))
def test_a_setting_of_any_op_that_would_lose_its_gradient_is_refused(op, name, many):
    f, s = getattr(F, op), Tensor(0.5, requires_grad=True)
    before = arguments_before(op, name)
    message = f"{op}: {name} is a setting and has no gradient"
    for setting in (s, s * 2, (1, s), [s]):
        with pytest.raises(TypeError, match=message):
            f(*before, setting)
        if not many:
            with pytest.raises(TypeError, match=message):
                f(*before, **{name: setting})
    method = getattr(Tensor, op, None)
    if method and before:
        with pytest.raises(TypeError, match=message):
            method(*before, s)


def test_settings_may_be_constant_tensors_or_lose_their_gradient_where_nothing_is_recorded():
    x, s = Tensor([-1.0, 2.0], requires_grad=True), Tensor(0.5, requires_grad=True)
    assert F.leaky_relu(x, s.detach()).tolist() == [-0.5, 2.0]
    assert F.leaky_relu(x, s.item()).requires_grad
    with no_grad():
        assert F.leaky_relu(x, s).tolist() == [-0.5, 2.0]


@pytest.mark.parametrize(
    ("optimizer", "name"),
    [
        (SGD, "lr"),
        (SGD, "momentum"),
        (RMSprop, "alpha"),
        (Adam, "eps"),
        (Adam, "beta1"),
        (Adam, "weight_decay"),
    ],
)
def test_settings_of_an_optimiser_are_numbers(optimizer, name):
    value = Tensor(0.5, requires_grad=True)
    settings = {"betas": (value, 0.9)} if name == "beta1" else {name: value}
    with pytest.raises(
        TypeError, match=rf"{optimizer.__name__}: \w+ must be a number, got a Tensor of shape \(\)"
    ):
        optimizer([leaf()], **{"lr": 0.1, **settings})


def test_an_op_is_found_by_its_name_when_it_is_unpickled():
    for op in F.__all__:
        assert pickle.loads(pickle.dumps(getattr(F, op))) is getattr(F, op)


def test_every_input_of_every_op_is_recorded():
    for row in ROWS:
        inputs = row.sample()
        for i in range(len(inputs)):
            tensors = [Tensor(a, requires_grad=i == j) for j, a in enumerate(inputs)]
            assert row.f(*tensors).requires_grad, f"{row.name}: input {i} is taken for a constant"
