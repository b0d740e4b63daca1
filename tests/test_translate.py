"""What a model makes of the user's own pictures: sizes, tiles without seams, files of every kind, names."""

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from minigan import Generator, Tensor, nn, training
from minigan.cli import main
from minigan.data import Field, Fields
from minigan.errors import MiniganError
from minigan.gans import Model, model_named
from minigan.gans.parts.whole import in_multiples
from minigan.testing import check_model
from minigan.training import Options, Sampler, tiles_of, translate
from minigan.training.translation import pieces

FILE = '''
"""A network that doubles pictures, and may be told to dim them; it is trained to do nothing."""

from dataclasses import dataclass

from minigan import nn
from minigan import functional as F
from minigan.autograd import Tensor, grad
from minigan.gans.settings import Settings
from minigan.optim import Adam

TAKES = ("image",)
REACH, SCALE = {reach}, 2


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    steps: int = 4


def parts(cfg, data, rng):
    C = data.shape[0]
    net = nn.Sequential(
        nn.Conv2d(C, 8, 5, padding=2, generator=rng), nn.Tanh(),
        nn.Conv2d(8, 4 * C, 3, padding=1, generator=rng), nn.PixelShuffle(2),
    )
    return {{"net": net, "opt": Adam(net.parameters(), 1e-3)}}


def inputs(n, rng, cfg, data):
    return {{"x": data.batch(rng.integers(0, len(data), n))}}


def make(x, net):
    return {{"made": F.avg_pool2d(net(x), 2)}}


def translate(x, net, dim: float = 1.0):
    """A picture -> one twice as large.

    dim: a factor of its brightness
    """
    return {{"made": dim * net(x), "blank": 0 * net(x)[:, :1]}}


def train(data, opt, net):
    for x in data:
        loss = F.mse_loss(F.avg_pool2d(net(Tensor(x)), 2), x)
        opt.step(grad(loss, opt.params))
        yield {{"loss": loss}}
'''


