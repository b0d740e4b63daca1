"""`minigan play`: directions whose truth is known, pictures drawn by hand, and the page in a real browser."""

import base64
import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
import time
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from minigan import Generator, Tensor, nn, training
from minigan import functional as F
from minigan.cli import main
from minigan.data import Field, Fields
from minigan.errors import MiniganError
from minigan.gans import Model, model_named
from minigan.gans.settings import Settings
from minigan.play import Canvas, Explorer, paints_of
from minigan.play.page import _address
from minigan.report.samples import as_pixels
from minigan.training import Options, Run, Sampler, translate

LATENT, SHAPE = 8, (1, 4, 4)
SPREADS = np.array([9, 7, 5, 3.5, 2.5, 1.5, 0.2, 0.1], np.float32)


def linear(code=None):
    """A sampler of images that are a linear function of z, or of its code, with the singular values SPREADS,
    and the right singular vectors."""
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.normal(size=(16, LATENT)))
    right, _ = np.linalg.qr(rng.normal(size=(LATENT, LATENT)))
    weight = Tensor(((left * SPREADS) @ right.T).astype(np.float32))
    module = ModuleType("linear")
    module.Config, module.TAKES = Settings, ("image",)
    module.parts = lambda: {}
    module.train = lambda data: iter(())

    def inputs(n, rng, shift: float = 0.0):
        return {"z": rng.normal((n, LATENT)) + np.float32(shift)}

    def make(z, G):
        return F.reshape(G(z), len(z), *SHAPE)

    def make_of_code(G, z=None, code=None):
        return make(of_z(z) if code is None else code, G)

    def of_z(z):
        return z * Tensor(SPREADS)

    module.inputs, module.make = inputs, make_of_code if code else make
    if code:
        module.code = of_z
    net = nn.Linear(LATENT, 16, bias=False)
    net.weight.data[:] = weight.numpy()
    fields = Fields({"image": Field("image", SHAPE)})
    return Sampler(Model("linear", module), Settings(), {"G": net}, fields), right


def test_of_a_linear_model_the_directions_in_z_are_its_singular_vectors():
    sampler, right = linear()
    found = Explorer(sampler).directions
    assert found.shape == (6, LATENT)
    alike = np.abs((found / np.linalg.norm(found, axis=1, keepdims=True)) @ right[:, :6])
    assert (np.diag(alike) > 0.97).all()
    # z is normal: one deviation of what a direction does is one step along it.
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=0.1)


def test_the_directions_of_codes_are_their_principal_components():
    sampler, _ = linear(code=True)
    found = Explorer(sampler).directions
    assert (np.abs(found).argmax(axis=1) == np.arange(6)).all()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), SPREADS[:6], rtol=0.1)


@pytest.mark.parametrize("code", [False, True])
def test_an_unmoved_sample_is_that_of_the_seed_and_a_way_has_its_ends(code):
    explorer = Explorer(linear(code)[0])
    here, there = explorer.at(3), explorer.at(4, [0.5, -1])
    assert np.array_equal(explorer.image(here), explorer.sampler(1, 3))
    assert not np.array_equal(explorer.image(there), explorer.sampler(1, 4))
    for t, end in ((0, here), (1, there)):
        np.testing.assert_allclose(
            explorer.image(explorer.between(here, there, t)), explorer.image(end), atol=1e-4
        )
    assert np.array_equal(explorer.image(explorer.at(3, shift=2.0)), explorer.sampler(1, 3, shift=2.0))


def test_a_model_of_points_has_nothing_to_look_at():
    sampler, _ = linear()
    sampler.fields = Fields({"point": Field("point", (2,))})
    with pytest.raises(MiniganError, match="linear made no images"):
        Explorer(sampler)


def test_a_model_without_noise_has_nothing_to_play_with():
    sampler, _ = linear()
    sampler.model.module.make = lambda x: x
    with pytest.raises(MiniganError, match="of no noise z, and nothing of pictures"):
        Explorer(sampler)


