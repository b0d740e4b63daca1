"""pix2pix: the U-Net and its noise, PatchGAN's patches, the games, data of pairs, and a twin in PyTorch."""

import io
import shutil
from functools import partial

import numpy as np
import pytest
from rich.console import Console

from minigan import Generator, Tensor, grad, nn, training
from minigan import functional as F
from minigan.cli import main
from minigan.data import Field, Fields, load
from minigan.errors import MiniganError
from minigan.gans import model_named
from minigan.gans.images import pix2pix
from minigan.gans.parts.patchgan import (
    HALVINGS,
    image_discriminator,
    patch_discriminator,
    pixel_discriminator,
)
from minigan.gans.parts.unet import UNet
from minigan.metrics import Settings, classifier_for, paired, sharpness
from minigan.metrics.paired import (
    MapReader,
    colour_spread,
    evaluate_pairs,
    labels_of,
    names_for,
)
from minigan.testing import assert_close, check_model
from minigan.training import Options, Sampler, evaluation, translate

MODEL = model_named("pix2pix")


def fields(size=16, channels=(3, 3)):
    x, y = (Field("image", (c, size, size)) for c in channels)
    return Fields({"x": x, "y": y})


def parts_of(size=16, channels=(3, 3), **settings):
    cfg = pix2pix.Config(**{"width": 4, "batch_size": 4, **settings}).fitted(fields(size, channels))
    return cfg, MODEL.parts(cfg, fields(size, channels), Generator(0))


@pytest.mark.parametrize("size", [8, 16, 32, 64])
def test_the_net_has_a_skip_for_each_halving_and_makes_images_of_any_channels(size):
    _, parts = parts_of(size, (1, 3))
    G, rng = parts["G"], Generator(1)
    assert len(G.down) == len(G.up) == pix2pix.depth_of(size) == int(np.log2(size)) - 1
    x, noise = rng.uniform((2, 1, size, size), -1, 1), rng.uniform((2, G.noise_size))
    made = G(Tensor(x), Tensor(noise))
    assert made.shape == (2, 3, size, size)
    assert np.abs(made.numpy()).max() <= 1


def test_noise_decides_what_is_dropped_and_nothing_else_does():
    _, parts = parts_of(32)
    G = parts["G"].eval()
    x = Tensor(Generator(1).uniform((2, 3, 32, 32), -1, 1))
    a, b = (Generator(seed).uniform((2, G.noise_size)) for seed in (2, 3))
    once, again, other = (G(x, Tensor(noise)).numpy() for noise in (a, a, b))
    np.testing.assert_array_equal(once, again)
    assert np.abs(once - other).max() > 0
    above = np.where(a >= 0.5, 0.99, 0.01).astype(np.float32)  # the same coins
    np.testing.assert_array_equal(G(x, Tensor(above)).numpy(), once)


def test_half_of_the_units_are_dropped_and_the_others_doubled():
    net = UNet(1, 1, 4, 3, 16, nn.BatchNorm2d).eval()
    inside = []
    net.up[0].register_forward_hook(lambda layer, inputs, output: inside.append(output.numpy()))
    net.up[1].register_forward_hook(lambda layer, inputs, output: inside.append(inputs[0].numpy()))
    x, noise = Generator(1).uniform((64, 1, 16, 16)), Generator(2).uniform((64, net.noise_size))
    net(Tensor(x), Tensor(noise))
    before, after = inside[0], inside[1][:, : inside[0].shape[1]]
    kept = after != 0
    assert abs(kept[before != 0].mean() - 0.5) < 0.02
    np.testing.assert_allclose(after[kept], 2 * before[kept], rtol=1e-6)


