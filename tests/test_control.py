"""Codes that are moved: to where the nearest is known in closed form, of every model from noise, and on the
command line; codes of pictures, and walks between them."""

import io
import json
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from minigan import Generator, Tensor, testing, training
from minigan import functional as F
from minigan.cli import main
from minigan.control import encode, nearest, read_pictures, searched, steer, walk_between
from minigan.control.eyes import Aim, Eyes
from minigan.control.lines import direction, first_there, random_ends
from minigan.control.made import Made
from minigan.control.steering import measured
from minigan.data import Dataset, load
from minigan.errors import MiniganError
from minigan.gans import model_named, model_names
from minigan.metrics import Settings, train_classifier
from minigan.metrics.shapes import slants_and_widths
from minigan.training import Options, Sampler

# Where a straight wall is, the nearest code behind it is known

N, D = 5, 8


def starts(n=N, d=D, seed=0):
    return Generator(seed).normal((n, d)).astype(np.float64)


def identity(z, which):
    return z


def wall(direction, height):
    """What codes lack of height along a direction."""
    return lambda x, which: height - x @ Tensor(direction)


def untouched(x, which):
    return x[:, :0].sum(axis=1, keepdims=True)


def test_the_nearest_code_behind_a_wall_is_at_its_foot():
    z0, a = starts(), Generator(1).normal((D,)).astype(np.float64)
    height = 6.0
    z, arrived = nearest(z0, identity, wall(a, height), untouched, keep=0, steps=400)
    gap = np.maximum(height - z0 @ a, 0)
    expected = z0 + gap[:, None] * a / (a @ a)
    assert arrived.all()
    assert (z @ a >= height - 1e-9).all()
    moved = np.linalg.norm(z - z0, axis=1)
    np.testing.assert_allclose(moved, gap / np.linalg.norm(a), rtol=0.02)
    np.testing.assert_allclose(z, expected, atol=0.1)


def test_with_a_penalty_it_is_where_the_cost_is_least():
    """min |d|²/|z0|² + keep · (b·d)² on a·d = gap: d is proportional to (I/|z0|² + keep · b bᵀ)⁻¹ a."""
    z0, keep, height = starts(), 3.0, 6.0
    a, b = Generator(1).normal((2, D)).astype(np.float64)
    z, arrived = nearest(
        z0, identity, wall(a, height), lambda x, which: (x @ Tensor(b))[:, None], keep, steps=600
    )
    assert arrived.all()
    for start, found in zip(z0, z, strict=True):
        way = np.linalg.solve(np.eye(D) / (start @ start) + keep * np.outer(b, b), a)
        expected = way * (height - start @ a) / (a @ way)

        def cost(d, start=start):
            return d @ d / (start @ start) + keep * (b @ d) ** 2

        assert cost(found - start) <= 1.05 * cost(expected)
        plain = a * (height - start @ a) / (a @ a)
        assert cost(found - start) < cost(plain)


def test_a_code_that_is_there_stays_and_one_that_cannot_come_says_so():
    z0 = starts()
    z, arrived = nearest(z0, identity, wall(np.ones(D), -100.0), untouched, keep=0)
    np.testing.assert_array_equal(z, z0)
    assert arrived.all()

    def unreachable(x, which):
        return 1 + F.relu(3.0 - x[:, 0])

    z, arrived = nearest(z0, identity, unreachable, untouched, keep=0)
    assert not arrived.any()
    assert (z[:, 0] > 2.9).all(), "the one that lacks least"


def test_those_that_have_not_arrived_begin_again_elsewhere():
    def hidden(x, which):
        """A wall behind which no slope leads."""
        return F.where(x.data[:, 0] > 2, 2.5 - x[:, 0], 1.0 + 0.0 * x[:, 0])

    z0, behind = np.zeros((2, D)), np.full((2, D), 3.0)
    _, arrived = nearest(z0, identity, hidden, untouched, keep=0)
    assert not arrived.any()
    z, arrived = nearest(z0, identity, hidden, untouched, keep=0, begin=(z0, behind))
    assert arrived.all()
    assert (z[:, 0] < 3).all(), "and comes nearer from there"


def test_each_code_is_moved_by_itself():
    z0, a = starts(), np.ones(D)
    together, _ = nearest(z0, identity, wall(a, 9.0), untouched, keep=0)
    alone, _ = nearest(z0[2:3], identity, wall(a, 9.0), untouched, keep=0)
    np.testing.assert_allclose(together[2:3], alone, rtol=1e-9)


