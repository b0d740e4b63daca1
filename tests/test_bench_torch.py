"""The two sides of the benchmarks compute the same, and a difference between them is found."""

import csv
import json
import subprocess
import sys
from dataclasses import replace

import pytest

from bench import cpu, curve, layers, table
from minigan.cli import call, main
from minigan.speed import steps
from minigan.speed.compare import (
    CHANNELS_LAST,
    EAGER,
    LOSSES,
    MINIGAN,
    Disagreement,
    Timing,
    check,
    first_steps,
    measure,
)
from minigan.speed.processes import Processes, Worker

pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
pytestmark = [pytest.mark.torch, pytest.mark.slow]

SMALL = {"latent": 8, "width": 4}
TINY = [
    replace(steps.DCGAN_32, batch_size=4, settings=SMALL),
    replace(steps.DCGAN_64, batch_size=2, shape=(3, 16, 16), settings=SMALL),
    replace(steps.MLP, batch_size=4, shape=(1, 4, 4)),
    replace(steps.POINTS, batch_size=4),
    replace(steps.CRITIC, batch_size=4, settings=SMALL),
    replace(steps.FILMS, batch_size=2, settings={"latent": 2, "width": 4}),
]
SIDES = [MINIGAN, EAGER, CHANNELS_LAST]
NO_TIME = Timing(turns=1, seconds=0, warm_up=0, least=1)


@pytest.fixture(scope="module")
def processes():
    with Processes(threads=1) as processes:
        yield processes


def compared(processes, jobs, rtol=LOSSES):
    """The largest difference of the sides' first steps."""
    results = {side.name: first_steps(processes.of(side), job, len(rtol)) for side, job in jobs.items()}
    return check(results, rtol)


@pytest.mark.parametrize("step", TINY, ids=lambda step: step.name)
@pytest.mark.slow
def test_the_sides_agree(step, processes):
    job = steps.job(step)
    for variant in processes.of(EAGER).variants(job):
        assert compared(processes, dict.fromkeys(SIDES, job | {"variant": variant})) <= max(LOSSES)


@pytest.mark.parametrize("step", TINY, ids=lambda step: step.name)
def test_other_weights_are_refused(step, processes):
    job = steps.job(step) | {"variant": {}}
    D = job["weights"]["D"]
    name = next(iter(D))
    wrong = job | {"weights": job["weights"] | {"D": D | {name: -1.5 * D[name]}}}
    with pytest.raises(Disagreement, match="nothing is timed: at step 1 minigan and PyTorch eager differ"):
        measure(processes, {MINIGAN: job, EAGER: wrong}, LOSSES, NO_TIME, lambda what: None)


def test_other_noise_is_refused(processes):
    job = steps.job(TINY[0])
    wrong = job | {"noise": [-z for z in job["noise"]]}
    with pytest.raises(Disagreement):
        compared(processes, dict.fromkeys(SIDES, job) | {CHANNELS_LAST: wrong})


@pytest.mark.slow
def test_convolutions_agree_in_every_direction():
    tiny = replace(TINY[1], settings={"latent": 5, "width": 4})
    with Processes(threads=1) as processes:
        for layer in layers.layers_of(tiny):
            assert compared(processes, dict.fromkeys(layers.SIDES, layers.job(layer)), layers.RTOL) <= 1e-4
        assert compared(processes, dict.fromkeys(layers.SIDES, layers.product(8)), layers.RTOL) <= 1e-4


@pytest.mark.slow
def test_the_rivals_process_holds_nothing_of_minigan():
    code = (
        "import runpy, sys; runpy.run_path(sys.argv[1]);"
        "sys.exit(', '.join(m for m in sys.modules if m.partition('.')[0].startswith('minigan')) or 0)"
    )
    for side in (EAGER, layers.SIDES[1]):
        run = subprocess.run(
            [sys.executable, "-P", "-c", code, str(side.file)],
            env={"OMP_NUM_THREADS": "1"},
            capture_output=True,
            encoding="utf-8",
        )
        assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.slow
def test_measuring_gives_every_side_its_time_memory_and_way():
    found = cpu.measure_alone([MINIGAN, EAGER], steps.job(TINY[3]), 1, NO_TIME, lambda what: None)
    assert found.turns.keys() == found.peak_memory.keys() == {MINIGAN.name, EAGER.name}
    assert found.ratio > 0
    assert found.variants.keys() == {EAGER.name}


@pytest.mark.slow
def test_the_long_form(tmp_path, monkeypatch, capsys):
    """On tiny work and another README."""
    readme = tmp_path / "README.md"
    readme.write_text(f"{table.BEGIN}\n{table.END}\n", encoding="utf-8")
    step, layer = (next(row for row in cpu.ROWS if row.group == group) for group in ("step", "layer"))
    tiny = [replace(step, work=TINY[3]), replace(layer, work=layers.layers_of(TINY[1])[0])]
    monkeypatch.setattr(cpu, "README", readme)
    monkeypatch.setattr(cpu, "ROWS", tiny)
    monkeypatch.setattr(cpu, "select", lambda pattern: tiny)
    for name in ("STEP_TIMING", "LAYER_TIMING", "PRODUCT_TIMING"):
        monkeypatch.setattr(cpu, name, NO_TIME)
    monkeypatch.setattr(cpu, "PRODUCT", 64)
    monkeypatch.setattr(cpu.overhead, "STEPS", 3)

    assert call(cpu.app, ["--write", "--threads=1", f"--out={tmp_path / 'cpu.json'}"]) == 0
    found = json.loads((tmp_path / "cpu.json").read_text(encoding="utf-8"))
    assert found["complete"]
    assert [row["group"] for row in found["rows"]] == ["step", "layer"]
    assert found.keys() >= {"busy_processors", "overhead", "curve"}
    assert table.markdown(found) in readme.read_text(encoding="utf-8")
    assert "MLP GAN in the plane, batch 4" in capsys.readouterr().out


@pytest.mark.slow
def test_the_curves_begin_as_one(tmp_path):
    found = curve.curves(1, lambda what: None, TINY[0], steps=3)
    curve.save(tmp_path / "curve.csv", found)
    heads, *lines = csv.reader((tmp_path / "curve.csv").read_text(encoding="utf-8").splitlines())
    assert heads[:3] == ["step", "d_loss minigan", "d_loss PyTorch eager"]
    assert [line[0] for line in lines] == ["1", "2", "3"]
    ours, theirs, _ = found.values()
    assert curve.distance(ours, ours) == 0
    assert curve.distance(ours, theirs) < 1e-2


@pytest.mark.slow
def test_the_short_form_has_the_ratio(capsys):
    assert main(["bench", "points", "--seconds=0.02", "--threads=1"]) == 0
    assert "PyTorch ÷ minigan" in capsys.readouterr().out


@pytest.mark.slow
def test_both_sides_work_with_the_threads_they_are_given(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    for side in (MINIGAN, EAGER):
        with Worker(side, threads=1) as worker:
            assert worker.about["threads"] == 1