def field_of(D, size=96):
    """How many rows one number of D, of those in the middle, depends on, by its gradient in the image."""
    x = Tensor(Generator(0).uniform((1, 1, size, size), -1, 1, np.float64), requires_grad=True)
    out = D.to(np.float64)(x)
    (g,) = grad(out[0, 0, out.shape[2] // 2, out.shape[3] // 2], x)
    rows = np.flatnonzero(np.abs(g.numpy()[0, 0]).sum(axis=1))
    return rows[-1] - rows[0] + 1


def without(channels):
    """No norm, by which one patch would see the others."""
    return nn.Identity()


@pytest.mark.parametrize("field", [16, 34, 70])
def test_a_patch_is_as_large_as_the_paper_says(field):
    assert field_of(patch_discriminator(1, 2, HALVINGS[field], without)) == field


def test_a_pixel_is_judged_by_itself_and_an_image_as_a_whole():
    D = pixel_discriminator(1, 2, without)
    assert field_of(D) == 1
    assert D(Tensor(np.zeros((2, 1, 8, 8)))).shape == (2, 1, 8, 8)
    for size in (8, 16, 32, 64):
        D = image_discriminator(1, 2, size, without)
        assert field_of(D, size) == size
        assert D(Tensor(np.zeros((2, 1, size, size)))).shape == (2, 1, 1, 1)


@pytest.mark.parametrize(
    ("size", "default", "fitting"),
    [
        (8, "image", ["image", "1"]),
        (16, "16", ["image", "1", "16"]),
        (32, "34", ["image", "1", "16", "34"]),
        (64, "34", ["image", "1", "16", "34"]),
        (128, "70", ["image", "1", "16", "34", "70"]),
    ],
)
def test_patches_fit_in_the_images(size, default, fitting):
    assert pix2pix.Config().fitted(fields(size)).patch == default
    for patch in ("1", "16", "34", "70", "image"):
        if patch in fitting:
            _, parts = parts_of(size, patch=patch)
            judged = parts["D"](Tensor(np.zeros((2, 6, size, size), np.float32)))
            assert judged.shape[:2] == (2, 1)
        else:
            with pytest.raises(MiniganError) as error:
                pix2pix.Config(patch=patch).fitted(fields(size))
            assert str(error.value) == (
                f"patches of {patch} pixels do not fit in images of {size}; there are: {', '.join(fitting)}"
            )


def test_a_patch_of_another_size_is_refused_with_those_that_there_are():
    with pytest.raises(MiniganError, match=r"patch cannot be '33'; there are: 1, 16, 34, 70, image"):
        pix2pix.Config(patch="33")


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"game": "lsgan", "norm": "instance", "patch": "1"},
        {"game": "none", "distance": "l2"},
        {"weight": 0.0, "patch": "image"},
    ],
)
def test_pix2pix_keeps_the_contract(settings):
    check_model("pix2pix", width=2, **settings)


def test_by_least_squares_d_is_a_critic_and_without_a_game_there_is_none():
    assert MODEL.is_critic(pix2pix.Config(game="lsgan"))
    assert not MODEL.is_critic(pix2pix.Config())
    _, parts = parts_of(game="none")
    assert parts.keys() == {"G", "opt_g"}


@pytest.mark.parametrize("size", [12, 33, 4])
def test_sizes_that_cannot_be_halved_to_two_are_refused(size):
    with pytest.raises(MiniganError, match="8, 16, 32"):
        pix2pix.Config(size=size).fitted(fields(size))


@pytest.mark.slow
def test_other_data_are_refused_with_those_that_fit(capsys):
    assert main(["train", "pix2pix", "--data=digits"]) == 2
    said = capsys.readouterr().err
    assert "pair" in said
    assert "facades" in said
    assert main(["train", "dcgan", "--data=facades"]) == 2
    assert "digits" in capsys.readouterr().err


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    cfg = pix2pix.Config(steps=12, batch_size=8, width=4)
    options = Options(checkpoint_every=6, evaluate_every=6, evaluate_n=16)
    return training.train("pix2pix", options, cfg, path, Console(file=io.StringIO()))


def as_bytes(image):
    return np.clip(np.rint((image + 1) * 127.5), 0, 255).astype(np.uint8)


@pytest.mark.slow
def test_a_picture_of_ones_own_is_translated_as_a_map_of_the_data_is(trained):
    x, _ = load("facades", 32, split="test").batch(np.arange(1))
    sampler = Sampler.of(trained)
    made = translate(sampler, as_bytes(x[0]), seed=5)
    noise = Generator(5).uniform((1, sampler.parts["G"].noise_size))
    (expected,) = sampler.make({"x": x, "noise": noise}).values()
    assert list(made) == ["G(x)"]
    np.testing.assert_array_equal(np.asarray(made["G(x)"]), as_bytes(expected[0]).transpose(1, 2, 0))