def test_a_search_finds_the_code_of_what_was_made():
    mixing = Generator(2).normal((D, 3 * D)).astype(np.float64)
    z = starts(4)
    codes, which = searched(
        z @ mixing, starts(3, seed=9), lambda c, which: c @ Tensor(mixing), steps=600, rate=0.1
    )
    assert set(which) <= {0, 1, 2}
    np.testing.assert_allclose(codes, z, atol=1e-3)


def test_a_search_takes_the_start_that_ends_best():
    def make(z, which):
        return z * Tensor(np.where(which == 1, 1.0, 0.0)[:, None])  # of others nothing can be made

    codes, which = searched(starts(3), np.zeros((3, D)), make, steps=400, rate=0.1)
    np.testing.assert_array_equal(which, 1)
    np.testing.assert_allclose(codes, starts(3), atol=1e-2)


def test_a_direction_is_that_of_the_plane_that_was_fitted():
    codes, a = starts(200), Generator(4).normal((D,)).astype(np.float64)
    found, fit = direction(codes, codes @ a + 3)
    np.testing.assert_allclose(found, a / np.linalg.norm(a), atol=1e-9)
    assert fit == pytest.approx(1)
    _, fit = direction(codes, Generator(5).normal((200,)))
    assert 0 <= fit < 0.2


def test_lines_end_at_the_first_step_behind_the_wall():
    z0 = np.zeros((3, 2))
    shift = np.array([[1.0, 0], [2.0, 0], [0.1, 0]])
    end, there = first_there(z0, shift, identity, wall(np.array([1.0, 0]), 0.55), steps=10)
    np.testing.assert_allclose(end[:, 0], [0.6, 0.6, 0.1], rtol=1e-6)
    np.testing.assert_array_equal(there, [True, True, False])
    ends, found = random_ends(lambda k: starts(3, 2, seed=k), z0, identity, wall(np.array([1.0, 0]), 1.0))
    assert found.all()
    assert (ends[:, 0] >= 1).all()


# Attributes


def test_ink_slant_and_width_have_derivatives_of_both_orders():
    x = Generator(0).uniform((2, 1, 6, 7), -1, 1).astype(np.float64)
    testing.check_grads(lambda x: F.stack([*slants_and_widths(x)]), [x])


@pytest.fixture(scope="module")
def digits():
    return load("digits", 16)


@pytest.fixture(scope="module")
def eyes(digits):
    small = Settings(steps=150, width=8)
    return Eyes(digits, train_classifier(digits, digits, small))


@pytest.fixture(scope="module")
def judge(digits):
    return train_classifier(digits, digits, Settings(steps=150, width=8, seed=1))


def test_attributes_are_deviations_of_the_real_data(eyes, digits):
    found = eyes.attributes(digits.batch(range(len(digits))))
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(found.std(axis=0), 1, atol=0.02)


def test_odds_are_those_of_the_classifiers_probabilities(eyes, digits):
    x, labels = digits.batch(range(20)), digits.labels[:20]
    p = eyes.classifier.probabilities(x)[range(20), labels]
    odds = eyes.odds_of(Tensor(x), labels).numpy()
    np.testing.assert_allclose(odds, np.log(p / (1 - p)), rtol=1e-2, atol=1e-3)


# Whole models

FILE = '''
"""Pictures that are a linear function of noise."""

from dataclasses import dataclass

from minigan import nn
from minigan.autograd import Tensor, grad
from minigan.gans.settings import Settings
from minigan.optim import SGD

TAKES = ("image",)


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    steps: int = 1


def parts(cfg, data, rng):
    C, H, W = data.shape
    net = nn.Sequential(nn.Linear(6, C * H * W, generator=rng), nn.Unflatten(C, H, W))
    return {"net": net, "opt": SGD(net.parameters(), 0.0)}


def inputs(n, rng, cfg):
    return {"z": rng.normal((n, 6))}


def make(z, net):
    return 0.3 * net(z)


def train(data, net, opt):
    for x in data:
        loss = (net(Tensor(x[:1, :1, 0, :6].reshape(1, 6))) ** 2.0).mean()
        opt.step(grad(loss, opt.params))
        yield {"loss": loss}
'''


@pytest.fixture(scope="module")
def linear_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("control")
    path = folder / "linear.py"
    path.write_text(FILE, encoding="utf-8")
    cfg = model_named(str(path)).Config(batch_size=4, size=16)
    quiet = Console(file=io.StringIO())
    return training.train(str(path), Options(diagnose_every=0), cfg, folder / "run", quiet)


