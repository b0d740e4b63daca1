"""Studies: the file, the jobs, the table. The jobs run a stand-in for `minigan`."""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from minigan.cli import main
from minigan.errors import MiniganError
from minigan.studies import Study, jobs, workers
from minigan.studies.correlation import correlations, means_up_to
from minigan.studies.results import mean_and_error, table, with_error
from minigan.training.records import Records

pytestmark = pytest.mark.slow  # starts processes

# It "trains" by writing a checkpoint every 10 ms; the modes it "finds" are latent + seed². With batch_size 13
# it fails, with sample_every 2 it waits until two of its kind are there at once.
STAND_IN = """
import json, os, signal, sys, time
from pathlib import Path

command, what, *flags = sys.argv[1:]
given = dict(flag[2:].split("=", 1) if "=" in flag else (flag[2:], True) for flag in flags)
if command == "train":
    folder = Path(given.get("out") or given["resume"])
    if "out" in given:
        folder.mkdir()  # an error if it is there
        (folder / "checkpoints").mkdir()
        threads = os.environ["MINIGAN_NUM_THREADS"]
        (folder / "given.json").write_text(json.dumps(given | {"threads": threads}))
    given = json.loads((folder / "given.json").read_text())
    if every := int(given.get("evaluate-every", 0)):  # the loss falls as modes rise
        said = [{"step": step, "d_loss": -step} for step in range(1, 9)]
        seen = [{"step": step, "modes": step} for step in range(every, 9, every)]
        for name, lines in (("metrics", said), ("evaluations", seen)):
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\\n" for line in lines))
    stopped = []
    signal.signal(signal.SIGINT, lambda number, frame: stopped.append(number))
    if given.get("batch-size") == "13":
        print("it all went well until here")
        sys.exit("no good")
    if given.get("sample-every") == "2":
        (folder / "here").touch()
        for _ in range(1000):
            if len(list(folder.parent.glob("*/here"))) == 2:
                break
            time.sleep(0.01)
        else:
            sys.exit("alone")
    steps = int(given["steps"])
    for step in range(len(list((folder / "checkpoints").glob("*.json"))), steps):
        for kind in ("safetensors", "json"):
            (folder / "checkpoints" / f"step-{step + 1:06d}.{kind}").touch()
        if stopped:
            sys.exit(130)
        time.sleep(0.01)
else:
    if what.endswith(".npz"):
        folder, name, value = Path(what).parent, "samples.evaluation.json", float(Path(what).read_text())
    else:
        folder, name = Path(what), "evaluation.json"
        given_to_train = json.loads((folder / "given.json").read_text())
        value = int(given_to_train.get("latent", 100)) + int(given_to_train["seed"]) ** 2
    found = {"value": value, "error": None, "floor": 8.0, "n": int(given.get("n", 10))}
    eye = {"hash": "0123abcd", "data": "mnist", "accuracy": 0.9931} if given.get("draws") == "2" else None
    draws = int(given.get("draws", 3))
    (folder / name).write_text(json.dumps({"draws": draws, "metrics": {"modes": found}, "classifier": eye}))
"""

STUDY = """
title = "Modes found"
seeds = [0, 1, 2]
metrics = ["modes"]
n = 2500

[base]
model = "gan"
data = "ring8"
steps = 2

[[rows]]
name = "GAN, ring of 8"
latent = 2

[[rows]]
name = "GAN, with more noise"
latent = 20
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A function that runs STUDY, or the text given, and returns the exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workers, "LOOK_EVERY", 0.005)
    Path("stand_in.py").write_text(STAND_IN, encoding="utf-8")
    monkeypatch.setattr(jobs, "MINIGAN", (sys.executable, "-S", "stand_in.py"))

    def run(*flags, text=STUDY):
        Path("modes.toml").write_text(text, encoding="utf-8")
        return main(["study", "modes.toml", *flags])

    return run


def log(name):
    return Path("runs/modes", f"{name}.log").read_text(encoding="utf-8")


def checkpoints(name):
    return len(list(Path("runs/modes", name, "checkpoints").glob("*.json")))


@contextlib.contextmanager
def once(condition, act):
    """While the block runs, call `act` as soon as condition() holds."""

    def watch():
        while not condition() and not over.is_set():
            time.sleep(0.005)
        if not over.is_set():
            act()

    over = threading.Event()
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def interrupt(times=1):
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)


# The table


def test_the_page_says_how_rows_were_judged(study):
    assert study(text=STUDY.replace("n = 2500", "draws = 2")) == 0
    page = Path("modes.md").read_text(encoding="utf-8")
    assert "\nAn evaluation: 2 draws of 10 samples.\nClassifier 0123abcd of mnist, right on 99.31% of" in page


def test_a_study_ends_in_a_table(study, capsys):
    assert study() == 0
    printed = capsys.readouterr().out
    assert (
        """
