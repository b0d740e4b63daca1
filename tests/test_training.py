"""Runs: what a run folder holds, and that stopping, resuming and failing lose nothing."""

import contextlib
import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from safetensors.numpy import load_file

from minigan import files, training
from minigan.errors import MiniganError, NonFiniteError
from minigan.gans.noise import cgan, dcgan, gan, wgan_gp
from minigan.training import Options, Run, lock, runner
from minigan.training.checkpoint import checksum
from minigan.training.config import settings_of

TINY = dcgan.Config(steps=6, batch_size=8, width=4, latent=8)
OPTIONS = Options(checkpoint_every=2, sample_every=3, seed=5)


def quiet():
    return Console(file=io.StringIO(), width=100)


def train(path, cfg=TINY, options=OPTIONS, model="dcgan", console=None):
    return training.train(model, options, cfg, path, console or quiet())


def checkpoint(run, step=None):
    path = run.checkpoints.latest() if step is None else run.checkpoints.path(step)
    return path.read_bytes()


def metrics(run):
    return run.records.metrics.path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that was trained once, to be copied."""
    return train(tmp_path_factory.mktemp("trained") / "run").path


@pytest.mark.slow
def test_a_run_folder_holds_all_that_was_promised(tmp_path):
    run = train(tmp_path / "run")
    assert run.finished()
    assert run.checkpoints.steps() == [2, 4, 6]
    assert [p.name for p in run.sheets.paths()] == ["step-000000.png", "step-000003.png", "step-000006.png"]
    records = [json.loads(line) for line in metrics(run).splitlines()]
    assert [r["step"] for r in records] == [1, 2, 3, 4, 5, 6]
    assert all(np.isfinite(r[k]) for r in records for k in ("d_loss", "g_loss", "d_real", "d_fake"))
    with Image.open(run.gif) as film:
        assert film.n_frames == 3
    for picture in (run.losses, run.sheets.real, *run.sheets.paths()):
        Image.open(picture).verify()
    weights = load_file(run.checkpoints.latest())
    assert weights["G.1.weight"].shape == (8, 8, 4, 4)
    assert not list(run.path.rglob(".*")), "files written aside were left behind"


@pytest.mark.slow
def test_the_config_gives_back_what_the_run_was_told(tmp_path):
    run = Run.open(train(tmp_path / "run").path)
    assert run.options() == replace(OPTIONS, data="digits").resolved()
    assert run.hyperparameters() == replace(TINY, size=16)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits(tmp_path):
    one, two = train(tmp_path / "one"), train(tmp_path / "two")
    assert checkpoint(one) == checkpoint(two)
    assert metrics(one) == metrics(two)
    other = train(tmp_path / "other", options=replace(OPTIONS, seed=6))
    assert metrics(one) != metrics(other)


slow = partial(pytest.param, marks=pytest.mark.slow)
SMALL = {"steps": 6, "batch_size": 8, "latent": 8}
RESUMED = [
    ("dcgan", TINY),
    ("wgan-gp", wgan_gp.Config(**SMALL, width=4, n_critic=2)),
    slow("gan", gan.Config(steps=6, batch_size=700)),  # the third batch begins a new epoch
    slow("cgan", cgan.Config(**SMALL, width=4)),
    slow("cgan", cgan.Config(**SMALL, net="mlp", pack=2)),  # with dropout
]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "cfg"), RESUMED, ids=["dcgan", "wgan-gp", "gan", "cgan", "cgan-mlp"])
def test_a_resumed_run_ends_in_the_same_bits(tmp_path, model, cfg):
    whole = train(tmp_path / "whole", cfg, model=model)
    part = train(tmp_path / "part", replace(cfg, steps=4), model=model)
    training.resume(part.path, steps=6, console=quiet())
    assert checkpoint(part) == checkpoint(whole)
    assert metrics(part) == metrics(whole)
    for a, b in zip(Run.open(part.path).sheets.paths()[-1:], whole.sheets.paths()[-1:], strict=True):
        assert a.read_bytes() == b.read_bytes()


@pytest.mark.slow
def test_a_run_of_mirrored_images_goes_on_to_the_same_bits(tmp_path):
    flipped = replace(OPTIONS, flip=True)
    whole = train(tmp_path / "whole", options=flipped)
    assert checkpoint(whole) != checkpoint(train(tmp_path / "plain"))
    stopped = train(tmp_path / "stopped", replace(TINY, steps=4), flipped)
    resumed = training.resume(stopped.path, steps=6, console=quiet())
    assert checkpoint(resumed) == checkpoint(whole)


@pytest.mark.slow
def test_a_run_of_before_there_were_mirrored_images_goes_on_to_the_same_bits(trained, tmp_path):
    run = train(tmp_path / "run", replace(TINY, steps=4))
    _change(run.path, "flip = false\n", "")
    file = run.checkpoints.latest().with_suffix(".json")
    description = json.loads(file.read_bytes())
    del description["settings"]["flip"]
    description["checksum"] = checksum(description)
    file.write_text(json.dumps(description), encoding="utf-8")
    assert checkpoint(training.resume(run.path, steps=6, console=quiet())) == checkpoint(Run.open(trained))
    _change(run.path, "[run]\n", "[run]\nflip = true\n")
    with pytest.raises(MiniganError, match=r"was trained with flip = False, config\.toml has True"):
        training.resume(run.path, steps=8, console=quiet())


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_run_of_a_folder_stays_as_grey_or_as_coloured_as_it_began(tmp_path, mode):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i in range(10):
        Image.new("RGB", (16, 16), (20 * i, 9 * i, 5)).convert(mode).save(pictures / f"{i}.png")
    options = replace(OPTIONS, data=f"folder:{pictures}")
    run = train(tmp_path / "run", replace(TINY, size=16, steps=2), options)
    for i in range(10):
        Image.new("RGB", (16, 16), (5, 9 * i, 20 * i)).convert({"L": "RGB", "RGB": "L"}[mode]).save(
            pictures / f"{i}.png"
        )
    assert training.resume(run.path, steps=4, console=quiet()).checkpoints.steps() == [2, 4]


def test_points_are_not_mirrored(tmp_path):
    with pytest.raises(MiniganError, match="ring8 is made of points, which have no mirror images"):
        train(tmp_path / "run", gan.Config(steps=2), Options(data="ring8", flip=True), "gan")


@pytest.mark.slow
def test_what_came_after_the_last_checkpoint_is_made_again(tmp_path):
    whole = train(tmp_path / "whole")
    killed = train(tmp_path / "killed")
    killed.checkpoints.path(6).unlink()  # as if killed at step 6, its checkpoint not yet written
    with open(killed.records.metrics.path, "a", encoding="utf-8") as file:
        file.write('{"step": 7, "d_lo')  # and in the middle of a line
    training.resume(killed.path, console=quiet())
    assert checkpoint(killed) == checkpoint(whole)
    assert metrics(killed) == metrics(whole)


def start(*args, cwd):
    command = [sys.executable, "-m", "minigan", "train", "dcgan", *args]
    return subprocess.Popen(
        command, cwd=cwd, encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def wait_for(condition, process):
    for _ in range(600):
        if condition():
            return
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)
    raise AssertionError("the run did not get that far")


FLAGS = ["--steps=100000", "--batch-size=8", "--width=4", "--latent=8", "--checkpoint-every=20", "--out=run"]


@pytest.mark.slow  # a process of its own
@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_run_with_a_checkpoint_and_says_how_to_go_on(tmp_path, number):
    process = start(*FLAGS, cwd=tmp_path)
    log = tmp_path / "run" / "metrics.jsonl"
    wait_for(lambda: log.exists() and log.stat().st_size, process)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "minigan train dcgan --resume run" in output
    run = Run.open(tmp_path / "run")
    assert run.checkpoints.steps()[-1] == run.records.metrics.read()[-1]["step"]
    assert run.gif.exists()
    assert run.losses.exists()


@pytest.mark.slow
def test_a_run_that_was_stopped_before_its_first_step_can_go_on(tmp_path, monkeypatch):
    stopped = threading.Event()
    stopped.set()
    with monkeypatch.context() as patch:
        patch.setattr(runner, "_stop_requested", lambda say: contextlib.nullcontext(stopped))
        run = train(tmp_path / "run")
    assert run.checkpoints.steps() == [0]
    training.resume(run.path, console=quiet())
    assert checkpoint(run) == checkpoint(train(tmp_path / "whole"))


@pytest.mark.slow  # a process of its own
@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
def test_a_killed_run_keeps_its_last_checkpoint_and_goes_on(tmp_path):
    process = start(*FLAGS, cwd=tmp_path)
    wait_for(lambda: list((tmp_path / "run").glob("checkpoints/step-*")), process)
    process.kill()
    process.communicate()
    run = Run.open(tmp_path / "run")
    step = run.checkpoints.steps()[-1] + 2
    training.resume(run.path, steps=step, console=quiet())
    assert run.checkpoints.steps()[-1] == step


@pytest.mark.slow
@pytest.mark.parametrize("system", ["this", "one without fcntl"])
def test_a_second_process_in_a_run_folder_is_refused_with_the_first_ones_id(tmp_path, system, monkeypatch):
    """And a killed one blocks nobody."""
    without = ""
    if system != "this":
        pytest.importorskip("filelock")
        monkeypatch.setattr(lock, "fcntl", None)
        without = "lock.fcntl = None; "
    program = (
        "import sys, time; from pathlib import Path; from minigan.training import Run, lock\n"
        f"{without}\n"
        "with Run(Path(sys.argv[1]), {}).alone(): print('inside', flush=True); time.sleep(60)"
    )
    run = train(tmp_path / "run")
    command = [sys.executable, "-c", program, run.path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as first:
        assert first.stdout.readline() == "inside\n"
        with pytest.raises(MiniganError, match=f"run is in use by process {first.pid}$"):
            training.resume(run.path, steps=8, console=quiet())
        first.kill()
    training.resume(run.path, steps=8, console=quiet())
    assert run.checkpoints.steps()[-1] == 8


@pytest.mark.slow
def test_a_full_disk_leaves_the_checkpoint_before_whole(tmp_path, monkeypatch):
    """The disk fills while the second checkpoint is brought to it."""
    sync, calls = os.fsync, []

    def fsync(handle):
        if os.readlink(f"/proc/self/fd/{handle}").endswith(f".step-000004.safetensors.{os.getpid()}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        calls.append(handle)
        sync(handle)

    if not os.path.exists("/proc/self/fd"):
        pytest.skip("needs /proc to know which file is written")
    monkeypatch.setattr(files.os, "fsync", fsync)
    sentence = r"step 4: .*No space left.*checkpoint of step 2 is good.*--resume"
    with pytest.raises(MiniganError, match=sentence):
        train(tmp_path / "run")
    monkeypatch.undo()
    run = Run.open(tmp_path / "run")
    assert run.checkpoints.steps() == [2]
    assert not list(run.checkpoints.folder.glob(".*"))
    training.resume(run.path, console=quiet())
    assert checkpoint(run) == checkpoint(train(tmp_path / "whole"))


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_op(tmp_path, monkeypatch):
    real_train = dcgan.train

    def poisoned(data, rng, cfg, G, D, opt_g, opt_d):
        for i, metrics in enumerate(real_train(data, rng, cfg, G, D, opt_g, opt_d), start=1):
            yield metrics
            if i == 4:
                opt_d.params[0].data[...] = np.nan

    monkeypatch.setattr(dcgan, "train", poisoned)
    with pytest.raises(NonFiniteError, match=r"step 5: .*Conv2d.*not finite.*checkpoint of step 4 is kept"):
        train(tmp_path / "run")
    arrays = load_file(Run.open(tmp_path / "run").checkpoints.latest())
    assert all(np.isfinite(a).all() for a in arrays.values())


def test_a_divergence_names_the_first_op(tmp_path):
    cfg = replace(TINY, lr=1e30)
    with pytest.raises(NonFiniteError, match=r"step \d+: .*(first op|spoiled)"):
        train(tmp_path / "run", cfg)


@pytest.mark.slow
def test_a_run_killed_before_its_first_checkpoint_begins_anew(tmp_path):
    whole = train(tmp_path / "whole")
    killed = Path(shutil.copytree(whole.path, tmp_path / "killed"))
    shutil.rmtree(killed / "checkpoints")
    (killed / "checkpoints").mkdir()
    lines = whole.records.metrics.path.read_bytes().splitlines(keepends=True)
    (killed / "metrics.jsonl").write_bytes(b"".join(lines[:1]))
    console = quiet()
    run = training.resume(killed, console=console)
    assert "begins anew" in console.file.getvalue()
    assert run.records.metrics.path.read_bytes() == whole.records.metrics.path.read_bytes()
    assert run.checkpoints.latest().read_bytes() == whole.checkpoints.latest().read_bytes()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: (p / "config.toml").unlink(), "is not a run folder"),
        (lambda p: (p / "config.toml").write_text("model = ", encoding="utf-8"), "cannot be read"),
        (lambda p: (p / "config.toml").write_text('model = "dcgan"', encoding="utf-8"), "cannot be read"),
        (
            lambda p: (p / "config.toml").write_text("x = " + "[" * 10**5, encoding="utf-8"),
            "nested too deeply",
        ),
        (lambda p: _change(p, 'kind = "image"', "kind = 3"), "config.toml cannot be read: Field: kind must"),
        (lambda p: _change(p, "[run]", "[[run]]"), "it has a list as run, expected a table"),
        (lambda p: [c.unlink() for c in p.glob("checkpoints/*")], "has no checkpoint yet"),
        (lambda p: _change(p, "width = 4", "width = 5"), "does not fit this run"),
        (lambda p: _change(p, "width = 4", "breadth = 4"), "breadth = 4 does not fit"),
        (lambda p: _change(p, "width = 4", "width = 4.5"), "width = 4.5 does not fit"),
        (lambda p: _change(p, "seed = 5", 'seed = "5"'), "seed = '5' does not fit"),
        (lambda p: _change(p, "size = 16", "size = 17"), "size = 17 does not fit"),
        (lambda p: _change(p, '"dcgan"', "3"), "has an integer as model, expected a text"),
        (lambda p: _change(p, "size = 16", "size = 32"), "trained on samples of shape"),
        (lambda p: _change(p, '"dcgan"', '"dcgen"'), "did you mean 'dcgan'"),
    ],
)
def test_a_run_folder_that_cannot_be_used_is_refused_in_one_sentence(tmp_path, trained, make, message):
    path = Path(shutil.copytree(trained, tmp_path / "run"))
    make(path)
    with pytest.raises(MiniganError, match=message):
        training.resume(path, console=quiet())


def _change(path, old, new):
    config = path / "config.toml"
    config.write_text(config.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


@pytest.mark.slow
def test_a_resumed_run_cannot_end_before_it_began(tmp_path):
    run = train(tmp_path / "run")
    config = (run.path / "config.toml").read_bytes()
    with pytest.raises(MiniganError, match="has taken 6 steps already, more than 5"):
        training.resume(run.path, steps=5, console=quiet())
    assert (run.path / "config.toml").read_bytes() == config


@pytest.mark.slow
def test_sample_sheets_that_were_deleted_are_no_obstacle(tmp_path):
    run = train(tmp_path / "run")
    shutil.rmtree(run.sheets.folder)
    training.resume(run.path, steps=8, console=quiet())
    assert [p.name for p in run.sheets.paths()] == ["step-000006.png", "step-000008.png"]


@pytest.mark.slow
def test_a_folder_of_images_is_found_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "pictures").mkdir()
    for i in range(8):
        Image.new("RGB", (20, 30), (30 * i, 0, 0)).save(tmp_path / "pictures" / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    run = train(tmp_path / "run", replace(TINY, size=16), replace(OPTIONS, data="folder:pictures"))
    monkeypatch.chdir("/")
    training.resume(run.path, steps=8, console=quiet())
    assert run.config["fields"]["image"]["shape"] == [3, 16, 16]


def test_weights_that_are_not_finite_are_not_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(training.Session, "arrays", lambda self: {"G.w": np.array([np.nan])})
    with pytest.raises(NonFiniteError, match="step 2: the weights are not finite, so they are not saved"):
        train(tmp_path / "run")
    run = Run.open(tmp_path / "run")
    assert run.checkpoints.steps() == []
    assert (run.records.verdict()["verdict"], run.records.verdict()["step"]) == ("diverging", 2)
    assert "the weights are not finite" in run.page.read_text(encoding="utf-8")


def test_weights_that_are_not_finite_end_a_run_before_they_are_evaluated(tmp_path, monkeypatch):
    real_train = gan.train

    def poisoned(data, rng, cfg, G, D, opt_g, opt_d):
        for metrics in real_train(data, rng, cfg, G, D, opt_g, opt_d):
            opt_g.params[0].data[...] = np.nan
            yield metrics

    monkeypatch.setattr(gan, "train", poisoned)
    cfg = gan.Config(steps=3, batch_size=8, latent=8)
    options = Options(data="ring8", sample_every=3, evaluate_every=1, evaluate_n=600)
    with pytest.raises(NonFiniteError, match="step 1: the weights are not finite"):
        train(tmp_path / "run", cfg, options, "gan")
    assert Run.open(tmp_path / "run").records.verdict()["verdict"] == "diverging"


@pytest.mark.slow
def test_an_output_folder_that_cannot_be_made_or_is_taken_is_refused(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(MiniganError, match="cannot write the run folder"):
        train(tmp_path / "file" / "run")
    train(tmp_path / "run")
    with pytest.raises(MiniganError, match="not an empty folder"):
        train(tmp_path / "run")


@pytest.mark.slow
def test_points_of_the_plane_are_drawn_as_clouds(tmp_path):
    run = train(tmp_path / "run", gan.Config(steps=3), replace(OPTIONS, data="ring8"), model="gan")
    Image.open(run.sheets.paths()[-1]).verify()


@pytest.mark.slow
def test_progress_tells_steps_rate_time_left_and_losses(tmp_path):
    console = quiet()
    train(tmp_path / "run", console=console)
    output = console.file.getvalue()
    for part in ("step 1/6", "step 6/6", "steps/s", "left", "d_loss", "samples.gif", "minigan sample"):
        assert part in output
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120)
    train(tmp_path / "live", console=terminal)
    for part in ("6/6", "steps/s", "d_loss"):
        assert part in terminal.file.getvalue()


def test_a_setting_that_a_run_has_none_of_stays_none_whatever_the_default_is_by_now():
    """None is not written: a DCGAN of before D had a rate of its own goes on with one for both."""
    cfg = settings_of(dcgan.Config, {"lr": 2e-4}, Path("config.toml"))
    assert cfg.rates == (2e-4, 2e-4)
    assert cfg.batch_size == dcgan.Config().batch_size
