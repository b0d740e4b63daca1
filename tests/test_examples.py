"""Every example runs, in a short form, and writes the files that it says."""

import contextlib
import re
import runpy
import sys
from pathlib import Path

import fake_cupy
import pytest

import minigan_kernels as kernels
from minigan.graph import graphs

ELSEWHERE = {"numba_cuda_matmul"}  # needs Numba's simulator: test_numba_cuda.py
EXAMPLES = [p for p in sorted(Path(__file__).parents[1].glob("examples/*.py")) if p.stem not in ELSEWHERE]
each_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)


def takes_steps(example):
    return "[STEPS] [DEVICE]" in example.read_text(encoding="utf-8")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs an example in an empty folder; afterwards all files are there that its first lines speak of."""

    def run(example, *args):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [str(example), *args])
        variables = runpy.run_path(str(example), run_name="__main__")
        written = re.findall(r"writes (\w+\.\w+)", variables["__doc__"])
        assert sorted(written) == sorted(path.name for path in tmp_path.iterdir())
        return variables

    return run


@pytest.mark.slow
@each_example
def test_an_example_runs(example, run, capsys):
    run(example, *(["2", "cpu"] if takes_steps(example) else []))
    assert capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("example", [*filter(takes_steps, EXAMPLES)], ids=lambda path: path.stem)
def test_an_example_trains_on_a_gpu(example, run, monkeypatch):
    """With the stand-in for CuPy, on its second GPU, op by op."""
    fake_cupy.install(monkeypatch)
    with contextlib.ExitStack() as stack:
        stack.enter_context(kernels.engine("reference"))
        stack.enter_context(graphs(False))
        variables = run(example, "2", "gpu:1")
    assert {str(p.device) for net in "GD" for p in variables[net].parameters()} == {"gpu:1"}


def test_an_op_of_ones_own_is_told_from_a_wrong_one(run, capsys):
    run(EXAMPLES[[p.stem for p in EXAMPLES].index("gradcheck_your_own_op")])
    right, first, wrong = capsys.readouterr().out.splitlines()
    assert right.startswith("SiLU is right to second order")
    assert first.startswith("HastySiLU is right to first order")
    assert "gradient of order 2 is wrong in input 0" in wrong
