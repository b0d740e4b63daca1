"""A run that begins where another was, and keeping only some checkpoints: nothing is lost."""

import io
import os
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from minigan import training
from minigan.cli import main
from minigan.errors import MiniganError
from minigan.gans.noise import gan
from minigan.training import Options, Run
from minigan.training.keep import Keep

CFG = gan.Config(steps=8, batch_size=8, latent=4)
OPTIONS = Options(data="ring8", checkpoint_every=2, sample_every=2, diagnose_every=1)


def train(path, cfg=CFG, options=OPTIONS):
    return training.train("gan", options, cfg, path, Console(file=io.StringIO()))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that was trained once, to be copied."""
    return train(tmp_path_factory.mktemp("trained") / "run").path


@pytest.fixture
def run(trained, tmp_path):
    return Run.open(Path(shutil.copytree(trained, tmp_path / "run")))


def content(folder):
    """The files of a folder and below it."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# --from


def begun(run, out, *flags):
    """`train --from`: the exit code."""
    return main(["train", "gan", f"--from={run}", f"--out={out}", *flags])


@pytest.mark.slow
def test_a_branch_is_what_the_run_was_and_the_run_stays(run, tmp_path):
    before = content(run.path)
    branch = training.branch(run.path, 4, tmp_path / "new")
    assert content(run.path) == before
    assert branch.checkpoints.steps() == [4]
    assert [p.name for p in branch.sheets.paths()] == [f"step-{s:06d}.png" for s in (0, 2, 4)]
    assert [record["step"] for record in branch.records.metrics.read()] == [1, 2, 3, 4]
    files = content(branch.path)
    assert all(before[name].startswith(files[name]) for name in files)
    assert files.keys() & {"report.html", "samples.gif", "verdict.json"} == set()
    assert training.branch(run.path).path == run.path.with_name("run-from-8"), "the newest"


@pytest.mark.slow
def test_a_branch_goes_on_to_the_bits_of_the_run(run, tmp_path, capsys):
    assert begun(f"{run.path}:4", tmp_path / "new") == 0
    branch = Run.open(tmp_path / "new")
    for name in ("checkpoints/step-000008.safetensors", "metrics.jsonl", "diagnostics.jsonl"):
        assert (branch.path / name).read_bytes() == (run.path / name).read_bytes()
    assert begun(f"{run.path}:4", tmp_path / "longer", "--steps=10") == 0
    assert Run.open(tmp_path / "longer").checkpoints.steps() == [4, 6, 8, 10]


@pytest.mark.slow
def test_a_branch_that_was_killed_anywhere_is_whole_or_none(run, tmp_path):
    whole = content(training.branch(run.path, 4, tmp_path / "whole").path)
    before, killed_at, killed = content(run.path), 0, True
    while killed:
        changes, out = [], tmp_path / f"killed-{killed_at}"

        def counted(change):
            def wrapped(*args, **how):
                if len(changes) == killed_at:  # noqa: B023
                    raise KeyboardInterrupt
                changes.append(args)  # noqa: B023
                return change(*args, **how)

            return wrapped

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "replace", counted(os.replace))
            patch.setattr(Path, "mkdir", counted(Path.mkdir))
            patch.setattr(shutil, "copy2", counted(shutil.copy2))
            try:
                training.branch(run.path, 4, out)
                killed = False
            except KeyboardInterrupt:
                assert not out.exists()
        assert content(run.path) == before
        if killed:
            training.branch(run.path, 4, out)
        assert content(out) == whole
        killed_at += 1
    assert killed_at > 8


def test_an_empty_folder_is_as_good_as_none(run, tmp_path, monkeypatch):
    out = tmp_path / "empty"
    out.mkdir()
    training.branch(run.path, 4, out)
    assert content(out) == content(training.branch(run.path, 4, tmp_path / "new").path)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(MiniganError, match=r"^\. is the folder this is called in"):
        training.branch(run.path.resolve(), 4, Path())


