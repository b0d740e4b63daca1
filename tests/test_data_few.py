"""A few samples of any data, and runs that learn from them alone."""

import numpy as np
import pytest
from PIL import Image

from minigan import training
from minigan.cli import main
from minigan.data import load
from minigan.errors import MiniganError
from minigan.metrics import METRICS, EvaluationData
from minigan.training import Options, Run


def test_they_are_at_equal_distances():
    whole = load("digits")
    some = load("digits", samples=6)
    chosen = [0, 299, 599, 898, 1198, 1497]
    np.testing.assert_array_equal(some.stored(slice(None)), whole.stored(chosen))
    np.testing.assert_array_equal(some.labels, whole.labels[chosen])
    assert (some.name, len(some)) == ("digits", 6)
    everything = load("digits", samples=len(whole))
    np.testing.assert_array_equal(everything.stored(slice(None)), whole.stored(slice(None)))


def test_a_sorted_dataset_gives_of_every_class(tmp_path):
    for name, grey in (("a", 0), ("b", 100), ("c", 200)):
        (tmp_path / name).mkdir()
        for i in range(10):
            Image.fromarray(np.full((8, 8), grey + i, np.uint8)).save(tmp_path / name / f"{i}.png")
    few = load(f"folder:{tmp_path}", 8, samples=6)
    assert few.labels.tolist() == [0, 0, 1, 1, 2, 2]


def written(folder, n):
    folder.mkdir(parents=True)
    for i in range(n):
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(folder / f"{i:02}.png")


@pytest.mark.slow
def test_every_kind_of_data_has_them(tmp_path):
    written(tmp_path / "trainA", 10)
    written(tmp_path / "trainB", 20)
    domains = load(f"domains:{tmp_path}", 8, samples=5)
    assert (len(domains.x), len(domains.y)) == (5, 5)
    for name, size in (("ring8", None), ("grid25", None), ("facades", 32), ("edges:digits", None)):
        few, whole = load(name, size, samples=7), load(name, size)
        assert len(few) == 7
        for one, other in zip(parts(few.batch([1])), parts(whole.batch([len(whole) // 7])), strict=True):
            np.testing.assert_array_equal(one, other)
    with pytest.raises(MiniganError, match="has 10 samples, got samples = 11"):
        load(f"domains:{tmp_path}", 8, samples=11)


def parts(batch):
    return batch if isinstance(batch, tuple) else (batch,)


def test_they_are_mirrored_and_batched_as_others():
    few = load("digits", samples=5, flip=True)
    assert few.flip
    seen = np.stack([next(few.batches(5)) for _ in range(4)])
    assert seen.shape == (4, 5, 1, 8, 8)


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [
        (1798, MiniganError, "digits has 1,797 samples, got samples = 1,798"),
        (0, ValueError, "load: samples must be at least 1, got 0"),
        (2.5, TypeError, "load: samples must be an integer, got 2.5"),
        ("few", TypeError, "load: samples must be an integer, got 'few'"),
    ],
)
def test_bad_input(samples, error, message):
    with pytest.raises(error, match=message):
        load("digits", samples=samples)


# Runs


@pytest.mark.slow
def test_a_run_learns_from_them_alone_and_goes_on(tmp_path, capsys):
    flags = ["--samples", "40", "--batch-size", "8", "--latent", "4", "--checkpoint-every", "2"]
    assert (
        main(["train", "gan", *flags, "--steps", "4", "--device", "cpu", "--out", str(tmp_path / "run")]) == 0
    )
    run = Run.open(tmp_path / "run")
    assert len(run.options().dataset()) == 40
    assert len(run.options().held_out()) == 1797, "what is held out, of data without a test split all, stays"
    assert main(["train", "gan", "--resume", str(run.path), "--steps", "6"]) == 0
    assert Run.open(run.path).checkpoints.steps() == [2, 4, 6]
    capsys.readouterr()
    too_many = ["--samples", "2000", "--out", str(tmp_path / "other")]
    assert main(["train", "gan", *too_many]) == 2
    assert "digits has 1,797 samples, got samples = 2,000" in capsys.readouterr().err
    assert main(["train", "gan", "--samples", "0", "--out", str(tmp_path / "other")]) == 2
    assert "samples must be at least 1, got 0" in capsys.readouterr().err
    assert main(["train", "gan", "--samples", "4", "--out", str(tmp_path / "other")]) == 2
    assert "batch size must be from 1 to the 4 samples of digits, got 64" in capsys.readouterr().err


def test_other_samples_are_another_run():
    plain, few = (
        training.config.decisive(
            training.config.new_config(
                "gan",
                Options(data="ring8", samples=n),
                training.run.model_named("gan").Config(),
                load("ring8").fields,
            )
        )
        for n in (None, 100)
    )
    assert plain.pop("samples") is None
    assert few.pop("samples") == 100
    assert plain == few


def test_evaluations_compare_with_all_held_out_data_and_judge_copies_by_what_was_learned(capsys):
    data = EvaluationData.load("ring8", samples=50)
    assert (len(data.train), len(data.learned), len(data.test)) == (100_000, 50, 20_000)
    copies = data.samples(data.learned.batch(np.arange(50)))
    others = data.samples(data.train.batch(np.arange(1, 51)))
    real = data.real(data.test, 500, training.session.Generator(0))
    measured = [METRICS["neighbours"].measure(s, real)["memorisation"] for s in (copies, others)]
    assert measured[0] == 0 < measured[1]
    assert EvaluationData.load("ring8").learned is not None
