"""LAPGAN: pyramids that give the image back, games that need nothing of each other, and Parzen windows."""

import fake_cupy
import numpy as np
import pytest
from PIL import Image

import minigan_kernels as kernels
from minigan import Generator, Tensor, no_grad
from minigan.errors import MiniganError
from minigan.gans import model_named
from minigan.gans.noise import lapgan
from minigan.gans.parts import pyramid
from minigan.metrics import log_density, pyramid_scores
from minigan.metrics.parzen import blocks
from minigan.speed.steps import fields_of
from minigan.testing import check_grads, check_model
from minigan.training import Options, Session, evaluation

MODEL = model_named("lapgan")
SMALL = {"batch_size": 4, "latent": 6, "coarse_width": 4, "width": 2}


def made(shape=(1, 32, 32), **settings):
    cfg = MODEL.Config(**{**SMALL, "size": shape[1], **settings}).fitted(fields_of(shape))
    return cfg, MODEL.parts(cfg, fields_of(shape), Generator(0))


def images(*shape, seed=1, dtype=np.float64):
    return Tensor(Generator(seed).uniform(shape, -1, 1, dtype))


# The pyramid


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", [(2, 1, 32, 32), (3, 3, 24, 40)])
def test_a_pyramid_gives_the_image_back(shape, levels):
    x = images(*shape)
    parts = pyramid.laplacian_pyramid(x, levels)
    assert [p.shape[2:] for p in parts] == [tuple(n // 2**k for n in shape[2:]) for k in range(levels)]
    np.testing.assert_allclose(pyramid.rebuilt(parts).numpy(), x.numpy(), rtol=0, atol=1e-14)


def test_its_last_level_is_the_smallest_image_and_the_others_are_what_is_missing():
    x = images(2, 1, 16, 16)
    large, small = pyramid.gaussian_pyramid(x, 2)
    missing, last = pyramid.laplacian_pyramid(x, 2)
    np.testing.assert_array_equal(large.numpy(), x.numpy())
    np.testing.assert_array_equal(last.numpy(), small.numpy())
    np.testing.assert_array_equal(missing.numpy(), (x - pyramid.expanded(small)).numpy())


def test_both_have_the_taps_1_3_3_1_and_keep_what_is_even_to_the_rim():
    edge = np.pad([1.0, 3.0, 3.0, 1.0], (6, 6)) / 8
    spot = np.zeros((1, 1, 8, 8))
    spot[0, 0, 3, 4] = 1.0
    taps = pyramid.expanded(Tensor(spot)).numpy()[0, 0]
    np.testing.assert_allclose(taps[4:12, 6:14][1:5, 1:5], 4 * np.outer(edge[6:10], edge[6:10]))
    assert taps.sum() == pytest.approx(4)
    spot = np.zeros((1, 1, 8, 8))
    spot[0, 0, 3, 4] = 1.0  # is in the second of the four of row 1, and the third of column 1
    np.testing.assert_allclose(pyramid.reduced(Tensor(spot)).numpy()[0, 0, 1:3, 1:3] * 64, [[3, 9], [1, 3]])
    even = Tensor(np.full((1, 2, 8, 8), 0.3))
    for side, change in ((4, pyramid.reduced), (16, pyramid.expanded)):
        np.testing.assert_allclose(change(even).numpy(), np.full((1, 2, side, side), 0.3))


def test_no_level_is_moved():
    x = images(1, 1, 16, 16)
    for change in (pyramid.reduced, pyramid.expanded):
        turned = change(Tensor(x.numpy()[:, :, ::-1, ::-1].copy())).numpy()
        np.testing.assert_allclose(turned, change(x).numpy()[:, :, ::-1, ::-1])


def test_pyramids_can_be_differentiated():
    check_grads(lambda x: pyramid.laplacian_pyramid(x, 3), [images(1, 1, 8, 8).numpy()], order=2)


@pytest.mark.parametrize(
    ("size", "levels", "sides"),
    [
        *((32, None, [8, 16, 32]), (64, None, [8, 16, 32, 64]), (28, None, [7, 14, 28]), (16, None, [8, 16])),
        *((8, None, [4, 8]), (32, 2, [16, 32]), (40, None, [5, 10, 20, 40]), (12, 2, [6, 12])),
    ],
)
def test_levels_go_down_to_8_pixels_or_just_below(size, levels, sides):
    assert MODEL.Config(size=size, levels=levels).fitted(fields_of((1, size, size))).sides == sides


@pytest.mark.parametrize(
    ("size", "settings", "says"),
    [
        (30, {}, "a pyramid of 3 levels is of images of 4 · n pixels a side, n being 4 or more"),
        (33, {"levels": 2}, "a pyramid of 2 levels is of images of 2 · n pixels a side"),
        (32, {"levels": 5}, "for the coarsest; 32 is no such number"),
        (6, {}, "6 is no such number"),
        (32, {"levels": 1}, "levels must be at least 2"),
        (32, {"width": 0}, "width must be at least 1"),
    ],
)
def test_sizes_that_the_pyramid_does_not_divide_are_refused(size, settings, says):
    with pytest.raises(MiniganError) as error:
        MODEL.Config(size=size, **settings).fitted(fields_of((1, size, size)))
    assert says in str(error.value)


def test_small_data_are_enlarged_to_three_levels_and_larger_ones_have_four():
    assert [MODEL.Config().default_size(pixels) for pixels in (8, 28, 32, 33, 64)] == [32, 32, 32, 64, 64]


# Networks and the loop


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 28, 28), (1, 32, 32), (3, 40, 40), (3, 64, 64)])
def test_each_level_has_a_g_and_a_d_of_its_size(shape):
    cfg, parts = made(shape)
    sides = [str(side) for side in cfg.sides]
    assert [*parts["G"]] == [*parts["D"]] == [*parts["opt_g"]] == [*parts["opt_d"]] == sides
    z, noise = (Tensor(a) for a in MODEL.inputs(3, Generator(1), cfg, parts).values())
    levels = lapgan.levels_of(z, noise, parts["G"])
    for side, x in zip(cfg.sides, levels, strict=True):
        assert x.shape == (3, shape[0], side, side)
        assert np.abs(x.numpy()).max() <= 1
        assert lapgan.judge(x, parts["D"]).shape == (3, 1)
    np.testing.assert_array_equal(lapgan.make(z, noise, parts["G"]).numpy(), levels[-1].numpy())