def a_file(folder, reach="3"):
    path = folder / "doubling.py"
    path.write_text(FILE.format(reach=reach), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translate")
    cfg = model_named(str(a_file(folder))).Config(batch_size=8)
    path, quiet = folder / "run", Console(file=io.StringIO())
    return training.train(str(folder / "doubling.py"), Options(diagnose_every=0), cfg, path, quiet)


@pytest.fixture(scope="module")
def sampler(run):
    return Sampler.of(run)


def picture(*shape, seed=0):
    return Generator(seed).integers(0, 256, shape).astype(np.uint8)


# Tiles


@pytest.mark.slow
@pytest.mark.parametrize("size", [(14, 70), (41, 57), (1, 100), (33, 7)])
def test_tiles_have_the_pixels_of_the_whole(sampler, size):
    pixels = picture(1, *size)
    ((_, whole),) = pieces(sampler, pixels, tile=1000)
    whole, seen = whole["made"], np.zeros((2 * size[0], 2 * size[1]), int)
    tiles = list(pieces(sampler, pixels, tile=8))
    assert len(tiles) == len(tiles_of(*size, 3, 8))
    for (top, left), made in tiles:
        _, h, w = made["made"].shape
        here = slice(2 * top, 2 * top + h), slice(2 * left, 2 * left + w)
        np.testing.assert_allclose(made["made"], whole[:, *here], atol=1e-5)
        seen[here] += 1
    assert (seen == 1).all()


def test_a_margin_less_than_the_reach_is_seen(tmp_path):
    with pytest.raises(AssertionError, match="REACH 2"):
        check_model(str(a_file(tmp_path, "2")), steps=2)


@pytest.mark.slow
def test_a_file_with_a_reach_keeps_the_contract(tmp_path):
    check_model(str(a_file(tmp_path)), steps=4)


def test_pictures_of_one_tile_are_not_cut_and_those_without_a_reach_never():
    assert tiles_of(134, 100, 3, 128) == [((0, 134), (0, 100))]
    assert len(tiles_of(135, 100, 3, 128)) == 2
    assert tiles_of(5000, 4000, None) == [((0, 5000), (0, 4000))]
    assert tiles_of(300, 10, 100, 8) == [((0, 200), (0, 10)), ((200, 300), (0, 10))]


@pytest.mark.slow
def test_memory_is_that_of_a_tile_and_the_result(sampler):
    def peak(side):
        pixels = np.zeros((1, side, side), np.uint8)
        tracemalloc.start()
        made = translate(sampler, pixels)["made"]
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert made.size == (2 * side, 2 * side)
        return high

    peak(400)  # which makes the workspaces that stay
    assert peak(1200) < 1.2 * peak(400)  # nine times as many pixels


def test_progress_counts_tiles(sampler):
    done = []
    translate(sampler, picture(1, 300, 150), report=done.append)
    assert done == [1, 2, 3, 4, 5, 6]


def test_what_is_no_picture_of_the_size_told_is_refused(tmp_path, sampler):
    model = model_named(str(a_file(tmp_path)))
    model.module.SCALE = 3
    told = Sampler(model, sampler.cfg, sampler.parts, sampler.fields)
    with pytest.raises(MiniganError, match=r"made of shape \(1, 1, 8, 10\); with SCALE 3 .* 12, 15"):
        translate(told, picture(1, 4, 5))


def test_a_network_of_some_sizes_gets_others_mirrored():
    seen = []

    def network(x):
        seen.append(x.numpy())
        return 2 * x

    x = Generator(0).normal((2, 1, 3, 8))
    made = in_multiples(network, Tensor(x), 8)
    np.testing.assert_array_equal(made.numpy(), 2 * x)
    np.testing.assert_array_equal(seen[0], np.pad(x, [(0, 0), (0, 0), (2, 3), (0, 0)], mode="reflect"))
    up = nn.PixelShuffle(2)
    x4 = Generator(0).normal((1, 4, 3, 5))
    made = in_multiples(up, Tensor(x4), 4)
    np.testing.assert_array_equal(made.numpy(), up(Tensor(x4)).numpy())


# From the command line


def sample(run, *words):
    return main(["sample", str(run.path), *map(str, words)])


def written(folder, name, pixels, mode=None):
    path = folder / name
    Image.fromarray(pixels, mode).save(path)
    return path


def test_several_pictures_go_into_a_folder_by_their_names(run, sampler, tmp_path, capsys):
    a = written(tmp_path, "a.png", picture(9, 7, seed=1))
    b = written(tmp_path, "b.bmp", picture(140, 9, seed=2))
    out = tmp_path / "out"
    assert sample(run, "--input", a, b, "--out", out, "--dim=0.5") == 0
    said = capsys.readouterr()
    names = ["a.png", "a-blank.png", "b.png", "b-blank.png"]
    assert said.out.splitlines() == [str(out / name) for name in names]
    assert "tiles of" in said.err
    for name, shape in (("a", (9, 7)), ("b", (140, 9))):
        expected = translate(sampler, picture(*shape, seed=1 + (name == "b"))[None], dim=0.5)["made"]
        with Image.open(out / f"{name}.png") as made:
            np.testing.assert_array_equal(np.asarray(made), np.asarray(expected))


def test_by_default_they_go_into_the_run_folder_and_one_may_go_into_a_file(run, tmp_path):
    a = written(tmp_path, "a.png", picture(9, 7))
    assert sample(run, "--input", a) == 0
    assert (run.path / "translated" / "a.png").exists()
    assert sample(run, "--input", a, "--n=2", "--out", tmp_path / "one.png") == 0
    assert {"one-1.png", "one-2.png"} <= {path.name for path in tmp_path.iterdir()}


def test_colour_alpha_and_rotated_pictures_are_taken_as_they_look(run, sampler, tmp_path, capsys):
    grey = picture(6, 10)
    rgba = np.dstack([grey, grey, grey, np.where(np.arange(10) < 5, 255, 0) * np.ones((6, 1))])
    clear = written(tmp_path, "clear.png", rgba.astype(np.uint8))
    turned = tmp_path / "turned.tif"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.dstack([grey] * 3)).save(turned, exif=exif)
    out = tmp_path / "out"
    assert sample(run, "--input", clear, turned, "--out", out) == 0
    assert "clear.png has transparent parts, which are black" in capsys.readouterr().err
    black = np.where(np.arange(10) < 5, grey, 0).astype(np.uint8)
    upright = np.rot90(grey, -1)
    for name, pixels in (("clear", black), ("turned", upright)):
        with Image.open(out / f"{name}.png") as made:
            expected = translate(sampler, np.ascontiguousarray(pixels)[None])["made"]
            np.testing.assert_array_equal(np.asarray(made), np.asarray(expected))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--input", "nowhere.png"], "nowhere.png cannot be read: No such file"),
        (["--input", "{text}"], "is not an image that Pillow can read"),
        (["--input", "{a}", "--out", "{a}"], "would be overwritten"),
        (["--input", "{a}", "{a}", "--out", "x.png"], "2 pictures, which x.png cannot hold; give a folder"),
        (["--input", "{a}", "{text}", "--out", "x.npz"], "to a .png or into a folder, not to x.npz"),
        (["--input", "{a}", "{same}", "--out", "{a}/.."], "would both be written to"),
        (["--input", "{a}", "--dim=no"], "--dim takes a value of the kind float, got 'no'"),
        (["--input", "{a}", "--bright=1"], "cannot be asked for a bright: it takes dim"),
        (["--dim=1"], "cannot be asked for a dim"),
    ],
)
def test_bad_input_is_told_in_a_sentence(run, tmp_path, capsys, words, sentence):
    (tmp_path / "same").mkdir()
    files = {
        "a": written(tmp_path, "a.png", picture(4, 4)),
        "same": written(tmp_path / "same", "a.bmp", picture(4, 4)),
        "text": tmp_path / "text.png",
    }
    files["text"].write_text("no picture", encoding="utf-8")
    if "{a}/.." in words:
        words, files = [w.replace("{a}/..", str(tmp_path / "new")) for w in words], files
    assert sample(run, *(w.format(**files) for w in words)) == 2
    assert sentence in capsys.readouterr().err


def test_a_model_that_makes_nothing_of_pictures_says_which_do(tmp_path):
    model, fields = model_named("vae"), Fields({"image": Field("image", (1, 16, 16))})
    cfg = model.Config()
    sampler = Sampler(model, cfg, model.parts(cfg, fields, Generator(0)), fields)
    with pytest.raises(MiniganError, match=r"vae makes nothing of pictures .* models that do: pix2pix"):
        translate(sampler, picture(1, 4, 4))


def test_what_translate_names_must_be_there(tmp_path):
    model = Model.read(a_file(tmp_path))
    fields = Fields({"image": Field("image", (1, 8, 8))})
    parts = model.parts(model.Config(), fields, Generator(0))
    model.check_names(parts, {"x": None})
    model.module.translate = lambda x, nett: x
    with pytest.raises(MiniganError, match="translate asks for 'nett'"):
        model.check_names(parts, {"x": None})