@pytest.fixture(scope="module")
def linear(linear_run):
    return Sampler.of(linear_run)


def test_ink_of_a_linear_generator_rises_by_what_was_asked_along_the_one_way(linear, eyes):
    """Its ink is m·z + c: the nearest code with s more of it is s / |m| away, along m."""
    found = steer(linear, eyes, "ink", by=1.0, keep=0, n=6, ways=("plain",), along="plain", steps=400)
    weight = linear.parts["net"][0].weight.numpy()
    m = 0.3 * weight.mean(axis=0)
    s = eyes.scale["ink"][1]
    shift = found.end - found.start
    np.testing.assert_allclose(np.linalg.norm(shift, axis=1), s / np.linalg.norm(m), rtol=0.02)
    cosine = shift @ m / np.linalg.norm(shift, axis=1) / np.linalg.norm(m)
    assert (cosine > 0.99).all()
    row = found.rows["plain"]
    assert row["reached"] == 1
    assert row["changes"]["ink"][0] == pytest.approx(1, abs=0.02)
    lengths = np.linalg.norm(found.start, axis=1)
    assert row["distance"] == pytest.approx((np.linalg.norm(shift, axis=1) / lengths).mean())


def test_the_linear_fit_to_a_linear_generator_is_that_way(linear, eyes):
    found = steer(linear, eyes, "ink", by=0.5, n=4, along="direction", ways=())
    m = linear.parts["net"][0].weight.numpy().mean(axis=0)
    shift = found.end - found.start
    assert found.rows["direction"]["fit"] > 0.999
    assert (shift @ m / np.linalg.norm(shift, axis=1) / np.linalg.norm(m) > 0.999).all()


def test_what_is_measured_is_what_was_done(linear, eyes, judge):
    made = Made(linear, linear.inputs(4, Generator(3)))
    before = made.pictures(made.codes)
    aim = Aim(eyes, before, "3", None, 0.9)
    end = made.codes * np.array([[1], [2], [1], [0.5]], np.float32)
    there, already = np.array([True, True, False, True]), np.array([True, False, False, False])
    row = measured(aim, None, before, made.pictures(end), made.codes, end, there, already)
    assert (row["n"], row["steered"]) == (3, pytest.approx(2 / 3))
    assert row["distance"] == pytest.approx(0.75)
    assert row["length"] == pytest.approx(1.25)
    changes = np.abs(eyes.attributes(made.pictures(end)) - eyes.attributes(before))[[1, 3]]
    assert row["changed"] == pytest.approx((changes > 0.5).mean())
    judged = measured(aim, judge, before, before, made.codes, made.codes, there, already)
    assert judged["reached"] == pytest.approx((judge.labels(before) == 3)[1:].mean())


