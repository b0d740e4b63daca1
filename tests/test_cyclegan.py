"""CycleGAN: its networks, the pool, the falling rate, data of two domains, and what is measured on them."""

import io
import math
import shutil

import fake_cupy
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import minigan_kernels as kernels
from minigan import Generator, Tensor, functional, grad, nn, training
from minigan.cli import main
from minigan.data import Dataset, Domains, Field, Fields, load
from minigan.errors import MiniganError
from minigan.gans import model_named
from minigan.gans.images import cyclegan
from minigan.gans.parts.pool import ImagePool
from minigan.gans.parts.resnet import resnet_generator
from minigan.metrics import evaluate_domains
from minigan.metrics.compared import check_names, names_for
from minigan.testing import check_model
from minigan.training import Options, Sampler, Session
from minigan.training.checkpoint import Checkpoint, load_checkpoint

MODEL = model_named("cyclegan")
SMALL = {"width": 2, "blocks": 1, "batch_size": 3, "pool": 5}


def fields(size=16, channels=(3, 3)):
    x, y = (Field("image", (c, size, size)) for c in channels)
    return Fields({"x": x, "y": y})


def parts_of(size=16, channels=(3, 3), **settings):
    cfg = cyclegan.Config(**{**SMALL, **settings}).fitted(fields(size, channels))
    return cfg, MODEL.parts(cfg, fields(size, channels), Generator(0))


def images(n, channels=3, size=16, seed=1, dtype=np.float32):
    return Generator(seed).uniform((n, channels, size, size), -1, 1, dtype)


# The networks


@pytest.mark.parametrize(
    ("size", "blocks", "halvings", "patch"),
    [(8, 3, 0, 1), (16, 3, 0, 2), (32, 4, 0, 2), (64, 6, 1, 2), (128, 6, 2, 3), (256, 9, 2, 3)],
)
def test_networks_are_as_deep_as_their_images_are_large(size, blocks, halvings, patch):
    cfg = cyclegan.Config().fitted(fields(size))
    assert (cfg.blocks, cfg.halvings, cfg.patch) == (blocks, halvings, patch)


def test_the_generator_of_the_paper_has_its_layers():
    """Appendix 7.2: c7s1-64, d128, d256, nine R256, u128, u64, c7s1-3; transposed ones are (in, out, ...)."""
    shapes = [p.shape for p in resnet_generator(3, 3, 64, 2, 9).parameters() if p.ndim == 4]
    down = [(64, 3, 7, 7), (128, 64, 3, 3), (256, 128, 3, 3)]
    up = [(256, 128, 3, 3), (128, 64, 3, 3), (3, 64, 7, 7)]
    assert shapes == [*down, *[(256, 256, 3, 3)] * 18, *up]


@pytest.mark.parametrize(("channels", "size"), [((3, 3), 16), ((1, 3), 16), ((3, 1), 8)])
def test_images_of_any_channels_become_those_of_the_other_kind(channels, size):
    cfg, parts = parts_of(size, channels)
    x, y = (Tensor(images(2, c, size)) for c in channels)
    made = MODEL.make({"x": x, "y": y}, parts, cfg)
    assert {name: a.shape for name, a in made.items()} == {
        "G(x)": y.shape,
        "F(G(x))": x.shape,
        "F(y)": x.shape,
        "G(F(y))": y.shape,
    }
    assert all(np.abs(a.numpy()).max() <= 1 for a in made.values())


def test_an_image_does_not_depend_on_its_neighbours_in_a_batch():
    _, parts = parts_of()
    x = images(3)
    together, alone = parts["G"](Tensor(x)).numpy(), parts["G"](Tensor(x[1:2])).numpy()
    np.testing.assert_allclose(together[1:2], alone, atol=1e-5)


def test_beyond_the_border_lies_the_mirror_image():
    """An image that is symmetrical about its edge pixels is seen as a part of the endless one: with zeros
    beyond the border, a network of one colour would have a frame."""
    net = resnet_generator(1, 1, 2, 0, 2)
    made = net(Tensor(np.full((1, 1, 8, 8), 0.3, np.float32))).numpy()
    np.testing.assert_allclose(made, made[0, 0, 0, 0], atol=1e-6)