def test_what_no_run_can_begin_from_is_told_in_a_sentence(run, tmp_path, capsys):
    with pytest.raises(MiniganError, match=r"no checkpoint of step 5; it has \[2, 4, 6, 8\]"):
        training.branch(run.path, 5)
    with pytest.raises(MiniganError, match="exists and is not an empty folder; choose another"):
        training.branch(run.path, 4, tmp_path)
    run.checkpoints.path(4).write_bytes(b"junk")
    with pytest.raises(MiniganError, match=r"step-000004.* is damaged"):
        training.branch(run.path, 4)
    with pytest.raises(MiniganError, match="is not a run folder"):
        training.branch(tmp_path / "nowhere", 4)
    assert begun(f"{run.path}:6", tmp_path / "new", "--lr=1") == 2
    assert "only --steps and --device may be given; got --lr" in capsys.readouterr().err
    assert main(["train", "dcgan", f"--from={run.path}:6"]) == 2
    assert "is a run of gan, not of dcgan" in capsys.readouterr().err
    assert [*tmp_path.glob("*-from-*")] == []


# --keep


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("last=3,every=10000,best=fcd", Keep(3, 10000, "fcd")),
        ("last=2", Keep(2)),
        ("best=coverage, every=5", Keep(1, 5, "coverage")),
    ],
)
def test_keep_is_parsed(text, expected):
    assert Keep.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("last", "'last' is none of last=N, every=STEPS, best=METRIC"),
        ("", "is none of"),
        ("last=3,", "is none of"),
        ("first=3", "'first=3' is none of"),
        ("last=0", "last must be a whole number above 0, got '0'"),
        ("every=-1", "every must be a whole number above 0"),
        ("last=1,last=2", "last is given twice"),
        ("best=fdc", "'fdc' is not measured while training; did you mean 'fcd'"),
    ],
)
def test_what_keep_cannot_be_is_told(text, message):
    with pytest.raises(MiniganError, match=message):
        Keep.parse(text)


def test_the_best_goes_up_or_down_as_its_metric_does():
    evaluations = [
        {"step": s, "fcd": v, "modes": v} for s, v in ((10, 3.0), (20, 1.0), (30, None), (35, 0.5))
    ]
    steps = [10, 20, 30, 40]
    assert Keep(best="fcd").chosen(steps, evaluations) == {20, 40}
    assert Keep(best="modes").chosen(steps, evaluations) == {10, 40}
    assert Keep(best="recall").chosen(steps, evaluations) == {40}
    assert Keep(last=2, every=10).chosen(steps, []) == set(steps)
    assert Keep(every=20).chosen([10, 20, 30], []) == {20, 30}


def test_pruning_deletes_what_is_not_to_be_kept(run):
    run.records.evaluations.path.write_text(
        '{"step": 2, "modes": 5}\n{"step": 4, "modes": 7}\n{"step": 6, "modes": 6}\n', encoding="utf-8"
    )
    run.checkpoints.prune(Keep(best="modes"), 8, run.records.evaluations.read())
    assert run.checkpoints.steps() == [4, 8]
    assert len(list(run.checkpoints.folder.iterdir())) == 4


@pytest.mark.slow
def test_a_run_keeps_what_it_was_told_to(tmp_path):
    options = Options(
        data="ring8", checkpoint_every=1, evaluate_every=2, evaluate_n=600, keep="last=2,best=modes"
    )
    run = train(tmp_path / "run", options=options)
    values = {e["step"]: e["modes"] for e in run.records.evaluations.read() if e["step"] < 8}
    assert run.checkpoints.steps() == sorted({7, 8, max(values, key=values.get)})
    assert len(list(run.checkpoints.folder.iterdir())) == 2 * len(run.checkpoints.steps())


def test_pruning_leaves_the_newest_good_one_where_a_damaged_one_is_newer(run):
    run.checkpoints.path(8).write_bytes(b"junk")
    run.checkpoints.prune(Keep(), 6, [])
    assert run.checkpoints.steps() == [6, 8]
    assert run.checkpoint(say=lambda text: None).step == 6


def test_keeping_the_best_needs_evaluations_that_have_it(tmp_path, capsys):
    flags = ["--data=ring8", "--steps=2", f"--out={tmp_path / 'run'}"]
    assert main(["train", "gan", *flags, "--keep=best=modes"]) == 2
    assert "keep: best=modes needs --evaluate-every" in capsys.readouterr().err
    assert main(["train", "gan", *flags, "--keep=best=fcd", "--evaluate-every=1"]) == 2
    error = capsys.readouterr().err
    assert "keep: fcd is not measured on ring8; there are: modes, high-quality, reverse-kl" in error
