"""Evaluations of runs and of archives of samples: what is written, what is said, what is refused."""

import io
import json
import zipfile
from dataclasses import replace

import fake_cupy
import numpy as np
import pytest
from rich.console import Console

import minigan_kernels as kernels
from minigan import cli
from minigan.data import load
from minigan.errors import MiniganError
from minigan.gans import model_named, model_names
from minigan.gans.noise import cgan, gan
from minigan.metrics import cache, hold_out
from minigan.metrics.classifier import train_classifier
from minigan.training import Options, Run, Sampler, Session, evaluate_run, resume, runner, train
from minigan.training.evaluation import Archive, EvaluationData, Examiner, _own_numbers
from minigan_kernels.cpu import threads
from minigan_kernels.cpu.compiling import needs

TINY = {"steps": 4, "batch_size": 8, "latent": 6}


@pytest.fixture(autouse=True)
def kept_classifiers(tmp_path_factory, monkeypatch):
    """One folder of classifiers for all tests here."""
    folder = tmp_path_factory.getbasetemp() / "classifiers-of-evaluation"
    monkeypatch.setenv("MINIGAN_CACHE_DIR", str(folder))


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """The folder of a run of GAN in the plane."""
    folder = tmp_path_factory.mktemp("runs") / "gan"
    return train("gan", Options(data="ring8"), gan.Config(**TINY), folder).path


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """That of a run of CGAN on digits."""
    folder = tmp_path_factory.mktemp("runs") / "cgan"
    return train("cgan", Options(), cgan.Config(**TINY, net="mlp"), folder).path


def minigan(*tokens):
    return cli.main([str(token) for token in tokens])


def written(folder, name="evaluation.json"):
    return json.loads((folder / name).read_text(encoding="utf-8"))


@pytest.mark.slow
def test_a_run_is_evaluated_into_its_folder(points, capsys):
    assert minigan("evaluate", points, "--draws", 2) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == str(points / "evaluation.json")
    content = written(points)
    assert content["checkpoint"] == "step-000004.safetensors"
    assert (content["data"], content["draws"], content["seed"], content["n"]) == ("ring8", 2, 0, None)
    assert set(content["metrics"]) >= {"modes", "high-quality", "reverse-kl"}
    for quantity, row in content["metrics"].items():
        assert quantity in out
        assert set(row) == {"value", "error", "floor", "n"}
    assert content["metrics"]["modes"]["floor"] == 8
    assert content["classifier"] is None


@pytest.mark.parametrize(
    ("model", "cfg", "data"),
    [("cgan", cgan.Config(**TINY, net="mlp"), "digits"), ("gan", gan.Config(**TINY), "ring8")],
)
@pytest.mark.parametrize("kept", [False, True])
def test_the_kernels_of_the_first_evaluation_are_known_before_it(
    model, cfg, data, kept, tmp_path, monkeypatch
):
    """Those of the training of a classifier among them, if none is kept."""
    few = lambda train, test, settings, progress: train_classifier(  # noqa: E731
        train, test, replace(settings, steps=2), progress
    )
    monkeypatch.setattr(cache, "train_classifier", few)
    monkeypatch.setenv("MINIGAN_CACHE_DIR", str(tmp_path))
    session = Session(model, Options(data=data, evaluate_every=1), cfg)
    if kept:
        Examiner(session, 700).evaluate()
    before, files = session.state(), [*tmp_path.rglob("*")]
    examiner = Examiner(session, 700)
    with needs() as needed, np.errstate(all="ignore"):
        examiner.rehearse()
    assert (session.state(), [*tmp_path.rglob("*")]) == (before, files)

    called, call = set(), threads.parallel.__call__

    def noted(kernel, *args):
        called.add((kernel.__module__, kernel.__name__, tuple(map(kernel.run.typeof_pyval, args))))
        call(kernel, *args)

    monkeypatch.setattr(threads.parallel, "__call__", noted)
    found = examiner.evaluate()
    assert called <= {*needed}
    assert called
    assert found.keys() >= ({"fcd", "label-accuracy"} if data == "digits" else {"modes"})


