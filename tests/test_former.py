"""A run of each model, as the version before wrote it: resumed, drawn from, reported, diagnosed."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from minigan.cli import main
from minigan.training import Run, resume
from minigan.training.checkpoint import load_checkpoint

FORMER = Path(__file__).parent / "former"
NOW = {"generator": "G", "discriminator": "D", "average": "average.G"}

# On another CPU a gradient differs in its last digits, and so do steps of Adam, of 2e-4 or less: weights
# differ by 1e-7. Those of a run that lost its moments, its random numbers or its place in the data differ by
# whole steps, 1e-3.
CLOSE = {"rtol": 1e-3, "atol": 1e-4}


@pytest.fixture(params=sorted(path.name for path in FORMER.iterdir()))
def run(request, tmp_path):
    return Run.open(Path(shutil.copytree(FORMER / request.param, tmp_path / "run")))


def renamed(arrays):
    """Under the names of now."""
    split = ((name.partition("."), a) for name, a in arrays.items())
    return {f"{NOW[first]}.{rest}": a for (first, _, rest), a in split}


@pytest.mark.slow
def test_a_run_goes_on_to_the_weights_that_the_version_before_came_to(run):
    expected = renamed(load_file(run.path / "after.safetensors"))
    begun = load_checkpoint(run.checkpoints.path(6)).arrays
    resume(run.path, steps=12)
    found = load_checkpoint(run.checkpoints.path(12)).arrays
    assert {*expected} == {name for name in found if name.startswith(("G.", "D.", "average."))}
    for name, a in expected.items():
        np.testing.assert_allclose(found[name], a, **CLOSE, err_msg=name)
    assert not all(np.allclose(begun[name], a, **CLOSE) for name, a in expected.items())
    assert [record["step"] for record in run.records.metrics.read()] == [*range(1, 13)]
    assert [look["step"] for look in run.records.diagnostics.read()] == [1, 2, 4, 6, 8, 10, 12]


@pytest.mark.slow
def test_it_is_drawn_from_reported_and_diagnosed(run, capsys):
    assert main(["sample", str(run.path), "--n=5", f"--out={run.path / 'five.npz'}"]) == 0
    with np.load(run.path / "five.npz") as archive:
        assert archive["samples"].shape == (5, *run.fields().shape)
        assert np.isfinite(archive["samples"]).all()
    assert main(["report", str(run.path)]) == 0
    page = run.page.read_text(encoding="utf-8")
    for part in ('"outputs-d"', '"gradient_norm-G"', '"gradient_norm-D"', '"losses"'):
        assert part in page
    looks = run.records.diagnostics.read()
    assert all({"G", "D"} == look["gradient_norm"].keys() for look in looks)
    assert all(len(look["judges"]["d"]["output"]["real"]) == 5 for look in looks)
    capsys.readouterr()
    assert main(["diagnose", str(run.path)]) == 2  # four looks are too few for a verdict
    assert "4 looks of the doctor" in capsys.readouterr().err
    resume(run.path, steps=12)
    assert main(["diagnose", str(run.path)]) == 0
    assert "at step 12, after 7 looks" in capsys.readouterr().out