def test_what_is_made_is_added_to_the_image_where_both_kinds_have_as_many_channels():
    x = images(2)
    for channels, adds in (((3, 3), True), ((3, 3), False), ((3, 1), True)):
        _, parts = parts_of(channels=channels, adds=adds)
        G = parts["G"]
        *_, last = (m for m in G.modules() if isinstance(m, nn.Conv2d))
        for p in last.parameters():
            p.data[...] = 0
        left = x if adds and channels == (3, 3) else np.zeros((2, channels[1], 16, 16), np.float32)
        np.testing.assert_allclose(G(Tensor(x)).numpy(), left, atol=0.011)  # a tanh does not reach 1
        last.bias.data[...] = 50
        np.testing.assert_allclose(G(Tensor(x)).numpy(), 1, atol=1e-6)


# The pool


class Told:
    """Random numbers that were thought of before."""

    def __init__(self, *rows):
        self.rows = iter(rows)

    def uniform(self, shape):
        return np.array(next(self.rows), np.float32).reshape(shape)


def numbered(*numbers):
    return np.array(numbers, np.float32)[:, None, None, None]


def test_a_pool_gives_what_it_is_given_until_it_is_full_and_then_swaps_by_a_coin():
    pool = ImagePool(3, (1, 1, 1))
    rng = Told(
        [(0, 0), (0, 0)],
        [(0, 0), (0.4, 0.0), (0.6, 0.0), (0.1, 0.99)],
        [(0.49, 0.0), (0.49, 0.1)],
    )
    first = numbered(1, 2)
    given = pool.swap(first, rng)
    np.testing.assert_array_equal(given, first)
    assert given is not first
    np.testing.assert_array_equal(pool.swap(numbered(3, 4, 5, 6), rng), numbered(3, 1, 5, 3))
    np.testing.assert_array_equal(pool.images, numbered(4, 2, 6))
    np.testing.assert_array_equal(pool.swap(numbered(7, 8), rng), numbered(4, 7))  # one that came just before


def test_half_of_what_a_full_pool_gives_was_made_before():
    pool, rng, old, ages = ImagePool(50, (1, 1, 1)), Generator(0), 0, []
    for step in range(2000):
        given = pool.swap(numbered(step, step), rng).ravel()
        old += (given != step).sum()
        ages += [*(step - given[given != step])]
    assert abs(old / 4000 - 0.5) < 0.03
    assert np.mean(ages) == pytest.approx(50, rel=0.1)  # each of 50 places is taken once in 50 steps


def test_a_pool_of_none_gives_new_ones_alone():
    pool = ImagePool(0, (1, 1, 1))
    np.testing.assert_array_equal(pool.swap(numbered(1, 2), None), numbered(1, 2))


def test_a_pool_goes_on_from_its_state_and_from_no_other():
    pool, other, rng = ImagePool(4, (1, 2, 2)), ImagePool(4, (1, 2, 2)), Generator(0)
    pool.swap(images(3, 1, 2), rng)
    other.load_state_dict(pool.state_dict())
    a, b = (p.swap(images(6, 1, 2, seed=2), Generator(5)) for p in (pool, other))
    np.testing.assert_array_equal(a, b)
    assert other.filled == 4
    with pytest.raises(
        ValueError, match=r"the state has 4 images in \(4, 1, 2, 2\), the pool \(5, 1, 2, 2\)"
    ):
        ImagePool(5, (1, 2, 2)).load_state_dict(pool.state_dict())
    with pytest.raises(ValueError, match="the state has 9 images"):
        other.load_state_dict({**pool.state_dict(), "filled": 9})


def test_what_a_pool_gives_is_in_the_order_of_memory_of_what_it_was_given():
    pool, rng = ImagePool(2, (3, 4, 4)), Generator(0)
    made = images(4, 3, 4).transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)
    assert pool.swap(made, rng).strides == made.strides


# The loop


def steps_of(n, cfg, parts, channels=(3, 3), size=16, seed=3):
    data = [
        tuple(images(cfg.batch_size, c, size, 10 * i + j + seed) for j, c in enumerate(channels))
        for i in range(n)
    ]
    return MODEL.train(parts, iter(data), Generator(7), cfg)