@pytest.mark.slow
def test_the_kernels_of_an_evaluation_are_compiled_with_those_of_a_step(tmp_path, monkeypatch):
    rehearsed = []
    monkeypatch.setattr(Examiner, "evaluate", lambda self: {"modes": 1.0})
    monkeypatch.setattr(runner, "compile_ahead", lambda step, report: (step(), report(0, 3, "conv2d")))
    monkeypatch.setattr("minigan.training.evaluation.rehearse", lambda *given: rehearsed.append(given))
    console = Console(file=io.StringIO())
    options = Options(data="ring8", evaluate_every=2)
    run = train("gan", options, gan.Config(**TINY), tmp_path / "run", console)
    assert "compiling kernels for this machine, once: 3 of them" in console.file.getvalue()
    assert len(rehearsed) == 1
    resume(run.path, steps=6, console=console)
    assert len(rehearsed) == 2


@pytest.mark.slow
def test_the_same_seed_gives_the_same_evaluation(points):
    def found(seed):
        how = {"names": ["modes", "diversity"], "n": 500, "draws": 2, "seed": seed, "say": lambda line: None}
        return evaluate_run(Run.open(points), **how)[0]["metrics"]

    assert found(1) == found(1) != found(2)


@pytest.mark.slow
def test_a_conditional_run_is_asked_for_labels(labelled, capsys):
    flags = ["--metrics", "label-accuracy,fcd", "--n", 200, "--draws", 1]
    assert minigan("evaluate", labelled, *flags) == 0
    content = written(labelled)
    assert 0 <= content["metrics"]["label-accuracy"]["value"] < 0.5  # after four steps
    assert content["metrics"]["label-accuracy"]["floor"] > 0.9
    assert content["classifier"]["accuracy"] > 0.9
    assert f"classifier {content['classifier']['hash']} of digits" in capsys.readouterr().out


@pytest.fixture
def archive(tmp_path):
    """Real digits that were held out, as another program might write them, with labels."""
    _, test = hold_out(load("digits"))
    path = tmp_path / "samples.npz"
    np.savez(path, samples=test.batch(slice(None)), labels=test.labels)
    return path


@pytest.mark.slow
def test_an_archive_is_evaluated_beside_itself(archive):
    flags = ["--metrics", "label-accuracy", "--metrics", "precision-recall", "--n", 200, "--draws", 1]
    assert minigan("evaluate", archive, "--data", "digits", *flags) == 0
    content = written(archive.parent, "samples.evaluation.json")
    found = content["metrics"]
    assert (content["n"], content["draws"], content["data"]) == (200, 1, "digits")
    assert found["label-accuracy"]["value"] > 0.9
    assert found["recall"]["value"] > 0.9


@pytest.mark.slow
def test_labels_of_an_archive_are_believed_and_can_be_wrong(archive):
    with np.load(archive) as file:
        np.savez(archive, samples=file["samples"], labels=(file["labels"] + 1) % 10)
    flags = ["--metrics", "label-accuracy", "--n", 100, "--draws", 1]
    assert minigan("evaluate", archive, "--data", "digits", *flags) == 0
    found = written(archive.parent, "samples.evaluation.json")["metrics"]
    assert found["label-accuracy"]["value"] < 0.1


def test_the_draws_from_an_archive_are_its_parts(archive):
    archive = Archive(archive, seed=3)
    parts = [archive(100, seed) for seed in range(3)]
    assert len(np.unique(np.concatenate([x.reshape(100, -1) for x, _ in parts]), axis=0)) == 300
    with pytest.raises(MiniganError, match="359 samples, 59 of them not drawn yet, and 100 are needed"):
        archive(100, 3)


def test_what_a_program_measured_itself_is_told_beside_the_rest(tmp_path, capsys):
    samples = np.random.default_rng(0).normal(size=(600, 2)).astype(np.float32)
    more = {"number.bound": np.array([-87.5, 40]), "other": np.eye(3)}
    np.savez(tmp_path / "a.npz", samples=samples, **more)
    assert minigan("evaluate", tmp_path / "a.npz", "--data", "ring8", "--metrics", "diversity") == 0
    found = written(tmp_path, "a.evaluation.json")["metrics"]
    assert found["bound"] == {"value": -87.5, "error": None, "floor": None, "n": 40}
    assert {*found} == {"diversity", "bound"}
    for value in (np.array(3.0), np.array([np.nan, 1.0]), np.array(["a", "b"])):
        np.savez(tmp_path / "b.npz", samples=samples, **{"number.bound": value})
        assert minigan("evaluate", tmp_path / "b.npz", "--data", "ring8", "--metrics", "diversity") == 2
        assert "number.bound should be a number and of how many samples it is" in capsys.readouterr().err


