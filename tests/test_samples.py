"""Samples of a trained model: labels, truncation, walks, averaged weights, and the files they go to."""

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from minigan import Generator, Tensor, cli, nn
from minigan.errors import MiniganError
from minigan.gans.noise import cgan, gan
from minigan.gans.parts.latent import truncated
from minigan.optim import ExponentialMovingAverage
from minigan.training import Options, Run, Sampler, interpolate, resume, train
from minigan.training.interpolate import path, slerp

TINY = {"steps": 4, "batch_size": 8, "latent": 6, "lr": 2e-4, "lr_d": 2e-4}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """The folder of a run of CGAN on digits, with averaged weights."""
    folder = tmp_path_factory.mktemp("runs") / "cgan"
    return train("cgan", Options(ema=0.5), cgan.Config(**TINY, width=4), folder).path


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """The folder of a run of GAN in the plane."""
    return train(
        "gan", Options(data="ring8"), gan.Config(**TINY), tmp_path_factory.mktemp("runs") / "gan"
    ).path


def minigan(*tokens):
    return cli.main([str(token) for token in tokens])


# Drawing


@pytest.mark.slow
def test_samples_are_the_same_for_the_same_seed(points):
    sampler = Sampler.of(Run.open(points))
    one = sampler(7, seed=3)
    assert (one.shape, one.dtype) == ((7, 2), np.float32)
    np.testing.assert_array_equal(one, sampler(7, seed=3))
    assert not np.array_equal(one, sampler(7, seed=4))