# Drawing


def test_a_stroke_leaves_the_colours_of_the_paints_alone():
    paints = paints_of("facades", 3)
    canvas = Canvas(3, 32, paints)
    canvas.stroke((2.5, 3.5), (28.9, 20.1), "roof", 5)
    colours = {tuple(colour) for colour in canvas.pixels.reshape(3, -1).T.tolist()}
    assert colours == {paints["cloud" if canvas.blank == "cloud" else canvas.blank], paints["roof"]}
    assert tuple(canvas.pixels[:, 3, 2]) == tuple(canvas.pixels[:, 20, 28]) == paints["roof"]
    canvas.clear()
    assert (canvas.pixels == np.array(paints[canvas.blank])[:, None, None]).all()


@pytest.mark.parametrize("width", [1, 2, 3, 4, 7])
def test_a_dot_is_as_wide_as_the_pen(width):
    canvas = Canvas(1, 16, paints_of("edges:mnist", 1))
    canvas.stroke((8, 8), (8, 8), "black", width)
    drawn = canvas.pixels[0] == 0
    assert drawn.any(axis=0).sum() == drawn.any(axis=1).sum() == width


def test_outlines_are_drawn_in_black_on_white_and_may_leave_the_picture():
    canvas = Canvas(1, 16, paints_of("edges:mnist", 1))
    canvas.stroke((-4, 8), (40, 8), "black", 1)
    assert (canvas.pixels[0, 8] == 0).all()
    assert (np.delete(canvas.pixels[0], 8, axis=0) == 255).all()


def test_a_large_picture_is_shown_smaller():
    _, _, data = _address(Image.new("L", (3200, 800))).partition("base64,")
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (1600, 400)


# Bad input


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of two steps: of a model from noise, and of one of pictures."""
    folder = tmp_path_factory.mktemp("runs")
    console = Console(file=io.StringIO())
    for name, small in (("cgan", {"latent": 8}), ("pix2pix", {})):
        cfg = model_named(name).Config(steps=2, batch_size=4, width=4, **small)
        training.train(name, Options(data=model_named(name).data), cfg, folder / name, console)
    return folder


def test_a_port_in_use_is_said_in_a_sentence(runs, capsys):
    pytest.importorskip("nicegui")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["play", str(runs / "cgan"), "--port", str(port)]) == 2
        assert f"there is no room at port {port}" in capsys.readouterr().err


def test_a_missing_package_and_a_missing_run_are_said_in_a_sentence(runs, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "nicegui", None)
    assert main(["play", str(runs / "cgan")]) == 2
    assert "pip install 'minigan[play]'" in capsys.readouterr().err
    assert main(["play", str(runs / "none")]) == 2


# In a browser


@contextlib.contextmanager
def served(run):
    """The address of the page of a run, served by the command."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "minigan", "play", str(run), "--no-open", f"--port={port}"]
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "NICEGUI"))}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", env=ours)
    try:
        assert process.stdout.readline() == f"http://127.0.0.1:{port}, until Ctrl-C\n"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        finally:
            process.stdout.close()


@pytest.fixture
def tab(chromium):
    pytest.importorskip("nicegui")
    opened = []

    def of(address, **how):
        opened.append(chromium.open(address, **how))
        return opened[-1]

    yield of
    for one in opened:
        assert one.errors == []
        assert all(url.startswith(("http://127.0.0.1", "data:", "blob:")) for url in one.requests)


def until(found, wanted, patience=30):
    """Wait until found() is as wanted."""
    deadline = time.monotonic() + patience
    while not np.array_equal(seen := found(), wanted):
        assert time.monotonic() < deadline, f"{seen} is not {wanted}"
        time.sleep(0.05)