def test_the_same_seed_gives_the_same_codes_and_weights_stay(linear, eyes, judge):
    weights = {k: a.copy() for k, a in linear.parts["net"].state_dict().items()}
    seen = eyes.network.state_dict()
    a, b, c = (
        steer(linear, eyes, "slant", judge=judge, n=3, seed=seed, steps=10, ways=()) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(a.end, b.end)
    assert not np.array_equal(a.start, c.start)
    for before, now in ((weights, linear.parts["net"].state_dict()), (seen, eyes.network.state_dict())):
        for name, array in before.items():
            np.testing.assert_array_equal(now[name], array)
    assert all(p.grad is None for p in linear.parts["net"].parameters())


SMALL = {"size": 16, "batch_size": 4, "latent": 4, "width": 4, "coarse_width": 8, "hidden": 16, "mapping": 1}


def of_images(name):
    """Whether it makes images, and nobody has to say in words which."""
    kind, *beside = model_named(name).takes
    return kind in ("image", "image or point") and "text" not in beside


def untrained(name, digits):
    model = model_named(name)
    known = {field.name for field in fields(model.Config)}
    cfg = model.Config(**{name: value for name, value in SMALL.items() if name in known}).fitted(digits)
    parts = model.parts(cfg, digits.fields, Generator(0))
    return Sampler(model, cfg, parts, digits.fields, data=lambda: digits)


FROM_NOISE = [name for name in model_names() if of_images(name)]


@pytest.mark.slow
@pytest.mark.parametrize("name", FROM_NOISE)
def test_every_model_from_noise_is_steered_and_keeps_what_it_was_asked_for(name, digits, eyes, judge):
    sampler = untrained(name, digits)
    if "z" not in sampler.inputs(1, Generator(0)):
        with pytest.raises(MiniganError, match="no noise z"):
            steer(sampler, eyes, "ink")
        return
    through = "code" if sampler.model.has("code") else "z"
    found = steer(sampler, eyes, "ink", by=0.2, judge=judge, n=3, steps=5, through=through, ways=())
    assert found.end.shape == found.start.shape
    assert not np.array_equal(found.end, found.start)
    assert found.film(frames=3).shape == (3, 3, *digits.shape)
    np.testing.assert_allclose(found.film(frames=3)[:, 0], found.before, atol=1e-6)
    lack = eyes.attributes(found.before)[:, 0] + 0.2 - eyes.attributes(found.after)[:, 0]
    assert (lack < 0.2).all(), "nearer than before"
    if sampler.conditional:
        held = steer(sampler, eyes, "ink", n=3, steps=2, ways=(), label=2)
        np.testing.assert_array_equal(held.made.rest["labels"], 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", FROM_NOISE)
def test_every_such_model_has_codes_of_pictures(name, digits):
    sampler = untrained(name, digits)
    x = digits.batch(range(2))
    if not sampler.model.has("encode") and "z" not in sampler.inputs(1, Generator(0)):
        with pytest.raises(MiniganError, match="no encoder"):
            encode(sampler, x)
        return
    codes, how = encode(sampler, x, starts=2, steps=5)
    assert how == ("encoder" if sampler.model.has("encode") else "search")
    made, *_ = sampler.make(codes).values()
    assert made.shape == x.shape
    if any(a.dtype.kind != "f" for name, a in codes.items() if name != "labels"):
        with pytest.raises(MiniganError, match="whole numbers"):
            walk_between(sampler, codes, 4)
        return
    walks = walk_between(sampler, codes, 4)
    assert walks.shape == (1, 4, *x.shape[1:])
    np.testing.assert_allclose(walks[0, [0, -1]], made, atol=1e-4)


# Bad input


def test_a_class_that_the_classifier_never_saw_is_told(digits, judge, linear):
    few = Dataset("two", digits.samples[digits.labels < 2], digits.labels[digits.labels < 2])
    eyes = Eyes(few, train_classifier(few, few, Settings(steps=2, width=4)))
    for towards in ("7", "2"):
        with pytest.raises(MiniganError, match=f"classifier of two never saw a class {towards}; it saw 0, 1"):
            steer(linear, eyes, towards)


def test_without_labels_attributes_are_left(digits, linear):
    eyes = Eyes(Dataset("bare", digits.samples), None)
    with pytest.raises(MiniganError, match=r"bare has no labels, .*: ink, slant, width"):
        steer(linear, eyes, "3")
    found = steer(linear, eyes, "ink", n=2, steps=20, ways=())
    assert found.judged is None
    assert found.rows["gradient"]["class_kept"] is None


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"towards": "slnt"}, "cannot steer towards 'slnt': .* did you mean 'slant'"),
        ({"towards": "3", "by": 2.0}, "by is for an attribute; class 3 is there or not"),
        ({"towards": "ink", "by": 0.0}, "by must be a number of deviations that is not 0"),
        ({"towards": "ink", "keep": -1.0}, "keep must be at least 0, got -1"),
        ({"towards": "3", "sure": 1.0}, "sure must be a probability"),
        ({"towards": "3", "n": 0}, "n must be at least 1, got 0"),
        ({"towards": "3", "along": "circle"}, "along must be one of gradient"),
        ({"towards": "3", "through": "code"}, "linear has no code beside its noise z"),
        ({"towards": "3", "label": 2}, "linear cannot be asked for a label"),
    ],
)
def test_what_cannot_be_asked_for_is_told(linear, eyes, how, sentence):
    with pytest.raises(MiniganError, match=sentence):
        steer(linear, eyes, **how)


def test_points_are_no_pictures():
    with pytest.raises(MiniganError, match="steering looks at pictures, ring8 has points"):
        Eyes(load("ring8"), None)


# On the command line


