"""SRGAN: what is added to the bicubic picture, how far a pixel reaches, the two stages, the network that
compares, measures by the paper's protocol, tiles, data, and what cannot be."""

import io
import shutil

import fake_cupy
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import minigan_kernels as kernels
from minigan import Generator, Tensor, grad, nn, training
from minigan import functional as F
from minigan.cli import main
from minigan.data import Field, Fields, load
from minigan.errors import MiniganError
from minigan.gans import model_named
from minigan.gans.images import srgan
from minigan.gans.parts.perception import KINDS, Perception, difference, told_apart
from minigan.gans.parts.srresnet import SRResNet, bicubic, lowered, reach
from minigan.metrics import luminance
from minigan.optim import Adam
from minigan.testing import check_model
from minigan.training import Options, Sampler, Session, translate
from minigan.training.evaluation import _own_numbers
from minigan.training.translation import pieces

MODEL = model_named("srgan")
TINY = {"width": 4, "blocks": 1, "size": 16, "batch_size": 4}


def fields(size=16, channels=3):
    return Fields({"image": Field("image", (channels, size, size))})


def with_a_tail(net, rng):
    """The network with weights where it begins with zeros."""
    nn.init.normal_(net.tail.weight, 0, 0.1, rng)
    return net


def photographs(n, size=16):
    return load("photographs", size, split="test").batch(np.arange(n))


# The network


@pytest.mark.parametrize("scale", [2, 4])
def test_it_begins_as_the_bicubic_picture_and_as_nothing_where_told(scale):
    x = Tensor(Generator(0).uniform((2, 3, 5, 7), -1, 1))
    net = SRResNet(3, 4, 1, scale, None, True, Generator(1))
    np.testing.assert_array_equal(net(x).numpy(), bicubic(x, scale).numpy())
    plain = SRResNet(3, 4, 1, scale, nn.BatchNorm2d, False, Generator(1))
    assert plain(x).shape == (2, 3, 5 * scale, 7 * scale)
    assert np.abs(plain(x).numpy() - bicubic(x, scale).numpy()).max() > 0.1


@pytest.mark.parametrize(("blocks", "scale"), [(1, 2), (3, 2), (1, 4), (2, 4)])
def test_a_pixel_reaches_as_far_as_told_and_no_farther(blocks, scale):
    """The pixels of x that a pixel of the picture depends on, by its gradient."""
    net = with_a_tail(SRResNet(1, 4, blocks, scale, None, True, Generator(0)), Generator(1)).to(np.float64)
    far = reach(blocks, scale)
    side = 2 * far + 5
    x = Tensor(Generator(2).uniform((1, 1, side, side), -1, 1, np.float64), requires_grad=True)
    middle, distances = side // 2, []
    for row in range(scale * middle, scale * (middle + 1)):
        (g,) = grad(net(x)[0, 0, row, scale * middle], x)
        rows = np.flatnonzero(np.abs(g.numpy()[0, 0]).sum(axis=1))
        distances += [middle - rows[0], rows[-1] - middle]
    assert max(distances) == far


