"""Checkpoints: what counts as one, what is refused, and that damage costs no more than the newest."""

import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from minigan import training
from minigan.errors import MiniganError
from minigan.files import remove_leftovers, write_together
from minigan.gans.noise import gan
from minigan.training import Options, Run, Sampler
from minigan.training.checkpoint import (
    Checkpoint,
    DamagedCheckpoint,
    checksum,
    load_checkpoint,
    save_checkpoint,
)
from minigan.training.records import Lines, alike
from minigan.training.session import Session

CFG = gan.Config(steps=6, batch_size=8, latent=4)
OPTIONS = Options(data="ring8", checkpoint_every=2, sample_every=3, diagnose_every=2, ema=0.9)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that was trained once, to be copied."""
    return training.train("gan", OPTIONS, CFG, tmp_path_factory.mktemp("trained") / "run").path


@pytest.fixture
def run(trained, tmp_path):
    return Run.open(Path(shutil.copytree(trained, tmp_path / "run")))


def rewrite(path, arrays=None, **changes):
    """Change a checkpoint as only someone could who knows the format: its checksums are right."""
    old = load_checkpoint(path)
    save_checkpoint(path, Checkpoint(old.model, old.step, old.settings, arrays or old.arrays, old.state))
    file = path.with_suffix(".json")
    description = json.loads(file.read_text(encoding="utf-8")) | changes
    file.write_text(json.dumps(description | {"checksum": checksum(description)}), encoding="utf-8")


def assert_same(one, other):
    assert one.state == other.state
    assert one.arrays.keys() == other.arrays.keys()
    for name, a in one.arrays.items():
        np.testing.assert_array_equal(a, other.arrays[name], err_msg=name)


@pytest.mark.slow
def test_a_checkpoint_is_two_files_that_others_can_read(run):
    path = run.checkpoints.latest()
    assert load_file(path)["G.0.weight"].shape == (128, 4)
    description = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert (description["model"], description["step"], description["format"]) == ("gan", 6, 2)
    assert {"minigan", "numpy", "python", "sha256", "settings", "state"} < description.keys()
    found = load_checkpoint(path)
    assert (found.model, found.step, found.state["step"]) == ("gan", 6, 6)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
@pytest.mark.parametrize("damage", ["cut", "emptied", "changed", "gone"])
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_taken(run, suffix, damage, capsys):
    file = run.checkpoints.latest().with_suffix(suffix)
    content = file.read_bytes()
    middle = len(content) // 2
    damaged = {"cut": content[:middle], "emptied": b"", "changed": bytearray(content)}.get(damage)
    if damage == "changed":
        damaged[middle] ^= 1
    file.unlink() if damaged is None else file.write_bytes(damaged)
    Sampler.of(run)
    said = capsys.readouterr().err
    assert "step-000006" in said
    assert "the checkpoint of step 4 is taken instead" in said
    with pytest.raises(MiniganError, match="step-000006"):
        load_checkpoint(run.checkpoints.path(6))


@pytest.mark.slow
def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one_to_the_same_bits(run, trained, capsys):
    run.checkpoints.latest().write_bytes(b"junk")
    training.resume(run.path)
    assert "the checkpoint of step 4 is taken instead" in " ".join(capsys.readouterr().out.split())
    assert_same(
        load_checkpoint(run.checkpoints.path(6)), load_checkpoint(Run.open(trained).checkpoints.path(6))
    )
    assert run.records.metrics.path.read_bytes() == (trained / "metrics.jsonl").read_bytes()


def test_a_damaged_checkpoint_that_was_asked_for_is_an_error(run):
    run.checkpoints.path(4).write_bytes(b"junk")
    with pytest.raises(DamagedCheckpoint, match=r"step-000004.* is damaged"):
        Sampler.of(run, step=4)
    assert Sampler.of(run, step=2)(3).shape == (3, 2)


def test_where_no_checkpoint_is_good_it_is_said(run):
    for step in (2, 4, 6):
        run.checkpoints.path(step).write_bytes(b"junk")
    with pytest.raises(MiniganError, match=r"has no good checkpoint: .*step-000006.* is damaged"):
        Sampler.of(run)


def renamed(arrays):
    return {name.replace("G.0.weight", "G.7.weight"): a for name, a in arrays.items()}


def reshaped(arrays):
    return arrays | {"G.0.weight": np.zeros((3, 4), np.float32)}


def poisoned(arrays):
    return arrays | {"D.0.bias": np.full(128, np.nan, np.float32)}


def widened(arrays):
    return arrays | {"average.G.0.bias": arrays["average.G.0.bias"].astype(np.float64)}


@pytest.mark.parametrize(
    ("arrays", "changes", "message"),
    [
        (None, {"model": "dcgan"}, "is of dcgan; .* is a run of gan"),
        (None, {"format": 3, "minigan": "9.0"}, "was written by minigan 9.0 in format 3"),
        (None, {"format": "1"}, "has a text as format, expected an integer"),
        (None, {"step": 8}, "is misnamed: it is of step 8"),
        (None, {"settings": {}}, "does not fit this run: .*trained with"),
        (None, {"state": {"step": 6}}, "cannot be used: its state has no parts"),
        (renamed, {}, "does not fit this run: G.0.weight is missing"),
        (lambda arrays: arrays | {"x": np.zeros(2)}, {}, "does not fit this run: x is unexpected"),
        (reshaped, {}, r"G.0.weight has shape \(3, 4\), expected \(128, 4\)"),
        (widened, {}, "average.G.0.bias is float64"),
        (poisoned, {}, "D.0.bias has values that are not finite"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_in_one_sentence(run, arrays, changes, message):
    path = run.checkpoints.latest()
    rewrite(path, arrays and arrays(load_checkpoint(path).arrays), **changes)
    before = run.records.metrics.path.read_bytes()
    with pytest.raises(MiniganError, match=message):
        training.resume(run.path, steps=8)
    assert run.records.metrics.path.read_bytes() == before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"parts": {"opt_d": 1}}, "its state has an integer as parts"),
        ({"random": {"rng": "seed"}}, "its state has a text as random"),
        ({"step": "6"}, "its state has a text as step, expected an integer"),
    ],
)
def test_a_state_of_another_form_is_refused_wherever_it_is_read(run, damage, message):
    path = run.checkpoints.latest()
    rewrite(path, state=load_checkpoint(path).state | damage)
    for use in (lambda: training.resume(run.path, steps=8), lambda: Sampler.of(run)):
        with pytest.raises(MiniganError, match=f"step-000006.safetensors cannot be used: {message}"):
            use()


@pytest.mark.parametrize("place", [{"position": -1}, {"position": 10**9}, {"epoch": 2**40}, {"seed": -1}])
def test_a_place_in_the_data_that_is_none_is_refused(run, place):
    path = run.checkpoints.latest()
    state = load_checkpoint(path).state
    rewrite(path, state=state | {"data": state["data"] | place})
    with pytest.raises(MiniganError, match=r"has no place|does not fit"):
        training.resume(run.path, steps=8)


def merged(old, new):
    """The dict `old`, with what `new` has, also in the dicts within."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {**old, **{name: merged(old.get(name), value) for name, value in new.items()}}


