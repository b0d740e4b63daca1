"""What D sees of images in place of them: what each word does, that gradients go through it, and that every
model of images from noise takes it."""

import dataclasses
import itertools

import numpy as np
import pytest
from given import GivenFirst

from minigan import Generator, MiniganError, Tensor, grad
from minigan import functional as F
from minigan.data import Field, Fields
from minigan.gans import model_named, model_names
from minigan.gans.model import networks
from minigan.gans.parts.augment import POLICIES, augmentation, words_of
from minigan.gans.settings import NoiseSettings
from minigan.testing import assert_close, check_grads

SHAPES = [(4, 1, 8, 8), (3, 3, 16, 16), (2, 2, 5, 9)]
ALL = ",".join(POLICIES)


def images(shape, dtype=np.float64):
    return Tensor(Generator(3).uniform(shape, -1, 1, dtype))


def given(*numbers):
    """A generator that gives these, an array (N, 1, 1, 1) each, in place of its own."""
    return GivenFirst([np.reshape(np.asarray(n, np.float64), (-1, 1, 1, 1)) for n in numbers])


def test_without_a_policy_images_are_as_they_are_and_nothing_is_drawn():
    rng, x = Generator(0), images(SHAPES[0])
    assert augmentation(None, rng)(x) is x
    assert rng.counter == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("word", [*POLICIES, ALL])
def test_shapes_dtypes_and_another_picture_each_time(word, shape, dtype):
    rng = Generator(0)
    T, x = augmentation(word, rng), images(shape, dtype)
    pictures = [T(x) for _ in range(8)]
    assert {(y.shape, y.dtype) for y in pictures} == {(shape, np.dtype(dtype))}
    assert len({y.numpy().tobytes() for y in pictures}) > 1
    again = augmentation(word, Generator(0))(x)
    np.testing.assert_array_equal(again.numpy(), pictures[0].numpy())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_constant_image_keeps_its_constant(shape):
    """Flipped it is itself; shifted or cut it is itself or grey; coloured it is another constant, up to 1/2
    away."""
    x = Tensor(np.full(shape, 0.75))
    rng = Generator(1)
    np.testing.assert_array_equal(augmentation("flip", rng)(x).numpy(), x.numpy())
    assert {*np.unique(augmentation("shift,cutout", rng)(x).numpy())} <= {0.0, 0.75}
    y = augmentation("colour", rng)(x).numpy().reshape(shape[0], -1)
    assert_close(y, np.broadcast_to(y[:, :1], y.shape), rtol=1e-12, atol=1e-12)
    assert (abs(y - 0.75) <= 0.5).all()


def test_a_shift_moves_down_and_to_the_right_and_lets_grey_in():
    x = images((2, 3, 8, 8))
    y = POLICIES["shift"](x, given([1.5, -1.0], [-0.5, 1.9])).numpy()
    expected = np.zeros_like(y)
    expected[0, :, 1:, :-1] = x.numpy()[0, :, :-1, 1:]
    expected[1, :, :-1, 1:] = x.numpy()[1, :, 1:, :-1]
    np.testing.assert_array_equal(y, expected)


def test_a_shift_reaches_an_eighth_of_the_sides_and_no_further():
    x = np.zeros((1, 1, 16, 32))
    x[..., 8, 16] = 1
    T = augmentation("shift", Generator(0))
    places = {tuple(np.argwhere(T(Tensor(x)).numpy()[0, 0])[0] - (8, 16)) for _ in range(400)}
    assert places == set(itertools.product(range(-2, 3), range(-4, 5)))


def test_the_adjoint_of_a_shift_is_the_shift_back():
    """⟨shift(x), y⟩ = ⟨x, shift back (y)⟩."""
    x, y = images((2, 3, 8, 8)), Tensor(Generator(4).normal((2, 3, 8, 8), dtype=np.float64))
    x.requires_grad_()
    shift = POLICIES["shift"]
    (gx,) = grad(shift(x, given([1.0, -1.0], [0.0, 1.0])), x, y)
    np.testing.assert_array_equal(gx.numpy(), shift(y, given([-1.0, 1.0], [0.0, -1.0])).numpy())