def test_equation_5_and_each_level_has_noise_of_its_own():
    cfg, parts = made()
    G = {side: net.eval() for side, net in parts["G"].items()}
    z, noise = (Tensor(a) for a in MODEL.inputs(2, Generator(1), cfg, parts).values())
    low, middle, high = lapgan.levels_of(z, noise, G)
    plane = noise.numpy()[:, 16 * 16 :].reshape(2, 1, 32, 32)
    large = pyramid.expanded(middle).numpy()
    joined = np.concatenate([large, plane], axis=1)
    expected = np.clip(large + G["32"](Tensor(joined)).numpy(), -1, 1)
    np.testing.assert_allclose(high.numpy(), expected, atol=1e-6)
    other = noise.numpy().copy()
    other[:, 16 * 16 :] += 1
    low2, middle2, high2 = lapgan.levels_of(z, Tensor(other), G)
    np.testing.assert_array_equal(low2.numpy(), low.numpy())
    np.testing.assert_array_equal(middle2.numpy(), middle.numpy())
    assert np.abs(high2.numpy() - high.numpy()).max() > 0


def test_a_level_learns_the_same_whatever_the_others_are():
    """Section 2.3: each goes out from true images."""

    def seen(spoil):
        cfg, parts = made()
        for side in spoil:
            for net in (parts["G"][side], parts["D"][side]):
                for p in net.parameters():
                    p.data[...] *= 3.0
        real = images(4, 1, 32, 32, dtype=np.float32).numpy()
        loop = lapgan.train(iter([real] * 3), Generator(2), cfg, **parts)
        return [{name: x.numpy() for name, x in step.items() if "16" in name} for step in loop]

    for step, expected in zip(seen(["8", "32"]), seen([]), strict=True):
        assert step.keys() == {"d16_loss", "g16_loss", "d16_real", "d16_fake"}
        for name, x in expected.items():
            np.testing.assert_array_equal(step[name], x, err_msg=name)
    assert not np.array_equal(seen(["16"])[0]["d16_fake"], seen([])[0]["d16_fake"])


