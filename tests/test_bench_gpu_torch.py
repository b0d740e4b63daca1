"""PyTorch's side of the GPU benchmark, on the CPU: the same losses as that of the CPU's benchmark."""

import importlib.util
import itertools
import subprocess
import sys
from dataclasses import replace

import pytest

from bench.gpu import measure
from minigan.speed import steps
from minigan.speed.compare import EAGER, check, first_steps
from minigan.speed.processes import Worker
from minigan.speed.steps import job

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
pytestmark = [pytest.mark.torch, pytest.mark.slow]

SMALL = {"latent": 8, "width": 4}
TINY = [
    replace(steps.DCGAN_64, batch_size=2, shape=(3, 16, 16), settings=SMALL),
    replace(steps.MLP, batch_size=4, shape=(1, 4, 4)),
    replace(steps.POINTS, batch_size=4),
    replace(steps.CRITIC, batch_size=4, settings=steps.CRITIC.settings | SMALL),
]


@pytest.fixture
def side(monkeypatch):
    """Its file, told to use the CPU: where a graph is a call, and Adam has no form for graphs."""
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    settings = [(torch.backends.cuda.matmul, "allow_tf32"), (torch.backends.cudnn, "allow_tf32")]
    settings.append((torch.backends.cudnn, "benchmark"))
    before = [getattr(*setting) for setting in settings]
    spec = importlib.util.spec_from_file_location("gpu_torch_side", measure.EAGER.file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "DEVICE", "cpu")
    monkeypatch.setattr(module, "graphed", warmed_up)
    adam = module.side.adam
    monkeypatch.setattr(module.side, "adam", lambda *args, fused, capturable: adam(*args, fused=fused))
    yield module
    for setting, value in zip(settings, before, strict=True):
        setattr(*setting, value)


def warmed_up(step, inputs):
    for _ in range(5):
        step(*inputs)
    return step


def asked(step, **settings):
    return job(step, 5) | {"graph": False} | settings


def losses(side, job, n):
    steps = itertools.islice(side.prepare(job), n)
    return [{name: loss.item() for name, loss in seen.items()} for seen in steps]


@pytest.mark.parametrize("step", TINY, ids=lambda step: step.name)
@pytest.mark.slow
def test_the_losses_are_those_of_the_cpus_benchmark(side, step):
    with Worker(EAGER, threads=1) as worker:
        expected = first_steps(worker, asked(step), 5)
    assert check({"cpu": expected, "gpu": losses(side, asked(step), 5)}, measure.RTOL["fp32"]) < 2e-2


@pytest.mark.parametrize("step", TINY, ids=lambda step: step.name)
def test_warming_up_before_a_capture_changes_nothing(side, step):
    eager, graphed = (losses(side, asked(step, graph=graph), 5) for graph in (False, True))
    assert check({"eager": eager, "graph": graphed}, (1e-6,) * 5) < 1e-6


@pytest.mark.parametrize("step", TINY, ids=lambda step: step.name)
def test_bf16_is_another_precision_within_its_limits(side, step):
    single = losses(side, asked(step), 5)
    half = losses(side, asked(step, precision="bf16"), 5)
    assert check({"fp32": single, "bf16": half}, measure.RTOL["bf16"]) > 0


def test_tf32_is_switched_on_for_both_libraries(side):
    for precision in ("tf32", "fp32"):
        side.set_precision(precision)
        for library in (torch.backends.cuda.matmul, torch.backends.cudnn):
            assert library.allow_tf32 == (precision == "tf32")


def test_in_fp32_images_may_lie_either_way(side):
    formats = [v["layout"] for v in side.variants(asked(TINY[0]))]
    assert formats == ["channels_last", "contiguous"]
    assert [v["layout"] for v in side.variants(asked(TINY[0], precision="bf16"))] == ["channels_last"]
    assert len(side.variants(asked(TINY[1]))) == 1


@pytest.mark.slow
def test_the_rivals_process_holds_nothing_of_minigan():
    with Worker(measure.GRAPHED, threads=1) as worker:
        assert worker.about["versions"]["PyTorch"] == torch.__version__
    code = (
        "import runpy, sys; runpy.run_path(sys.argv[1]);"
        "sys.exit(', '.join(m for m in sys.modules if m.partition('.')[0].startswith('minigan')) or 0)"
    )
    run = subprocess.run(
        [sys.executable, "-P", "-c", code, str(measure.GRAPHED.file)],
        env={"OMP_NUM_THREADS": "1"},
        capture_output=True,
        encoding="utf-8",
    )
    assert (run.returncode, run.stderr) == (0, "")