def test_small_pictures_are_those_that_pillow_makes():
    y = Generator(0).uniform((2, 1, 24, 40)).astype(np.float32)
    small = lowered(Tensor(y), 4).numpy()
    for picture, made in zip(y[:, 0], small[:, 0], strict=True):
        pillow = Image.fromarray(picture).resize((10, 6), Image.Resampling.BICUBIC)
        np.testing.assert_allclose(made, np.asarray(pillow), atol=1e-6)
    large = bicubic(Tensor(y), 2).numpy()
    pillow = Image.fromarray(y[0, 0]).resize((80, 48), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(large[0, 0], np.asarray(pillow), atol=1e-6)


def test_a_picture_is_enlarged_in_tiles_to_the_pixels_of_the_whole():
    cfg = srgan.Config(**TINY).fitted(fields())
    parts = MODEL.parts(cfg, fields(), Generator(0))
    with_a_tail(parts["G"], Generator(1))
    sampler = Sampler(MODEL, cfg, parts, fields())
    pixels = Generator(2).integers(0, 256, (3, 41, 60)).astype(np.uint8)
    assert MODEL.reach(cfg) == 10
    ((_, whole),) = pieces(sampler, pixels, tile=1000)
    tiles = list(pieces(sampler, pixels, tile=8))
    assert len(tiles) == 3 * 3
    for (top, left), made in tiles:
        _, h, w = made["G(x)"].shape
        here = slice(4 * top, 4 * top + h), slice(4 * left, 4 * left + w)
        np.testing.assert_allclose(made["G(x)"], whole["G(x)"][:, *here], atol=1e-5)


# The network that compares


def test_a_quarter_of_the_pictures_is_given_as_it_is_smoothed_in_blocks_or_sharpened():
    seen = []

    class Spy(nn.Module):
        def forward(self, pictures):
            seen.append(pictures.numpy())
            return Tensor(np.eye(KINDS)[np.repeat(np.arange(KINDS), 2)] * 100.0)

    y = Generator(0).uniform((8, 1, 8, 8), -1, 1)
    x = lowered(Tensor(y), 2)
    assert told_apart(Spy(), Tensor(y), x, 2).item() == pytest.approx(0, abs=1e-6), "all are told right"
    smooth = bicubic(x, 2).numpy()
    np.testing.assert_array_equal(seen[0][:2], y[::4])
    np.testing.assert_array_equal(seen[0][2:4], smooth[1::4])
    np.testing.assert_array_equal(seen[0][4:6], x.numpy()[2::4].repeat(2, axis=2).repeat(2, axis=3))
    np.testing.assert_allclose(seen[0][6:], 2 * y[3::4] - smooth[3::4], rtol=1e-6)


@pytest.mark.slow
def test_it_learns_to_tell_them_apart_and_then_smoother_pictures_are_farther():
    images = load("photographs", 16).batch(np.arange(1000))
    detailed = np.argsort(images.std(axis=(1, 2, 3)))[-64:]
    V, y = Perception(3, 8, Generator(0)), Tensor(images[detailed])
    x = lowered(y, 2)
    opt = Adam(V.parameters(), 3e-3)
    for _ in range(60):
        loss = told_apart(V, y, x, 2)
        opt.step(grad(loss, opt.params))
    assert loss.item() < 0.7 * np.log(KINDS)
    assert difference(y, y, V).item() == 0
    smooth, smoother = bicubic(x, 2), bicubic(lowered(y, 4), 4)
    assert 0 < difference(smooth, y, V).item() < difference(smoother, y, V).item()


# The two stages


def session(**settings):
    options = Options(device="cpu", seed=0, data="photographs", diagnose_every=0)
    return Session(MODEL, options, srgan.Config(**{**TINY, "steps": 8, "first": 0.5, **settings}))


@pytest.mark.slow
def test_the_second_stage_begins_by_the_optimisers_count_and_keeps_what_the_first_made():
    s = session()
    said = [s.next_step() for _ in range(4)]
    assert [seen.keys() for seen in said] == [{"g_loss", "squares", "v_loss"}] * 4
    before = {name: net.state_dict() for name, net in s.parts.items() if name in "GVR"}
    before = {name: {k: a.copy() for k, a in state.items()} for name, state in before.items()}
    said = s.next_step()
    assert said.keys() == {"d_loss", "g_loss", "squares", "features", "d_real", "d_fake"}
    for name in before["R"]:
        np.testing.assert_array_equal(s.parts["R"].state_dict()[name], before["G"][name])
    for name, array in before["V"].items():
        np.testing.assert_array_equal(s.parts["V"].state_dict()[name], array)
    assert any(
        np.abs(array - s.parts["G"].state_dict()[name]).max() > 0 for name, array in before["G"].items()
    )


@pytest.mark.slow
def test_without_a_game_there_is_one_stage_and_nobody_to_play():
    s = session(game="none")
    assert s.parts.keys() == {"G", "V", "opt_g", "opt_v", "schedule"}
    assert {tuple(s.next_step()) for _ in range(8)} == {("g_loss", "squares", "v_loss")}


def test_the_rate_falls_to_a_tenth_in_each_stage():
    cfg = srgan.Config(steps=10, first=0.4)
    rates = [cfg.lr * srgan.rate(cfg, n) for n in range(11)]
    assert rates[0] == pytest.approx(1e-3)
    assert 1e-4 < rates[3] < rates[2] < rates[1]
    assert rates[4] == pytest.approx(2e-4)
    assert rates[10] == pytest.approx(2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"game": "none", "scale": 2}, {"onto": "nothing", "norm": "batch"}])
