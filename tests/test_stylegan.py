"""StyleGAN: what its layers promise, styles mixed and truncated, penalties now and then, and walks in w."""

import io
import math
import shutil
from types import SimpleNamespace

import fake_cupy
import numpy as np
import pytest
from rich.console import Console

import minigan_kernels as kernels
from minigan import Generator, Tensor, no_grad, training
from minigan import functional as F
from minigan.cli import main
from minigan.errors import MiniganError
from minigan.gans import model_named
from minigan.gans.noise import stylegan
from minigan.gans.parts import style
from minigan.gans.parts.penalties import path_lengths
from minigan.speed.steps import fields_of
from minigan.testing import check_model
from minigan.training import Options, Sampler, Session, evaluation

MODEL = model_named("stylegan")
SMALL = {"batch_size": 4, "latent": 6, "mapping": 2, "width": 2}
BOTH = pytest.mark.parametrize("synthesis", ["demodulation", "adain"])


def made(shape=(1, 16, 16), **settings):
    cfg = MODEL.Config(**{**SMALL, **settings}).fitted(fields_of(shape))
    return cfg, MODEL.parts(cfg, fields_of(shape), Generator(0))


def drawn(n, *shape, seed=1, dtype=np.float32):
    return Tensor(Generator(seed).normal((n, *shape), dtype=dtype))


# Layers


