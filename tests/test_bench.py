"""The benchmarks without PyTorch: the worker, the check, the tables. No test asserts a time."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import cpu, results, rows, table
from bench.layers import LAYERS
from minigan.bench import short
from minigan.bench.compare import MINIGAN, Disagreement, Measured, check
from minigan.bench.steps import STEPS, job
from minigan.bench.worker import Side, Worker
from minigan.cli import call, main
from minigan.errors import MiniganError

ROOT = Path(__file__).parents[1]

SIDE = """
import os

def about():
    return {"threads": int(os.environ["OMP_NUM_THREADS"]), "versions": {}}

def prepare(job):
    print("a library that says something")
    for n in job["numbers"]:
        if n is None:
            os._exit(3)
        yield {"loss": 1 / n}
"""


@pytest.fixture
def side(tmp_path):
    file = tmp_path / "side.py"
    file.write_text(SIDE)
    return Side("a side", file)


# A worker.


def test_a_worker_takes_steps_when_it_is_told_to(side):
    with Worker(side, threads=1) as worker:
        worker.prepare({"numbers": [1, 2, 4, *[8] * 10_000_000]})
        assert worker.take(3) == [{"loss": 1.0}, {"loss": 0.5}, {"loss": 0.25}]
        assert len(worker.time(warm_up=0, seconds=0, least=5)) == 5
        assert worker.variants({}) == [{}]
        if sys.platform == "linux":
            assert worker.peak_memory() >= worker.memory_at_start > 0


def test_an_error_of_a_side_is_told_with_its_traceback(side):
    with Worker(side, threads=1) as worker:
        worker.prepare({"numbers": [0]})
        with pytest.raises(RuntimeError, match=r"(?s)a side, take:.*ZeroDivisionError"):
            worker.take(1)


def test_a_process_that_ends_is_told_in_a_sentence(side):
    with Worker(side, threads=1) as worker:
        worker.prepare({"numbers": [None]})
        with pytest.raises(MiniganError, match="the process of a side ended, with exit code 3"):
            worker.take(1)


def test_a_side_with_other_threads_is_refused(side):
    side.file.write_text(SIDE.replace('int(os.environ["OMP_NUM_THREADS"])', "7"))
    with pytest.raises(MiniganError, match="a side works with 7 threads, not 1"), Worker(side, threads=1):
        pass


def test_a_step_trains_the_model_of_the_package():
    points = next(step for step in STEPS if step.name == "points")
    with Worker(MINIGAN, threads=1) as worker:
        worker.prepare(job(points))
        first, second = worker.take(2)
    assert first.keys() == {"d_loss", "g_loss", "d_real", "d_fake"}
    assert first != second


# The check.


def test_equal_results_pass():
    assert check({"a": [{"x": 1.0, "y": 2.0}], "b": [{"x": 1.0}]}, rtol=(1e-6,)) == 0
    assert check({"a": [{"x": 1.0}], "b": [{"x": 1.001}]}, rtol=(1e-2,)) == pytest.approx(1e-3, rel=1e-2)
    assert check({"only one": [{"x": 1.0}]}, rtol=(0.0,)) == 0


@pytest.mark.parametrize("wrong", [1.1, -1.0, float("nan"), float("inf")])
def test_other_results_are_refused(wrong):
    with pytest.raises(Disagreement, match="at step 2 ours and theirs differ in x by"):
        check({"ours": [{"x": 1.0}] * 2, "theirs": [{"x": 1.0}, {"x": wrong}]}, rtol=(1e-3, 1e-2))


@pytest.mark.parametrize("wrong", [np.full((2, 3), 1.01), np.ones((3, 2)), np.full((2, 3), np.nan)])
def test_other_arrays_are_refused(wrong):
    with pytest.raises(Disagreement, match="the result"):
        check({"ours": [np.ones((2, 3))], "theirs": [wrong]}, rtol=(1e-4,))


# The rows.


def test_rows_are_chosen_by_a_regular_expression():
    assert [row.name for row in rows.select("^step/(mlp|points)$")] == ["step/mlp", "step/points"]
    assert rows.select(None) == rows.ROWS
    assert len({row.name for row in rows.ROWS}) == len(rows.ROWS)


def test_the_layers_are_those_of_the_networks():
    last = next(layer for layer in LAYERS if layer.name == "dcgan-64/G5/forward")
    assert (last.x, last.w, last.y) == ((32, 64, 32, 32), (64, 3, 4, 4), (32, 3, 64, 64))
    assert (last.stride, last.padding, last.transposed) == ((2, 2), (1, 1), True)
    assert last.flop == 2 * 32 * 64 * 32 * 32 * 3 * 4 * 4
    assert len(LAYERS) == 3 * (4 + 4 + 5 + 5)


# The results and the tables.


def some_results():
    """Of one row of each group."""
    versions = dict.fromkeys(("minigan", "PyTorch", "NumPy", "Python"), "1")
    found = results.new(2) | {"versions": versions, "product_gflops": {"x": 100.0}}
    for name in ("step/points", "step/dcgan-32", "scaling/dcgan-32/16", "layer/dcgan-32/D2/weight"):
        sides = table.SIDES[:2] if name == "step/points" else table.SIDES
        turns = {side: [0.1 * (i + 1), 0.3 * (i + 1), 0.2 * (i + 1)] for i, side in enumerate(sides)}
        way = {side: {"adam": "Adam()", "g_step": "autograd.grad"} for side in sides[1:]}
        memory = dict.fromkeys(sides, 50_000_000)
        measured = Measured(turns, 1e-6, way, memory, memory)
        (row,) = rows.select(f"^{name}$")
        found["rows"].append(results.record(row, measured, product=100.0))
    return found


def test_the_results_say_what_was_measured(tmp_path):
    results.save(tmp_path / "cpu.json", some_results())
    found = json.loads((tmp_path / "cpu.json").read_text(encoding="utf-8"))
    assert found.keys() >= {"date", "machine", "threads", "versions", "complete", "product_gflops", "rows"}
    assert found["machine"].keys() == {"cpu", "processors", "memory_gib", "system"}
    points, step, scaling, layer = found["rows"]
    assert step["ms"] == pytest.approx({"minigan": 200, "PyTorch eager": 400, "PyTorch channels-last": 600})
    assert step["ratio"] == pytest.approx(2)
    assert step["peak_memory"]["minigan"] == 50_000_000
    assert step["turns_ms"]["minigan"] == pytest.approx([100, 300, 200])
    assert points["ms"].keys() == {"minigan", "PyTorch eager"}
    assert scaling["per_image_ms"]["minigan"] == pytest.approx(200 / 16)
    assert layer["of_product"]["minigan"] == pytest.approx(layer["flop"] / 0.2 / 1e9 / 100)


def test_the_tables_go_between_the_markers_and_nowhere_else(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n\n{table.BEGIN}\nold\n{table.END}\n\nafter |\n", encoding="utf-8")
    table.write(readme, some_results())
    once = readme.read_text(encoding="utf-8")
    assert once.startswith(f"before\n\n{table.BEGIN}\n| one training step, ms |")
    assert once.endswith(f".\n{table.END}\n\nafter |\n")
    assert "old" not in once
    assert "| MLP GAN in the plane, batch 128 | 200 | 400 | – | **2.00** | 50 / 50 / – |" in once
    assert "| DCGAN, 32×32×1, batch 16 | 12.5 | 25.0 | 37.5 | **2.00** |" in once
    assert "2 threads on each side" in once
    table.write(readme, some_results())
    assert readme.read_text(encoding="utf-8") == once


@pytest.mark.parametrize("text", ["nothing", table.BEGIN, f"{table.END}{table.BEGIN}", 2 * table.BEGIN])
def test_a_readme_without_the_markers_is_left_alone(tmp_path, text):
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(MiniganError, match="markers"):
        table.write(readme, some_results())
    assert readme.read_text() == text


def test_the_tables_of_the_readme_are_those_of_the_results_file():
    text = cpu.README.read_text(encoding="utf-8")
    written = text.partition(f"{table.BEGIN}\n")[2].partition(table.END)[0]
    if written:
        assert written == table.markdown(json.loads(cpu.RESULTS.read_text(encoding="utf-8")))
    else:
        assert table.BEGIN in text


# The commands.


def test_the_short_form_without_torch(monkeypatch, capsys):
    monkeypatch.setattr(short, "has_torch", lambda: False)
    assert main(["bench", "points", "--seconds=0.02", "--threads=1"]) == 0
    output = capsys.readouterr().out
    assert "MLP GAN in the plane, batch 128" in output
    assert "PyTorch is not installed" in output
    assert "÷" not in output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["pints"], "unknown step 'pints'; did you mean 'points'?"),
        (["--threads=0"], "threads must be from 1 to"),
        (["--seconds=0"], "--seconds"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(arguments, sentence, capsys):
    assert main(["bench", *arguments]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--rows=nonsense"], "no row is called like 'nonsense'; rows are, for example: step/dcgan-32"),
        (["--rows=("], "'(' is no regular expression"),
        (["--threads=0"], "threads must be from 1 to"),
        (["--out=nowhere/cpu.json"], "there is no folder nowhere"),
        (["--rows=step", "--write"], "leave out --rows"),
    ],
)
def test_a_mistake_in_the_long_form_is_told_in_a_sentence(arguments, sentence, capsys, monkeypatch):
    monkeypatch.setattr(cpu, "has_torch", lambda: True)
    assert call(cpu.app, arguments) == 2
    assert sentence in capsys.readouterr().err


def test_the_long_form_needs_pytorch(monkeypatch, capsys):
    monkeypatch.setattr(cpu, "has_torch", lambda: False)
    assert call(cpu.app, []) == 2
    assert "there is nothing to compare with" in capsys.readouterr().err
