"""Going back to an earlier checkpoint, and keeping only some: nothing is lost that was to be kept."""

import io
import os
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from minigan import training
from minigan.cli import main
from minigan.errors import MiniganError
from minigan.gans import gan
from minigan.training import Options, Run, rollback
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


@pytest.mark.slow
def test_rollback_keeps_what_came_after_and_the_run_branches(run, trained):
    before = content(run.path)
    kept = rollback(run.path, 4)
    assert kept == run.path / "after-000004"
    assert run.checkpoint_steps() == [2, 4]
    assert [p.name for p in run.sample_paths()] == [f"step-{s:06d}.png" for s in (0, 2, 4)]
    assert [record["step"] for record in run.metrics()] == [1, 2, 3, 4]
    after = content(kept)
    for name in ("metrics.jsonl", "diagnostics.jsonl"):
        assert (run.path / name).read_bytes() + after.pop(name) == before[name]
    moved = {f"checkpoints/step-{s:06d}.{kind}" for s in (6, 8) for kind in ("json", "safetensors")}
    moved |= {f"samples/step-{s:06d}.{kind}" for s in (6, 8) for kind in ("png", "npz")}
    moved |= {"losses.png", "samples.gif", "verdict.json", "report.html"}
    assert after.keys() == moved
    assert all(after[name] == before[name] for name in moved)
    training.resume(run.path, console=Console(file=io.StringIO()))
    files = content(run.path)
    assert all(files[name] == before[name] for name in (*moved, "metrics.jsonl") if name != "report.html")


@pytest.mark.slow
def test_each_rollback_has_a_folder_of_its_own(run):
    rollback(run.path, 6)
    training.resume(run.path, console=Console(file=io.StringIO()))
    assert rollback(run.path, 6).name == "after-000006-2"
    assert rollback(run.path, 2).name == "after-000002"
    assert run.checkpoint_steps() == [2]


def steps_of(path, killed_at):
    """Roll back, and be killed at the change `killed_at` to the folder; whether it was."""
    changes = []

    def counted(change):
        def wrapped(*args, **how):
            if len(changes) == killed_at:
                raise KeyboardInterrupt
            changes.append(args)
            return change(*args, **how)

        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", counted(os.replace))
        patch.setattr(Path, "mkdir", counted(Path.mkdir))
        try:
            rollback(path, 4)
        except KeyboardInterrupt:
            return True
    return False


def test_a_rollback_that_was_killed_anywhere_is_completed_by_the_next(run, tmp_path):
    whole = Path(shutil.copytree(run.path, tmp_path / "whole"))
    rollback(whole, 4)
    killed_at = 0
    while True:
        path = Path(shutil.copytree(run.path, tmp_path / f"killed-{killed_at}"))
        killed = steps_of(path, killed_at)
        if killed:
            assert rollback(path, 4).name == "after-000004"
        assert content(path).items() - {("lock", b"")} == content(whole).items() - {("lock", b"")}
        if not killed:
            break
        killed_at += 1
    assert killed_at > 15


@pytest.mark.slow
def test_a_run_whose_rollback_was_killed_anywhere_resumes_to_the_same_bits(run, tmp_path):
    last = run.checkpoint_path(8).read_bytes()
    killed_at, killed = 0, True
    while killed:
        path = Path(shutil.copytree(run.path, tmp_path / f"killed-{killed_at}"))
        killed = steps_of(path, killed_at)
        resumed = training.resume(path, console=Console(file=io.StringIO()))
        assert resumed.checkpoint_path(8).read_bytes() == last
        assert resumed.metrics_path.read_bytes() == run.metrics_path.read_bytes()
        killed_at += 1


def test_what_cannot_be_rolled_back_is_told_in_a_sentence(run, tmp_path):
    with pytest.raises(MiniganError, match=r"no checkpoint of step 5; the nearest is 4, of 2, 4, 6, 8"):
        rollback(run.path, 5)
    with pytest.raises(MiniganError, match="is at step 8 already"):
        rollback(run.path, 8)
    run.checkpoint_path(4).write_bytes(b"junk")
    with pytest.raises(MiniganError, match=r"step-000004.* is damaged"):
        rollback(run.path, 4)
    shutil.rmtree(run.checkpoints)
    with pytest.raises(MiniganError, match="has no checkpoint yet"):
        rollback(run.path, 4)
    with pytest.raises(MiniganError, match="is not a run folder"):
        rollback(tmp_path, 4)


def test_the_command_says_what_it_did_and_how_to_go_on(run, capsys):
    assert main(["rollback", str(run.path), "--to", "4"]) == 0
    out = capsys.readouterr().out
    assert f"is at step 4 again; what came after is in {run.path}/after-000004" in out
    assert f"minigan train gan --resume {run.path}" in out
    assert main(["rollback", str(run.path), "--to", "4"]) == 2
    assert "is at step 4 already" in capsys.readouterr().err


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
    run.evaluations_path.write_text(
        '{"step": 2, "modes": 5}\n{"step": 4, "modes": 7}\n{"step": 6, "modes": 6}\n', encoding="utf-8"
    )
    run.prune(Keep(best="modes"), saved=8)
    assert run.checkpoint_steps() == [4, 8]
    assert len(list(run.checkpoints.iterdir())) == 4


@pytest.mark.slow
def test_a_run_keeps_what_it_was_told_to(tmp_path):
    options = Options(
        data="ring8", checkpoint_every=1, evaluate_every=2, evaluate_n=600, keep="last=2,best=modes"
    )
    run = train(tmp_path / "run", options=options)
    values = {e["step"]: e["modes"] for e in run.evaluations() if e["step"] < 8}
    assert run.checkpoint_steps() == sorted({7, 8, max(values, key=values.get)})
    assert len(list(run.checkpoints.iterdir())) == 2 * len(run.checkpoint_steps())


def test_pruning_leaves_the_newest_good_one_where_a_damaged_one_is_newer(run):
    run.checkpoint_path(8).write_bytes(b"junk")
    run.prune(Keep(), saved=6)
    assert run.checkpoint_steps() == [6, 8]
    assert run.checkpoint(say=lambda text: None).step == 6


def test_keeping_the_best_needs_evaluations_that_have_it(tmp_path, capsys):
    flags = ["--data=ring8", "--steps=2", f"--out={tmp_path / 'run'}"]
    assert main(["train", "gan", *flags, "--keep=best=modes"]) == 2
    assert "keep: best=modes needs --evaluate-every" in capsys.readouterr().err
    assert main(["train", "gan", *flags, "--keep=best=fcd", "--evaluate-every=1"]) == 2
    error = capsys.readouterr().err
    assert "keep: fcd is not measured on ring8; there are: modes, high-quality, reverse-kl" in error