@BOTH
@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 32, 32), (1, 64, 64)])
def test_two_layers_a_resolution_make_images_of_any_channels(synthesis, shape):
    cfg, parts = made(shape, synthesis=synthesis)
    G, D, rng = parts["G"], parts["D"], Generator(1)
    assert G.layers == 2 * int(math.log2(shape[1] // 2))
    inputs = MODEL.inputs(3, rng, cfg, parts)
    images = MODEL.make({k: Tensor(a) for k, a in inputs.items()}, parts, cfg)["samples"]
    assert images.shape == (3, *shape)
    assert np.abs(images.numpy()).max() <= 1
    assert D(images).shape == (3, 1)


def test_weights_are_drawn_alike_and_scaled_where_they_are_used():
    rng, x = Generator(0), drawn(400, 64)
    for multiplier in (1.0, 0.01):
        layer = style.Linear(64, 256, rng, multiplier=multiplier, slope=0.2)
        assert layer.weight.numpy().std() * multiplier == pytest.approx(1, abs=0.02)
        before = layer(x).numpy()
        assert (before**2).mean() == pytest.approx(1, abs=0.1)  # as of x
        layer.weight.data[...] += 1.0  # as a step of Adam does to all weights alike
        moved = F.leaky_relu(x.sum(axis=1, keepdims=True), 0.2).numpy()
        expected = multiplier * math.sqrt(2 / 64) * moved
        layer.weight.data[...] = 1.0
        np.testing.assert_allclose(layer(x).numpy(), np.tile(expected, (1, 256)), rtol=1e-3, atol=1e-4)
    images = style.Convolution(16, 32, 3, rng)(drawn(8, 16, 20, 20)).numpy()
    assert (images**2).mean() == pytest.approx(1, abs=0.15)
    assert style.Linear(4, 3, rng, bias=1.0, multiplier=0.01)(drawn(1, 4) * 0).tolist() == [[1, 1, 1]]


def test_demodulation_keeps_the_spread_of_the_images_whatever_the_style():
    layer = style.Modulated(32, 24, 8, Generator(0))
    x, noise = drawn(16, 32, 16, 16), drawn(16, 1, 16, 16)
    spreads = []
    for scale in (0.2, 1.0, 30.0):
        layer.affine.bias.data[...] = scale
        inner = layer(x, drawn(16, 8) * scale, noise).numpy()[:, :, 1:-1, 1:-1]
        inner = np.where(inner < 0, inner / 0.2, inner) / math.sqrt(2)  # before the activation and its gain
        spreads.append(inner.std(axis=(0, 2, 3)))
    np.testing.assert_allclose(np.mean(spreads, axis=1), 1, atol=0.03)
    np.testing.assert_allclose(spreads, 1, atol=0.3)


def test_adaptive_instance_norm_gives_each_channel_the_mean_and_the_spread_that_w_asks_for():
    layer, w = style.Adaptive(5, 7, 8, Generator(0)), drawn(3, 8)
    y = layer(drawn(3, 5, 16, 16), w, drawn(3, 1, 16, 16)).numpy()
    spread, mean = np.split(layer.affine(w).numpy(), 2, axis=1)
    np.testing.assert_allclose(y.mean(axis=(2, 3)), mean, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=(2, 3)), np.abs(spread), rtol=1e-3)
    np.testing.assert_array_equal(layer.affine.bias.numpy(), [1] * 7 + [0] * 7)


@BOTH
def test_noise_counts_as_much_as_its_strength(synthesis):
    _, parts = made(synthesis=synthesis)
    G, z = parts["G"], drawn(2, 6)
    a, b = (drawn(2, G.noise_size, seed=seed) for seed in (2, 3))
    np.testing.assert_array_equal(G(z, a).numpy(), G(z, b).numpy())
    G.synthesis.layers[-1].strength.data[:] = 1.0
    assert np.abs(G(z, a).numpy() - G(z, b).numpy()).max() > 0.01


def test_doubling_and_halving_keep_the_brightness():
    x = Tensor(np.ones((1, 2, 8, 8), np.float32))
    np.testing.assert_allclose(style.doubled(x).numpy()[:, :, 2:-2, 2:-2], 1, rtol=1e-6)
    assert style.blurred(x).shape == (1, 2, 9, 9)
    np.testing.assert_allclose(style.blurred(x).numpy()[:, :, 2:-2, 2:-2], 1, rtol=1e-6)


def test_the_deviation_within_a_group_is_a_channel():
    layer = style.MinibatchDeviation()
    same = np.repeat(Generator(0).normal((1, 3, 4, 4)), 8, axis=0)
    np.testing.assert_allclose(layer(Tensor(same)).numpy()[:, 3], 0, atol=1.1e-4)
    np.testing.assert_array_equal(layer(Tensor(same)).numpy()[:, :3], same)
    apart = same + np.float32([1, 0, 1, 0, -1, 0, -1, 0])[:, None, None, None]  # groups are of every other
    plane = layer(Tensor(apart)).numpy()[:, 3]
    np.testing.assert_allclose(plane[::2], 1, rtol=1e-5)
    np.testing.assert_allclose(plane[1::2], 0, atol=1.1e-4)
    assert layer(Tensor(same[:6])).shape == (6, 4, 4, 4)  # in groups of three
    assert layer(Tensor(same[:1])).shape == (1, 4, 4, 4)


def test_the_length_of_z_does_not_count():
    mapping, z = style.Mapping(6, 3, Generator(0)), drawn(5, 6)
    np.testing.assert_allclose(mapping(z).numpy(), mapping(100 * z).numpy(), rtol=1e-4, atol=1e-5)


# Styles


@BOTH
def test_mixing_leaves_the_coarse_layers_of_the_one_and_the_fine_ones_of_the_other(synthesis):
    _, parts = made(synthesis=synthesis)
    G, inside = parts["G"], []
    for layer in G.synthesis.layers:
        layer.register_forward_hook(lambda layer, inputs, output: inside.append(output.numpy()))
    z, other, noise = drawn(3, 6), drawn(3, 6, seed=2), drawn(3, G.noise_size)

    def layers(**how):
        inside.clear()
        image = stylegan.make(noise, G, **how).numpy()
        return [*inside, image]

    fine = Tensor(np.tile(1 - stylegan.coarse_layers("0-2", G.layers), (3, 1)))
    a, b, mixed = layers(z=z), layers(z=other), layers(z=z, other=other, fine=fine)
    for i in range(3):
        np.testing.assert_array_equal(mixed[i], a[i])
    for i in range(3, len(mixed)):
        assert np.abs(mixed[i] - a[i]).max() > 0
        assert np.abs(mixed[i] - b[i]).max() > 0
    for share, expected in ((0, a), (1, b)):
        whole = layers(z=z, other=other, fine=Tensor(np.full((3, G.layers), share, np.float32)))
        np.testing.assert_allclose(whole[-1], expected[-1], atol=1e-4)


def test_layers_cross_at_each_with_equal_chance_and_some_never():
    fine = style.crossover(Generator(0).uniform((20_000, 1)), 6, 0.75).numpy()
    assert {*np.unique(fine)} == {0, 1}
    assert (np.diff(fine, axis=1) >= 0).all()
    shares = np.bincount(fine.sum(axis=1).astype(int), minlength=7) / len(fine)  # by the number of fine ones
    np.testing.assert_allclose(shares, [0.25, 0.15, 0.15, 0.15, 0.15, 0.15, 0], atol=0.012)
    always = style.crossover(np.float32([[0], [1 - 2**-24]]), 6, 1.0).numpy()
    np.testing.assert_array_equal(always, [[0, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1]])


@BOTH
def test_truncation_at_0_is_the_average_image_and_at_1_none(synthesis):
    cfg, parts = made(synthesis=synthesis)
    G, rng = parts["G"], Generator(5)
    G.mapping.average.follow(drawn(4, 6))
    noise = Tensor(rng.normal((1, G.noise_size)).repeat(4, axis=0))

    def images(psi):
        inputs = MODEL.inputs(4, Generator(1), cfg, parts, truncation=psi)
        given = {k: Tensor(a) for k, a in inputs.items()} | {"noise": noise}
        return MODEL.make(given, parts, cfg)["samples"].numpy()

    np.testing.assert_allclose(images(0.0), images(0.0)[:1].repeat(4, axis=0), atol=1e-6)
    w = Tensor(G.mapping.average.mean.numpy()[None])
    np.testing.assert_allclose(images(0.0)[:1], stylegan.make(noise[:1], G, code=w).numpy(), atol=1e-6)
    np.testing.assert_allclose(images(1.0), images(None), atol=1e-5)
    assert np.abs(images(0.5) - images(1.0)).max() > 1e-3


def test_the_average_of_w_follows():
    mean = style.MovingMean((3,), 0.01)
    for _ in range(200):
        mean.follow(Tensor(np.float32([[1, 2, 3], [3, 4, 5]])))
    np.testing.assert_allclose(mean.mean.numpy(), (1 - 0.99**200) * np.float32([2, 3, 4]), rtol=1e-4)
    session = Session("stylegan", Options(), MODEL.Config(**SMALL))
    session.next_step()
    moved = session.parts["G"].mapping.average.mean.numpy().copy()
    assert moved.any()
    assert session.arrays()["G.mapping.average.mean"].tolist() == moved.tolist()


# Penalties


def test_path_lengths_of_a_linear_generator_are_known():
    rng = np.random.default_rng(0)
    matrix, y = rng.normal(size=(2, 5, 16)), rng.normal(size=(3, 1, 4, 4))
    w = Tensor(rng.normal(size=(3, 2, 5)), requires_grad=True)  # two layers

    def images(w):
        return F.reshape(sum(w[:, i] @ Tensor(matrix[i]) for i in range(2)), 3, 1, 4, 4)

    slopes = np.einsum("lkp,np->nlk", matrix, y.reshape(3, 16)) / 4  # √(4 · 4)
    expected = np.sqrt((slopes**2).sum(axis=2).mean(axis=1))
    np.testing.assert_allclose(path_lengths(images, w, Tensor(y)).numpy(), expected, rtol=1e-12)


def test_perceptual_path_lengths_of_a_linear_generator_are_known():
    """Straight in w, between normal ones, a step of ε moves the features by ε · |A (w₁ - w₀)|."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(6, 16)).astype(np.float32) / 100  # images do not reach -1 or 1
    scale = SimpleNamespace(psi=1.0)

    class Linear:
        layers, noise_size = 6, 1

        def mapping(self, z):
            return z * scale.psi

        def styles(self, w, other=None, fine=None):
            return w

        def synthesis(self, w, noise):
            return F.reshape(w @ Tensor(matrix), len(w), 1, 4, 4)

    class Eye:
        def features(self, x):
            return 50 * x.reshape(len(x), -1).astype(np.float64)

        def labels(self, x):
            return (x.mean(axis=(1, 2, 3)) > 0).astype(int)

    cfg = MODEL.Config(latent=6)
    with no_grad():
        found = stylegan.numbers(Generator(0), cfg, Linear(), Eye())
    expected = 2 * 50**2 * (matrix.astype(float) ** 2).sum()
    assert found["path-length-w"] == (pytest.approx(expected, rel=0.1), stylegan.PATHS)
    # Along the circle the pace is the angle times the length: about (π/2)² / 2 as much.
    assert found["path-length-z"][0] == pytest.approx(expected * math.pi**2 / 8, rel=0.15)
    assert found["label-of-coarse"][0] == 1, "Linear mixes nothing"
    assert found["label-of-fine"][0] == 0
    assert stylegan.numbers(Generator(0), cfg, Linear(), None) == {}


def test_penalties_come_every_so_many_steps_and_adam_is_told():
    session = Session("stylegan", Options(), MODEL.Config(**SMALL, r1_every=3, path_weight=2.0, path_every=2))
    said = [session.next_step() for _ in range(9)]
    assert [i for i, seen in enumerate(said, 1) if "r1" in seen] == [3, 6, 9]
    assert [i for i, seen in enumerate(said, 1) if "path_penalty" in seen] == [2, 4, 6, 8]
    opt_g, opt_d = session.parts["opt_g"], session.parts["opt_d"]
    assert (opt_d.steps, opt_g.steps) == (12, 13)
    assert (opt_d.lr, opt_d.beta2) == (pytest.approx(2e-3 * 3 / 4), pytest.approx(0.99 ** (3 / 4)))
    assert (opt_g.lr, opt_g.beta2) == (pytest.approx(2e-3 * 2 / 3), pytest.approx(0.99 ** (2 / 3)))
    _, plain = made(r1=0.0)
    assert (plain["opt_d"].lr, plain["opt_g"].lr) == (2e-3, 2e-3)


@pytest.mark.slow
@BOTH
def test_stylegan_keeps_the_contract(synthesis):
    check_model("stylegan", **SMALL, synthesis=synthesis)


@pytest.mark.slow
def test_stylegan_keeps_the_contract_with_path_lengths_and_without_mixing():
    check_model("stylegan", **SMALL, r1_every=3, path_weight=2.0, path_every=4)
    check_model("stylegan", **SMALL, mixing=0.0, r1=0.0)


@BOTH
@pytest.mark.parametrize("channels", [1, 3])
def test_a_step_moves_no_image_into_another_memory_order(synthesis, channels):
    cfg, parts = made((channels, 16, 16), synthesis=synthesis, r1_every=1)
    real = np.moveaxis(Generator(1).uniform((4, 16, 16, channels), -1, 1), -1, 1)
    with kernels.engine("cpu"), kernels.layout_copies() as copies:
        seen = next(MODEL.train(parts, iter([real]), Generator(2), cfg))
    assert "r1" in seen
    assert copies == []


# On a GPU: a stand-in, whose rules CuPy has


@pytest.mark.slow
@BOTH
def test_captured_steps_draw_anew_and_are_those_of_the_plain_ones(monkeypatch, synthesis):
    """Products and convolutions are one kernel each there, as those of the CUDA engine are."""

    def as_kernel(function):
        def launched(x, *others, **how):
            if isinstance(x, fake_cupy.ndarray):
                return fake_cupy.call(function, x, *others, **how)
            return function(x, *others, **how)

        return launched

    fake_cupy.install(monkeypatch)
    with kernels.engine("reference"):
        reference = kernels.engines.engine_for(np.zeros(1))
        for name in ("matmul", "linear", "conv2d", "conv2d_input", "conv2d_weight"):
            monkeypatch.setattr(reference, name, as_kernel(getattr(reference, name)))
        found = []
        for graph in (False, True):
            cfg = MODEL.Config(**SMALL, synthesis=synthesis, r1_every=2, path_weight=2.0, path_every=2)
            session = Session("stylegan", Options(device="gpu", graph=graph), cfg)
            found.append(([session.next_step() for _ in range(10)], session.arrays(), session.state()))
    assert fake_cupy.state.calls.count("launch") == 7 + 2 + 2  # the first three of each are not captured
    assert found[1][0] == found[0][0]
    assert found[1][2] == found[0][2]
    for name, array in found[0][1].items():
        np.testing.assert_array_equal(found[1][1][name], array, err_msg=name)


def test_its_own_numbers_are_measured_wherever_it_lies(monkeypatch):
    class Eye:
        def features(self, x):
            return x.reshape(len(x), -1)

        def labels(self, x):
            return np.arange(len(x)) % 3

    fake_cupy.install(monkeypatch)
    monkeypatch.setattr(stylegan, "PATHS", 4)
    monkeypatch.setattr(stylegan, "CHUNK", 4)
    known = SimpleNamespace(classifier=Eye())
    monkeypatch.setattr(evaluation, "without_classifier", lambda data: None)
    with kernels.engine("reference"):
        found = []
        for device in ("cpu", "gpu"):
            sampler = Session("stylegan", Options(device=device), MODEL.Config(**SMALL)).sampler
            numbers = evaluation._own_numbers(sampler, 0, known)
            found.append({name: of["value"] for name, of in numbers.items()})
    assert found[0]
    assert found[1] == pytest.approx(found[0], rel=1e-2)  # of short steps, so that rounding counts


# A run, and what a user may ask of it


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    options = Options(checkpoint_every=2, ema=0.9)
    console = Console(file=io.StringIO())
    return training.train("stylegan", options, MODEL.Config(**SMALL, steps=4), path, console)


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return training.Run.open(shutil.copytree(trained.path, "run"))


@pytest.mark.slow
def test_two_seeds_are_mixed_by_their_layers(run):
    assert main(["sample", "run", "--mix=3,8", "--layers=0-2", "--n=5", "--out=mixed.npz"]) == 0
    mixed, sampler = np.load("mixed.npz")["samples"], Sampler.of(run)
    inputs = sampler.inputs(5, Generator(0), mix="3,8", layers="0-2")
    z, other = (Generator(seed).normal((5, 6)) for seed in (3, 8))
    np.testing.assert_array_equal(inputs["z"], z)
    np.testing.assert_array_equal(inputs["other"], other)
    np.testing.assert_array_equal(inputs["fine"], [[0, 0, 0, 1, 1, 1]] * 5)
    np.testing.assert_allclose(sampler.make(inputs)["samples"], mixed, atol=1e-6)
    half = sampler.inputs(5, Generator(0), mix="3,8")
    np.testing.assert_array_equal(half["fine"], inputs["fine"])
    assert main(["sample", "run", "--mix=3,8", "--layers=5", "--truncation=0.7", "--n=5"]) == 0


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("--mix=3,8 --layers=0-6", "the generator has layers 0-5, --layers asks for '0-6'"),
        ("--mix=3,8 --layers=4-2", "the generator has layers 0-5, --layers asks for '4-2'"),
        ("--mix=3,8 --layers=all", "the generator has layers 0-5, --layers asks for 'all'"),
        ("--mix=3,8 --layers=-1", "the generator has layers 0-5, --layers asks for '-1'"),
        ("--layers=0-2", "layers are those of --mix SEED,SEED, which is not given"),
        ("--mix=3", "--mix takes two seeds, as in 3,8, got '3'"),
        ("--mix=3,b", "--mix takes two seeds, as in 3,8, got '3,b'"),
        (f"--mix=3,{2**64}", "--mix takes two seeds"),
        ("--truncation=much", "--truncation takes a value of the kind float, got 'much'"),
    ],
)
def test_what_cannot_be_mixed_is_told_in_a_sentence(run, capsys, asked, says):
    assert main(["sample", "run", *asked.split()]) == 2
    assert says in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"mixing": 1.5}, "mixing is a share, from 0 to 1, got 1.5"),
        ({"synthesis": "adaine"}, "did you mean 'adain'"),
        ({"size": 8}, r"size cannot be 8; there are: \(16, 32, 64\)"),
        ({"r1_every": 0}, "r1_every must be at least 1"),
        ({"path_weight": -1.0}, "path_weight must be at least 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, says):
    with pytest.raises(MiniganError, match=says):
        MODEL.Config(**settings)


def test_walks_go_straight_through_w_and_if_asked_through_z(run):
    sampler = Sampler.of(run)
    ends = sampler.inputs(4, Generator(0))
    w, noise = sampler.code(ends)["code"], ends["noise"]
    straight = training.interpolate(sampler, 2, 3)
    middle = sampler.make({"code": (w[:2] + w[2:]) / 2, "noise": noise[:2]})["samples"]
    np.testing.assert_allclose(straight[:, 1], middle, atol=1e-5)
    np.testing.assert_allclose(straight[:, 0], sampler.make(ends)["samples"][:2], atol=1e-5)
    bent = training.interpolate(sampler, 2, 3, kind="linear")
    z = (ends["z"][:2] + ends["z"][2:]) / 2
    np.testing.assert_allclose(bent[:, 1], sampler.make({"z": z, "noise": noise[:2]})["samples"], atol=1e-5)
    assert main(["interpolate", "run", "--n=2", "--steps=3", "--kind=spherical", "--out=walk.png"]) == 0


def test_the_page_shows_mixed_styles_and_walks_in_w(trained):
    page = trained.page.read_text(encoding="utf-8")
    assert "Styles mixed: layers 0 to 2, the coarse ones" in page
    assert "ψ = 1, 0.7, 0.5, 0, -0.5" in page
    assert "straight through its code" in page


@pytest.mark.slow
def test_an_evaluation_has_path_lengths_by_the_classifier_of_the_data(run, monkeypatch):
    class Known:
        def __init__(self):
            self.facts = {"accuracy": 0.5, "hash": "none", "data": "digits"}

        def features(self, images):
            return images.reshape(len(images), -1)[:, :64]

        def labels(self, images):
            return np.arange(len(images)) % 7 + (images[:, 0, 0, 0] > 0)

        def logits_of(self, features):
            return features[:, :10]

    monkeypatch.setattr("minigan.metrics.evaluation_data.classifier_for", lambda *args, **how: Known())
    how = {"names": ["label-modes"], "n": 20, "draws": 1, "say": lambda line: None}
    rows = training.evaluate_run(run, **how)[0]["metrics"]
    assert {"path-length-z", "path-length-w"} <= rows.keys()
    assert rows["path-length-w"]["n"] == stylegan.PATHS