def test_d_sees_true_images_and_enlarged_ones_with_what_g_adds():
    cfg, parts = made()
    shown = []
    for side, net in parts["D"].items():
        net.register_forward_hook(
            lambda layer, inputs, output, side=side: shown.append((side, inputs[0].numpy().copy()))
        )
    for side in ("16", "32"):
        last = [*parts["G"][side].modules()][-1]
        for p in last.parameters():
            p.data[...] = 0.0  # it adds nothing
    real = images(4, 1, 32, 32, dtype=np.float32)
    next(lapgan.train(iter([real.numpy()]), Generator(2), cfg, **parts))
    levels = dict(zip(("32", "16", "8"), pyramid.gaussian_pyramid(real, 3), strict=True))
    for side, below in (("16", "8"), ("32", "16")):
        true, fake, _ = (x for name, x in shown if name == side)
        np.testing.assert_allclose(true, levels[side].numpy(), atol=1e-6)
        np.testing.assert_allclose(fake, pyramid.expanded(levels[below]).numpy(), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"size": 28}, {"levels": 2}], ids=str)
def test_lapgan_keeps_the_contract(settings):
    check_model("lapgan", steps=6, width=2, coarse_width=4, latent=4, **settings)


def test_a_folder_of_coloured_pictures_is_learned(tmp_path):
    for i in range(6):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    session = Session(MODEL, Options(data=f"folder:{tmp_path}"), MODEL.Config(**SMALL))
    seen = session.next_step()
    assert {name for name in seen if name.endswith("loss")} == {
        f"{player}{side}_loss" for player in "dg" for side in (8, 16, 32, 64)
    }
    assert session.sampler(2).shape == (2, 3, 64, 64)


def test_each_level_has_a_judge_that_the_doctor_knows():
    session = Session(MODEL, Options(diagnose_every=1), MODEL.Config(**SMALL, size=16))
    for _ in range(2):
        session.next_step()
    assert {"d8_real", "d8_fake", "d16_real", "d16_fake"} <= session.next_step().keys()


# Parzen windows on the pyramid


def test_blocks_are_an_orthonormal_basis():
    x = images(3, 2, 8, 8).numpy()
    low, rest = blocks(x)
    assert low.shape == (3, 2, 4, 4)
    assert rest.shape == (3, 2 * 3 * 16)
    norms = 4 * (low**2).sum(axis=(1, 2, 3)) + (rest**2).sum(axis=1)
    np.testing.assert_allclose(norms, (x**2).sum(axis=(1, 2, 3)))
    assert np.abs(blocks(np.full((1, 1, 4, 4), 0.7))[1]).max() == 0


def test_on_one_window_of_one_width_the_pyramid_has_the_density_of_the_pixels():
    """The levels multiply to a density of images: no factor is lost between them."""
    rng = np.random.default_rng(0)
    x, s = rng.uniform(size=(5, 1, 16, 16)), rng.uniform(size=(1, 1, 16, 16))
    middle = blocks(s)[0]
    finer = [lambda low: middle, lambda low: s]
    scores = pyramid_scores(x, blocks(middle)[0], finer, 2, widths=(0.3,))
    expected = log_density(x[2:].reshape(3, -1), s.reshape(1, -1), 0.3)
    assert [score.width for score in scores] == [0.3] * 3
    assert sum(score.mean for score in scores) == pytest.approx(expected.mean(), rel=1e-10)


