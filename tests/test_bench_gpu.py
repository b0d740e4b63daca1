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
from bench.gpu import checks, kernel_side, page, rows, steps
from bench.gpu.clock import Clock
from bench.gpu.faults import FAULT
from bench.gpu.kernels import NO_TIME, ceilings, measurements, precisions
from bench.gpu.kernels import SIDE as SIDE_OF_KERNELS
from bench.gpu.processes import Bounded, Processes, sentence
from minigan.bench.compare import Timing
from minigan.bench.worker import Side, Worker
from minigan.errors import MiniganError

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
    if job["name"] == "slow":
        time.sleep(60)
    if job["name"] == "broken":
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    if job["name"] == "wrong":
        raise ValueError("nothing is timed: result 0 differs")
    if job["name"].endswith("ceiling"):
        raise ValueError("no cuBLAS")
    yield {"seconds": 1e-3, "difference": 0.0, "process": os.getpid()}
    while True:
        yield {}
"""


@pytest.fixture
def clock():
    return Clock(SOON)


@pytest.fixture
def processes():
    with Processes(threads=1, seconds=lambda: 30) as started:
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
    some = some_parts()
    monkeypatch.setattr(checks, "run", lambda clock, until: some["tests"])
    monkeypatch.setattr(command.kernels, "ceilings", lambda *rest: some["ceilings"])
    monkeypatch.setattr(command.kernels, "measurements", lambda *rest: iter(some["kernels"]["rows"]))
    asked = []

    def measured(processes, sides, offered, clock, until):
        asked.append(([side.name for side in sides], offered))
        yield from some["steps"]["rows"][:1]
        raise OSError("the disk is full")

    monkeypatch.setattr(steps, "measurements", measured)
    code = command.main([f"--out={tmp_path}", *parts])
    (file,) = tmp_path.glob("gpu-*-nvidia-h200.json")
    return code, json.loads(file.read_text(encoding="utf-8")), file, asked


def test_what_fails_in_one_part_is_recorded_and_loses_nothing(monkeypatch, tmp_path, capsys):
    code, found, file, asked = a_run(monkeypatch, tmp_path)
    assert code == 1
    assert not found["complete"]
    assert found["parts"]["steps"]["error"] == "OSError: the disk is full"
    assert len(found["parts"]["steps"]["rows"]) == 1
    assert len(found["parts"]["kernels"]["rows"]) == len(some_parts()["kernels"]["rows"])
    assert found["notes"] == []
    assert asked == [([side.name for side in steps.SIDES], rows.PRECISIONS)] or asked[0][1] == list(
        rows.PRECISIONS
    )
    assert file.with_suffix(".md").read_text(encoding="utf-8") == page.page(found)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == page.index(tmp_path)
    assert "NVIDIA H200](" in page.index(tmp_path)
    assert "steps failed" in capsys.readouterr().err


def test_it_runs_without_pytorch_and_without_tensor_cores_and_says_so(monkeypatch, tmp_path, capsys):
    _, found, _, asked = a_run(monkeypatch, tmp_path, torch=False, capability="7.5")
    assert asked == [(["minigan", "minigan, no graph"], ("fp32",))]
    assert "PyTorch is not installed: there is nothing to compare the steps with." in page.page(found)
    assert "no tensor cores for TF32 and BF16: fp32 alone is measured." in page.page(found)


def test_a_run_of_some_parts_is_not_called_complete(monkeypatch, tmp_path, capsys):
    code, found, *_ = a_run(monkeypatch, tmp_path, parts=["--parts", "tests"])
    assert list(found["parts"]) == ["tests"]
    assert not found["complete"]
    assert "The run did not come to its end." in page.page(found)
    assert code == 1  # a test failed


def test_a_run_is_complete_if_nothing_was_left_out_or_broken_off(clock):
    def parts(**changed):
        row = {"name": "adam", "seconds": 1e-3}
        whole = {"tests": {"failed": 1}, "kernels": {"rows": [row]}, "steps": {"rows": [row]}}
        return {"parts": whole | changed}

    assert command.complete(parts(), clock)
    assert command.complete(parts(kernels={"rows": [{"name": "sgd", "error": "it broke"}]}), clock)
    assert not command.complete(parts(kernels={"rows": [{"name": "sgd", "error": NO_TIME}]}), clock)
    assert not command.complete(parts(tests={"error": "the time was over before all tests had run"}), clock)
    assert not command.complete(parts(), Clock(1e-9))


def test_the_convolutions_of_the_larger_network_come_before_products():
    groups = [(row.group, row.name.partition(" ")[0]) for row in rows.all_rows()]
    order = [key for key in dict.fromkeys(groups) if key[0] == "convolution" or key[1] == "256³"]
    assert order == [("convolution", "dcgan-64"), ("product", "256³"), ("convolution", "dcgan-32")]


def test_the_precisions_of_a_card():
    assert precisions("12.0") == precisions("8.0") == rows.PRECISIONS
    assert precisions("7.5") == ("fp32",)


# The page.


def some_parts():
    memory = {
        "name": "adam",
        "group": "memory",
        "kernel": "adam",
        "precision": "fp32",
        "bytes": 4e9,
        "flop": 0,
    }
    product = {"name": "1024³", "group": "product", "kernel": "matmul", "bytes": 1, "flop": 2 * 1024**3}
    layer = {
        "name": "dcgan-64 D2 forward",
        "group": "convolution",
        "kernel": "conv2d",
        "bytes": 1,
        "flop": 1e9,
    }
    step = {"name": "mlp", "title": "MLP GAN", "batch_size": 64, "targets": [5.0, 1.2], "errors": {}}
    ms = {"minigan": 0.1, "minigan, no graph": 1.0, "PyTorch eager": 0.8, "PyTorch graph": 0.15}
    return {
        "tests": {
            "passed": 5,
            "failed": 1,
            "skipped": 0,
            "not_passed": {"tests/a.py::b": "failed"},
            "output": "",
        },
        "ceilings": {
            "copy": 4e12,
            "product": {p: {"1024": 2e14, "8192": 4e14} for p in ("fp32", "tf32", "bf16")},
            "errors": {"product ceiling bf16 256": "no cuBLAS"},
        },
        "kernels": {
            "rows": [
                memory | {"seconds": 1e-3, "difference": 0.0},
                memory | {"name": "sgd", "error": "it broke"},
                *(product | {"precision": p, "seconds": 2e-5, "difference": 0.0} for p in ("fp32", "tf32")),
                layer | {"precision": "tf32", "seconds": 1e-5, "difference": 0.0},
            ]
        },
        "steps": {
            "rows": [
                step | {"precision": "tf32", "ms": ms},
                step
                | {"precision": "bf16", "ms": {"minigan": 0.1}, "errors": {"PyTorch eager": "out of memory"}},
                step | {"precision": "fp32", "error": NO_TIME},
            ]
        },
    }


def some_results():
    about = {"benchmark": "gpu", "date": "2027-01-02", "complete": True, "device": CARD, "notes": []}
    return json.loads(json.dumps(about | {"versions": {"CuPy": "14.2.0"}, "parts": some_parts()}))


def test_the_page_says_what_was_measured():
    text = page.page(some_results())
    assert text.startswith("# NVIDIA H200, 2027-01-02\n\ncompute capability 9.0, 132 multiprocessors")
    assert "5 passed, 1 failed, 0 skipped." in text
    assert "- failed: `tests/a.py::b`" in text
    assert "A copy: 4000 GB/s" in text
    assert "| tf32 | – | – | 200 | – | – | 400 |" in text
    assert "- product ceiling bf16 256: no cuBLAS" in text
    assert "| adam | 1000 | 4000 | 100% |" in text
    assert "- sgd, fp32: it broke" in text
    assert "| 1024³ | 107 (54%) | 107 (54%) |" in text
    assert "| dcgan-64 D2 forward | 10.0 µs, 100 (25%) |" in text
    assert (
        "| MLP GAN, batch 64, tf32 | 0.100 | 1.00 | 0.800 | 0.150 | **8.00** (5) | **1.50** (1.2) |" in text
    )
    assert "| MLP GAN, batch 64, bf16 | 0.100 | – | – | – | – (5) | – (1.2) |" in text
    assert "- MLP GAN, batch 64, bf16: PyTorch eager: out of memory" in text
    assert f"- MLP GAN, batch 64, fp32: {NO_TIME}" in text


@pytest.mark.parametrize(
    "parts", [{}, {"tests": {}}, {"kernels": {"rows": []}}, {"steps": {"rows": [], "error": "e"}}]
)
def test_there_is_a_page_of_a_run_that_was_cut_short(parts):
    text = page.page(some_results() | {"complete": False, "parts": parts})
    assert "The run did not come to its end." in text


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
    with Bounded(side, threads=1, seconds=lambda: 2) as worker:
        worker.prepare({"name": "slow"})
        with pytest.raises(MiniganError, match="a side took more than 2 s"):
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


@pytest.mark.parametrize("side", [SIDE_OF_KERNELS, *steps.SIDES[:2]], ids=lambda side: side.name)
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
    monkeypatch.setattr("bench.gpu.kernels.SIDE", side)
    some = [replace(rows.MEMORY[0], name=name) for name in ("good", "wrong", "broken", "good")]
    some.append(replace(some[0], precision="bf16"))
    found = list(measurements(processes, ("fp32",), clock, 1.0, some))
    assert [r.get("error", r.get("seconds")) for r in found] == [
        1e-3,
        "ValueError: nothing is timed: result 0 differs",
        "RuntimeError: CUDA error: an illegal memory access was encountered",
        1e-3,
    ]
    over = Clock(1e-9)
    assert [r["error"] for r in measurements(processes, ("fp32",), over, 1.0, some)] == [NO_TIME] * 4


def test_a_ceiling_that_fails_is_none_with_its_reason(side, processes, clock, monkeypatch):
    monkeypatch.setattr("bench.gpu.kernels.SIDE", side)
    found = ceilings(processes, ("tf32",), clock)
    assert found["copy"] is None
    assert set(found["product"]["tf32"].values()) == {None}
    assert len(found["errors"]) == 1 + len(rows.PRODUCTS)


def test_every_kernel_of_the_engine_has_a_row():
    from minigan_kernels import cuda
    from minigan_kernels.engines import kernels_in

    called = {row.kernel for row in rows.all_rows()}
    assert called >= kernels_in(cuda).keys() - {"linear"}  # a matrix product
    assert all(hasattr(kernels, kernel) for kernel in called)
    names = [(row.name, row.precision) for row in rows.all_rows()]
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
        assert kernel_side.checked(getattr(kernels, row.kernel), row, np) <= 1e-5


def test_a_kernel_that_computes_something_else_is_not_timed(small):
    row = next(row for row in rows.MEMORY if row.name == "adam")

    def wrong(p, g, m, v, *rest):
        kernels.adam(p, g, m, v, *rest)
        v *= 1.01 if v.dtype == np.float32 else 1

    with kernels.engine("reference"), pytest.raises(ValueError, match="nothing is timed: result 2 differs"):
        kernel_side.checked(wrong, row, np)


def test_the_rows_of_products_and_layers_are_calls_of_their_kernels(small):
    (product, *_) = rows.products()
    layers = [row for row in rows.all_rows() if row.precision == "fp32" and row.name.startswith("dcgan-32")]
    assert len(layers) == 3 * 8
    with kernels.engine("reference"):
        assert kernel_side.checked(kernels.matmul, product, np) <= 1e-5
    shapes = [[a.shape for a in row.make(Shapes())[:2]] for row in layers]
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
    assert found["error"] == f"{first}: {FAULT}"


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
    assert "error" not in found


def test_a_run_of_tests_that_takes_too_long_keeps_what_it_had(tmp_path):
    test = tmp_path / "test_some.py"
    test.write_text(
        "import time, pytest\npytestmark = pytest.mark.gpu\n"
        "def test_good(): pass\ndef test_slow(): time.sleep(60)\n",
        encoding="utf-8",
    )
    found = checks.run(Clock(5), 1.0, [str(test)], alone(tmp_path))
    assert (found["passed"], found["failed"]) == (1, 0)
    assert found["error"] == f"{test}: the time was over before all tests had run"


def test_pytest_that_does_not_run_is_an_error(clock):
    found = checks.run(clock, 1.0, ["nowhere.py"])
    assert found["error"] == "nowhere.py: pytest ended with exit code 4"
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
    assert len(job["noise"]) == 5 and job["bundle"] == 7
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


ROW = steps.Row(replace(steps.POINTS, batch_size=4), 7, (5.0, 1.2))


def test_sides_that_agree_are_timed(tmp_path, processes, clock):
    two = sides(tmp_path, minigan=0.0, rival=1e-4)
    (found,) = steps.measurements(processes, two, ("fp32",), clock, 1.0, [ROW], NO_TIMING)
    assert found["ms"].keys() == {"minigan", "rival"}
    assert len(found["turns_ms"]["minigan"]) == 2
    assert found["difference"] == pytest.approx(1e-4, rel=1e-3)
    assert (found["precision"], found["targets"], found["errors"]) == ("fp32", (5.0, 1.2), {})


def test_sides_that_differ_are_not_timed_but_in_a_precision_that_allows_it(tmp_path, processes, clock):
    two = sides(tmp_path, minigan=0.0, rival=0.015)
    single, half = steps.measurements(processes, two, ("fp32", "bf16"), clock, 1.0, [ROW], NO_TIMING)
    assert "nothing is timed: at step 1 minigan and rival differ in d_loss by 1.5e-02" in single["error"]
    assert "ms" not in single
    assert "ms" in half


def test_a_side_that_fails_does_not_stop_the_others(tmp_path, processes, clock):
    three = sides(tmp_path, minigan=None, other=0.0, rival=0.0)
    (found,) = steps.measurements(processes, three, ("fp32",), clock, 1.0, [ROW], NO_TIMING)
    assert found["errors"] == {"minigan": "RuntimeError: no graph here"}
    assert found["ms"].keys() == {"other", "rival"}
    (found,) = steps.measurements(processes, three[:1], ("fp32",), clock, 1.0, [ROW], NO_TIMING)
    assert found["error"] == "no side works"


def test_when_the_time_is_over_the_rest_is_not_measured(tmp_path, processes):
    found = list(steps.measurements(processes, (), ("fp32", "tf32"), Clock(1e-9), 1.0, [ROW], NO_TIMING))
    assert [row["error"] for row in found] == [NO_TIME] * 2
