"""The pytest plugin, in pytest runs of their own."""

import os
import subprocess
import sys

import pytest

from minigan.backend import gpu_status

TEST = """
import numpy as np
import pytest
import minigan_kernels as kernels
from minigan import functional as F
from minigan.testing import check_grads

def test_engine():
    assert kernels.engine_name(np.ones(1)) == "reference"

def test_gradient():
    check_grads(F.exp, [np.ones(3)])

@pytest.mark.gpu
def test_on_a_gpu():
    pass
"""


pytestmark = pytest.mark.slow  # each test starts pytest anew, and with it hypothesis, NumPy, SciPy


@pytest.fixture
def pytest_run(tmp_path):
    (tmp_path / "test_it.py").write_text(TEST, encoding="utf-8")

    def run(*args, **environment):
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--strict-markers", "-rs", *args]
        result = subprocess.run(
            command, cwd=tmp_path, capture_output=True, encoding="utf-8", env={**os.environ, **environment}
        )
        return result.returncode, result.stdout + result.stderr

    return run


def test_the_closing_line_counts_the_checks(pytest_run):
    _, output = pytest_run()
    assert "minigan: 1 functions had their gradients checked on reference" in output


def test_an_engine_can_be_chosen(pytest_run):
    code, output = pytest_run("--mg-engine=reference")
    assert code == 0, output
    code, output = pytest_run("--mg-engine=nothing")
    assert code == 4
    assert "no engine is called 'nothing'; there are: cpu" in output


@pytest.mark.skipif(gpu_status()[0], reason="there is a GPU")
def test_gpu_tests_are_skipped_with_the_reason_or_fail_where_a_gpu_is_required(pytest_run):
    code, output = pytest_run()
    assert code == 0, output
    assert "1 skipped" in output
    assert "no GPU: " in output
    code, output = pytest_run(MINIGAN_REQUIRE_GPU="1")
    assert code == 1
    assert "MINIGAN_REQUIRE_GPU=1, but there is no GPU" in output