def test_details_made_for_the_true_image_below_count():
    """A maker that knows how details follow from the image below gains by it, and only at its level."""
    rng = np.random.default_rng(1)
    low = rng.uniform(size=(60, 1, 4, 4))
    slope = np.kron(np.ones((4, 4)), [[0.2, -0.2], [0.2, -0.2]])
    x = low.repeat(2, 2).repeat(2, 3) + slope * low.repeat(2, 2).repeat(2, 3)

    def knowing(below):
        large = below.repeat(2, 1).repeat(2, 2)[None]
        return large + slope * large + rng.normal(0, 0.05, (30, 1, 8, 8))

    def guessing(below):
        return x[rng.integers(0, 60, 30)] + rng.normal(0, 0.05, (30, 1, 8, 8))

    known, guessed = (pyramid_scores(x, low, [maker], 20) for maker in (knowing, guessing))
    assert known[0].mean == guessed[0].mean
    assert known[1].mean > guessed[1].mean + 1


class Reads:
    """A classifier that sees one label in everything."""

    def labels(self, x):
        return np.full(len(x), 3)


def few(monkeypatch):
    for name, n in {"CHOOSING": 4, "MEASURED": 6, "WINDOWS": 16, "DRAWS": 8, "READ": 20}.items():
        monkeypatch.setattr(lapgan, name, n)


def test_its_numbers_add_up_and_tell_how_the_finer_levels_read(monkeypatch):
    few(monkeypatch)
    session = Session(MODEL, Options(), MODEL.Config(**SMALL))
    data = session.options.held_out(32)
    found = session.sampler.call("numbers", 0, data=data, classifier=Reads())
    levels = [found[f"parzen-{side}"][0] for side in (8, 16, 32)]
    assert found["parzen-pyramid"] == (pytest.approx(sum(levels)), 6)
    assert np.isfinite(found["parzen-whole"][0])
    share = (data.labels[:20] == 3).mean()
    assert found["refined-as-label"] == found["expanded-as-label"] == (share, 20)
    without = session.sampler.call("numbers", 0, data=data, classifier=None)
    assert without.keys() == found.keys() - {"refined-as-label", "expanded-as-label"}
    assert without["parzen-8"] == found["parzen-8"]


@pytest.mark.slow
def test_its_numbers_are_the_same_where_its_networks_lie_on_a_gpu(monkeypatch):
    fake_cupy.install(monkeypatch)
    few(monkeypatch)
    found = []
    with kernels.engine("reference"):
        for device in ("cpu", "gpu"):
            session = Session(MODEL, Options(device=device), MODEL.Config(**SMALL, size=16))
            sampler = session.sampler_of(session.parts)
            rows = evaluation._own_numbers(sampler, 0)
            found.append({name: row["value"] for name, row in rows.items()})
    assert found[1] == pytest.approx(found[0], rel=1e-4)


def test_its_pictures_are_of_one_size_and_show_every_level():
    session = Session(MODEL, Options(), MODEL.Config(**SMALL))
    shown = []
    with no_grad():
        session.sampler.call(
            "pictures", 0, data=session.options.held_out(32), show=lambda text, *x: shown.append((text, x))
        )
    assert [len(x) for _, x in shown] == [3, 3, 9]
    assert "8, 16, 32 pixels" in shown[0][0]
    for _, arrays in shown:
        for x in arrays:
            assert x.shape[1:] == (1, 32, 32)
    coarse = shown[0][1][0]
    np.testing.assert_array_equal(coarse[:, :, ::4, ::4].repeat(4, 2).repeat(4, 3), coarse)
