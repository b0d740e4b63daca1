"""ONNX's own test vectors of its operators, through minigan's functions.

A second opinion that shares no author with the engine: where the `onnx` package is installed, it
brings inputs and outputs for each operator of its standard. `onnx_cases.py` says what an operator is
in minigan, and which cases of it are left out. All others have to run.
"""

import warnings
from functools import cache

import numpy as np
import pytest
from onnx_cases import LEFT_OUT, MOVING, OPS, Unsupported

from minigan import Tensor
from minigan.testing import assert_close

onnx = pytest.importorskip("onnx", reason="runs the test vectors of ONNX, which is not installed")
vectors = pytest.importorskip("onnx.backend.test.case.node")

pytestmark = pytest.mark.slow


@cache  # computing the vectors takes seconds
def cases():
    """(the cases of operators in OPS by name, how many others there are)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # some divide by 0 or overflow, and are meant to
        every = vectors.collect_testcases(None)
    ours = {case.name: case for case in every if len(nodes(case)) == 1 and nodes(case)[0].op_type in OPS}
    return ours, len(every) - len(ours)


def nodes(case):
    return case.model.graph.node


def left_out():
    return {name: reason for reason, names in LEFT_OUT.items() for name in names if name in cases()[0]}


def run(case):
    """Pairs of an output and what it must be, for the outputs that minigan has."""
    (node,), ((inputs, expected),) = nodes(case), case.data_sets
    if node.op_type in MOVING and expected[0].dtype == np.int32:
        inputs, expected = [inputs[0].astype(float), *inputs[1:]], [expected[0].astype(float)]
    if expected[0].dtype not in (np.float32, np.float64):
        raise Unsupported("neither float32 nor float64")
    # Copies, because batch norm moves its statistics; an input that is left out has an empty name.
    given = iter([Tensor(a.copy()) if a.dtype.kind == "f" else a for a in map(np.asarray, inputs)])
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    attributes = {k: v.decode() if isinstance(v, bytes) else v for k, v in attributes.items()}
    found = OPS[node.op_type](*(next(given) if name else None for name in node.input), **attributes)
    return list(zip(found if isinstance(found, tuple) else (found,), expected, strict=False))


def refusal(case):
    """The reason of LEFT_OUT why a case does not run, or else the whole message; None if it runs."""
    try:
        run(case)
    except ValueError as error:
        return next((reason for reason in LEFT_OUT if reason in str(error)), str(error))


@pytest.mark.parametrize("operator", OPS)
def test_agrees_with_onnx(operator):
    ours = {name: case for name, case in cases()[0].items() if nodes(case)[0].op_type == operator}
    wrong = {}
    for name in ours.keys() - left_out().keys():
        try:
            for found, expected in run(ours[name]):
                assert found.dtype == expected.dtype
                assert_close(found, expected, rtol=1e-5, atol=1e-6)
        except (AssertionError, ValueError) as error:
            wrong[name] = error
    assert ours
    assert not wrong


def test_cases_run_and_left_out():
    ours, others = cases()
    refused = {name: reason for name, case in ours.items() if (reason := refusal(case))}
    ran = len(ours) - len(refused)
    print(f"onnx {onnx.__version__}: {ran} cases run, {len(refused)} left out, {others} of other operators")
    assert refused == left_out()
    assert ran >= 150