def test_the_rate_stands_for_half_of_the_steps_and_falls_to_nothing_in_the_other_half():
    cfg, parts = parts_of(steps=8)
    rates = []
    for _ in steps_of(8, cfg, parts):
        rates.append((parts["opt_g"].lr / cfg.lr, parts["opt_d"].lr / cfg.lr_d))
    expected = [1, 1, 1, 1, 0.75, 0.5, 0.25, 0]  # of the next steps
    np.testing.assert_allclose(rates, np.transpose([expected, expected]), rtol=1e-12)


def test_without_an_identity_loss_there_is_none_and_with_other_channels_neither():
    cfg, parts = parts_of(identity=0.0)
    assert "identity" not in next(steps_of(1, cfg, parts))
    cfg, parts = parts_of(channels=(1, 3))
    assert cfg.identity == 0
    assert "identity" not in next(steps_of(1, cfg, parts, (1, 3)))
    assert parts_of()[0].identity == 0.5
    with pytest.raises(
        MiniganError, match=r"identity = 0\.5 wants G to leave a y as it is.*x has 1 channels, and y 3"
    ):
        parts_of(channels=(1, 3), identity=0.5)


def test_the_loss_of_g_is_equation_3_and_the_identity_loss():
    for settings, power in (({"cycle": 3.0, "identity": 0.4}, 1), ({"cycle_distance": "l2"}, 2)):
        cfg, parts = parts_of(**settings)
        G, F, Dx, Dy = (parts[name] for name in ("G", "F", "Dx", "Dy"))
        x, y = Tensor(images(3, seed=3)), Tensor(images(3, seed=4))
        to_y, to_x = G(x), F(y)
        far = [np.mean(np.abs(a.numpy() - b.numpy()) ** power) for a, b in ((F(to_y), x), (G(to_x), y))]
        same = [np.mean(np.abs(a.numpy() - b.numpy())) for a, b in ((G(y), y), (F(x), x))]
        game = sum(np.mean((D(a).numpy() - 1) ** 2) for D, a in ((Dy, to_y), (Dx, to_x)))
        expected = game + cfg.cycle * (sum(far) + cfg.identity * sum(same))
        seen = next(steps_of(1, cfg, parts))
        assert seen["g_loss"].item() == pytest.approx(expected, rel=1e-4)
        assert seen["cycle"].item() == pytest.approx(sum(far), rel=1e-4)


def test_judges_see_images_that_were_made_before():
    cfg, parts = parts_of(pool=3, steps=40)
    seen = []
    parts["Dy"].register_forward_hook(lambda net, given, out: seen.append(given[0].numpy().copy()))
    for _ in steps_of(12, cfg, parts):
        pass
    made, judged = seen[0::3], seen[2::3]  # in a step: G(x) for G's loss, then real ones, then of the pool
    known = {bytes(a) for batch in made for a in batch}
    assert all(bytes(a) in known for batch in judged for a in batch)
    older = [
        bytes(a) not in {bytes(b) for b in now}
        for now, batch in zip(made, judged, strict=True)
        for a in batch
    ]
    assert 0.2 < np.mean(older[cfg.batch_size :]) < 0.7


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"identity": 0.0, "cycle_distance": "l2", "pool": 0}])
def test_cyclegan_keeps_the_contract(settings):
    check_model("cyclegan", **{**SMALL, **settings})


# On a GPU: a stand-in, whose rules CuPy has


