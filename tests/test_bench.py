"""The benchmarks without PyTorch: the worker, the check, the tables. No test asserts a time."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import cpu, curve, folder, overhead, passes, results, rows, table
from bench import machine as the_machine
from bench.layers import LAYERS
from minigan.cli import call, main
from minigan.errors import MiniganError
from minigan.speed import short
from minigan.speed.compare import CHANNELS_LAST, EAGER, MINIGAN, Disagreement, Measured, check
from minigan.speed.processes import Processes, Side, Worker
from minigan.speed.steps import STEPS, job

pytestmark = pytest.mark.slow  # benchmarks are for those who change them

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
    file.write_text(SIDE, encoding="utf-8")
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
    side.file.write_text(SIDE.replace('int(os.environ["OMP_NUM_THREADS"])', "7"), encoding="utf-8")
    with pytest.raises(MiniganError, match="a side works with 7 threads, not 1"), Worker(side, threads=1):
        pass


def test_a_step_trains_the_model_of_the_package():
    points = next(step for step in STEPS if step.name == "points")
    with Worker(MINIGAN, threads=1) as worker:
        worker.prepare(job(points))
        first, second = worker.take(2)
    assert first.keys() == {"d_loss", "g_loss", "d_real", "d_fake"}
    assert first != second


def test_steps_are_timed_in_bundles_of_which_only_the_last_is_waited_for(tmp_path):
    file = tmp_path / "side.py"
    file.write_text(
        "import os\n"
        "def about(): return {'threads': int(os.environ['OMP_NUM_THREADS']), 'versions': {}}\n"
        "class Loss:\n"
        "    waits = 0\n"
        "    def __init__(self, step): self.step = step\n"
        "    def item(self):\n"
        "        Loss.waits += 1\n"
        "        return 100 * self.step + Loss.waits\n"
        "def prepare(job):\n"
        "    for step in range(100): yield {'loss': Loss(step)}\n",
        encoding="utf-8",
    )
    with Worker(Side("a side", file), threads=1) as worker:
        worker.prepare({})
        assert worker.take(2) == [{"loss": 1}, {"loss": 102}]
        assert len(worker.time(warm_up=0, seconds=0, least=2, bundle=5)) == 2  # after one to warm up
        assert worker.take(1) == [{"loss": 100 * (2 + 3 * 5) + 2 + 3 + 1}]


def test_a_process_is_started_once_and_anew_after_its_end(side):
    with Processes(threads=1) as processes:
        first = processes.of(side)
        assert processes.of(side) is first
        processes.end(side)
        assert first.process.returncode is not None
        assert processes.of(side) is not first
    assert not processes.started


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
    found = results.new("cpu", busy_processors=0.1, threads=2)
    found |= {"versions": versions, "product_gflops": {"x": 100.0}}
    for name in ("step/points", "step/dcgan-32", "scaling/dcgan-32/16", "layer/dcgan-32/D2/weight"):
        sides = table.SIDES[:2] if name == "step/points" else table.SIDES
        turns = {side: [0.1 * (i + 1), 0.3 * (i + 1), 0.2 * (i + 1)] for i, side in enumerate(sides)}
        way = {side: {"adam": "Adam()", "g_step": "autograd.grad"} for side in sides[1:]}
        memory = dict.fromkeys(sides, 50_000_000)
        measured = Measured(turns, 1e-6, way, memory, memory)
        (row,) = rows.select(f"^{name}$")
        found["rows"].append(results.about(row) | results.times(measured))
    return found


def test_the_ratio_is_that_of_neighbours_in_time():
    """The second turn found a slow machine, on both sides."""
    turns = {"minigan": [1.0, 4.0, 1.0], "quick": [2.0, 8.0, 2.2], "slow": [9.0, 9.0, 9.0]}
    assert Measured(turns, 0.0).ratio == pytest.approx(2)
    assert Measured({"minigan": [1.0]}, 0.0).ratio is None
    assert Measured({"minigan": [1.0], "minigan, no graph": [0.5], "other": [3.0]}, 0.0).ratio == 3
    assert Measured({"minigan, no graph": [0.5], "other": [3.0]}, 0.0).ratio is None


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
    assert (scaling["batch_size"], scaling["ms"]["minigan"]) == (16, pytest.approx(200))
    assert (layer["network"], layer["direction"]) == ("dcgan-32", "weight")
    rate = layer["flop"] / 0.2 / 1e9
    assert f"{rate:.0f} ({rate / 100:.0%})" in table.line(layer, found)


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


@pytest.mark.parametrize(
    ("busy", "sentence"),
    [
        (1.2, "Other work was running, right before the start on 1.2 of the 7 processors"),
        (None, "Whether other work was running is not known"),
        (0.2, None),
    ],
)
def test_the_notes_tell_of_other_work(busy, sentence):
    found = some_results() | {"busy_processors": busy}
    found["machine"]["processors"] = 7
    assert table.other_work(found) is None if sentence is None else sentence in table.notes(found)
    assert ("ther work was running" in table.notes(found)) == (sentence is not None)


@pytest.mark.parametrize(("counts", "busy"), [("10 0 20 70 0 0 0 0", 0.3), ("5 5 5 50 30 1 2 2", 0.2)])
def test_other_work_is_watched_for_a_moment(counts, busy, tmp_path, monkeypatch):
    """Ticks: user, nice, system, idle, iowait, irq, softirq, steal, and guests, whom user counts."""
    monkeypatch.setattr(the_machine.os, "sched_getaffinity", lambda pid: {1}, raising=False)
    monkeypatch.setattr(the_machine, "processors", lambda: 1)
    stat = tmp_path / "stat"
    stat.write_text(
        "cpu 9 9 9 9 9 9 9 9 9 9\ncpu0 9 9 9 9 9 9 9 9 9 9\ncpu1 0 0 0 0 0 0 0 0 0 0\nintr 1\n",
        encoding="utf-8",
    )
    later = f"cpu 9 9 9 9 9 9 9 9 9 9\ncpu0 99 9 9 9 9 9 9 9 9 9\ncpu1 {counts} 7 0\nintr 2\n"
    monkeypatch.setattr(the_machine.time, "sleep", lambda seconds: stat.write_text(later, encoding="utf-8"))
    assert the_machine.busy(2.0, stat) == pytest.approx(busy)
    assert the_machine.busy(2.0, stat) is None  # no time has passed
    assert the_machine.busy(2.0, tmp_path / "none") is None


def test_the_rows_in_which_pytorch_is_quicker_have_a_table():
    found = some_results()
    assert table.slower(found["rows"]) == []
    assert "where PyTorch is quicker" not in table.markdown(found)
    last = found["rows"][-1]
    last["ms"][EAGER.name], last["ratio"] = 100.0, 0.5
    heads, _, *lines = table.slower(found["rows"])[0].splitlines()
    assert "where PyTorch is quicker, 1 of all 4 measurements" in heads
    assert len(lines) == 1
    assert last["title"] in lines[0]
    assert "| 200 | 100 | 600 | **0.50** |" in lines[0]
    assert heads in table.markdown(found)


def test_the_notes_count_pytorchs_ways_in_words():
    ways = [{"a": {"adam": "A"}, "b": {"adam": "B"}}, {"a": {"adam": "A"}}, {"a": {"adam": "C"}}]
    ways += [{"a": {"adam": "B"}, "b": {"adam": "B"}}]
    assert table._variants([{"variants": v} for v in ways]) == "A twice, B 3 times, C once"


def test_the_notes_give_the_distances_of_the_saved_curves(tmp_path):
    file = tmp_path / "curve.csv"
    assert curve.distances(file) is None
    losses = {MINIGAN: 1.1, EAGER: 1.0, CHANNELS_LAST: 1.02}
    first = dict.fromkeys(curve.LOSSES, 1.0)
    curve.save(file, {side.name: [first, first | {"g_loss": g}] for side, g in losses.items()})
    found = curve.distances(file)
    assert found == pytest.approx({"steps": 2, "minigan": 0.1, "layouts": 0.02})
    notes = table.notes(some_results() | {"curve": found})
    assert "Over the first 2 steps" in notes
    assert "by at most 10.0%; those of PyTorch's own two memory layouts by 2.0%" in notes


# The parts of a small step.


def test_a_clock_charges_the_innermost_function_and_not_itself(monkeypatch):
    """On a clock that goes on by one second whenever it is read."""
    monkeypatch.setattr(overhead, "perf_counter", iter(range(1000)).__next__)
    clock = overhead.Clock()
    kernel = clock.timed(lambda: "y", "kernel", "kernels")
    op = clock.timed(lambda: kernel() + kernel(), "op", "autograd", "forward")
    grad = clock.timed(lambda: op(), "grad", "autograd", "backward")
    clock.start()
    assert op() + grad() == "yyyy"
    clock.charge()
    assert clock.calls == {
        **{("forward", "op"): 1, ("forward", "kernel"): 2},
        **{("backward", "grad"): 1, ("backward", "op"): 1, ("backward", "kernel"): 2},
    }
    assert clock.seconds == {
        **{("else", "rest"): 3, ("forward", "autograd"): 3, ("forward", "kernels"): 2},
        **{("backward", "autograd"): 5, ("backward", "kernels"): 2},
    }


def test_the_timers_own_time_is_subtracted(monkeypatch):
    """Two readings of that clock for each call of a function that takes no time."""
    monkeypatch.setattr(overhead, "perf_counter", iter(range(1_000_000)).__next__)
    clock = overhead.Clock()
    clock.calibrate(n=100)
    assert (clock.before, clock.after) == pytest.approx((1, 1), abs=0.05)


def test_the_parts_of_a_small_step():
    found = overhead.measure(threads=1, steps=3)
    parts = found["parts"]
    assert list(parts) == list(overhead.PARTS)
    calls = {name: part["calls"] for name, part in parts.items()}
    assert calls["optimiser"] == 2  # D's and G's
    assert calls["forward"] > calls["backward"] > 0  # the last two ops are not gone back through
    assert all(part["kernel_calls"] > 0 and part["kernels"] > 0 for part in parts.values())
    assert parts["optimiser"]["autograd"] == parts["else"]["autograd"] == 0
    text = table.overhead(found)
    assert text.startswith("| MLP GAN in the plane, batch 128: µs of a step | kernel calls |")
    assert f"| {calls['forward']} ops forward |" in text
    assert text in table.markdown(some_results() | {"overhead": found})


@pytest.mark.parametrize("text", ["nothing", table.BEGIN, f"{table.END}{table.BEGIN}", 2 * table.BEGIN])
def test_a_readme_without_the_markers_is_left_alone(tmp_path, text):
    readme = tmp_path / "README.md"
    readme.write_text(text, encoding="utf-8")
    with pytest.raises(MiniganError, match="markers"):
        table.write(readme, some_results())
    assert readme.read_text(encoding="utf-8") == text


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
        (["--curve", "--write"], "leave out --rows, --curve"),
        (["--overhead", "--write"], "leave out --rows, --curve, --overhead"),
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


@pytest.mark.parametrize("shape", [(8, 20), (2, 20, 4, 4)], ids=str)
def test_passes_are_the_same_in_one_kernel_and_in_two(shape):
    found = passes.passes(shape)
    assert len(found) == 4 + (len(shape) == 2)
    for apart, together in found.values():
        for a, b in zip(apart(), together(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_table_of_passes(monkeypatch, capsys):
    monkeypatch.setattr(passes, "LAYERS", {"a layer": (8, 20)})
    monkeypatch.setattr(passes, "TURNS", 2)
    monkeypatch.setattr(passes, "CALLS", 2)
    passes.main([])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 + 5
    assert all(line.startswith("a layer") for line in lines[3:])


def test_the_second_start_from_a_folder_finds_what_was_kept(tmp_path, monkeypatch, capsys):
    pictures = tmp_path / "pictures"
    monkeypatch.setattr(folder, "PICTURES", 70)
    folder.main([str(pictures)])
    assert len(list(pictures.rglob("*.jpg"))) == 70
    assert "the second start takes 1/" in capsys.readouterr().out