@pytest.mark.parametrize(
    ("place", "name", "value", "message"),
    [
        ("state", "parts", {"opt_d": {"lr": -1.0}}, "opt_d.lr must be at least 0, got -1.0"),
        ("state", "parts", {"opt_e": {"lr": 1.0}}, "opt_e is unexpected"),
        ("state", "data", {"seed": -1}, "ring8 has no place {'seed': -1"),
        ("state", "random", {"dropout": [0, 0]}, "random.dropout is unexpected"),
        ("state", "random", {"default": [-1, 0]}, "Generator: key must be at least 0, got -1"),
        ("arrays", "opt_d.exp_avg.1", np.zeros(1, np.float32), "opt_d.exp_avg.1 has shape"),
        (
            "arrays",
            "average.G.2.bias",
            np.zeros(128, np.int32),
            "average.G.2.bias is int32, expected float32",
        ),
    ],
)
def test_a_session_is_restored_whole_or_not_at_all(run, place, name, value, message):
    session = Session(run.config["model"], run.options(), run.hyperparameters())
    checkpoint = load_checkpoint(run.checkpoints.latest())
    held = getattr(checkpoint, place)
    changed = {**held, name: value if place == "arrays" else merged(held[name], value)}
    arrays, state = {k: a.copy() for k, a in session.arrays().items()}, session.state()
    with pytest.raises(MiniganError, match=f"does not fit this run: {message}"):
        session.restore(replace(checkpoint, **{place: changed}))
    assert session.state() == state
    for k, a in session.arrays().items():
        np.testing.assert_array_equal(a, arrays[k], err_msg=k)