|                      | modes      | seeds |
| -------------------- | ---------- | ----- |
| GAN, ring of 8       | 3.7 ± 1.2  | 3     |
| GAN, with more noise | 21.7 ± 1.2 | 3     |
| real data, ring8     | 8          |       |
"""
        in printed
    )
    page = Path("modes.md").read_text(encoding="utf-8")
    assert page == Path("runs/modes/results.md").read_text(encoding="utf-8")
    assert page.startswith("# Modes found\n\nMade by `minigan study modes.toml`, ")
    judged = "An evaluation: 3 draws of 2,500 samples.\n\n"
    assert f"Mean ± standard error over the seeds 0, 1, 2.\n{judged}" in page
    assert "- GAN, ring of 8: gan, data ring8, steps 2, latent 2\n" in page
    found = json.loads(Path("modes.json").read_text(encoding="utf-8"))
    first = found["rows"][0]
    assert "correlations" not in first["seeds"]["0"]
    assert [first["seeds"][seed]["metrics"]["modes"]["value"] for seed in "012"] == [2, 3, 6]
    assert first["means"]["modes"] == {
        "mean": pytest.approx(11 / 3),
        "error": pytest.approx(math.sqrt(13) / 3),
    }
    assert found["command"] == "minigan study modes.toml"
    assert found["machine"]
    page = Path("modes.md").read_text(encoding="utf-8")
    assert "\n- GAN, ring of 8: modes 2, 3, 6; seconds of training " in page


def test_a_mean_over_fewer_seeds_than_the_row_has_says_so():
    seeds = {0: {"metrics": {"fcd": {"value": 2.0}}}, 1: {"metrics": {}}, 2: {"metrics": {}}}
    row = {"name": "GAN", "means": {"fcd": mean_and_error([2.0])}, "seeds": seeds, "failed": 0}
    assert "| 2 (1 of 3) | 3     |" in table({"rows": [row], "seeds": [0, 1, 2], "real": {}})


def test_what_a_step_says_is_compared_with_what_was_measured(study, capsys):
    asked = STUDY.replace(
        "[base]", '[correlate]\nmodes = ["d_loss", "wasserstein"]\n\n[base]\nevaluate_every = 2'
    )
    assert study(text=asked) == 0
    assert "| modes      | d_loss ~ modes | seeds |" in capsys.readouterr().out
    found = json.loads(Path("modes.json").read_text(encoding="utf-8"))
    first = found["rows"][0]
    assert first["seeds"]["2"]["correlations"] == {"d_loss ~ modes": pytest.approx(-1)}
    assert first["means"]["d_loss ~ modes"]["mean"] == pytest.approx(-1)
    assert "wasserstein" not in str(first["means"])
    assert "A ~ B: Spearman's rank correlation" in Path("modes.md").read_text(encoding="utf-8")


def records_of(tmp_path, metrics, evaluations):
    for name, lines in (("metrics", metrics), ("evaluations", evaluations)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (tmp_path / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return Records(tmp_path)


def test_a_rank_correlation_is_of_the_means_between_evaluations(tmp_path):
    """By hand: the means 2, 1, 5, 4 have ranks 2, 1, 4, 3, the metric 1, 2, 3, 4: 1 - 6 · 4 / (4 · 15)."""
    said = [1, 3, 0, 2, 4, 6, 3, 5, 99]  # the last after the last evaluation
    metrics = [{"step": step, "loss": float(x)} for step, x in enumerate(said, start=1)]
    measured = [{"step": 2 * i, "fcd": x} for i, x in enumerate([0.5, 7.0, 8.0, None], start=1)]
    records = records_of(tmp_path, metrics, measured)
    assert means_up_to([2, 4, 6, 8], metrics, "loss") == {2: 2, 4: 1, 6: 5, 8: 4}
    assert correlations(records, {"fcd": ["loss", "other"], "modes": ["loss"]}) == {
        "loss ~ fcd": pytest.approx(0.6)
    }


def test_there_is_no_correlation_with_what_never_changes_nor_of_two(tmp_path):
    metrics = [{"step": step, "loss": float(step), "same": 1.0} for step in range(1, 9)]
    records = records_of(tmp_path, metrics, [{"step": step, "fcd": 1.0 / step} for step in (2, 4, 6)])
    assert correlations(records, {"fcd": ["loss", "same"]}) == {"loss ~ fcd": pytest.approx(-1)}
    records = records_of(tmp_path, metrics, [{"step": step, "fcd": 1.0 / step} for step in (2, 4)])
    assert correlations(records, {"fcd": ["loss"]}) == {}


def test_standard_error_by_hand():
    # mean 4; squares of the differences 4 + 0 + 4 = 8; over n - 1 = 2 gives s = 2; over √3
    assert mean_and_error([2.0, 4.0, 6.0]) == {"mean": 4.0, "error": pytest.approx(2 / math.sqrt(3))}
    assert mean_and_error([2.0, None]) == {"mean": None, "error": None}
    assert mean_and_error([5.0]) == {"mean": 5.0, "error": None}


@pytest.mark.parametrize(
    ("mean", "error", "text"),
    [
        (3.66667, 1.2018, "3.7 ± 1.2"),
        (0.0123456, 0.000345, "0.01235 ± 0.00034"),
        (1234.5, 67.8, "1234 ± 68"),
        (8.0, 0.0, "8 ± 0"),
        (8.123456, None, "8.123"),
        (None, None, "∞"),
    ],
)
def test_errors_have_two_digits(mean, error, text):
    assert with_error(mean, error) == text


def test_a_single_seed_has_no_error(study, capsys):
    assert study(text=STUDY.replace("[0, 1, 2]", "[1]")) == 0
    assert "±" not in capsys.readouterr().out


def test_the_table_of_what_is_there_is_partial_and_stays_out_of_the_study_s_folder(study, capsys):
    study(text=STUDY.replace("[0, 1, 2]", "[0, 2]"))
    Path("modes.md").unlink()
    capsys.readouterr()
    assert study("--table") == 0
    printed = capsys.readouterr().out
    assert "4.0 ± 2.0" in printed
    assert "2 of 3" in printed
    assert not Path("runs/modes/gan-ring-of-8-seed1").exists()
    assert not Path("modes.md").exists()


# The jobs


def test_a_finished_job_is_not_run_again(study, capsys):
    assert study() == 0
    before = log("gan-ring-of-8-seed0")
    capsys.readouterr()
    assert study() == 0
    assert "begun" not in capsys.readouterr().out
    assert log("gan-ring-of-8-seed0") == before


def test_more_seeds_and_rows_are_added(study, capsys):
    assert study(text=STUDY.replace("[0, 1, 2]", "[0]")) == 0
    capsys.readouterr()
    more = STUDY.replace("[0, 1, 2]", "[0, 1]") + '\n[[rows]]\nname = "GAN"\nlr = [1e-4, 2e-4]'
    assert study(text=more) == 0
    assert "6 of 8 jobs to do" in capsys.readouterr().out
    assert (
        json.loads(Path("runs/modes/gan-lr-0.0001-seed1/given.json").read_text(encoding="utf-8"))["lr"]
        == "0.0001"
    )


def test_another_evaluation_trains_nothing(study, capsys):
    assert study() == 0
    assert study(text=STUDY.replace("2500", "500")) == 0
    assert log("gan-ring-of-8-seed0").count(" train ") == 1
    assert log("gan-ring-of-8-seed0").count(" evaluate ") == 2
    assert '"n": 500' in Path("modes.json").read_text(encoding="utf-8")


def test_a_job_that_was_begun_with_other_settings_is_refused(study, capsys):
    assert study() == 0
    capsys.readouterr()
    assert study(text=STUDY.replace("steps = 2", "steps = 3")) == 2
    error = capsys.readouterr().err
    assert "modes.toml: GAN, ring of 8, seed 0 was begun with steps = 2, now 3; undo that" in error
    assert study("--out=others", text=STUDY.replace("steps = 2", "steps = 3")) == 0


def test_a_failed_job_is_told_and_the_others_go_on(study, capsys):
    text = STUDY.replace("latent = 20", "batch_size = 13")
    assert study(text=text) == 1
    printed = capsys.readouterr().out
    assert "exit code 1; the end of runs/modes/gan-with-more-noise-seed0.log:\n" in printed
    assert "it all went well until here\n         no good\n" in printed
    squeezed = " ".join(printed.split())
    assert "| GAN, with more noise | failed | 0 of 3, 3 failed |" in squeezed
    assert "| GAN, ring of 8 | 3.7 ± 1.2 | 3 |" in squeezed
    assert study("--table", text=text) == 1


def test_a_study_that_failed_whole_leaves_its_last_results(study):
    Path("modes.md").write_text("as they were", encoding="utf-8")
    assert study(text=STUDY.replace("steps = 2", "batch_size = 13")) == 1
    assert Path("modes.md").read_text(encoding="utf-8") == "as they were"


def test_a_program_that_is_not_there_is_a_failure(study, capsys):
    text = STUDY + '\n[[rows]]\nname = "other"\ncommand = ["no-such-program"]\n'
    assert study(text=text) == 1
    assert "cannot start no-such-program: No such file or directory" in capsys.readouterr().out


def test_samples_of_another_program_are_scored_alike(study, capsys):
    program = "import sys; open(sys.argv[1] + '/samples.npz', 'w').write(sys.argv[2] + sys.argv[3])"
    words = json.dumps(["{python}", "-c", program, "{out}", "{seed}", "{steps}"])
    text = STUDY + f'\n[[rows]]\nname = "other"\ncommand = {words}\n'
    assert study(text=text) == 0
    assert " evaluate runs/modes/other-seed1/samples.npz --data=ring8 --metrics=modes" in log("other-seed1")
    assert "| other                | 12.0 ± 5.8" in capsys.readouterr().out
    assert (
        json.loads(Path("modes.json").read_text(encoding="utf-8"))["rows"][2]["settings"]["command"][0]
        == "{python}"
    )


def test_two_jobs_run_at_once_and_share_the_threads(study, monkeypatch):
    monkeypatch.setenv("MINIGAN_NUM_THREADS", "6")
    text = STUDY.replace("[0, 1, 2]", "[0]").replace("steps = 2", "steps = 2\nsample_every = 2")
    assert study("--workers=2", text=text) == 0
    assert (
        json.loads(Path("runs/modes/gan-ring-of-8-seed0/given.json").read_text(encoding="utf-8"))["threads"]
        == "3"
    )


def test_one_worker_takes_one_after_another(study, capsys):
    assert study("--workers=1") == 0
    said = [
        line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith(("begun", "done"))
    ]
    assert said == ["begun", "done"] * 6


# Stopping, and going on


LONG = STUDY.replace("steps = 2", "steps = 200").replace("[0, 1, 2]", "[0]")


def test_ctrl_c_stops_all_and_the_same_command_goes_on(study, capsys):
    names = ["gan-ring-of-8-seed0", "gan-with-more-noise-seed0"]
    with once(lambda: all(checkpoints(name) > 2 for name in names), interrupt):
        assert study("--workers=2", text=LONG) == 130
    printed = capsys.readouterr().out
    assert printed.count("stopped  ") == 2
    assert "0 of 1" in printed
    assert "Stopped; the same command goes on." in printed
    assert not Path("modes.md").exists()
    done = [checkpoints(name) for name in names]
    assert all(2 < steps < 200 for steps in done)
    assert study("--workers=2", text=LONG) == 0
    assert all(f"--resume=runs/modes/{name}" in log(name) for name in names)
    assert [checkpoints(name) for name in names] == [200, 200]


def test_no_job_is_begun_after_ctrl_c(study, capsys):
    with once(lambda: checkpoints("gan-ring-of-8-seed0") > 2, interrupt):
        assert study("--workers=1", text=LONG) == 130
    assert capsys.readouterr().out.count("begun") == 1


def test_a_second_ctrl_c_kills_what_does_not_stop(study):
    stubborn = "import signal, time; signal.signal(2, signal.SIG_IGN); open('ready', 'w'); time.sleep(60)"
    words = json.dumps(["{python}", "-c", stubborn])
    text = STUDY.partition("[[rows]]")[0] + f'\n[[rows]]\nname = "stubborn"\ncommand = {words}\n'
    began = time.monotonic()
    with once(Path("ready").exists, lambda: interrupt(2)):
        assert study("--workers=1", text=text) == 130
    assert time.monotonic() - began < 30


def test_a_job_that_was_killed_goes_on_from_its_checkpoint(study, capsys):
    name = "gan-ring-of-8-seed0"

    def kill():
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = process.read_text(encoding="utf-8")
                if "stand_in.py" in words and name in words and os.getpid() == _parent(process.parent):
                    os.kill(int(process.parent.name), signal.SIGKILL)

    if not Path("/proc").exists():
        pytest.skip("looks for the process in /proc")
    with once(lambda: checkpoints(name) > 2, kill):
        assert study("--workers=2", text=LONG) == 1
    assert "exit code -9" in capsys.readouterr().out
    assert study(text=LONG) == 0
    assert f"--resume=runs/modes/{name}" in log(name)
    assert "failed" not in capsys.readouterr().out


def _parent(process):
    return int((process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])


def test_a_job_killed_before_its_first_checkpoint_begins_anew(study):
    folder = Path("runs/modes/gan-ring-of-8-seed0")
    assert study() == 0
    record = json.loads(folder.with_suffix(".json").read_text(encoding="utf-8"))
    folder.with_suffix(".json").write_text(json.dumps({"training": record["training"]}), encoding="utf-8")
    for checkpoint in (folder / "checkpoints").iterdir():
        checkpoint.unlink()
    assert study() == 0
    assert log("gan-ring-of-8-seed0").count("--out=") == 2


@pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
def test_what_a_killed_study_left_running_is_waited_for(study, capsys):
    """Two processes must not train in one folder."""
    Path("modes.toml").write_text(LONG, encoding="utf-8")
    code = (
        "import sys; from minigan.studies import jobs; from minigan.cli import main\n"
        "jobs.MINIGAN = (sys.executable, '-S', 'stand_in.py')\n"
        "main(['study', 'modes.toml', '--workers=1'])"
    )
    killed = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    while not checkpoints("gan-ring-of-8-seed0"):
        assert killed.poll() is None
        time.sleep(0.005)
    killed.kill()
    killed.wait()
    assert study(text=LONG) == 2
    assert "runs/modes is in use" in capsys.readouterr().err
    for _ in range(200):
        if (code := study(text=LONG)) != 2:
            break
        time.sleep(0.05)
    assert code == 0
    assert checkpoints("gan-ring-of-8-seed0") == 200


# The file


@pytest.mark.parametrize(
    ("was", "now", "message"),
    [
        (
            'metrics = ["modes"]',
            'metrics = ["mode"]',
            "metrics: unknown metric 'mode'; did you mean 'modes'?",
        ),
        ('metrics = ["modes"]', "metrics = []", "metrics: a study needs at least one"),
        ('metrics = ["modes"]', 'metrics = "modes"', "metrics: expected a list, got 'modes'"),
        ("seeds = [0, 1, 2]", "", "seeds: a study needs at least one"),
        ("seeds = [0, 1, 2]", "seeds = [0, 0]", "seeds: expected different whole numbers from 0 on"),
        ("seeds = [0, 1, 2]", "seeds = [-1]", "seeds: expected different whole numbers from 0 on"),
        ("n = 2500", "n = 0", "n: expected an integer of at least 1, got 0"),
        (
            "n = 2500",
            "correlate.fdc = ['d_loss']",
            "correlate: 'fdc' is not measured while training; did you",
        ),
        ("n = 2500", "correlate.fcd = 'd_loss'", "correlate: expected a list, got"),
        ("n = 2500", "correlate.fcd = []", "correlate: expected a list of length of at least 1, got"),
        ("n = 2500", "correlate.fcd = ['d_loss']", "correlate: row 'GAN, ring of 8' is not measured while"),
        ("n = 2500", "m = 2500", "m is unknown"),
        ('model = "gan"', 'model = "gam"', "row 'GAN, ring of 8': unknown model 'gam'; did you mean 'gan'?"),
        ('model = "gan"', "", "row 'GAN, ring of 8': model: expected the name of a model"),
        ('data = "ring8"', 'data = "ring9"', "data: unknown dataset 'ring9'; did you mean 'ring8'?"),
        ("steps = 2", "step = 2", "step is unknown; did you mean 'steps'?"),
        ("steps = 2", 'steps = "2"', "steps: expected an integer, got '2'"),
        ("steps = 2", "steps = 0", "row 'GAN, ring of 8': steps must be at least 1, got 0"),
        ("steps = 2", "seed = 2", "seed: the seeds are those of the whole study"),
        ('name = "GAN, ring of 8"', "", "rows: each needs a name with letters"),
        ('name = "GAN, ring of 8"', 'name = "gan with more noise"', "the names are too much alike"),
        ("latent = 20", "latent = [true]", "latent: expected an integer, got True"),
        ("latent = 20", "latent = ", "modes.toml: Invalid value"),
        ("latent = 20", 'command = ["x", "{outt}"]', "command: {outt} is unknown; did you mean 'out'?"),
        ("latent = 20", 'command = "x"', "command: expected a list of words"),
        ("latent = 20", "command = []", "command: expected a list of words, got []"),
        ('metrics = ["modes"]', 'metrics = [["modes"]]', "metrics: expected a text, got [['modes']]"),
        ("latent = 20", "channels = 2", "channels: expected 1 or 3, got 2"),
        ("latent = 20", f"latent = {'[' * 10**5}", "nested too deeply"),
        ("latent = 20", 'command = ["x"]\nlatent = 3', "latent: no word of the command names it"),
        ("latent = 20", "latent = []", "row 'GAN, with more noise': latent: the list is empty"),
        ("latent = 20", "asked = 3", "row 'GAN, with more noise': asked: expected a table, got 3"),
        ("latent = 20", "asked.psi = 1", "gan cannot be asked for a psi: it takes truncation"),
        ("latent = 20", "asked.truncation = 'x'", "truncation: expected a number or nothing, got 'x'"),
    ],
)
def test_a_mistake_in_the_file_is_one_sentence_with_the_key(study, capsys, was, now, message):
    assert was in STUDY
    assert study(text=STUDY.replace(was, now)) == 2
    error = capsys.readouterr().err
    assert error.startswith("minigan: modes.toml: ")
    assert message in error
    assert error.count("\n") == 1
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (".json", "[" * 10**5, "cannot be read: what it holds is nested too deeply"),
        (".json", '{"evaluated": {}}', "cannot be read: it has no "),
        (
            ".json",
            '{"seconds": NaN}',
            "cannot be read: it has something else as seconds, expected a number of at least 0",
        ),
        ("/evaluation.json", '{"metrics": {"modes": 3}}', "cannot be read: it has an integer as metrics"),
        ("/evaluation.json", '{"metrics": {}}', "cannot be read: it has no "),
        ("/evaluation.json", "{", "cannot be read: Expecting"),
    ],
)
def test_a_damaged_file_of_a_job_is_told_in_one_sentence(study, capsys, name, content, message):
    assert study() == 0
    Path(f"runs/modes/gan-ring-of-8-seed1{name}").write_text(content, encoding="utf-8")
    capsys.readouterr()
    assert study("--table") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_study_without_rows_or_file_is_refused(study, capsys):
    assert study(text="") == 2
    assert "modes.toml: seeds: a study needs at least one" in capsys.readouterr().err
    assert study(text=STUDY.partition("[[rows]]")[0]) == 2
    assert "modes.toml: rows: a study needs at least one" in capsys.readouterr().err
    with pytest.raises(MiniganError, match="there is no study nowhere"):
        Study.read(Path("nowhere.toml"))


def test_what_samples_are_asked_for_is_a_part_of_how_they_are_measured(tmp_path):
    file, row = tmp_path / "asked.toml", '[[rows]]\nname = "VQ-VAE"\nmodel = "vq-vae"\n'
    text = f'seeds = [0]\nmetrics = ["fcd"]\n{row}'
    found = []
    for asked in ("", 'asked = {codes = "uniform"}'):
        file.write_text(text + asked, encoding="utf-8")
        (job,) = jobs.jobs_of(Study.read(file), tmp_path / "out")
        found.append((job.row.training(), job.judged(), jobs.evaluate_command(job)[len(jobs.MINIGAN) :]))
    (training, judged, command), (training_too, judged_too, asked_for) = found
    assert training == training_too, "nothing is trained again"
    assert judged_too == {**judged, "asked": {"codes": "uniform"}}
    assert asked_for == [*command, "--codes=uniform"]
    file.write_text(text + "asked.label = 3", encoding="utf-8")
    with pytest.raises(MiniganError, match="vq-vae cannot be asked for a label"):
        Study.read(file)
    file.write_text(text.replace("vq-vae", "cgan") + "asked.label = 3", encoding="utf-8")
    with pytest.raises(MiniganError, match="labels as the data have them; ask for no label"):
        Study.read(file)


def test_flags_are_typed_as_the_command_line_takes_them():
    settings = {"batch_size": 8, "lr": 1e-4, "graph": False, "detect_anomaly": True, "data": "folder:a b"}
    assert jobs.flags(settings) == [
        *("--batch-size=8", "--lr=0.0001", "--no-graph", "--detect-anomaly", "--data=folder:a b")
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('metrics = ["modes"]', "modes is counted in ring8 and grid25, not digits"),
        ('metrics = ["label-accuracy"]', "label-accuracy needs a model that makes what a label asks for"),
        ('metrics = ["fcd"]\nn = 50', "fcd needs more than 64 samples, got 50"),
    ],
)
def test_what_cannot_be_judged_is_told_before_anything_is_trained(change, message, tmp_path, capsys):
    file = tmp_path / "study.toml"
    file.write_text(
        f'seeds = [0]\n{change}\n[[rows]]\nname = "GAN"\nmodel = "gan"\nsteps = 2\n', encoding="utf-8"
    )
    assert main(["study", str(file), "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_pairs_are_judged_by_metrics_of_pairs(tmp_path):
    def study(metric):
        file = tmp_path / "pairs.toml"
        file.write_text(
            f'seeds = [0]\nmetrics = ["{metric}"]\n[[rows]]\nname = "houses"\nmodel = "pix2pix"\n',
            encoding="utf-8",
        )
        return Study.read(file)

    study("psnr").check_data()
    file = tmp_path / "domains.toml"
    file.write_text(
        'seeds = [0]\nmetrics = ["coats"]\n[[rows]]\nname = "herd"\nmodel = "cyclegan"\n', encoding="utf-8"
    )
    Study.read(file).check_data()
    file.write_text(
        'seeds = [0]\nmetrics = ["psnr"]\n[[rows]]\nname = "herd"\nmodel = "cyclegan"\n', encoding="utf-8"
    )
    with pytest.raises(MiniganError, match="unknown metric 'psnr' of domains"):
        Study.read(file).check_data()
    with pytest.raises(MiniganError, match="unknown metric 'fcd' of pairs"):
        study("fcd").check_data()
    with pytest.raises(MiniganError, match="unknown metric 'psnrr'; did you mean 'psnr'"):
        study("psnrr")