@pytest.mark.slow
def test_captured_steps_are_those_of_the_plain_ones_and_go_on_from_a_checkpoint(monkeypatch):
    """Products and convolutions are one kernel each there, as those of the CUDA engine are."""

    def as_kernel(function):
        def launched(x, *others, **how):
            if isinstance(x, fake_cupy.ndarray):
                return fake_cupy.call(function, x, *others, **how)
            return function(x, *others, **how)

        return launched

    def session_of(graph):
        return Session("cyclegan", Options(device="gpu", graph=graph), cyclegan.Config(steps=10, **SMALL))

    fake_cupy.install(monkeypatch)
    with kernels.engine("reference"):
        reference = kernels.engines.engine_for(np.zeros(1))
        for name in ("matmul", "linear", "conv2d", "conv2d_input", "conv2d_weight"):
            monkeypatch.setattr(reference, name, as_kernel(getattr(reference, name)))
        found = []
        for graph in (False, True):
            session = session_of(graph)
            said = [session.next_step() for _ in range(5)]
            half = Checkpoint("cyclegan", 5, {}, session.arrays(), session.state())
            said += [session.next_step() for _ in range(5)]
            found.append((said, session.arrays(), session.state()))
        resumed = session_of(True)
        resumed.restore(half)
        again = [resumed.next_step() for _ in range(5)]
    assert fake_cupy.state.calls.count("launch") == 2 * (7 + 2)  # the first three of each are not captured
    assert found[1][0] == found[0][0]
    assert again == found[0][0][5:]
    assert found[1][2] == found[0][2] == resumed.state()
    for name, array in found[0][1].items():
        np.testing.assert_array_equal(found[1][1][name], array, err_msg=name)
        np.testing.assert_array_equal(resumed.arrays()[name], array, err_msg=name)


# Bad input