def test_a_checkpoint_with_one_name_for_shared_weights_is_restored(run, monkeypatch):
    """As written before a state had all names of a tensor."""
    session = Session(run.config["model"], run.options(), run.hyperparameters())
    checkpoint = load_checkpoint(run.checkpoints.latest())
    session.parts["D"][1].alias = session.parts["D"][0]
    assert "D.1.alias.weight" in session.arrays()
    session.restore(checkpoint)
    np.testing.assert_array_equal(session.parts["D"][0].weight.numpy(), checkpoint.arrays["D.0.weight"])


def test_arrays_come_back_as_they_were_also_without_axes_and_in_any_order_of_memory(tmp_path):
    arrays = {"one": np.array(3.5, np.float32), "none": np.zeros((0, 2)), "turned": np.eye(3, 4).T}
    path = tmp_path / "step-000001.safetensors"
    state = {"step": 1, "parts": {}, "random": {}, "data": {}}
    save_checkpoint(path, Checkpoint("gan", 1, {}, arrays, state))
    found = load_checkpoint(path).arrays
    assert {name: a.shape for name, a in found.items()} == {name: a.shape for name, a in arrays.items()}
    for name, a in arrays.items():
        np.testing.assert_array_equal(found[name], a)


def test_a_checkpoint_of_an_earlier_minigan_is_told_apart(tmp_path):
    save_file({"G.w": np.zeros(2)}, tmp_path / "step-000001.safetensors", {"minigan": "{}"})
    with pytest.raises(MiniganError, match="in a run of a minigan before checkpoints had one"):
        load_checkpoint(tmp_path / "step-000001.safetensors")


def test_a_changed_setting_is_noticed(run):
    config = run.path / "config.toml"
    config.write_text(
        config.read_text(encoding="utf-8").replace("batch_size = 8", "batch_size = 9"), encoding="utf-8"
    )
    with pytest.raises(MiniganError, match=r"trained with batch_size = 8, config.toml has 9"):
        training.resume(run.path, steps=8)


@pytest.mark.slow
@pytest.mark.parametrize("renames", [0, 1])
def test_a_kill_between_the_renames_leaves_no_half_checkpoint(run, monkeypatch, renames):
    """A process that is killed leaves what it wrote aside, too."""
    replace, done = os.replace, []

    def killed(source, target):
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(target)
        replace(source, target)

    path = run.checkpoints.path(8)
    found = load_checkpoint(run.checkpoints.path(6))
    with monkeypatch.context() as patch:
        patch.setattr("minigan.files.os.replace", killed)
        patch.setattr(Path, "unlink", lambda self, missing_ok: None)
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(path, Checkpoint("gan", 8, found.settings, found.arrays, found.state))
    assert len(list(run.checkpoints.folder.glob(".*"))) == 2 - renames
    assert run.checkpoints.steps() == [2, 4, 6]
    assert run.checkpoint(say=lambda text: None).step == 6
    training.resume(run.path, steps=8)
    assert not list(run.checkpoints.folder.glob(".*"))
    assert run.checkpoint(8).step == 8


def test_only_what_was_written_aside_is_removed(tmp_path):
    names = [".step-000002.json.123", ".hidden", "step-000002.json", ".gitignore.d"]
    for name in names:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names[1:])


def test_files_that_are_written_together_all_stand_or_none(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"before")
    calls, sync = [], os.fsync

    def fsync(handle):
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    monkeypatch.setattr("minigan.files.os.fsync", fsync)
    with pytest.raises(OSError, match="No space"):
        write_together({tmp_path / "a": b"after", tmp_path / "b": b"after"})
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a": b"before"}