def test_many_samples_are_made_in_parts_that_make_no_difference(points, monkeypatch):
    sampler = Sampler.of(Run.open(points))
    whole = sampler(20)
    monkeypatch.setattr("minigan.training.sampler.CHUNK", 7)
    np.testing.assert_allclose(sampler(20), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_labels_are_what_was_asked_for_or_every_class_in_turn(labelled):
    sampler = Sampler.of(Run.open(labelled))
    for n, asked, expected in (
        (12, {}, [*range(10), 0, 1]),
        (3, {"label": 7}, [7, 7, 7]),
        (2, {"label": [4, 5]}, [4, 5]),
    ):
        np.testing.assert_array_equal(sampler.inputs(n, Generator(0), **asked)["labels"], expected)
    np.testing.assert_array_equal(sampler(2, label=[4, 4]), sampler(2, label=4))
    assert not np.array_equal(sampler(2, label=3), sampler(2, label=4))
    with pytest.raises(MiniganError, match="3 samples take one label or 3 of them, got 2"):
        sampler(3, label=[1, 2])


def test_truncated_noise_keeps_its_rank_and_its_distribution():
    z = Generator(0).normal(20_000)
    tame = truncated(z, 0.7)
    assert np.abs(tame).max() <= 0.7
    assert (np.diff(tame[np.argsort(z)]) >= 0).all()
    assert stats.kstest(tame, stats.truncnorm(-0.7, 0.7).cdf).pvalue > 1e-3
    np.testing.assert_allclose(truncated(z, 20.0), z, rtol=1e-5, atol=1e-6)
    with pytest.raises(MiniganError, match="truncation must be above 0, got 0"):
        truncated(z, 0)


# Walks


def test_a_spherical_walk_keeps_the_length():
    a, b = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    half = np.sqrt(0.5)
    walk = slerp(a, b, np.array([[0.0], [0.5], [1.0]]))
    np.testing.assert_allclose(walk, [a, (half, half), b], atol=1e-12)
    np.testing.assert_allclose(slerp(a, a, 0.5), a, atol=1e-6)
    away = slerp(np.float32([1.0]), np.float32([-2.0]), np.float32([[0.0], [0.5], [1.0]]))
    np.testing.assert_allclose(away, [[1.0], [-0.5], [-2.0]], atol=1e-5)
    assert away.dtype == np.float32


def test_a_walk_through_classes_has_constant_pace():
    corners = np.eye(3, dtype=np.float32)
    t = np.linspace(0, 1, 5, dtype=np.float32)
    np.testing.assert_allclose(
        path(corners, t), [corners[0], (0.5, 0.5, 0), corners[1], (0, 0.5, 0.5), corners[2]]
    )
    np.testing.assert_array_equal(path(corners[1:2], t), np.tile(corners[1], (5, 1)))


@pytest.mark.parametrize("kind", ["spherical", "linear"])
def test_a_walk_in_the_noise_ends_at_samples(points, kind):
    sampler = Sampler.of(Run.open(points))
    walks = interpolate(sampler, n=3, steps=5, seed=2, kind=kind)
    assert walks.shape == (3, 5, 2)
    ends = sampler(6, seed=2)
    np.testing.assert_allclose(walks[:, 0], ends[:3], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(walks[:, -1], ends[3:], rtol=1e-4, atol=1e-5)


def test_a_walk_through_classes_keeps_the_noise(labelled):
    sampler = Sampler.of(Run.open(labelled))
    walks = interpolate(sampler, n=2, steps=3, seed=2, labels=[3, 8])
    z = sampler.inputs(4, Generator(2))["z"][:2]
    for i, label in ((0, 3), (-1, 8)):
        expected = sampler.make({"z": z, "labels": np.array([label, label])})["samples"]
        np.testing.assert_allclose(walks[:, i], expected, rtol=1e-4, atol=1e-5)


def test_without_labels_each_walk_keeps_a_class(labelled):
    sampler = Sampler.of(Run.open(labelled))
    walks = interpolate(sampler, n=2, steps=3, seed=2)
    z = sampler.inputs(4, Generator(2))["z"][:2]
    expected = sampler.make({"z": z, "labels": np.array([0, 1])})["samples"]
    np.testing.assert_allclose(walks[:, 0], expected, rtol=1e-4, atol=1e-5)


def test_with_one_label_all_walks_are_of_that_class(labelled):
    sampler = Sampler.of(Run.open(labelled))
    walks = interpolate(sampler, n=2, steps=3, seed=2, labels=[7])
    z = sampler.inputs(4, Generator(2))["z"]
    for i, ends in ((0, z[:2]), (-1, z[2:])):
        expected = sampler.make({"z": ends, "labels": np.array([7, 7])})["samples"]
        np.testing.assert_allclose(walks[:, i], expected, rtol=1e-4, atol=1e-5)


# The average of the weights


def test_the_average_follows_the_formula():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    average = ExponentialMovingAverage(net, 0.6)
    expected = {name: p.numpy().copy() for name, p in net.named_parameters()}
    for n in range(20):
        for p in net.parameters():
            p.data += n
        net(Tensor(Generator(n).normal((4, 2))))
        average.update()
        decay = min(0.6, (1 + n) / (10 + n))
        for name, p in net.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * p.numpy()
    found = average.module.state_dict()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5)
    np.testing.assert_array_equal(found["1.running_mean"], net[1].running_mean.numpy())
    assert not any(p.requires_grad for p in average.module.parameters())
    assert all(p.requires_grad for p in net.parameters())
    assert not average.module.training
    with pytest.raises(ValueError, match=r"decay must be in \[0, 1\), got 1"):
        ExponentialMovingAverage(net, 1)


def test_samples_are_drawn_from_the_average_if_there_is_one(labelled):
    run = Run.open(labelled)
    averaged, last = (Sampler.of(run, average=wanted)(4) for wanted in (True, False))
    assert not np.array_equal(averaged, last)


@pytest.mark.slow
def test_a_resumed_run_has_the_same_average(labelled, tmp_path):
    whole = train("cgan", Options(ema=0.5), cgan.Config(**{**TINY, "steps": 6}, width=4), tmp_path / "a")
    part = train("cgan", Options(ema=0.5), cgan.Config(**TINY, width=4), tmp_path / "b")
    part = resume(part.path, steps=6)
    assert whole.checkpoints.latest().read_bytes() == part.checkpoints.latest().read_bytes()


# The commands


def test_sample_writes_a_sheet_an_archive_or_a_picture_each(labelled, tmp_path, capsys):
    assert minigan("sample", labelled, "--label", 7, "--n", 10, "--out", tmp_path / "sevens.png") == 0
    assert minigan("sample", labelled, "--n", 20, "--out", tmp_path / "s.npz") == 0
    assert minigan("sample", labelled, "--n", 3, "--truncation", 1, "--out", tmp_path / "each") == 0
    assert capsys.readouterr().out.split() == [
        str(tmp_path / name) for name in ("sevens.png", "s.npz", "each")
    ]
    Image.open(tmp_path / "sevens.png").verify()
    with np.load(tmp_path / "s.npz") as archive:
        assert archive["samples"].shape == (20, 1, 16, 16)
        np.testing.assert_array_equal(archive["labels"], np.arange(20) % 10)
        np.testing.assert_array_equal(archive["samples"], Sampler.of(Run.open(labelled))(20))
    assert sorted(p.name for p in (tmp_path / "each").iterdir()) == [f"0000{i}.png" for i in range(3)]
    with Image.open(tmp_path / "each" / "00000.png") as picture:
        assert (picture.size, picture.mode) == ((16, 16), "L")


def test_a_sheet_of_a_conditional_model_has_a_column_a_class(labelled):
    with Image.open(Run.open(labelled).sheets.path(4)) as sheet:
        assert sheet.width > sheet.height  # 10 columns, 7 rows


@pytest.mark.parametrize("name", ["walk.png", "walk.gif"])
@pytest.mark.parametrize("run", ["labelled", "points"])
def test_interpolate_writes_a_sheet_or_a_film(run, name, tmp_path, request):
    folder = request.getfixturevalue(run)
    assert minigan("interpolate", folder, "--n", 2, "--steps", 3, "--out", tmp_path / name) == 0
    with Image.open(tmp_path / name) as picture:
        assert getattr(picture, "n_frames", 1) == (4 if name.endswith("gif") else 1)  # there and back


@pytest.mark.parametrize(
    ("run", "tokens", "message"),
    [
        ("labelled", ["sample", "--label", 10], "label 10 is not one of the 10 classes, 0 to 9"),
        ("labelled", ["sample", "--label", -1], "label -1 is not one of the 10 classes, 0 to 9"),
        ("labelled", ["interpolate", "--label", "3,12"], "label 12 is not one of the 10 classes"),
        ("points", ["sample", "--label", 0], "gan cannot be asked for a label: it takes truncation"),
        ("points", ["interpolate", "--label", 0], "gan cannot be asked for a label: it takes truncation"),
        (
            "labelled",
            ["interpolate", "--label", "3,x"],
            "--label: 3,x is not of the form A,B with an int each",
        ),
        ("labelled", ["sample", "--out", "."], ". has samples already, which the new ones would be mixed"),
        ("points", ["sample", "--truncation", 0], "truncation must be above 0"),
        ("points", ["sample", "--out", "s.jpg"], "written to a .png, a .npz or a folder, not to s.jpg"),
        ("points", ["sample", "--out", "folder"], "points are no files to put into a folder"),
        ("points", ["interpolate", "--empty-label"], "--empty-label"),
        ("points", ["interpolate", "--out", "w.jpg"], "walks are written to a .png or a .gif, not to w.jpg"),
        ("points", ["interpolate", "--out", "missing/w.png"], "cannot write missing/w.png: No such file"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_a_sentence(
    run, tokens, message, request, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "00000.png").touch()
    command, *flags = tokens
    assert minigan(command, request.getfixturevalue(run), *flags) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
