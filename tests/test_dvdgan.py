"""DVD-GAN: films of a class, what each judge sees, and what cannot be."""

import numpy as np
import pytest

from minigan import Generator, Tensor, grad
from minigan.data import Field, Fields
from minigan.errors import MiniganError
from minigan.gans import model_named
from minigan.gans.time import dvdgan
from minigan.testing import assert_close, check_model
from minigan.training import Options, Session

MODEL = model_named("dvdgan")
TINY = {"width": 2, "width_d": 4, "latent": 4, "batch_size": 4}


def fields(T=6, channels=1, size=16, classes=3):
    return Fields({"clip": Field("clip", (T, channels, size, size)), "label": Field("label", (), classes)})


def parts_of(T=6, channels=1, size=16, **settings):
    data = fields(T, channels, size)
    cfg = MODEL.Config(**TINY | settings).fitted(data)
    return cfg, MODEL.parts(cfg, data, Generator(0))


def films(*shape):
    return Tensor(Generator(1).uniform(shape, -1, 1))


@pytest.mark.parametrize(("T", "channels", "size"), [(2, 1, 16), (7, 3, 32)])
def test_films_have_the_shape_of_the_data_and_are_told_the_class(T, channels, size):
    cfg, parts = parts_of(T, channels, size)
    z = Tensor(Generator(1).normal((3, cfg.latent)))
    made = parts["G"].eval()(z, np.array([0, 1, 2]))
    assert made.shape == (3, T, channels, size, size)
    assert np.abs(made.numpy()).max() <= 1
    other = parts["G"](z, np.array([0, 2, 2]))
    assert_close(made.numpy()[[0, 2]], other.numpy()[[0, 2]])
    assert np.abs(made.numpy()[1] - other.numpy()[1]).max() > 1e-4
    assert np.abs(np.diff(made.numpy(), axis=1)).max() > 1e-4, "frames move"
    for name in ("D_S", "D_T"):
        assert parts[name](made, np.array([0, 1, 2])).shape == (3, 1)


def test_the_judge_of_frames_sees_no_order_and_that_of_motion_does():
    _, parts = parts_of()
    x, labels = films(3, 6, 1, 16, 16), np.array([0, 1, 2])
    backwards = Tensor(x.numpy()[:, ::-1].copy())
    D_S, D_T = parts["D_S"].eval(), parts["D_T"].eval()
    assert_close(D_S(x, labels), D_S(backwards, labels), rtol=1e-4, atol=1e-5)
    assert np.abs(D_T(x, labels).numpy() - D_T(backwards, labels).numpy()).max() > 1e-4


def test_the_judge_of_motion_sees_half_the_size():
    """What squares of four pixels have in common: a change that leaves their means leaves what it says."""
    _, parts = parts_of()
    x = films(2, 6, 1, 16, 16).numpy()
    checks = np.where((np.arange(16)[:, None] + np.arange(16)) % 2, 0.3, -0.3).astype(np.float32)
    D_S, D_T, labels = parts["D_S"].eval(), parts["D_T"].eval(), np.array([0, 1])
    assert_close(D_T(Tensor(x + checks), labels), D_T(Tensor(x), labels), rtol=1e-4, atol=1e-5)
    assert np.abs((D_S(Tensor(x + checks), labels) - D_S(Tensor(x), labels)).numpy()).max() > 1e-4


def test_what_a_judge_says_of_the_class_is_a_product_of_its_features():
    """A judge's numbers for two classes differ by what is linear in the features: Miyato, Koyama 2018."""
    rng = Generator(0)
    said = dvdgan.Projection(5, 3, rng).eval()
    h = rng.normal((4, 5))
    numbers = [said(Tensor(h), np.full(4, k)).numpy()[:, 0] for k in range(3)]
    rows = said.of_class.weight.numpy().T
    for k in range(3):
        assert_close(numbers[k] - numbers[0], h @ (rows[k] - rows[0]), rtol=1e-4, atol=1e-6)


def test_some_frames_are_of_the_film_each_once_and_all_as_likely():
    x = Tensor(np.arange(6, dtype=np.float32).reshape(1, 6, 1, 1, 1).repeat(2000, axis=0))
    found = dvdgan.some_frames(x, 4, Generator(0)).numpy().reshape(2000, 4)
    assert all(len({*row}) == 4 for row in found)
    counts = np.bincount(found.astype(int).ravel(), minlength=6)
    np.testing.assert_allclose(counts / 2000, 4 / 6, atol=0.05)
    whole = dvdgan.some_frames(films(3, 6, 2, 4, 4), 6, Generator(0)).numpy()
    assert {bytes(a) for a in whole[1]} == {bytes(a) for a in films(3, 6, 2, 4, 4).numpy()[1]}


def test_gradients_reach_every_frame_through_the_frames_that_are_drawn():
    _, parts = parts_of()
    x = films(40, 6, 1, 16, 16)
    x = Tensor(x.data, requires_grad=True)
    score = parts["D_S"](dvdgan.some_frames(x, 3, Generator(2)), np.zeros(40, int)).sum()
    (found,) = grad(score, [x])
    reached = np.abs(found.numpy()).max(axis=(2, 3, 4)) > 0
    assert (reached.sum(axis=1) == 3).all()
    assert reached.any(axis=0).all()


@pytest.mark.parametrize(
    ("judges", "said"),
    [
        ("both", {"d_real", "d_fake", "motion_real", "motion_fake"}),
        ("frames", {"d_real", "d_fake"}),
        ("motion", {"motion_real", "motion_fake"}),
    ],
)
def test_each_judge_can_be_left_out(judges, said):
    session = Session("dvdgan", Options(), dvdgan.Config(judges=judges, **TINY))
    assert session.next_step().keys() == {"d_loss", "g_loss"} | said
    assert {"D_S", "D_T"} & session.parts.keys() == {
        "both": {"D_S", "D_T"},
        "frames": {"D_S"},
        "motion": {"D_T"},
    }[judges]


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"judges": "frames"}, {"size": 32, "seen": 2}], ids=str)
def test_dvdgan_keeps_the_contract(settings):
    check_model("dvdgan", steps=6, **TINY | settings)


# Bad input


def test_fewer_frames_are_seen_of_shorter_films():
    assert MODEL.Config(seen=4).fitted(fields(T=3)).seen == 3
    with pytest.raises(MiniganError, match="a film has two frames at least, and these have 1"):
        MODEL.Config().fitted(fields(T=1))


def test_it_needs_labels():
    with pytest.raises(MiniganError, match="learns from labels, and this data has none"):
        MODEL.Config().fitted(Fields({"clip": Field("clip", (6, 1, 16, 16))}))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"size": 20}, "size cannot be 20"),
        ({"judges": "none"}, "judges cannot be 'none'"),
        ({"seen": 0}, "seen must be at least 1"),
        ({"width": 0}, "width must be at least 1"),
        ({"beta1": 1.0}, "beta1"),
    ],
)
def test_settings_that_cannot_be(settings, sentence):
    with pytest.raises(MiniganError, match=sentence):
        MODEL.Config(**settings)


def test_images_are_no_films():
    with pytest.raises(MiniganError, match="moving-digits"):
        Session("dvdgan", Options(data="digits"), dvdgan.Config(**TINY))
