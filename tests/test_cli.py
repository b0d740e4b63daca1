"""The command line, as a user meets it: exit codes, files, one sentence for a mistake."""

import os
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from PIL import Image

from minigan import __version__, training
from minigan.cli import main
from minigan.functional.elementwise import Exp
from minigan.gans import model_named, model_names
from minigan.gans.noise import dcgan
from minigan.training import Run
from minigan_kernels import engine_missing

TINY = ["--lr=0.01", "--steps=4", "--batch-size=8", "--width=4", "--latent=8", "--sample-every=2"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that was trained once, to be copied."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    assert main(["train", "dcgan", *TINY, f"--out={folder}"]) == 0
    return folder


@pytest.fixture
def run(here, trained):
    return Path(shutil.copytree(trained, here / "run"))


@pytest.mark.slow
def test_train_and_sample(run, capsys):
    assert main(["sample", "run", "--n", "9", "--out", "nine.png"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "nine.png"
    first = Image.open("nine.png").tobytes()
    assert main(["sample", "run", "--n=9", "--out=again.png"]) == 0
    assert Image.open("again.png").tobytes() == first
    assert main(["sample", "run", "--n=9", "--seed=1"]) == 0
    assert Image.open("run/samples-1.png").tobytes() != first


@pytest.mark.slow
def test_resume_takes_the_steps_that_were_typed_even_if_they_are_the_default(run, monkeypatch):
    monkeypatch.setattr(training, "resume", lambda path, **changes: given.append(changes) or Run.open(path))
    given = []
    main(["train", "dcgan", "--resume=run", f"--steps={dcgan.Config().steps}"])
    main(["train", "dcgan", "--resume=run"])
    assert given == [{"steps": dcgan.Config().steps, "device": None}, {"steps": None, "device": None}]


@pytest.mark.slow
def test_resume_from_the_command_line(run):
    assert main(["train", "dcgan", "--resume=run", "--steps=6"]) == 0
    assert (run / "checkpoints" / "step-000006.safetensors").exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train dcgen", 'Did you mean "dcgan"'),
        ("trian dcgan", 'Did you mean "train"'),
        ("train dcgan --stps 3", "Did you mean --steps"),
        ("train dcgan --steps many", "many"),
        ("train dcgan --steps 0", "steps must be at least 1, got 0"),
        ("train dcgan --lr=-1", "lr must be at least 0, got -1"),
        ("train dcgan --beta1 1", "beta1 must be below 1, got 1"),
        ("train dcgan --seed=-1", "seed must be at least 0"),
        ("train dcgan --size 20", "16, 32, 64"),
        ("train dcgan --data digitz", "did you mean 'digits'"),
        (
            "train dcgan --data ring8",
            "dcgan learns from data of the kind image, ring8 is of the kind point; there are: digits, mnist",
        ),
        ("train dcgan --data mnist --data-dir nowhere", "nowhere"),
        ("train dcgan --data folder:nowhere", "nowhere"),
        ("train dcgan --batch-size 5000", "5000"),
        ("train dcgan --batch-size 1", "batch_size must be at least 2, got 1"),
        ("train dcgan --out run", "not an empty folder"),
        ("train dcgan --out config/deep", "cannot write the run folder"),
        ("train dcgan --resume nowhere", "is not a run folder"),
        ("train gan --resume run", "is a run of dcgan, not of gan"),
        (
            "train dcgan --resume run --lr 1 --seed 0",
            "only --steps and --device may be given; got --seed, --lr",
        ),
        ("train dcgan --data-dir .", "digits needs none"),
        ("train gan --latent 100000000000000", "not enough memory"),
        ("train DCGAN", "dcgan"),
        ("train dcgan --data MNST", "did you mean 'mnist'"),
        ("gradcheck conv2", "did you mean 'conv2d'"),
        ("gradcheck --engine numba", "no engine is called 'numba'"),
        ("gradcheck --order 0", "--order"),
        ("sample nowhere", "is not a run folder"),
        ("sample run --step 3", "no checkpoint of step 3; it has [4]"),
        ("sample run --n 0", "--n"),
        ("sample run --out nowhere/x.png", "cannot write"),
        ("sample run --seed=-1", "seed"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(run, command, message, capsys):
    (run.parent / "config").write_text("a file where a folder is wanted", encoding="utf-8")
    capsys.readouterr()
    assert main(command.split()) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("minigan: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("model", model_names())
def test_help_lists_every_hyperparameter_with_its_text(model, capsys):
    assert main(["train", model, "--help"]) == 0
    output = capsys.readouterr().out
    hyperparameters = [f"--{field.name.replace('_', '-')}" for field in fields(model_named(model).Config)]
    for flag in (*hyperparameters, "--data", "--seed", "--resume", "--out"):
        assert flag in output
    assert "Training steps: batches that the loop has" in output


def test_models_lists_models_and_data(capsys):
    assert main(["models"]) == 0
    output = capsys.readouterr().out
    for name in (*model_names(), "digits", "fashion-mnist", "folder:PATH"):
        assert name in output


@pytest.mark.slow
def test_gradcheck_lists_every_op_it_checked(capsys):
    assert main(["gradcheck", "exp", "conv2d", "--examples=1"]) == 0
    output = capsys.readouterr().out
    engines = [e for e in ("reference", "cpu", "cuda") if engine_missing(e) is None]  # emulated ones if asked
    rows = [line.split()[:3] for line in output.splitlines()[1 : 1 + 2 * len(engines)]]
    assert rows == [[op, engine, "2"] for op in ("exp", "conv2d") for engine in engines]
    assert f"2 ops on {', '.join(engines)}, " in output
    assert "0 failed" in output


def test_gradcheck_fails_on_a_wrong_gradient(capsys, monkeypatch):
    monkeypatch.setattr(Exp, "backward", lambda self, gy: gy * self.output * 1.0001)
    assert main(["gradcheck", "exp", "--engine=reference"]) == 1
    output = capsys.readouterr().out
    assert "exp on reference: exp, example 0: gradient of order 1 is wrong in input 0" in output
    assert "1 failed" in output


def test_doctor_tells_versions_engines_threads_and_the_gpu(capsys):
    assert main(["doctor"]) == 0
    output = capsys.readouterr().out
    for part in (__version__, "numpy", "reference", "threads", "GPU"):
        assert part in output


def test_output_that_cannot_be_written_is_no_traceback(capsys, monkeypatch):
    def full():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("minigan.environment.findings", full)
    assert main(["doctor"]) == 2
    assert capsys.readouterr().err == "minigan: [Errno 28] No space left on device\n"


@pytest.mark.slow
def test_python_m_minigan_is_the_command():
    result = subprocess.run(
        [sys.executable, "-m", "minigan", "--version"], capture_output=True, encoding="utf-8"
    )
    assert (result.returncode, result.stdout.strip()) == (0, __version__)


def test_an_unknown_engine_in_the_environment_is_named(monkeypatch, capsys):
    monkeypatch.setenv("MINIGAN_ENGINE", "referense")
    assert main(["doctor"]) == 2
    assert (
        "MINIGAN_ENGINE: no engine is called 'referense'; did you mean 'reference'?"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5"])
def test_a_number_of_threads_that_is_none_is_refused(given, monkeypatch, capsys):
    monkeypatch.setenv("MINIGAN_NUM_THREADS", given)
    assert main(["doctor"]) == 2
    says = f"minigan: MINIGAN_NUM_THREADS must be a positive integer, got '{given}'"
    assert capsys.readouterr().err.strip() == says


@pytest.mark.slow
def test_no_traceback_from_the_installed_command(tmp_path):
    command = [sys.executable, "-m", "minigan", "train", "dcgan", "--data", "nothing"]
    result = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=tmp_path)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


# Names and locales

ASCII = {
    "LC_ALL": "C",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONUTF8": "0",
}  # a locale without any letter but ASCII


def minigan(*words, **environment):
    """`minigan` in a process of its own."""
    command = [sys.executable, "-m", "minigan", *words]
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHONIO"))
    }
    return subprocess.run(command, capture_output=True, env=kept | environment)


def pictures(folder):
    for i in range(10):
        path = folder / "a" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), 20 * i).save(path)


@pytest.mark.slow  # processes of their own
@pytest.mark.skipif(os.name != "posix", reason="sets a POSIX locale")
@pytest.mark.parametrize(("first", "then"), [({"LC_ALL": "C.UTF-8"}, ASCII), (ASCII, {"LC_ALL": "C.UTF-8"})])
def test_a_run_on_a_folder_of_any_name_goes_on_in_any_locale(here, first, then):
    pictures(here / "Größe")
    flags = [*TINY, "--size=16", "--data=folder:Größe", "--diagnose-every=0", "--out=run"]
    made = minigan("train", "dcgan", *flags, **first)
    assert (made.returncode, made.stderr) == (0, b"")
    assert f'data = "folder:{here}/Größe"\n' in (here / "run" / "config.toml").read_text(encoding="utf-8")
    again = minigan("train", "dcgan", "--resume=run", "--steps=5", **then)
    assert (again.returncode, again.stderr) == (0, b"")
    assert Run.open(here / "run").checkpoints.steps()[-1] == 5
    assert minigan("report", "run", "--out=Größe.html", **then).returncode == 0
    assert "The training data cannot be read" not in (here / "Größe.html").read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_folder_whose_name_is_no_text_is_refused_before_there_is_a_run(here, capsys):
    folder = here / os.fsdecode(b"Gr\xf6\xdfe")
    pictures(folder)
    assert main(["train", "dcgan", *TINY, "--size=16", f"--data=folder:{folder}", "--out=run"]) == 2
    assert (
        "config.toml is UTF-8, and cannot hold the name of the folder in 'folder:" in capsys.readouterr().err
    )
    assert not (here / "run").exists()


@pytest.mark.slow  # a process of its own
@pytest.mark.parametrize("encoding", ["ascii:strict", "cp1252:strict"])
def test_what_the_terminal_has_no_letter_for_is_printed_as_an_escape(run, encoding):
    done = minigan("report", "run", "--out=Gr±ße日.html", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.rstrip().endswith(rb"\u65e5.html")