@pytest.mark.slow
def test_the_lines_of_a_step_are_on_disk_before_its_checkpoint(tmp_path, monkeypatch):
    synced, sync = [], os.fsync

    def fsync(handle):
        synced.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        sync(handle)

    if not os.path.exists("/proc/self/fd"):
        pytest.skip("needs /proc to know which file is brought to disk")
    monkeypatch.setattr("minigan.files.os.fsync", fsync)
    training.train("gan", OPTIONS, replace(CFG, steps=2), tmp_path / "run")
    at = synced.index(f".step-000002.safetensors.{os.getpid()}")
    assert {"metrics.jsonl", "diagnostics.jsonl"} <= set(synced[:at])


@pytest.mark.slow
def test_a_run_that_was_moved_goes_on(run, trained, tmp_path):
    moved = shutil.move(run.path, tmp_path / "elsewhere")
    training.resume(moved, steps=8)
    assert Run.open(moved).checkpoints.steps() == [2, 4, 6, 8]


def test_a_run_that_cannot_be_written_is_refused_and_still_sampled_elsewhere(
    run, tmp_path, monkeypatch, capsys
):
    from minigan.cli import main

    def read_only(self, *args, **kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("minigan.files.os.replace", read_only)
    assert main(["train", "gan", f"--resume={run.path}", "--steps=8"]) == 2
    error = capsys.readouterr().err
    assert f"cannot write to {run.path}: Read-only file system" in error
    assert main(["sample", str(run.path)]) == 2
    assert "cannot write" in capsys.readouterr().err
    monkeypatch.undo()
    assert main(["sample", str(run.path), f"--out={tmp_path / 'sheet.png'}"]) == 0


@pytest.mark.slow
def test_a_sheet_that_is_damaged_is_left_out_of_the_film(run, capsys):
    (run.sheets.folder / "step-000003.png").write_bytes(b"junk")
    content = (run.sheets.folder / "step-000000.png").read_bytes()
    (run.sheets.folder / "step-000000.png").write_bytes(content[: len(content) // 2])
    training.resume(run.path, steps=8)
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("is damaged, and left out of the film") == 2
    with Image.open(run.gif) as film:
        assert film.n_frames == 2


@pytest.mark.slow
def test_a_run_whose_lines_are_damaged_goes_on(run):
    run.records.metrics.path.write_bytes(b'{"step": 1}\n{"step": 2, "d_loss": null}\n')
    run.records.diagnostics.path.write_bytes(
        run.records.diagnostics.path.read_bytes().replace(b'{"real": 0.', b'{"real": -', 1)
    )
    training.resume(run.path, steps=8)
    assert [record["step"] for record in run.records.metrics.read()] == [1, 2, 7, 8]


def test_lines_that_cannot_be_read_are_passed_over(tmp_path):
    good = [b'{"step": 1, "d_loss": 0.5}\n', b'{"step": 2, "d_loss": null}\n', b'{"step": 4, "d_loss": 1}\n']
    bad = [b'{"step": 3, "d_lo\n', b"\xff\n", b'{"step": "3"}\n', b'{"step": -1, "d_loss": 1}\n', b"[]\n"]
    file = tmp_path / "metrics.jsonl"
    lines = Lines(file)
    file.write_bytes(good[0] + b"".join(bad) + good[1] + b'{"step": 3, "d_loss": [1]}\n' + good[2] + b'{"st')
    assert [record["step"] for record in lines.read()] == [1, 2, 3, 4]
    assert [record["step"] for record in alike(lines.read())] == [1, 2, 4]
    assert alike([{"step": 1, "d_loss": "much"}, {"step": 2, "d_loss": True}, {"step": 10**20}]) == []
    other = {"step": 3, "penalty": 1}  # comes every third step
    assert other in alike([*lines.read(), other])
    assert lines.up_to(2) == good[0] + good[1]
    lines.cut_after(2)
    assert file.read_bytes() == good[0] + good[1]
    assert Lines(tmp_path / "none").read() == []