def test_srgan_keeps_the_contract(settings):
    check_model("srgan", steps=10, **{**TINY, "first": 0.3, **settings})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    options = Options(data="digits", checkpoint_every=2, evaluate_every=6)
    cfg = srgan.Config(**{**TINY, "steps": 6, "first": 0.5})
    return training.train("srgan", options, cfg, path, Console(file=io.StringIO()))


@pytest.mark.slow
@pytest.mark.parametrize("step", [2, 4])
def test_a_run_that_was_stopped_in_either_stage_ends_in_the_same_bits(trained, tmp_path, step):
    copy = tmp_path / "copy"
    shutil.copytree(trained.path, copy)
    for later in range(step + 2, 7, 2):
        for path in copy.glob(f"checkpoints/step-{later:06d}*"):
            path.unlink()
    again = training.resume(copy, console=Console(file=io.StringIO()))
    assert again.checkpoints.path(6).read_bytes() == trained.checkpoints.path(6).read_bytes()


# Measures, pictures, data


def test_luminance_is_that_of_video():
    images = np.zeros((1, 3, 1, 5))
    images[0, :, 0] = np.array([[-1, -1, -1], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-9, -1, 7]]).T
    found = luminance(images)[0, 0, 0]
    np.testing.assert_allclose(found, [16, 235, 81.481, 144.553, 40.966], rtol=1e-12)
    np.testing.assert_allclose(luminance(np.ones((1, 1, 2, 2))), 235.0)
    with pytest.raises(MiniganError, match=r"got \(1, 2, 3, 3\)"):
        luminance(np.zeros((1, 2, 3, 3)))


class Held:
    """Held-out data of given pictures and labels."""

    def __init__(self, images, labels=None):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.images)

    def batch(self, rows):
        return self.images[rows]


def numbers(images, classifier=None, labels=None, **settings):
    cfg = srgan.Config(**{**TINY, **settings}).fitted(fields(images.shape[-1], images.shape[1]))
    parts = MODEL.parts(cfg, fields(images.shape[-1], images.shape[1]), Generator(0))
    given = {"data": Held(images, labels), "rng": Generator(0), "cfg": cfg, "classifier": classifier}
    return MODEL.call("numbers", **parts, **given)


def test_all_ways_are_measured_of_the_luminance_without_a_border():
    images = photographs(60, 32)
    found = numbers(images, size=32)
    assert {name.partition(", ")[2] for name in found} == {"nearest", "bicubic", "SRResNet", "SRGAN"}
    assert {name.partition(", ")[0] for name in found} == {"PSNR", "SSIM", "gradient", "features"}
    assert {n for _, n in found.values()} == {60}
    assert found["PSNR, SRGAN"] == found["PSNR, bicubic"], "before it has learned anything"
    made = F.clip(bicubic(lowered(Tensor(images), 4), 4), -1, 1).numpy()
    a, b = (luminance(x)[:, :, 4:-4, 4:-4] for x in (made, images))
    assert found["PSNR, bicubic"][0] == pytest.approx(10 * np.log10(255**2 / ((a - b) ** 2).mean()))
    assert found["gradient, bicubic"][0] < 1
    assert found["features, bicubic"][0] < found["features, nearest"][0]


def test_without_a_game_the_network_is_called_what_it_is_and_small_pictures_have_no_ssim():
    found = numbers(photographs(8), game="none")
    assert {name.partition(", ")[2] for name in found} == {"nearest", "bicubic", "SRResNet"}
    assert not any(name.startswith("SSIM") for name in found), "8 pixels are left, of which a window needs 11"


