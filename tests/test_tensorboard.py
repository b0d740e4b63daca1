"""--log tensorboard: what TensorBoard reads is what the run folder says."""

import errno
import io
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minigan.cli import main
from minigan.training import Run
from minigan.training.records import alike
from minigan.training.tensorboard import TensorBoard

pytest.importorskip("tensorboard", reason="reads event files with TensorBoard, which is not installed")
pytestmark = pytest.mark.slow  # trains many runs
TINY = ["--batch-size=8", "--latent=4", "--data=ring8", "--sample-every=5", "--checkpoint-every=5"]
LOGGED = [*TINY, "--log=tensorboard", "--diagnose-every=3", "--evaluate-every=5", "--evaluate-n=40"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logged") / "run"
    assert main(["train", "gan", *LOGGED, "--steps=10", f"--out={folder}"]) == 0
    return folder


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Run.open(Path(shutil.copytree(trained, "run")))


def read(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    everything = {"scalars": 0, "images": 0, "tensors": 0}
    events = EventAccumulator(str(run.path / "tensorboard"), size_guidance=everything)
    return events.Reload()


def lines_of(events, name):
    """The scalars under name/ as lines of a file: {step: {quantity: value}}."""
    lines = {}
    for tag in events.Tags()["scalars"]:
        if tag.startswith(f"{name}/"):
            for event in events.Scalars(tag):
                line = lines.setdefault(event.step, {})
                assert tag not in line, "a step is there twice"
                line[tag.removeprefix(f"{name}/")] = event.value
    return lines


def flat(line):
    """A line of a file with a name for every number, in float32, as the events have them."""
    found = {}

    def walk(way, value):
        if isinstance(value, dict | list):
            for key, part in value.items() if isinstance(value, dict) else enumerate(value):
                walk([*way, str(key)], part)
        elif value is not None:
            found["/".join(way)] = float(np.float32(value))

    walk([], {key: value for key, value in line.items() if key != "step"})
    return found


def check(run):
    events = read(run)
    for name in ("metrics", "evaluations", "diagnostics"):
        expected = {line["step"]: flat(line) for line in alike(getattr(run.records, name).read())}
        assert expected
        assert lines_of(events, name) == expected
    pictures = {0: "step-000000.png"} | {step: f"step-{step:06d}.png" for step in expected_sheets(run)}
    shown = events.Images("samples")
    assert [image.step for image in shown] == list(pictures)
    for image in shown:
        assert image.encoded_image_string == (run.sheets.folder / pictures[image.step]).read_bytes()
        assert Image.open(io.BytesIO(image.encoded_image_string)).size == (image.width, image.height)
    return events


def expected_sheets(run):
    return range(5, run.records.metrics.read()[-1]["step"] + 1, 5)


def text(events, tag):
    (made,) = events.Tensors(tag)[-1].tensor_proto.string_val
    return "\n".join(line.removeprefix("    ") for line in made.decode().splitlines())


def test_tensorboard_reads_what_the_folder_says(run):
    events = check(run)
    assert text(events, "config").strip() == (run.path / "config.toml").read_text(encoding="utf-8").strip()
    assert [image.step for image in events.Images("real")] == [0]


def test_a_resumed_run_has_each_step_once(run):
    assert main(["train", "gan", "--resume=run", "--steps=15"]) == 0
    events = check(run)
    assert list(lines_of(events, "metrics")) == list(range(1, 16))
    assert sorted(path.stat().st_size > 0 for path in (run.path / "tensorboard").iterdir()) == [False, True]


def test_a_run_that_was_killed_has_each_step_once_and_all_of_them(run):
    """As if by SIGKILL at step 10, after the checkpoint of step 5, before the events were on disk."""
    run.checkpoints.path(10).unlink()
    (events,) = (run.path / "tensorboard").iterdir()
    events.write_bytes(events.read_bytes()[:700])
    assert main(["train", "gan", "--resume=run"]) == 0
    assert list(lines_of(check(run), "metrics")) == list(range(1, 11))


def test_a_run_that_begins_where_another_was_has_each_step_once(run):
    assert main(["train", "gan", "--from=run:5", "--out=new"]) == 0
    assert list(lines_of(check(Run.open(Path("new"))), "metrics")) == list(range(1, 11))


def test_an_open_page_forgets_the_steps_that_are_taken_again(run):
    events = read(run)
    run.checkpoints.path(10).unlink()
    assert main(["train", "gan", "--resume=run", "--steps=12"]) == 0
    events.Reload()
    assert list(lines_of(events, "metrics")) == list(range(1, 13))


def test_the_verdict_is_a_text(run):
    verdict = {"step": 9, "verdict": "healthy", "findings": []}
    run.records.save_verdict(verdict)
    shutil.rmtree(run.path / "checkpoints")
    with TensorBoard(run):
        pass
    assert json.loads(text(read(run), "verdict")) == verdict


def test_a_run_that_is_not_logged_needs_no_tensorboard(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert main(["train", "gan", *TINY, "--steps=2", f"--out={tmp_path / 'run'}"]) == 0
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_a_disk_that_takes_no_events_is_told_in_one_sentence(run, capsys):
    shutil.rmtree(run.path / "tensorboard")
    (run.path / "tensorboard").write_text("in the way", encoding="utf-8")
    assert main(["train", "gan", "--resume=run", "--steps=12"]) == 2
    assert "cannot write to run: File exists" in capsys.readouterr().err


def test_a_disk_that_is_full_is_told_in_one_sentence(run, monkeypatch, capfd):
    from tensorboard.summary.writer.record_writer import RecordWriter

    def full(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(RecordWriter, "write", full)
    assert main(["train", "gan", "--resume=run", "--steps=12"]) == 2
    told = capfd.readouterr().err
    assert "cannot write to run: No space left on device" in told
    assert told.count("\n") == 1


def test_lines_that_cannot_be_read_are_passed_over(run):
    whole = run.records.metrics.path.read_text(encoding="utf-8").splitlines()
    spoilt = [*whole[:3], '{"step": 4, "d_loss": "x"}', "no JSON", *whole[4:], '{"step": 1']
    run.records.metrics.path.write_text("\n".join(spoilt), encoding="utf-8")
    with TensorBoard(run):
        pass
    assert list(lines_of(check(run), "metrics")) == [1, 2, 3, *range(5, 11)]


def test_a_missing_package_is_told_before_there_is_a_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert main(["train", "gan", *LOGGED, "--steps=2", "--out=new"]) == 2
    assert "--log tensorboard needs tensorboard, which is not installed: pip install tensorboard" in (
        capsys.readouterr().err
    )
    assert not Path("new").exists()
