"""The GPU benchmark as far as no GPU is needed. No test asserts a time."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

import minigan_kernels as kernels
from bench import ROOT
from bench.gpu import __main__ as command
from bench.gpu import checks, kernel_side, measure, page, rows
from bench.gpu.clock import Clock
from bench.gpu.faults import FAULT
from bench.gpu.measure import KERNELS, NO_TIME, measurements, precisions
from bench.gpu.processes import GpuProcesses, sentence
from bench.rows import Row
from minigan.errors import MiniganError
from minigan.speed import steps
from minigan.speed.compare import Timing
from minigan.speed.processes import Side, Worker

pytestmark = pytest.mark.slow  # benchmarks are for those who change them

CARD = {"name": "NVIDIA H200", "compute_capability": "9.0", "multiprocessors": 132, "memory_gib": 139.8}
CARD |= {"cache_mib": 50.0, "driver": "580.1", "driver_cuda": "13.0", "runtime_cuda": "13.2"}
NO_TIMING = Timing(turns=2, seconds=0, warm_up=0, least=1)
SOON = 1e9  # seconds, for what is not to be cut short

SIDE = """
import os, time

def about():
    return {"threads": int(os.environ["OMP_NUM_THREADS"]), "versions": {"side": "1"}}

def prepare(job):
    name = job["name"].removeprefix("memory/")
    if name == "slow":
        time.sleep(60)
    if name == "broken":
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    if name == "wrong":
        raise ValueError("nothing is timed: result 0 differs")
    yield {"ms": 1.0, "difference": 0.0, "process": os.getpid()}
    while True:
        yield {}