@pytest.mark.parametrize("size", [8, 15, 16])
def test_a_cutout_is_a_square_of_half_the_sides(size):
    x = Tensor(np.ones((1, 1, size, size)))
    cut = int(size / 2 + 0.5)
    centre, corner = (POLICIES["cutout"](x, given(n, n)).numpy() for n in (size // 2, 0.0))
    assert (centre == 0).sum() == cut**2
    assert (corner == 0).sum() == (cut - cut // 2) ** 2
    assert corner[0, 0, 0, 0] == 0
    shares = [(augmentation("cutout", Generator(i))(x).numpy() == 0).mean() for i in range(200)]
    # Along a side, the middle is anywhere, and what sticks out is lost: 7/16 of the side on average.
    assert np.mean(shares) == pytest.approx((7 / 16) ** 2, rel=0.15)


def test_flip_takes_each_image_or_its_mirror_image():
    x = images((200, 1, 2, 3))
    y = augmentation("flip", Generator(0))(x).numpy()
    kept, mirrored = ((y == a).all((1, 2, 3)) for a in (x.numpy(), x.numpy()[..., ::-1]))
    assert (kept ^ mirrored).all()
    assert 0.4 < mirrored.mean() < 0.6


def test_colour_is_that_of_the_paper():
    x = images((2, 3, 4, 5))
    brightness, saturation, contrast = [0.5, -0.25], [0.0, 1.5], [0.5, 1.25]
    y = POLICIES["colour"](x, given(brightness, saturation, contrast)).numpy()
    for i in range(2):
        z = x.numpy()[i] + brightness[i]
        z = z.mean(0) + (z - z.mean(0)) * saturation[i]
        z = z.mean() + (z - z.mean()) * contrast[i]
        assert_close(y[i], z, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("word", [*POLICIES, ALL])
def test_gradients_go_through_it_to_second_order(word):
    def f(x):
        return (augmentation(word, Generator(5))(x) ** 3).sum((1, 2, 3))

    check_grads(f, [np.random.default_rng(0).uniform(0.2, 1, (2, 2, 4, 4))])


def test_words_are_applied_in_the_papers_order_whatever_theirs_is():
    assert words_of("flip, cutout,colour") == ["colour", "cutout", "flip"]
    assert words_of(None) == []


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("shfit", "augment: 'shfit' is nothing to augment by; did you mean 'shift'"),
        ("color", "augment: 'color' is nothing to augment by; did you mean 'colour'"),
        ("shift,zoom", "'zoom' is nothing to augment by; there are: colour, cutout, flip, shift"),
        ("", "augment: '' is nothing to augment by"),
        ("flip,flip", "augment: 'flip' is there twice"),
    ],
)
def test_a_word_that_is_none_is_told_in_a_sentence(policy, message):
    with pytest.raises(MiniganError, match=message.replace("?", r"\?")):
        model_named("dcgan").Config(augment=policy)


# The models

FROM_NOISE = [
    name
    for name in model_names()
    if issubclass(model_named(name).Config, NoiseSettings) and "image" in model_named(name).kinds
]
IMAGES = Fields({"image": Field("image", (1, 16, 16)), "label": Field("label", (), 3)})
SMALL = {"width": 4, "latent": 3, "batch_size": 4, "n_critic": 1}


def first_step(name, **settings):
    """The weights of all networks after a step on images."""
    model, rng = model_named(name), Generator(0)
    known = {field.name for field in dataclasses.fields(model.Config)}
    small = {key: value for key, value in SMALL.items() if key in known}
    cfg = model.Config(**small, **settings).fitted(IMAGES)
    parts = model.parts(cfg, IMAGES, rng)
    real = Generator(1).uniform((cfg.samples, 1, 16, 16), -1, 1)
    batch = (real, np.arange(cfg.samples) % 3) if model.labelled else real
    next(model.train(parts, itertools.repeat(batch), rng, cfg))
    return {k: a for net in networks(parts).values() for k, a in net.state_dict().items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", FROM_NOISE)
def test_every_model_of_images_from_noise_shows_its_judge_augmented_ones(name):
    plain, changed = first_step(name), first_step(name, augment=ALL)
    assert all(np.isfinite(a).all() for a in changed.values())
    assert any(not np.array_equal(changed[k], plain[k]) for k in plain)


@pytest.mark.parametrize("name", ["gan", "wgan-gp", "cgan"])
def test_points_are_not_augmented(name):
    points = Fields({"point": Field("point", (2,)), "label": Field("label", (), 8)})
    with pytest.raises(MiniganError, match="augment: shift is done to images, not to samples of shape"):
        model_named(name).Config(augment="shift").fitted(points)


def test_the_judge_sees_nothing_but_augmented_images(monkeypatch):
    """A T that makes all images grey: D can tell nothing, and its loss is that of a guess."""
    model = model_named("dcgan")
    monkeypatch.setitem(POLICIES, "flip", lambda x, rng: F.mul(x, 0.0))
    cfg = model.Config(width=4, batch_size=4, augment="flip").fitted(IMAGES)
    parts = model.parts(cfg, IMAGES, Generator(0))
    real = Generator(1).uniform((4, 1, 16, 16), -1, 1)
    seen = next(model.train(parts, iter([real]), Generator(2), cfg))
    np.testing.assert_array_equal(seen["d_real"].numpy(), seen["d_fake"].numpy())