@pytest.mark.parametrize("size", [(1, 1), (3, 100), (16, 33), (50, 48)])
def test_a_map_of_any_size_is_mirrored_to_what_the_net_halves_and_cropped(size):
    _, parts = parts_of(16)
    G, (H, W) = parts["G"].eval(), size
    x = Generator(1).uniform((1, 3, H, W), -1, 1)
    (made,) = pix2pix.translate(Tensor(x), Generator(2), G).values()
    assert made.shape == (1, 3, H, W)
    sides = [(-n % 8 // 2, -n % 8 - -n % 8 // 2) for n in size]
    padded = np.pad(x, [(0, 0), (0, 0), *sides], mode="reflect")
    noise = Generator(2).uniform((1, G.noise_for(*padded.shape[2:])))
    whole = G(Tensor(padded), Tensor(noise)).numpy()
    (top, _), (left, _) = sides
    np.testing.assert_array_equal(made.numpy(), whole[:, :, top : top + H, left : left + W])


def test_its_page_shows_inputs_outputs_and_truths_and_no_walks(trained):
    page = trained.page.read_text(encoding="utf-8")
    assert "the input, what G makes of it, the truth" in page
    assert "x, G(x), y" in page
    assert "walk a row" not in page


def test_pairs_are_measured_while_training(trained):
    assert [line.keys() for line in trained.records.evaluations.read()] == [
        {"step", "L1", "PSNR", "SSIM"}
    ] * 2


@pytest.mark.slow
def test_a_resumed_run_ends_in_the_same_bits(trained, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(trained.path, copy)
    for path in [*copy.glob("checkpoints/step-000012*")]:
        path.unlink()
    again = training.resume(copy, console=Console(file=io.StringIO()))
    assert again.checkpoints.path(12).read_bytes() == trained.checkpoints.path(12).read_bytes()


# Measures of pairs


@pytest.mark.slow
def test_the_reader_of_maps_reads_true_pictures_and_not_others():
    train, test = load("facades", 32), load("facades", 32, split="test")
    reader = MapReader(train, test, steps=300)
    assert reader.accuracy > 0.9
    x, y = test.batch(np.arange(50))
    from minigan.data.facades import read_map

    assert reader.right(y[::-1].copy(), read_map(x)) < 0.8


def test_blur_is_less_sharp_and_one_colour_has_no_spread():
    x, y = load("facades", 32, split="test").batch(np.arange(100))
    from minigan.data.facades import read_map

    blurred = (y + np.roll(y, 1, axis=2) + np.roll(y, 1, axis=3)) / 3
    assert sharpness(blurred, y) < 0.8
    labels = read_map(x)
    assert colour_spread(x, labels) < 0.02 < 0.2 < colour_spread(y, labels)


def test_labels_are_those_of_the_truths():
    test = load("edges:digits", 16, split="test")
    rows = np.array([7, 0, 100, 7])
    assert labels_of(test.batch(rows)[1], test.y).tolist() == test.y.labels[rows].tolist()
    with pytest.raises(KeyError):
        labels_of(test.batch(rows)[1][:, :, ::-1], test.y)


@pytest.mark.slow
def test_outputs_are_read_as_the_digit_whose_outline_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGAN_CACHE_DIR", str(tmp_path))
    quick = partial(classifier_for, settings=Settings(steps=200, width=8))
    monkeypatch.setattr(paired, "classifier_for", quick)
    train, test = load("edges:digits", 16), load("edges:digits", 16, split="test")
    assert "read-as-label" in names_for(train)
    assert "read-as-label" not in names_for(load("facades", 32))

    def draw(n, seed):
        x, y = test.batch(np.arange(n))
        made = y.copy()
        made[: n // 2] = y[n // 2 :]  # half of them are some other digit
        return x, made, y

    result = evaluate_pairs(draw, train, test, ["read-as-label"], n=200, draws=1, say=lambda line: None)
    found, labels = result["metrics"]["read as label"], test.y.labels[:200]
    assert found["floor"] > 0.9
    alike = (labels[:100] == labels[100:]).mean() / 2 + 0.5
    assert found["value"] == pytest.approx(alike, abs=0.1)
    assert result["classifier"]["data"] == "digits"


@pytest.mark.slow
def test_judges_of_pairs_learn_from_all_of_the_data_where_the_model_saw_a_few(tmp_path, monkeypatch):
    cfg, seen = pix2pix.Config(steps=1, batch_size=4, width=2), []
    console = Console(file=io.StringIO())
    run = training.train("pix2pix", Options(samples=20), cfg, tmp_path / "run", console)

    def evaluated(draw, train, test, **how):
        seen.append((len(train), len(test)))
        return {"metrics": {}, "classifier": None, "draws": 1}

    monkeypatch.setattr(evaluation, "evaluate_pairs", evaluated)
    result, _ = evaluation.evaluate_run(run, say=lambda line: None)
    assert seen == [(2000, 500)]
    assert result["metrics"].keys() == {"spread-of-draws", "spread-of-truths"}


def test_the_noise_is_measured_by_what_it_changes():
    _, parts = parts_of(32)
    G, rng, data = parts["G"].eval(), Generator(1), load("facades", 32, split="test")
    found = pix2pix.numbers(data, rng, G)
    assert found["spread-of-draws"][0] > 0
    assert found["spread-of-draws"][1] == 50
    assert 0.1 < found["spread-of-truths"][0] < 1


def test_a_net_that_is_deaf_to_the_noise_has_no_spread():
    class Deaf:
        noise_size = 3

        def __call__(self, x, noise):
            return x

    found = pix2pix.numbers(load("facades", 32, split="test"), Generator(1), Deaf())
    assert found["spread-of-draws"][0] < 1e-6


@pytest.mark.slow
def test_evaluate_measures_pairs(trained, capsys):
    assert (
        main(["evaluate", str(trained.path), "--metrics=distance,psnr,ssim,sharpness,colours", "--n=40"]) == 0
    )
    said = capsys.readouterr().out
    for quantity in ("L1", "PSNR", "SSIM", "sharpness", "colour spread"):
        assert quantity in said
    assert main(["evaluate", str(trained.path), "--metrics=fcd"]) == 2
    assert "unknown metric 'fcd' of pairs" in capsys.readouterr().err


# Beside PyTorch

STEPS = 10


class Given:
    """Random numbers that were drawn before."""

    def __init__(self, arrays):
        self.arrays = iter(arrays)

    def uniform(self, shape):
        return next(self.arrays)


@pytest.mark.torch
@pytest.mark.parametrize(
    ("game", "distance", "weight", "patch"),
    [
        ("bce", "l1", 100.0, "16"),
        ("lsgan", "l2", 100.0, "1"),
        ("bce", "l1", 0.0, "image"),
        ("none", "l2", 10.0, "16"),
    ],
)
def test_ten_steps_are_those_of_a_twin_in_pytorch(game, distance, weight, patch):
    torch = pytest.importorskip("torch")
    tnn, tF = torch.nn, torch.nn.functional
    how = {"game": game, "distance": distance, "weight": weight, "patch": patch}
    cfg, parts = parts_of(16, (1, 2), lr=2e-4, **how)
    G, D = (parts[name].to(np.float64) if name in parts else None for name in "GD")
    rng = Generator(1)
    data = [tuple(rng.uniform((4, c, 16, 16), -1, 1, np.float64) for c in (1, 2)) for _ in range(STEPS)]
    noise = [rng.uniform((4, G.noise_size), dtype=np.float64) for _ in range(STEPS)]

    def conv(kind, n, m, norm):
        return [kind(n, m, 4, 2, 1, bias=not norm), *([tnn.BatchNorm2d(m)] if norm else [])]

    class Twin(tnn.Module):
        def __init__(self):
            super().__init__()
            leaky, relu, down, up = tnn.LeakyReLU(0.2), tnn.ReLU(), tnn.Conv2d, tnn.ConvTranspose2d
            self.down = tnn.Sequential(
                tnn.Sequential(*conv(down, 1, 4, False)),
                tnn.Sequential(leaky, *conv(down, 4, 8, True)),
                tnn.Sequential(leaky, *conv(down, 8, 16, False)),
            )
            self.up = tnn.Sequential(
                tnn.Sequential(relu, *conv(up, 16, 8, True)),
                tnn.Sequential(relu, *conv(up, 16, 4, True)),
                tnn.Sequential(relu, *conv(up, 8, 2, False)),
            )

        def forward(self, x, noise):
            a = self.down[0](x)
            b = self.down[1](a)
            h = self.up[0](self.down[2](b))
            h = h * (noise > 0.5).reshape(h.shape) * 2
            h = self.up[1](torch.cat([h, b], 1))
            return torch.tanh(self.up[2](torch.cat([h, a], 1)))

    def judge_of(inner, last):
        first, second = inner
        return tnn.Sequential(
            *(tnn.Conv2d(3, 4, *first), tnn.LeakyReLU(0.2)),
            *(tnn.Conv2d(4, 8, *second, bias=False), tnn.BatchNorm2d(8), tnn.LeakyReLU(0.2)),
            tnn.Conv2d(8, 1, *last),
        )

    windows = {
        "16": (((4, 2, 1), (4, 1, 1)), (4, 1, 1)),
        "1": (((1,), (1,)), (1,)),
        "image": (((4, 2, 1), (4, 2, 1)), (4,)),
    }
    twin, judge = Twin().double(), judge_of(*windows[patch]).double()
    pairs = [(twin, G), (judge, D)][: len(parts) // 2]
    for net, own in pairs:
        net.load_state_dict(
            {k: torch.from_numpy(a.copy()) for k, a in own.state_dict().items()}, strict=False
        )
    opts = [torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (twin, judge)]
    loss = {"bce": tF.binary_cross_entropy_with_logits, "lsgan": tF.mse_loss}.get(game)
    far = {"l1": tF.l1_loss, "l2": tF.mse_loss}[distance]

    loop = MODEL.train(parts, iter(data), Given(noise), cfg)
    for seen, pair, z in zip(loop, data, noise, strict=True):
        x, y = map(torch.from_numpy, pair)
        fake = twin(x, torch.from_numpy(z))
        expected = {distance: far(fake, y), "g_loss": weight * far(fake, y)}
        if loss:
            real, made = judge(torch.cat([x, y], 1)), judge(torch.cat([x, fake.detach()], 1))
            d_loss = 0.5 * (loss(real, torch.ones_like(real)) + loss(made, torch.zeros_like(made)))
            opts[1].zero_grad()
            d_loss.backward()
            opts[1].step()
            judged = judge(torch.cat([x, fake], 1))
            expected["g_loss"] = expected["g_loss"] + loss(judged, torch.ones_like(judged))
            expected["d_loss"] = d_loss
        opts[0].zero_grad()
        expected["g_loss"].backward()
        opts[0].step()
        assert seen.keys() - {"d_real", "d_fake"} == expected.keys()
        for name, value in expected.items():
            assert seen[name].item() == pytest.approx(value.item(), rel=1e-8), name
    for net, own in pairs:
        state = own.state_dict()
        for name, p in net.named_parameters():
            assert_close(state[name], p.detach().numpy(), rtol=1e-6, atol=1e-8)


def test_neither_a_game_nor_a_distance_is_nothing_to_learn():
    with pytest.raises(MiniganError, match="game = 'none' and weight = 0 leave G nothing to learn"):
        pix2pix.Config(game="none", weight=0.0)


def test_the_distance_alone_is_smallest_for_the_mean():
    """Why there is a game: of two truths of one map, L2 wants the mean."""
    y = np.array([-1.0, 1.0])
    guesses = np.linspace(-1, 1, 5)
    losses = [F.mse_loss(Tensor(np.full(2, g)), Tensor(y)).item() for g in guesses]
    assert guesses[int(np.argmin(losses))] == 0
