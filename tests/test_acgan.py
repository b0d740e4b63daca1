"""ACGAN: source and class from one body, and labels that G listens to."""

import io
import math
from itertools import islice, repeat

import numpy as np
import pytest
from rich.console import Console

from minigan import Generator, MiniganError, Tensor, training
from minigan import functional as F
from minigan.cli import main
from minigan.data import Field, Fields
from minigan.gans import model_named
from minigan.gans.model import numbers_of
from minigan.gans.noise import acgan
from minigan.optim import Adam
from minigan.testing import assert_close, check_model
from minigan.training import Options, Run, Sampler, Session
from minigan.training.frame import frame

ACGAN = model_named("acgan")
POINTS, IMAGES, CLASSES = (2,), (1, 16, 16), 4
SHAPES = pytest.mark.parametrize("shape", [POINTS, IMAGES], ids=str)
PACKS = pytest.mark.parametrize("pack", [1, 3])


def fields(shape):
    kind = "image" if len(shape) == 3 else "point"
    return Fields({kind: Field(kind, shape), "label": Field("label", (), CLASSES)})


def config(shape, **settings):
    return acgan.Config(**{"latent": 3, "width": 2, "batch_size": 4, **settings}).fitted(fields(shape))


def game(shape, **settings):
    """(parts, the loop), on one batch of random data again and again."""
    cfg, rng = config(shape, **settings), Generator(0)
    parts = acgan.parts(cfg, fields(shape), rng)
    batch = rng.uniform((cfg.samples, *shape), -1, 1), np.arange(cfg.samples) % CLASSES
    return parts, acgan.train(repeat(batch), rng, cfg, **parts)