def pixels(tab, selector):
    """The pixels (H, W) or (H, W, 3) of the picture in an element; None before there is one."""
    source = tab.run(f"document.querySelector('{selector} img')?.src") or ""
    head, _, data = source.partition("base64,")
    return (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) if head.startswith("data:image") else None
    )


@pytest.mark.slow
def test_the_picture_of_a_seed_is_that_of_sample(runs, tab, tmp_path):
    sampler = Sampler.of(Run.open(runs / "cgan"))

    def of_seed(seed, **asked):
        return as_pixels(sampler(1, seed, **asked))[0, ..., 0]

    assert (
        main(["sample", str(runs / "cgan"), "--n", "1", "--seed", "1", f"--out={tmp_path / 'one.npz'}"]) == 0
    )
    with np.load(tmp_path / "one.npz") as written:
        assert np.array_equal(as_pixels(written["samples"])[0, ..., 0], of_seed(1))
    with served(runs / "cgan") as address:
        page = tab(address)
        until(lambda: pixels(page, ".sample"), of_seed(0))
        page.click(".next")
        until(lambda: pixels(page, ".sample"), of_seed(1))
        page.run("document.querySelector('.seeds .q-slider__track-container').focus()")
        page.press("ArrowRight")
        until(lambda: pixels(page, ".sample"), of_seed(2))
        page.click(".pin-A")
        page.run("document.querySelector('.move-1 .q-slider__track-container').focus()")
        page.press("ArrowRight")
        moved = Explorer(sampler)
        until(
            lambda: pixels(page, ".sample"), as_pixels(moved.image(moved.at(2, [0.1] + [0] * 5)))[0, ..., 0]
        )
        page.click(".pin-B")
        until(lambda: pixels(page, ".way") is not None, True)


@pytest.mark.slow
def test_what_is_drawn_becomes_what_the_model_makes_of_it(runs, tab, tmp_path):
    sampler = Sampler.of(Run.open(runs / "pix2pix"))

    def made_of(given):
        return np.asarray(translate(sampler, given.transpose(2, 0, 1), 0)["G(x)"])

    def answered():
        """Whether what is shown is made of what is on the paper now: a stroke arrives in pieces."""
        return np.array_equal(pixels(page, ".made"), made_of(pixels(page, ".paper")))

    with served(runs / "pix2pix") as address:
        page = tab(address, width=360, touch=True)
        blank = np.full((32, 32, 3), paints_of("facades", 3)["cloud"], np.uint8)
        until(lambda: pixels(page, ".paper") is not None, True)
        blank = pixels(page, ".paper")
        until(lambda: pixels(page, ".made"), made_of(blank))
        page.click(".paint-roof")
        x, y = page.middle(".paper")
        for kind, across in (
            ("mousePressed", 0),
            ("mouseMoved", 40),
            ("mouseMoved", 60),
            ("mouseReleased", 60),
        ):
            page.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=x + across,
                y=y,
                button="left",
                buttons=1,
                clickCount=1,
            )
        until(
            lambda: (pixels(page, ".paper") == paints_of("facades", 3)["roof"]).all(axis=2).sum() >= 5, True
        )
        until(answered, True)
        assert not np.array_equal(pixels(page, ".paper"), blank)
        page.click(".example")
        until(lambda: len(np.unique(pixels(page, ".paper").reshape(-1, 3), axis=0)) > 4, True)
        until(answered, True)
        wide = page.run("document.documentElement.scrollWidth")
        assert wide <= 360
        # A photograph of any size, chosen as a person would.
        photo = Generator(0).integers(0, 256, (21, 37, 3)).astype(np.uint8)
        Image.fromarray(photo).save(tmp_path / "photo.png")
        root = page.call("DOM.getDocument")["root"]["nodeId"]
        box = page.call("DOM.querySelector", nodeId=root, selector=".drop input[type=file]")["nodeId"]
        page.call("DOM.setFileInputFiles", files=[str(tmp_path / "photo.png")], nodeId=box)
        until(lambda: pixels(page, ".made"), made_of(photo))