def test_a_sampler_makes_the_archive_that_evaluate_takes(points, tmp_path):
    path = tmp_path / "points.NPZ"
    assert minigan("sample", points, "--n", 2500, "--out", path) == 0
    assert minigan("evaluate", path, "--data", "ring8", "--metrics", "modes, diversity", "--draws", 1) == 0
    found = written(tmp_path, "points.evaluation.json")["metrics"]
    assert found["modes"]["n"] == 2500
    assert "diversity" in found
    np.testing.assert_array_equal(np.load(path)["samples"], Sampler.of(Run.open(points))(2500))


@pytest.mark.slow
def test_labels_and_all_of_an_archive_are_taken(labelled, tmp_path):
    path = tmp_path / "a.npz"
    assert minigan("sample", labelled, "--n", 100, "--out", path) == 0
    assert minigan("evaluate", path, "--data", "digits", "--metrics", "one-nn") == 0
    assert written(tmp_path, "a.evaluation.json")["n"] == 100


@pytest.mark.slow
def test_a_run_is_evaluated_while_it_trains(tmp_path, capsys):
    options = Options(data="ring8", evaluate_every=2, evaluate_n=600)
    run = train("gan", options, gan.Config(**{**TINY, "steps": 5}), tmp_path / "run")
    records = run.records.evaluations.read()
    assert [record["step"] for record in records] == [2, 4, 5]
    assert all(set(record) == {"step", "modes", "high-quality", "reverse-kl"} for record in records)
    out = capsys.readouterr().out
    assert out.count("modes ") == 3
    plain = train("gan", Options(data="ring8"), gan.Config(**{**TINY, "steps": 5}), tmp_path / "plain")
    assert run.checkpoints.latest().read_bytes() == plain.checkpoints.latest().read_bytes()  # none the wiser
    again = resume(run.path, steps=6)
    assert [record["step"] for record in again.records.evaluations.read()] == [2, 4, 5, 6]
    assert again.records.evaluations.read()[:3] == records


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["{points}", "--metrics", "fcd"], "fcd "),
        (["{points}", "--metrics", "mode"], "unknown metric 'mode'; did you mean 'modes'?"),
        (["{labelled}", "--metrics", "fcd", "--n", "64"], "fcd needs more than 64 samples, got 64"),
        (["{labelled}", "--step", "3"], "no checkpoint of step 3; it has [4]"),
        (["{points}", "--size", "16"], "--data, --size, --channels and --flip are for a .npz"),
        (["{points}", "--flip"], "are for a .npz; a run is compared with its own data"),
        (["nowhere"], "nowhere is not a run folder"),
        (["nowhere.npz", "--data", "digits"], "there is no file nowhere.npz"),
        (["{archive}"], "say with --data what the samples"),
        (
            ["{archive}", "--data", "digits", "--size", "9"],
            "samples of shape (1, 8, 8), digits has (1, 9, 9)",
        ),
        (["broken.npz", "--data", "digits"], "broken.npz is not a .npz with an array `samples`"),
        (["other.npz", "--data", "digits"], "other.npz is not a .npz with an array `samples`: it has images"),
        (["short.npz", "--data", "digits"], "has 3 samples, and labels of dtype float64 and shape (2,)"),
        (["bytes.npz", "--data", "digits"], "bytes.npz has samples of dtype uint8, expected floats"),
        (
            ["plain.npz", "--data", "digits", "--metrics", "label-accuracy"],
            "label-accuracy needs a model that makes what a label asks for, or a .npz with an array `labels`",
        ),
        (["empty.npz", "--data", "digits"], "empty.npz is not a .npz with an array `samples`"),
        (["bytes-in.npz", "--data", "digits"], "not a .npz with an array `samples`: samples in it is not"),
        (["array.npz", "--data", "digits"], "array.npz is not a .npz with an array `samples`"),
        (
            ["{archive}", "--data", "digits", "--metrics", "diversity", "--n", "200", "--draws", "2"],
            "are needed: evaluate fewer with --n or --draws",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_told_in_a_sentence(
    tokens, message, points, labelled, archive, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.npz").write_bytes(b"PK")
    np.savez(tmp_path / "other.npz", images=np.zeros(3))
    np.savez(tmp_path / "bytes.npz", samples=np.zeros((3, 1, 8, 8), np.uint8))
    np.savez(tmp_path / "plain.npz", samples=np.zeros((3, 1, 8, 8), np.float32))
    (tmp_path / "empty.npz").touch()
    with open(tmp_path / "array.npz", "wb") as file:
        np.save(file, np.zeros(3))
    with zipfile.ZipFile(tmp_path / "bytes-in.npz", "w") as file:
        file.writestr("samples.npy", b"no array")
    np.savez(tmp_path / "short.npz", samples=np.zeros((3, 1, 8, 8)), labels=np.zeros(2))
    folders = {"points": points, "labelled": labelled, "archive": archive}
    assert minigan("evaluate", *(token.format(**folders) for token in tokens)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_data_of_another_shape_than_the_run_s_is_refused(labelled, capsys, monkeypatch):
    """As a folder of images may have, when others were put into it."""
    original = EvaluationData.load
    monkeypatch.setattr(EvaluationData, "load", lambda name, size, *rest: original(name, 9, *rest))
    assert minigan("evaluate", labelled) == 2
    assert "trained on samples of shape [1, 8, 8], digits has [1, 9, 9] now" in capsys.readouterr().err


def test_too_few_samples_are_told_before_training(tmp_path, capsys):
    flags = ["--evaluate-every", "1", "--evaluate-n", "3", "--steps", "2"]
    assert minigan("train", "gan", *flags, "--out", tmp_path / "run") == 2
    assert "fcd needs more than 64 samples, got 3" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_of_a_newer_version_is_refused(points, tmp_path, capsys):
    config = (points / "config.toml").read_text(encoding="utf-8")
    assert 'minigan = "' in config
    changed = config.replace('minigan = "0.', 'minigan = "99.').replace("shape =", "form =")
    (tmp_path / "config.toml").write_text(changed, encoding="utf-8")
    assert minigan("evaluate", tmp_path) == 2
    assert "was made by minigan 99." in capsys.readouterr().err


def test_nothing_can_be_measured_of_a_folder_without_classes(tmp_path, capsys):
    from PIL import Image

    (tmp_path / "pictures").mkdir()
    for i in range(20):
        Image.new("L", (16, 16), 10 * i).save(tmp_path / "pictures" / f"{i}.png")
    flags = ["--data", f"folder:{tmp_path / 'pictures'}", "--size", "16", "--evaluate-every", "1"]
    assert (
        minigan("train", "gan", *flags, "--steps", "2", "--batch-size", "4", "--out", tmp_path / "run") == 2
    )
    assert "nothing can be measured while training" in capsys.readouterr().err


def asks_for_no_classifier(name):
    model = model_named(name)
    return model.has("numbers") and "classifier" not in model.names("numbers")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*filter(asks_for_no_classifier, model_names())])
def test_a_models_own_numbers_are_the_same_where_its_networks_lie_on_a_gpu(name, monkeypatch):
    fake_cupy.install(monkeypatch)
    perceptrons = {"latent": 3, "hidden": 4}
    small = {
        "ae": perceptrons,
        "vae": perceptrons,
        "vq-vae": {"width": 1, "codes": 4},
        "pix2pix": {"width": 1},
    }.get(name, {"latent": 3, "width": 1})
    cfg, found = model_named(name).Config(batch_size=4, **small), []
    with kernels.engine("reference"):
        for device in ("cpu", "gpu"):
            session = Session(name, Options(device=device), cfg)
            rows = _own_numbers(session.sampler_of(session.parts), 0)
            found.append({quantity: row["value"] for quantity, row in rows.items()})
    assert found[1] == pytest.approx(found[0], rel=1e-4, abs=1e-6)
    assert found[0]