@pytest.fixture
def small_classifiers(monkeypatch, tmp_path_factory):
    """Classifiers of the metrics that are trained in a second, in a cache of their own."""
    from minigan.control import steering
    from minigan.metrics import cache, evaluation_data

    small = Settings(steps=60, width=8)
    monkeypatch.setenv("MINIGAN_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "classifiers"))
    monkeypatch.setattr(steering, "SETTINGS", small)
    whole = cache.classifier_for
    monkeypatch.setattr(
        evaluation_data, "classifier_for", lambda train, test, say: whole(train, test, small, say)
    )


@pytest.mark.slow
def test_steer_writes_a_sheet_a_strip_a_film_and_a_table(linear_run, tmp_path, small_classifiers, capsys):
    out = tmp_path / "s.png"
    words = ["steer", str(linear_run.path), "--towards", "ink", "--n", "3", "--by", "0.5", "--out", str(out)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "towards ink" in said
    assert "class kept" in said
    table = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert [*table["ways"]] == ["gradient", "plain", "direction", "line"]
    assert table["ways"]["plain"]["n"] == 3
    assert table["steered_by"]["hash"] != table["judged_by"]["hash"]
    with Image.open(tmp_path / "s.gif") as film:
        assert film.n_frames == 2 * 16 - 2
    for name in ("s.png", "s-way.png"):
        with Image.open(tmp_path / name) as sheet:
            sheet.load()


def picture(folder, name, side=16, value=0):
    path = folder / name
    Image.fromarray(np.full((side, side), value, np.uint8)).save(path)
    return str(path)


def test_encode_writes_codes_that_make_the_pictures_again(linear_run, linear, tmp_path, capsys):
    a, b = picture(tmp_path, "a.png", value=90), picture(tmp_path, "b.png", value=150)
    out = tmp_path / "codes.npz"
    assert main(["encode", str(linear_run.path), "--input", a, b, "--out", str(out)]) == 0
    assert "codes by search: z (2, 6)" in capsys.readouterr().out
    with np.load(out) as codes:
        assert codes["files"].tolist() == [a, b]
        made = linear.make({"z": codes["z"]})["samples"]
    x = read_pictures(linear, [a, b])
    weight = linear.parts["net"][0].weight.numpy().astype(np.float64)
    bias = linear.parts["net"][0].bias.numpy()
    best, *_ = np.linalg.lstsq(0.3 * weight, (x.reshape(2, -1) - 0.3 * bias).T, rcond=None)
    least = ((0.3 * (weight @ best + bias[:, None]) - x.reshape(2, -1).T) ** 2).mean()
    assert ((made - x) ** 2).mean() < 1.05 * least
    assert (tmp_path / "codes.png").exists()


def test_walks_between_pictures_have_them_at_their_ends(linear_run, tmp_path):
    files = [picture(tmp_path, f"{i}.png", value=50 * i) for i in range(3)]
    out = tmp_path / "walk.png"
    words = ["interpolate", str(linear_run.path), "--input", *files, "--steps", "4", "--out", str(out)]
    assert main(words) == 0
    with Image.open(out) as sheet:
        pixels = np.asarray(sheet.convert("L"))
        side = sheet.width // 6
    assert (pixels[20, side // 2], pixels[20, -side // 2]) == (0, 50)


def test_a_picture_of_another_size_is_resized_on_demand(linear, tmp_path):
    file = picture(tmp_path, "large.png", 40, 255)
    assert read_pictures(linear, [file], resize=True).shape == (1, 1, 16, 16)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["encode", "RUN", "--input", "nowhere.png"], "nowhere.png cannot be read: No such file"),
        (["encode", "RUN", "--input", "BROKEN"], "is not an image that Pillow can read"),
        (
            ["encode", "RUN", "--input", "LARGE"],
            "has 40x40 pixels, the model's pictures have 16x16; --resize",
        ),
        (["encode", "RUN"], "--input names the pictures, got none"),
        (["encode", "RUN", "--input", "LARGE", "--out", "x.png"], "codes are written to a .npz"),
        (["interpolate", "RUN", "--input", "LARGE"], "from one picture to another, --input names 1"),
        (["interpolate", "RUN", "--input", "LARGE", "LARGE", "--label=1"], "--label is for walks from class"),
        (["steer", "RUN", "--towards", "7", "--out", "x.gif"], "written to a .png, not to x.gif"),
        (["steer", "RUN", "--towards", "7", "--n", "0"], "Must be >= 1"),
        (["steer", "EMPTY", "--towards", "7"], "no config.toml"),
    ],
)
def test_bad_words_are_told_in_a_sentence(linear_run, tmp_path, capsys, words, sentence):
    (tmp_path / "broken.png").write_text("no picture", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    stand_for = {
        "RUN": str(linear_run.path),
        "BROKEN": str(tmp_path / "broken.png"),
        "LARGE": picture(tmp_path, "large.png", 40),
        "EMPTY": str(tmp_path / "empty"),
    }
    assert main([stand_for.get(word, word) for word in words]) == 2
    assert sentence in capsys.readouterr().err