def test_pictures_are_read_as_their_labels_by_the_classifier():
    class Reader:
        """Reads whether the top left pixel is bright."""

        def labels(self, images):
            assert np.abs(images).max() <= 1
            return (images[:, 0, 0, 0] > 0).astype(int)

    images = np.full((4, 1, 16, 16), -1, np.float32)
    images[:3, :, :8] = 1
    found = numbers(images, Reader(), np.array([1, 1, 0, 0]))
    assert found["read as the label, truth"] == (0.75, 4)
    assert found["read as the label, bicubic"] == (0.75, 4)


@pytest.mark.slow
def test_numbers_are_the_same_where_the_networks_lie_on_a_gpu(monkeypatch):
    fake_cupy.install(monkeypatch)
    with kernels.engine("reference"):
        options = (Options(data="digits", device=device, diagnose_every=0) for device in ("cpu", "gpu"))
        sessions = [Session(MODEL, each, srgan.Config(**TINY)) for each in options]
        cpu, gpu = (_own_numbers(s.sampler_of(s.parts), 0) for s in sessions)
    assert {q: row["value"] for q, row in gpu.items()} == pytest.approx(
        {q: row["value"] for q, row in cpu.items()}, rel=1e-4, abs=1e-6
    )


def test_its_page_shows_each_way_beside_the_truth_and_it_is_measured_while_training(trained):
    page = trained.page.read_text(encoding="utf-8")
    assert "made 4 times larger: pixels as blocks, bicubic, SRResNet, SRGAN; the truth" in page
    (line,) = trained.records.evaluations.read()
    assert {"PSNR", "SSIM", "L1"} <= line.keys()


def test_a_picture_of_ones_own_is_enlarged(trained, tmp_path):
    pixels = Generator(0).integers(0, 256, (9, 5, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    out = tmp_path / "large.png"
    assert main(["sample", str(trained.path), "--input", str(tmp_path / "photo.png"), f"--out={out}"]) == 0
    with Image.open(out) as made:
        assert (made.size, made.mode) == ((20, 36), "L"), "of digits, which are grey"
        grey = np.asarray(Image.fromarray(pixels).convert("L"))[None]
        expected = translate(Sampler.of(trained), grey)["G(x)"]
        np.testing.assert_array_equal(np.asarray(made), np.asarray(expected))


@pytest.mark.parametrize("kind", ["folder", "patches"])
def test_pictures_of_ones_own_are_learned_from(kind, tmp_path):
    for i in range(5):
        pixels = Generator(i).integers(0, 256, (40, 100, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    options = Options(device="cpu", data=f"{kind}:{tmp_path}", diagnose_every=0)
    s = Session(MODEL, options, srgan.Config(**{**TINY, "steps": 2, "first": 0.5}))
    assert s.shape == (3, 16, 16)
    assert [set(s.next_step()) & {"v_loss", "d_loss"} for _ in range(2)] == [{"v_loss"}, {"d_loss"}]
    assert _own_numbers(s.sampler, 0)["PSNR, SRGAN"]["value"] > 0


@pytest.mark.parametrize(("pixels", "scale", "size"), [(64, 4, 64), (28, 4, 28), (8, 4, 16), (30, 4, 32)])
def test_the_size_is_the_next_that_the_scale_divides(pixels, scale, size):
    assert srgan.Config(scale=scale).fitted(fields(pixels)).size == size


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"size": 30}, "size must be a multiple of scale = 4, and 16 at least, got 30"),
        ({"size": 8}, "16 at least, got 8"),
        ({"batch_size": 3}, "batch_size must be at least 4, got 3"),
        ({"first": 1.0}, "first must be below 1"),
        ({"scale": 3}, "scale cannot be 3"),
        ({"blocks": 0}, "blocks must be at least 1"),
        ({"game": "wgan"}, "game cannot be 'wgan'"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, sentence):
    with pytest.raises(MiniganError, match=sentence):
        srgan.Config(**settings)


@pytest.mark.slow
def test_data_that_are_no_pictures_are_refused_with_those_that_are(capsys):
    assert main(["train", "srgan", "--data=facades"]) == 2
    said = capsys.readouterr().err
    assert "photographs" in said
    assert main(["train", "srgan", "--data=ring8"]) == 2
