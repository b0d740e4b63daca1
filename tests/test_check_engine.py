"""`check_engine`: it has to tell a wrong engine from rounding, and know what an engine runs."""

import numpy as np
import pytest

import minigan_kernels as kernels
from minigan import functional as F
from minigan.errors import MiniganError
from minigan.testing.check_engine import check_engine, runs_kernels
from minigan.testing.gradcheck import gradcheck
from minigan_kernels.engines import kernels_called

X = [np.linspace(-1, 2, 6).reshape(2, 3)]


def here(x):
    """Whether the engine under check is running: its arrays are float32."""
    return x.dtype == np.float32


def test_rounding_passes():
    assert 0 < check_engine(lambda x: F.softmax(x * x, axis=1), X, "cpu") < 1e-6


@pytest.mark.parametrize(
    ("order", "f"),
    [
        (0, lambda x: F.exp(x) + (1e-3 if here(x) else 0.0)),
        (1, lambda x: F.exp(x) + (1e-3 * x - 1e-3 * x.detach() if here(x) else 0.0)),
        (2, lambda x: F.exp(x) + (1e-3 * (x - x.detach()) ** 2 if here(x) else 0.0)),
    ],
)
def test_a_difference_is_found_and_named_by_its_order(order, f):
    if order:
        check_engine(f, X, "cpu", order - 1)
    with pytest.raises(AssertionError, match=f"the derivative of order {order} on cpu is off by"):
        check_engine(f, X, "cpu")


def test_nan_is_no_rounding():
    with pytest.raises(AssertionError, match="order 0"):
        check_engine(lambda x: x * (float("nan") if here(x) else 1.0), X, "cpu")


def test_another_shape_is_an_error():
    with pytest.raises(AssertionError, match=r"order 0 has shape \(3,\) on cpu, not \(2, 3\)"):
        check_engine(lambda x: x[0] if here(x) else x, X, "cpu")


def test_it_knows_which_ops_call_a_kernel_of_an_engine():
    assert runs_kernels(F.leaky_relu, X, "cpu")
    assert not runs_kernels(F.exp, X, "cpu")


def test_called_kernels_are_listed_by_the_engine_that_defines_them():
    with kernels_called() as called, kernels.engine("cpu"):
        kernels.leaky_relu(np.ones(3, np.float32), 0.2)
        kernels.sigmoid(np.ones(3, np.float32))
    kernels.leaky_relu(np.ones(3, np.float32), 0.2)
    assert called == [("cpu", "leaky_relu"), ("reference", "sigmoid")]


MISSING = kernels.engine_missing("cuda-emulated")


@pytest.mark.slow
@pytest.mark.parametrize(
    "engine",
    [
        pytest.param("cuda", marks=pytest.mark.gpu),
        pytest.param("cuda-emulated", marks=pytest.mark.skipif(MISSING is not None, reason=str(MISSING))),
    ],
)
def test_every_op_that_calls_a_kernel_is_right_to_second_order(engine):
    results = list(gradcheck(engines=[engine], examples=1))
    assert [(r.op, r.failure) for r in results if r.failure] == []
    assert {"conv2d", "batch_norm", "leaky_relu", "matmul"} <= {r.op for r in results}


@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
def test_an_engine_that_runs_nothing_of_an_op_has_nothing_to_check():
    with pytest.raises(MiniganError, match="exp: no kernel of cuda-emulated is called"):
        list(gradcheck(["exp"], engines=["cuda-emulated"]))