"""


@pytest.fixture
def clock():
    return Clock(SOON)


@pytest.fixture
def processes():
    with GpuProcesses(1, lambda: 30) as started:
        yield started


@pytest.fixture
def side(tmp_path):
    return written(tmp_path, SIDE)


def written(tmp_path, text, name="a side"):
    file = tmp_path / f"{name}.py".replace(" ", "_")
    file.write_text(text, encoding="utf-8")
    return Side(name, file)


# The command.


def test_without_a_gpu_one_sentence_and_exit_code_2(monkeypatch, capsys):
    monkeypatch.setattr(command.backend, "gpu_status", lambda: (False, "CuPy is not installed"))
    assert command.main([]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "bench.gpu needs a GPU: CuPy is not installed\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--parts", "nonsense"], "invalid choice: 'nonsense'"),
        (["--seconds", "0"], "--seconds must be above 0"),
        (["--out", "nowhere"], "there is no folder nowhere"),
    ],
)
def test_a_mistake_is_told_and_nothing_runs(arguments, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def a_run(monkeypatch, tmp_path, torch=True, capability="9.0", parts=()):
    """The whole command, with parts that measure nothing. Its exit code and its results."""
    monkeypatch.setattr(command.backend, "gpu_status", lambda: (True, "a card"))
    monkeypatch.setattr(command, "card", lambda: CARD | {"compute_capability": capability})
    monkeypatch.setattr(command, "versions", lambda: {"CuPy": "14.2.0"})
    monkeypatch.setattr(command, "find_spec", lambda name: object() if torch else None)
    monkeypatch.setattr(checks, "run", lambda clock, until: some_tests())
    asked = []

    def measured(processes, rows, sides, clock, until):
        if rows[0].group != "step":
            yield from some_rows(*KERNEL_GROUPS)
            return
        asked.append(([side.name for side in sides], {row.precision for row in rows}))
        yield from some_rows("step")[:1]
        raise OSError("the disk is full")

    monkeypatch.setattr(measure, "measurements", measured)
    code = command.main([f"--out={tmp_path}", *parts])
    (file,) = tmp_path.glob("gpu-*-nvidia-h200.json")
    return code, json.loads(file.read_text(encoding="utf-8")), file, asked


def test_what_fails_in_one_part_is_recorded_and_loses_nothing(monkeypatch, tmp_path, capsys):
    code, found, file, asked = a_run(monkeypatch, tmp_path)
    assert code == 1
    assert not found["complete"]
    assert found["errors"] == {"steps": "OSError: the disk is full"}
    assert found["rows"] == some_rows(*KERNEL_GROUPS) + some_rows("step")[:1]
    assert found["notes"] == []
    assert asked == [([side.name for side in measure.SIDES], set(rows.PRECISIONS))]
    assert "- The part steps ended early: OSError: the disk is full" in page.page(found)
    assert file.with_suffix(".md").read_text(encoding="utf-8") == page.page(found)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == page.index(tmp_path)
    assert "NVIDIA H200](" in page.index(tmp_path)
    assert "steps failed" in capsys.readouterr().err


def test_it_runs_without_pytorch_and_without_tensor_cores_and_says_so(monkeypatch, tmp_path, capsys):
    _, found, _, asked = a_run(monkeypatch, tmp_path, torch=False, capability="7.5")
    assert asked == [(["minigan", "minigan, no graph"], {"fp32"})]
    assert "PyTorch is not installed: there is nothing to compare the steps with." in page.page(found)
    assert "no tensor cores for TF32 and BF16: fp32 alone is measured." in page.page(found)


def test_a_run_of_some_parts_is_not_called_complete(monkeypatch, tmp_path, capsys):
    code, found, *_ = a_run(monkeypatch, tmp_path, parts=["--parts", "tests"])
    assert found["parts"] == ["tests"]
    assert not found["complete"]
    assert "The run did not come to its end." in page.page(found)
    assert code == 1  # a test failed


def test_a_run_is_complete_if_nothing_was_left_out_or_broken_off(clock):
    def found(**changed):
        row = {"name": "memory/adam", "ms": {"minigan": 1.0}}
        tests = {"failed": 1, "errors": {}}
        return {"parts": list(command.PARTS), "errors": {}, "tests": tests, "rows": [row]} | changed

    late = {"a.py": "the time was over before all tests had run"}
    assert command.complete(found(), clock)
    assert command.complete(found(rows=[{"name": "sgd", "error": "it broke"}]), clock)
    assert not command.complete(found(rows=[{"name": "sgd", "error": NO_TIME}]), clock)
    assert not command.complete(found(tests={"errors": late}), clock)
    assert not command.complete(found(errors={"steps": "OSError: the disk is full"}), clock)
    assert not command.complete(found(parts=["tests", "steps"]), clock)
    assert not command.complete(found(), Clock(1e-9))


def test_the_convolutions_of_the_larger_network_come_before_products():
    groups = [(row.group, row.work.name.partition(" ")[0]) for row in rows.kernel_rows()]
    order = [key for key in dict.fromkeys(groups) if key[0] == "convolution" or key[1] == "256³"]
    first = [("ceiling", "256³"), ("convolution", "dcgan-64")]
    assert order == [*first, ("product", "256³"), ("convolution", "dcgan-32")]


def test_the_precisions_of_a_card():
    assert precisions("12.0") == precisions("8.0") == rows.PRECISIONS
    assert precisions("7.5") == ("fp32",)


# The page.


KERNEL_GROUPS = "ceiling", "memory", "product", "convolution"


def some_tests():
    others = {"not_passed": {"tests/a.py::b": "failed"}, "errors": {"tests/c.py": "a fault"}}
    return {"passed": 5, "failed": 1, "skipped": 0, "output": ""} | others


def some_rows(*groups):
    memory = {"group": "memory", "title": "adam", "precision": "fp32", "bytes": 4e9, "flop": 0}
    product = {"group": "product", "title": "1024³", "bytes": 1, "flop": 2 * 1024**3}
    layer = {"group": "convolution", "title": "dcgan-64 D2 forward", "bytes": 1, "flop": 1e9}
    step = {"group": "step", "title": "MLP GAN", "batch_size": 64, "targets": [5.0, 1.2], "errors": {}}
    ms = {"minigan": 0.1, "minigan, no graph": 1.0, "PyTorch eager": 0.8, "PyTorch graph": 0.15}
    copy = {"group": "ceiling", "title": "a copy", "precision": "fp32", "bytes": 2e9, "flop": 0}
    cublas = product | {"group": "ceiling", "precision": "tf32"}
    found = [
        copy | {"ms": {"copy": 0.5}},
        cublas | {"ms": {"cuBLAS": 0.01}},
        cublas | {"title": "8192³", "flop": 2 * 8192**3, "ms": {"cuBLAS": 4.0}},
        cublas | {"title": "256³", "error": "no cuBLAS"},
        memory | {"ms": {"minigan": 1.0}, "difference": 0.0},
        memory | {"title": "sgd", "error": "it broke"},
        *(product | {"precision": p, "ms": {"minigan": 0.02}, "difference": 0.0} for p in ("fp32", "tf32")),
        layer | {"precision": "tf32", "ms": {"minigan": 0.01}, "difference": 0.0},
        step | {"precision": "tf32", "ms": ms},
        step | {"precision": "bf16", "ms": {"minigan": 0.1}, "errors": {"PyTorch eager": "out of memory"}},
        step | {"precision": "fp32", "error": NO_TIME},
    ]
    return [row for row in found if row["group"] in groups]


def some_results():
    about = {"benchmark": "gpu", "date": "2027-01-02", "complete": True, "device": CARD, "notes": []}
    about |= {"errors": {}, "versions": {"CuPy": "14.2.0"}, "rows": some_rows(*KERNEL_GROUPS, "step")}
    return json.loads(json.dumps(about | {"tests": some_tests()}))


def test_the_page_says_what_was_measured():
    text = page.page(some_results())
    assert text.startswith("# NVIDIA H200, 2027-01-02\n\ncompute capability 9.0, 132 multiprocessors")
    assert "5 passed, 1 failed, 0 skipped." in text
    assert "- failed: `tests/a.py::b`\n- tests/c.py: a fault" in text
    assert "| a copy | 500 µs, 4000 GB/s | – |" in text
    assert "| 8192³ | – | 4000 µs, 275 TFLOP/s |" in text
    assert "- 256³, tf32: no cuBLAS" in text
    assert "| adam | 1000 µs, 4000 GB/s (100%) |" in text
    assert "- sgd, fp32: it broke" in text
    assert "| 1024³ | 20.0 µs, 107 TFLOP/s | 20.0 µs, 107 TFLOP/s (50%) |" in text
    assert "| dcgan-64 D2 forward | 10.0 µs, 100 TFLOP/s (36%) |" in text
    times = "0.100 | 1.00 | 0.800 | 0.150 | **8.00** (5) | **1.50** (1.2)"
    assert f"| MLP GAN, batch 64 | tf32 | {times} |" in text
    assert "| MLP GAN, batch 64 | bf16 | 0.100 | – | – | – | – (5) | – (1.2) |" in text
    assert "- MLP GAN, bf16: PyTorch eager: out of memory" in text
    assert f"- MLP GAN, fp32: {NO_TIME}" in text


@pytest.mark.parametrize("errors", [{}, {"tests": "OSError: e"}])
def test_there_is_a_page_of_a_run_that_was_cut_short(errors):
    found = {name: value for name, value in some_results().items() if name != "tests"}
    for rows_so_far in ([], found["rows"]):
        text = page.page(found | {"complete": False, "rows": rows_so_far, "errors": errors})
        assert "The run did not come to its end." in text
        assert ("The part tests ended early: OSError: e" in text) == bool(errors)


def test_the_results_folder_says_what_was_run_on_a_gpu_or_that_nothing_was(tmp_path):
    folder = ROOT / "bench" / "results"
    assert (folder / "README.md").read_text(encoding="utf-8") == page.index(folder)
    assert "Nothing has been run on a GPU yet." in page.index(tmp_path)
    for file in folder.glob("gpu-*.json"):
        found = json.loads(file.read_text(encoding="utf-8"))
        assert file.with_suffix(".md").read_text(encoding="utf-8") == page.page(found)
    (tmp_path / "gpu-2027-01-02-nvidia-h200.json").write_text(
        json.dumps(some_results() | {"complete": False}), encoding="utf-8"
    )
    assert page.NOTHING_YET not in page.index(tmp_path)
    assert "[2027-01-02, NVIDIA H200](gpu-2027-01-02-nvidia-h200.md), not to the end" in page.index(tmp_path)


# The processes.


def test_a_request_that_takes_too_long_ends_the_process(side):
    began = time.monotonic()
    with Worker(side, threads=1, limit=lambda: 2) as worker:
        worker.prepare({"name": "slow"})
        with pytest.raises(MiniganError, match="the process of a side took more than 2 s"):
            worker.take(1)
    assert time.monotonic() - began < 30


def test_after_a_fault_of_the_gpu_there_is_a_new_process(side, processes):
    errors = {}

    def ask(name):
        with processes.recorded(side, errors):
            worker = processes.of(side)
            worker.prepare({"name": name})
            return worker.take(1)[0]["process"]

    first = ask("good")
    assert ask("wrong") is None
    assert errors == {"a side": "ValueError: nothing is timed: result 0 differs"}
    assert ask("good") == first
    assert ask("broken") is None
    assert errors == {"a side": "RuntimeError: CUDA error: an illegal memory access was encountered"}
    assert ask("good") not in (first, None)
    assert processes.versions() == {"side": "1"}


def test_a_side_that_does_not_start_is_not_tried_again(tmp_path, processes):
    log = tmp_path / "log"
    never = written(tmp_path, f"open({str(log)!r}, 'a').write('x'); import nothing")
    for _ in range(2):
        errors = {}
        with processes.recorded(never, errors):
            processes.of(never)
        assert errors == {"a side": "the process of a side ended, with exit code 1"}
    assert log.read_text(encoding="utf-8") == "x"


@pytest.mark.parametrize("side", [KERNELS, *measure.SIDES[:2]], ids=lambda side: side.name)
def test_the_sides_start_by_their_paths_and_without_a_gpu(side, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Worker(side, threads=1) as worker:
        assert worker.about["threads"] == 1


def test_the_sentence_of_an_error():
    assert sentence(RuntimeError("Traceback\n  File x\nValueError: no\n\n")) == "ValueError: no"
    assert sentence(KeyError()) == "KeyError"


# The kernels.


def test_rows_that_fail_or_come_too_late_have_an_error_and_the_others_a_time(
    side, processes, clock, monkeypatch
):
    monkeypatch.setattr(measure, "KERNELS", side)
    one = rows.MEMORY[0]
    some = [replace(one, work=replace(one.work, name=name)) for name in ("good", "wrong", "broken", "good")]
    found = list(measurements(processes, some, (), clock, 1.0))
    assert [r.get("error", r.get("ms")) for r in found] == [
        1.0,
        "ValueError: nothing is timed: result 0 differs",
        "RuntimeError: CUDA error: an illegal memory access was encountered",
        1.0,
    ]
    assert [r["name"] for r in found[:2]] == ["memory/good", "memory/wrong"]
    over = Clock(1e-9)
    assert [r["error"] for r in measurements(processes, some, (), over, 1.0)] == [NO_TIME] * 4


def test_every_kernel_of_the_engine_has_a_row():
    from minigan_kernels import cuda
    from minigan_kernels.engines import kernels_in

    called = {row.work.kernel for row in rows.kernel_rows() if row.group != "ceiling"}
    assert called >= kernels_in(cuda).keys() - {"linear"}  # a matrix product
    assert all(hasattr(kernels, kernel) for kernel in called)
    names = [(row.name, row.precision) for row in rows.kernel_rows()]
    assert len(set(names)) == len(names)


@pytest.fixture
def small(monkeypatch):
    for name, value in {"IMAGES": (2, 8, 6, 6), "HALF": (2, 8, 3, 3), "NUMBERS": 2 * 8 * 36}.items():
        monkeypatch.setattr(rows, name, value)
    monkeypatch.setattr(rows, "LINES", 18)
    monkeypatch.setattr(rows, "CLASSES", 16)
    monkeypatch.setattr(rows, "PRODUCTS", (16,))


@pytest.mark.parametrize("row", rows.MEMORY, ids=lambda row: row.name)
def test_a_kernels_row_is_a_call_of_it(row, small):
    with kernels.engine("reference"):
        assert kernel_side.checked(getattr(kernels, row.work.kernel), row.work, np) <= 1e-5


def test_a_kernel_that_computes_something_else_is_not_timed(small):
    row = next(row for row in rows.MEMORY if row.name == "memory/adam")

    def wrong(p, g, m, v, *rest):
        kernels.adam(p, g, m, v, *rest)
        v *= 1.01 if v.dtype == np.float32 else 1

    with kernels.engine("reference"), pytest.raises(ValueError, match="nothing is timed: result 2 differs"):
        kernel_side.checked(wrong, row.work, np)


def test_the_rows_of_products_and_layers_are_calls_of_their_kernels(small):
    (product, *_) = rows.products()
    layers = [row for row in rows.convolutions(steps.DCGAN_32) if row.precision == "fp32"]
    assert len(layers) == 3 * 8
    with kernels.engine("reference"):
        assert kernel_side.checked(kernels.matmul, product.work, np) <= 1e-5
    shapes = [[a.shape for a in row.work.make(Shapes())[:2]] for row in layers]
    assert shapes[0] == [(64, 100, 1, 1), (100, 256, 4, 4)]  # G1 forward


class Shapes:
    def normal(self, shape):
        return np.broadcast_to(np.float32(0), shape)


# The tests on the GPU.


def alone(folder):
    """Options of a pytest that knows nothing of this folder."""
    return "-p", "no:minigan", "-c", os.devnull, "--rootdir", str(folder)


def test_after_a_fault_of_the_gpu_the_rest_of_a_file_does_not_run_but_the_next_file_does(tmp_path, clock):
    """With a CuPy whose GPU is broken by one of two errors."""
    first, second = tmp_path / "test_first.py", tmp_path / "test_second.py"
    first.write_text(
        "import sys, types, pytest\n"
        "pytestmark = pytest.mark.gpu\n"
        "class CUDARuntimeError(RuntimeError): pass\n"
        "broken = []\n"
        "def synchronize():\n"
        "    if broken: raise CUDARuntimeError('cudaErrorIllegalAddress')\n"
        "runtime = types.SimpleNamespace(CUDARuntimeError=CUDARuntimeError, deviceSynchronize=synchronize)\n"
        "sys.modules['cupy'] = types.SimpleNamespace(cuda=types.SimpleNamespace(runtime=runtime))\n"
        "def test_harmless(): raise CUDARuntimeError('cudaErrorInvalidValue')\n"
        "def test_good(): pass\n"
        "def test_fault():\n"
        "    broken.append(1)\n"
        "    synchronize()\n"
        "def test_later(): synchronize()\n"
        "def test_latest(): synchronize()\n",
        encoding="utf-8",
    )
    second.write_text(
        "import pytest\npytestmark = pytest.mark.gpu\ndef test_good(): pass\n", encoding="utf-8"
    )
    found = checks.run(clock, 1.0, [str(first), str(second)], alone(tmp_path))
    assert (found["passed"], found["failed"]) == (2, 2)
    assert [name.rpartition("::")[2] for name in found["not_passed"]] == ["test_harmless", "test_fault"]
    assert found["errors"] == {str(first): FAULT}


def test_outcomes_are_counted_as_they_come(tmp_path, clock):
    test = tmp_path / "test_some.py"
    test.write_text(
        "import pytest\n"
        "pytestmark = pytest.mark.gpu\n"
        "def test_good(): assert True\n"
        "def test_bad(): assert False\n"
        "@pytest.mark.skip(reason='why not')\n"
        "def test_skipped(): pass\n",
        encoding="utf-8",
    )
    found = checks.run(clock, 1.0, [str(test)], alone(tmp_path))
    assert (found["passed"], found["failed"], found["skipped"]) == (1, 1, 1)
    assert [name.rpartition("::")[2] for name in found["not_passed"]] == ["test_bad", "test_skipped"]
    assert "assert False" in found["output"]
    assert found["errors"] == {}


def test_a_run_of_tests_that_takes_too_long_keeps_what_it_had(tmp_path):
    test = tmp_path / "test_some.py"
    test.write_text(
        "import time, pytest\npytestmark = pytest.mark.gpu\n"
        "def test_good(): pass\ndef test_slow(): time.sleep(60)\n",
        encoding="utf-8",
    )
    found = checks.run(Clock(20), 1.0, [str(test)], alone(tmp_path))
    assert (found["passed"], found["failed"]) == (1, 0)
    assert found["errors"] == {str(test): "the time was over before all tests had run"}


def test_pytest_that_does_not_run_is_an_error(clock):
    found = checks.run(clock, 1.0, ["nowhere.py"])
    assert found["errors"] == {"nowhere.py": "pytest ended with exit code 4"}
    assert found["passed"] == 0


LACKING = "cyclopts rich sklearn safetensors scipy threadpoolctl PIL matplotlib pooch requests tomli_w onnx"


def test_the_gpu_tests_are_collected_where_only_numpy_cupy_numba_pytest_and_hypothesis_are(tmp_path):
    """And nothing is installed: the packages that minigan needs else are hidden, it is found by its path."""
    hide = f"import sys\nfor name in {LACKING!r}.split(): sys.modules[name] = None\nimport bench, pytest\n"
    code = hide + "sys.exit(pytest.main(sys.argv[1:]))"
    options = ["--collect-only", "-q", "-m", "gpu", "-p", "no:cacheprovider", *checks.FILES]
    run = subprocess.run(
        [sys.executable, "-c", code, *options], cwd=ROOT, capture_output=True, encoding="utf-8"
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "error" not in run.stdout.splitlines()[-1]
    for file in checks.FILES:
        assert file in run.stdout


# The steps, with sides that only say numbers.

LOSSES = """
import os, itertools