@SHAPES
@PACKS
def test_one_body_says_the_source_of_a_pack_and_the_class_of_each_sample(shape, pack):
    cfg = config(shape, pack=pack)
    parts = acgan.parts(cfg, fields(shape), Generator(0))
    given = {k: Tensor(a) for k, a in acgan.inputs(6, Generator(1), cfg).items()}
    x = acgan.make(**given, G=parts["G"])
    said = parts["D"](x)
    source, classes = acgan.heads(said, cfg)
    assert (x.shape, source.shape, classes.shape) == ((6, *shape), (6 // pack, 1), (6, CLASSES))
    assert acgan.judge(x, parts["D"], cfg).shape == source.shape
    assert [*parts] == ["G", "D", "opt_g", "opt_d"]


def test_the_classes_of_a_pack_are_in_the_order_of_its_samples():
    """`pack` joins samples N / pack apart: of 4 samples by two, 0 with 2 and 1 with 3."""
    cfg = config(POINTS, pack=2)
    said = np.array([[9, *[0] * 4, *[2] * 4], [9, *[1] * 4, *[3] * 4]], np.float32)
    source, classes = acgan.heads(Tensor(said), cfg)
    assert_close(source.numpy(), [[9], [9]])
    assert_close(classes.numpy(), np.repeat([[0], [1], [2], [3]], 4, axis=1))


@SHAPES
@PACKS
def test_the_losses_and_accuracies_are_what_their_formulas_say(shape, pack):
    _, loop = game(shape, pack=pack, lr=0.0, lr_d=0.0)
    numbers, _ = numbers_of(next(loop), critic=False)
    assert set(numbers) == {
        *("d_loss", "g_loss", "class_loss", "d_real", "d_fake"),
        *("real_label_accuracy", "made_label_accuracy"),
    }
    cfg, rng = config(shape, pack=pack), Generator(0)
    again = acgan.parts(cfg, fields(shape), rng)
    real, labels = Tensor(rng.uniform((cfg.samples, *shape), -1, 1)), np.arange(cfg.samples) % CLASSES
    fake = again["G"](Tensor(rng.normal((cfg.samples, 3))), labels)
    (s_real, c_real), (s_fake, c_fake) = (acgan.heads(again["D"](x), cfg) for x in (real, fake))
    log_p = [F.log_softmax(c, axis=1).numpy()[np.arange(len(labels)), labels] for c in (c_real, c_fake)]
    assert numbers["class_loss"] == pytest.approx(-log_p[0].mean() - log_p[1].mean(), rel=1e-5)
    surprise = np.logaddexp(0, -s_real.numpy()).mean() + np.logaddexp(0, s_fake.numpy()).mean()
    assert numbers["d_loss"] == pytest.approx(surprise, rel=1e-5)
    fooled = np.logaddexp(0, -s_fake.numpy()).mean()
    assert numbers["g_loss"] == pytest.approx(fooled - log_p[1].mean(), rel=1e-4)
    right = (c_real.numpy().argmax(1) == labels).mean()
    assert numbers["real_label_accuracy"] == pytest.approx(right)


@SHAPES
@pytest.mark.parametrize("frozen", ["opt_g", "opt_d"])
def test_each_optimiser_moves_its_own_network_alone(shape, frozen):
    parts, loop = game(shape)
    parts[frozen].lr = 0.0
    before = {k: [p.numpy().copy() for p in parts[k].parameters()] for k in "GD"}
    next(loop), next(loop)
    moved = {
        k: not all(
            np.array_equal(a, p.numpy()) for a, p in zip(before[k], parts[k].parameters(), strict=True)
        )
        for k in "GD"
    }
    assert moved == {"G": frozen != "opt_g", "D": frozen != "opt_d"}
    for opt, net in (("opt_g", "G"), ("opt_d", "D")):
        assert isinstance(parts[opt], Adam)
        assert {*parts[opt].params} == {*parts[net].parameters()}


@pytest.mark.slow
def test_d_learns_the_classes_of_both_and_g_to_make_what_d_takes_for_its_label():
    """On the ring: a mode a label."""
    session = Session(
        "acgan", Options(data="ring8", seed=1), acgan.Config(batch_size=64, latent=2, lr_d=1e-3)
    )
    first = session.next_step()
    last = [session.next_step() for _ in range(500)][-1]
    assert first["real_label_accuracy"] < 0.6
    assert last["real_label_accuracy"] == last["made_label_accuracy"] == 1
    inputs = session.sampler.inputs(160, Generator(5))
    made = session.sampler.make(inputs)["samples"]
    angles = np.arctan2(made[:, 1], made[:, 0])
    means = np.array([np.angle(np.exp(1j * angles[inputs["labels"] == k]).mean()) for k in range(8)])
    centres = np.array([session.dataset.samples[session.dataset.labels == k].mean(0) for k in range(8)])
    gaps = np.angle(np.exp(1j * (means - np.arctan2(centres[:, 1], centres[:, 0]))))
    assert np.abs(gaps).max() < np.pi / 8


@pytest.mark.slow
@pytest.mark.parametrize("data", ["digits", "ring8"])
def test_acgan_keeps_the_contract(data):
    check_model("acgan", data, width=4, latent=4)


@pytest.mark.slow
def test_packs_keep_it_too():
    check_model("acgan", "ring8", steps=6, latent=4, pack=2)


@pytest.mark.slow
def test_the_plane_is_judged_without_labels_and_the_page_does_not_say_that_d_is_told_one(tmp_path):
    cfg = acgan.Config(steps=2, batch_size=8, latent=2)
    run = training.train("acgan", Options(data="ring8"), cfg, tmp_path / "run", Console(file=io.StringIO()))
    page = run.page.read_text(encoding="utf-8")
    assert "D is told a label" not in page
    assert "What else a step says: accuracy" in page
    session = Session("acgan", Options(data="ring8"), cfg)
    found = frame(session)
    ticks = np.linspace(-float(found["extent"]), float(found["extent"]), len(found["surface"]))
    corner = np.array([[ticks[-1], ticks[0]]], np.float32)
    logit = acgan.judge(Tensor(corner), session.parts["D"].eval(), cfg=session.cfg).item()
    assert found["surface"][0, -1] == pytest.approx(1 / (1 + math.exp(-logit)), rel=1e-4)
    assert found["grids"].shape[0] == 8


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("acgan") / "run"
    flags = ["--width=4", "--steps=3", "--batch-size=8", "--latent=4", "--diagnose-every=1"]
    assert main(["train", "acgan", *flags, f"--out={folder}"]) == 0
    return folder


@pytest.mark.slow
def test_a_user_asks_for_a_label(trained, tmp_path):
    assert main(["sample", str(trained), "--label=7", "--n=5", f"--out={tmp_path / 'sevens.npz'}"]) == 0
    with np.load(tmp_path / "sevens.npz") as file:
        assert file["labels"].tolist() == [7] * 5
        expected = Sampler.of(Run.open(trained))(5, label=7)
        np.testing.assert_array_equal(file["samples"], expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--label=10"], "label 10 is not one of the 10 classes, 0 to 9"),
        (["--label=-1"], "label -1 is not one of"),
    ],
)
def test_a_label_that_is_none_is_refused(trained, flags, says, capsys):
    assert main(["sample", str(trained), *flags, "--out=none.npz"]) == 2
    assert says in capsys.readouterr().err


def test_data_without_labels_are_refused():
    with pytest.raises(MiniganError, match="learns from labels, and this data has none"):
        acgan.Config().fitted(Fields({"image": Field("image", IMAGES)}))
    with pytest.raises(MiniganError, match=r"size cannot be 8; there are: \(16, 32, 64\)"):
        acgan.Config(size=8)


def test_the_doctor_reads_the_source_alone(trained):
    """d_loss is that of the source, of which one that guesses has 2 log 2, whatever the classes cost."""
    run = Run.open(trained)
    look, metrics = run.records.diagnostics.read()[0], run.records.metrics.read()[0]
    assert look["judges"]["d"].keys() >= {"accuracy", "output", "entropy"}
    assert look["judges"]["d"]["entropy"] == pytest.approx(metrics["d_loss"], rel=1e-3)
    assert metrics["class_loss"] > 2  # of ten classes, twice log 10 for one that guesses


def test_a_few_steps_change_every_parameter():
    parts, loop = game(IMAGES)
    before = [p.numpy().copy() for net in (parts["G"], parts["D"]) for p in net.parameters()]
    for seen in islice(loop, 2):
        assert all(math.isfinite(v) for v in numbers_of(seen, critic=False)[0].values())
    after = [p.numpy() for net in (parts["G"], parts["D"]) for p in net.parameters()]
    assert not any(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