@pytest.mark.parametrize(
    ("settings", "size", "sentence"),
    [
        ({}, 3, "networks of 0 halvings take images of a multiple of 1 pixels a side, from 4 on, not of 3"),
        ({}, 65, "networks of 1 halvings take images of a multiple of 2 pixels a side, from 4 on, not of 65"),
        (
            {"halvings": 2},
            18,
            "networks of 2 halvings take images of a multiple of 4 pixels a side, from 8 on",
        ),
        ({"halvings": 3}, 8, "a multiple of 8 pixels a side, from 16 on, not of 8"),
        ({"patch": 3}, 16, "judges of 3 halvings take images from 24 pixels a side on, not of 16; --patch"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(settings, size, sentence):
    with pytest.raises(MiniganError, match=sentence):
        cyclegan.Config(**settings).fitted(fields(size))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("cycle", -1.0, "cycle"),
        ("pool", -1, "pool"),
        ("cycle_distance", "l3", "there are: l1, l2"),
        ("identity", -0.5, "identity"),
    ],
)
def test_settings_that_cannot_be_are_refused(name, value, words):
    with pytest.raises(MiniganError, match=words):
        cyclegan.Config(**{name: value})


@pytest.mark.slow
def test_other_data_are_refused_with_those_that_fit(capsys):
    assert main(["train", "cyclegan", "--data=digits"]) == 2
    said = capsys.readouterr().err
    for word in ("domains", "animals", "digits-mnist", "domains:PATH"):
        assert word in said
    assert main(["train", "dcgan", "--data=animals"]) == 2
    assert "digits" in capsys.readouterr().err


def test_a_domain_with_fewer_images_than_a_batch_is_refused(tmp_path, capsys):
    for name, n in (("trainA", 4), ("trainB", 1)):
        (tmp_path / name).mkdir()
        for i in range(n):
            Image.new("RGB", (16, 16), (10 * i, 90, 200)).save(tmp_path / name / f"{i}.png")
    assert (
        main(["train", "cyclegan", f"--data=domains:{tmp_path}", "--size=16", f"--out={tmp_path / 'run'}"])
        == 2
    )
    assert "from 1 to the 1 samples" in capsys.readouterr().err


# A run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    cfg = cyclegan.Config(steps=12, **SMALL)
    options = Options(checkpoint_every=6, evaluate_every=6, evaluate_n=8)
    return training.train("cyclegan", options, cfg, path, Console(file=io.StringIO()))


@pytest.mark.slow
def test_a_resumed_run_ends_in_the_same_bits_with_a_pool_that_is_not_empty(trained, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(trained.path, copy)
    for path in [*copy.glob("checkpoints/step-000012*")]:
        path.unlink()
    half = load_checkpoint(copy / "checkpoints" / "step-000006.safetensors")
    assert half.state["parts"]["pool_x"] == half.state["parts"]["pool_y"] == {"filled": 5}
    assert all(half.arrays[f"pool_{of}.images"].std(axis=(1, 2, 3)).min() > 0 for of in "xy")
    again = training.resume(copy, console=Console(file=io.StringIO()))
    assert again.checkpoints.path(12).read_bytes() == trained.checkpoints.path(12).read_bytes()


def test_its_page_shows_both_ways_and_no_walks(trained):
    page = trained.page.read_text(encoding="utf-8")
    assert "x, G(x), F(G(x)), y, F(y), G(F(y))" in page
    assert "Held-out images of the one kind, x; turned into the other, G(x); and back, F(G(x))." in page
    assert "Held-out images of the other kind, y; turned into the one, F(y); and back, G(F(y))." in page
    assert "walk a row" not in page


def test_a_sheet_is_in_the_order_that_the_page_says(trained):
    sampler = Sampler.of(trained)
    shown = sampler.shown(sampler.inputs(2, Generator(0)))
    assert [*shown] == ["x", "G(x)", "F(G(x))", "y", "F(y)", "G(F(y))"]
    x, y = sampler.data().batch(slice(None))
    assert {bytes(a) for a in shown["x"]} <= set(map(bytes, x))
    assert {bytes(a) for a in shown["y"]} <= set(map(bytes, y))


def test_domains_are_measured_while_training(trained):
    lines = trained.records.evaluations.read()
    assert len(lines) == 2
    for line in lines:
        for quantity in (
            "L1 of F(G(x))",
            "striped G(x)",
            "brown F(y)",
            "meadow's change in G(x)",
            "overlap of F(y)",
        ):
            assert math.isfinite(line[quantity])


@pytest.mark.slow
def test_evaluate_measures_domains(trained, capsys):
    assert main(["evaluate", str(trained.path), "--n=40", "--draws=1"]) == 0
    said = capsys.readouterr().out
    for quantity in ("L1 of G(F(y))", "striped G(F(y))", "meadow's change in F(y)", "overlap of G(x)"):
        assert quantity in said
    assert main(["evaluate", str(trained.path), "--metrics=fcd"]) == 2
    assert "unknown metric 'fcd' of domains" in capsys.readouterr().err


# A picture of one's own


@pytest.mark.parametrize(
    ("direction", "names", "nets"),
    [("x-to-y", ("G(x)", "F(G(x))"), "GF"), ("y-to-x", ("F(y)", "G(F(y))"), "FG")],
)
def test_a_picture_of_any_size_is_turned_into_the_other_kind(direction, names, nets):
    cfg, parts = parts_of(halvings=2)
    there, back = (parts[name] for name in nets)
    x = images(1, 3, 24)
    made = cyclegan.translate(Tensor(x), None, cfg, parts["G"], parts["F"], direction)
    assert (*made,) == names
    np.testing.assert_array_equal(made[names[0]].numpy(), there(Tensor(x)).numpy())
    np.testing.assert_array_equal(made[names[1]].numpy(), back(there(Tensor(x))).numpy())
    odd = x[:, :, :21, :15]
    made = cyclegan.translate(Tensor(odd), None, cfg, parts["G"], parts["F"], direction)
    padded = there(functional.pad(Tensor(odd), (0, 1, 1, 2), "reflect")).numpy()
    np.testing.assert_array_equal(made[names[0]].numpy(), padded[:, :, 1:22, :15])
    assert made[names[1]].shape == odd.shape


def test_a_picture_that_is_smaller_than_networks_take_is_continued():
    cfg, parts = parts_of(halvings=2)
    small = Tensor(images(1, 3, 40)[:, :, :3])
    made = cyclegan.translate(small, None, cfg, parts["G"], parts["F"])
    assert [picture.shape for picture in made.values()] == [(1, 3, 3, 40)] * 2


# Measures of domains


@pytest.fixture(scope="module")
def animals():
    return load("animals", samples=8), load("animals", split="test")


def made_of(to_y, to_x):
    """What `evaluate_domains` gets from a model that does this, and undoes it perfectly."""
    return lambda seen: {
        "G(x)": to_y(seen["x"]),
        "F(y)": to_x(seen["y"]),
        "F(G(x))": seen["x"],
        "G(F(y))": seen["y"],
    }


def measured(train, test, made, **how):
    found = evaluate_domains(made, train, test, n=100, draws=1, say=lambda line: None, **how)["metrics"]
    return {name: row["value"] for name, row in found.items()}, {
        name: row["floor"] for name, row in found.items()
    }


@pytest.mark.slow
def test_who_changes_nothing_keeps_all_and_has_no_stripes(animals):
    values, floors = measured(*animals, made_of(lambda x: x, lambda y: y))
    assert values == {
        "L1 of F(G(x))": 0,
        "L1 of G(F(y))": 0,
        "striped G(x)": 0,
        "striped G(F(y))": 1,
        "brown F(y)": 0,
        "brown F(G(x))": 1,
        "striped x": 0,
        "meadow's change in G(x)": 0,
        "meadow's change in F(y)": 0,
        "overlap of G(x)": 1,
        "overlap of F(y)": 1,
    }
    assert floors["striped G(x)"] == floors["brown F(y)"] == 1, "real ones are all seen as what they are"


def test_who_paints_another_animal_has_stripes_and_keeps_neither_pose_nor_meadow(animals):
    _, test = animals
    others = {name: half.batch(slice(200, 300)) for name, half in (("x", test.x), ("y", test.y))}
    values, _ = measured(*animals, made_of(lambda x: others["y"], lambda y: others["x"]))
    assert values["striped G(x)"] == values["brown F(y)"] == 1
    assert values["overlap of G(x)"] < 0.5
    assert values["overlap of F(y)"] < 0.5
    assert values["meadow's change in G(x)"] > 0.2


def test_only_the_meadow_counts_for_its_change(animals):
    from minigan.data.animals import read_silhouettes

    def painted(x):
        return np.where(read_silhouettes(x)[:, None], np.float32(0.5), x + np.float32(0.01))

    values, _ = measured(*animals, made_of(painted, painted), names=["meadow"])
    assert values["meadow's change in G(x)"] == pytest.approx(0.01, rel=1e-3)


def two_hands(classes=3, n=60):
    """Two domains of labelled stripes: light on dark, and dark on light."""
    labels = np.arange(n) % classes
    x = np.zeros((n, 1, 8, 8), np.uint8)
    for i, label in enumerate(labels):
        x[i, 0, 1 + 2 * label] = 200 + i % 5
    return Domains(Dataset("light", x, labels), Dataset("dark", 255 - x, labels))


@pytest.mark.slow
def test_labels_that_are_kept_swapped_and_lost(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGAN_CACHE_DIR", str(tmp_path))
    data = two_hands()
    assert names_for(data) == ["cycle", "labels"]
    values, floors = measured(data, data, made_of(lambda x: -x, lambda y: -y), names=["labels"])
    assert values["label kept in G(x)"] == values["label kept in F(y)"] == 1
    assert floors["label kept in G(x)"] == 1, "the classifier's share on real ones"
    values, _ = measured(
        data, data, made_of(lambda x: -np.roll(x, 2, axis=2), lambda y: -y), names=["labels"]
    )
    assert values["label kept in G(x)"] < 0.4
    blank = made_of(lambda x: np.ones_like(x), lambda y: -y)
    values, _ = measured(data, data, blank, names=["labels"])
    assert values["label kept or renamed in G(x)"] == pytest.approx(1 / 3, abs=0.02)
    renamed = made_of(lambda x: -np.where(x > 0, x, x)[:, :, [0, 3, 2, 1, 4, 5, 6, 7]], lambda y: -y)
    values, _ = measured(data, data, renamed, names=["labels"])
    assert values["label kept in G(x)"] == pytest.approx(1 / 3, abs=0.02)
    assert values["label kept or renamed in G(x)"] == 1


def test_metrics_that_such_domains_have_not_are_refused(animals):
    check_names(["cycle", "coats"], animals[0])
    with pytest.raises(MiniganError, match="unknown metric 'labels' of domains"):
        check_names(["labels"], animals[0])
    with pytest.raises(MiniganError, match="unknown metric 'pose' of domains"):
        check_names(["pose"], two_hands())


def test_without_a_game_the_gradient_of_the_cycle_reaches_both_networks():
    _, parts = parts_of()
    G, F = parts["G"], parts["F"]
    x = Tensor(images(2))
    wanted = [*G.parameters(), *F.parameters()]
    found = grad(functional.l1_loss(F(G(x)), x), wanted)
    assert all(np.abs(g.numpy()).max() > 0 for g in found)