def about():
    return {"threads": int(os.environ["OMP_NUM_THREADS"]), "versions": {}}

def prepare(job):
    assert len(job["noise"]) == 5
    if FAILS:
        raise RuntimeError("no graph here")
    for i in itertools.count():
        yield {"d_loss": 1.0 + OFF}
"""


def sides(tmp_path, **told):
    return tuple(
        written(tmp_path, LOSSES.replace("OFF", str(off)).replace("FAILS", str(off is None)), name)
        for name, off in told.items()
    )


@pytest.fixture
def measured(processes, clock, monkeypatch):
    """A small step's records, by some sides in some precisions."""
    monkeypatch.setattr(measure, "TIMING", NO_TIMING)
    row = Row("step", replace(steps.POINTS, batch_size=4), bundle=7, targets=(5.0, 1.2))

    def found(sides, *precisions, clock=clock):
        rows = [replace(row, precision=p) for p in precisions or ("fp32",)]
        return list(measurements(processes, rows, sides, clock, 1.0))

    return found


def test_sides_that_agree_are_timed(tmp_path, measured):
    (found,) = measured(sides(tmp_path, minigan=0.0, rival=1e-4))
    assert found["ms"].keys() == {"minigan", "rival"}
    assert len(found["turns_ms"]["minigan"]) == 2
    assert found["difference"] == pytest.approx(1e-4, rel=1e-3)
    assert (found["name"], found["precision"], found["targets"]) == ("step/points", "fp32", [5.0, 1.2])
    assert found["errors"] == {}


def test_sides_that_differ_are_not_timed_but_in_a_precision_that_allows_it(tmp_path, measured):
    single, half = measured(sides(tmp_path, minigan=0.0, rival=0.015), "fp32", "bf16")
    assert "nothing is timed: at step 1 minigan and rival differ in d_loss by 1.5e-02" in single["error"]
    assert single["losses"]["rival"] == [{"d_loss": 1.015}] * 5
    assert "ms" not in single
    assert "ms" in half


def test_a_side_that_fails_does_not_stop_the_others(tmp_path, measured):
    three = sides(tmp_path, minigan=None, other=0.0, rival=0.0)
    (found,) = measured(three)
    assert found["errors"] == {"minigan": "RuntimeError: no graph here"}
    assert found["ms"].keys() == {"other", "rival"}
    (found,) = measured(three[:1])
    assert found["error"] == "no side works"


def test_when_the_time_is_over_the_rest_is_not_measured(measured):
    assert [row["error"] for row in measured((), "fp32", "tf32", clock=Clock(1e-9))] == [NO_TIME] * 2
