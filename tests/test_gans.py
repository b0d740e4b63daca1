"""The models: shapes, ranges, first weights; who is trained by what; settings that are refused."""

import ast
import dataclasses
import inspect
import math
from itertools import chain, islice, pairwise, product

import numpy as np
import pytest

import minigan_kernels as kernels
from minigan import Generator, MiniganError, Tensor, grad, nn, no_grad
from minigan.bench.minigan_side import channels_last, critic, critic_step
from minigan.data import Batches, Dataset
from minigan.gans import MODELS, dcgan, gan, model_named
from minigan.optim import Adam

each_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)

POINTS, IMAGES = (2,), (1, 16, 16)
TINY = {gan: {"latent": 3}, dcgan: {"latent": 3, "width": 2}}
QUICK = {gan: POINTS, dcgan: IMAGES}  # gan's networks for images are of a fixed, large width


def name_of(value):
    return value.__name__.rpartition(".")[2] if inspect.ismodule(value) else str(value)


def config(model, **settings):
    return model.Config(**TINY[model], batch_size=4, **settings)


def batches(shape, seed=0):
    rng = Generator(seed)
    while True:
        yield rng.uniform((4, *shape), -1, 1)


class Game:
    """A model in training, on random data."""

    def __init__(self, model, shape=None, seed=0, data=None, **settings):
        cfg, rng, shape = config(model, **settings), Generator(seed), shape or QUICK[model]
        self.G, self.D = model.networks(cfg, shape, rng)
        self.opt_g, self.opt_d = model.optimizers(cfg, self.G, self.D)
        self.loop = model.train(self.G, self.D, self.opt_g, self.opt_d, data or batches(shape), rng, cfg)

    def play(self, steps):
        return list(islice(self.loop, steps))

    def weights(self):
        """Copies of the parameters, of G and of D."""
        return [[p.numpy().copy() for p in net.parameters()] for net in (self.G, self.D)]

    def state(self):
        return {**self.G.state_dict(), **{f"D.{k}": a for k, a in self.D.state_dict().items()}}


@each_model
def test_every_model_has_the_public_parts(model):
    parts = {"Config", "default_size", "networks", "optimizers", "noise", "train"}
    assert {name for name in parts if callable(getattr(model, name, None))} == parts
    assert model.__doc__.partition("\n")[0].endswith(".")


# Networks


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (gan, POINTS),
        *((gan, (channels, size, size)) for channels, size in product((1, 3), (16, 32, 64))),
        *((dcgan, (channels, size, size)) for channels, size in product((1, 3), (16, 32, 64))),
    ],
    ids=name_of,
)
def test_shapes_of_what_the_networks_make(model, shape):
    cfg = config(model)
    G, D = model.networks(cfg, shape, Generator(0))
    z = model.noise(cfg, 5, Generator(1))
    fake = G(z)
    assert (z.shape, fake.shape, D(fake).shape) == ((5, 3), (5, *shape), (5, 1))
    assert {t.dtype for t in (z, fake, D(fake))} == {np.dtype(np.float32)}


@each_model
def test_images_reach_and_keep_the_range_of_the_data(model):
    cfg = config(model)
    G, _ = model.networks(cfg, IMAGES, Generator(0))
    for p in G.parameters():
        p.data *= 100
    fake = G(model.noise(cfg, 5, Generator(1))).numpy()
    assert 0.99 < fake.max() <= 1
    assert -1 <= fake.min() < -0.99


def test_points_have_no_bounds():
    G, _ = gan.networks(config(gan), POINTS, Generator(0))
    for p in G.parameters():
        p.data *= 100
    assert np.abs(G(gan.noise(config(gan), 5, Generator(1))).numpy()).max() > 10


def test_first_weights_of_dcgan():
    G, D = dcgan.networks(dcgan.Config(width=16, latent=20), (3, 32, 32), Generator(0))
    layers = [m for net in (G, D) for m in net.modules() if m.parameters() and m not in (G, D)]
    convs = [m for m in layers if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    norms = [m for m in layers if isinstance(m, nn.BatchNorm2d)]
    assert (len(convs), len(norms)) == (8, 5)
    for conv in convs:
        assert conv.weight.numpy().std() == pytest.approx(0.02, rel=0.1)
        assert conv.weight.numpy().mean() == pytest.approx(0, abs=0.002)
    scales = np.concatenate([m.weight.numpy() for m in norms])
    assert (scales.mean(), scales.std()) == (pytest.approx(1, abs=0.005), pytest.approx(0.02, rel=0.2))
    assert all((m.bias.numpy() == 0).all() for m in layers if m.bias is not None)


def test_dcgan_normalises_all_but_the_output_of_g_and_the_ends_of_d():
    G, D = dcgan.networks(config(dcgan), (1, 32, 32), Generator(0))
    normalised = [
        isinstance(after, nn.BatchNorm2d)
        for net in (G, D)
        for layer, after in pairwise(net)
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    ]
    assert normalised == [True, True, True, False, False, True, True, False]


@each_model
def test_the_generator_decides_weights_and_noise(model):
    def drawn(seed):
        rng = Generator(seed)
        G, _ = model.networks(config(model), QUICK[model], rng)
        return G(model.noise(config(model), 3, rng)).numpy()

    np.testing.assert_array_equal(drawn(0), drawn(0))
    assert not np.array_equal(drawn(0), drawn(1))


@each_model
def test_both_networks_are_trained_by_adam_with_the_settings(model):
    game = Game(model, lr=0.003, beta1=0.4, beta2=0.7)
    for opt, net in ((game.opt_g, game.G), (game.opt_d, game.D)):
        assert type(opt).__name__ == "Adam"
        assert (opt.lr, opt.beta1, opt.beta2) == (0.003, 0.4, 0.7)
        assert set(opt.params) == set(net.parameters())


# The game


@pytest.mark.parametrize(("model", "shape"), [(gan, POINTS), (gan, IMAGES), (dcgan, IMAGES)], ids=name_of)
def test_a_few_steps_change_every_parameter(model, shape):
    game = Game(model, shape)
    before = game.weights()
    for metrics in game.play(2):
        assert set(metrics) == {"d_loss", "g_loss", "d_real", "d_fake"}
        assert all(type(value) is float and math.isfinite(value) for value in metrics.values())
        assert 0 < metrics["d_real"] < 1
        assert 0 < metrics["d_fake"] < 1
    for old, new in zip(chain(*before), chain(*game.weights()), strict=True):
        assert np.isfinite(new).all()
        assert not np.array_equal(old, new)


@each_model
@pytest.mark.parametrize("frozen", ["opt_g", "opt_d"])
def test_each_optimiser_moves_its_own_network_alone(model, frozen):
    game = Game(model)
    getattr(game, frozen).lr = 0.0
    before = game.weights()
    game.play(2)
    moved = [not all(map(np.array_equal, old, new)) for old, new in zip(before, game.weights(), strict=True)]
    assert moved == [frozen != "opt_g", frozen != "opt_d"]


@each_model
@pytest.mark.parametrize(
    ("frozen", "metric", "sign"),
    [
        ("opt_g", "d_loss", -1),
        ("opt_g", "d_real", 1),
        ("opt_g", "d_fake", -1),
        ("opt_d", "g_loss", -1),
        ("opt_d", "d_fake", 1),
    ],
)
def test_a_player_whose_opponent_stands_still_gets_better(model, frozen, metric, sign):
    game = Game(model, data=iter([next(batches(QUICK[model]))] * 20), lr=5e-3)
    getattr(game, frozen).lr = 0.0
    values = [metrics[metric] for metrics in game.play(20)]
    assert sign * (np.mean(values[-3:]) - np.mean(values[:3])) > 0.04


@each_model
def test_the_loss_of_d_does_not_reach_g(model, monkeypatch):
    game = Game(model)
    seen = []

    def spy(loss, params):
        reached = grad(loss, game.G.parameters(), allow_unused=True)
        seen.append((params is game.opt_d.params, any(g is not None for g in reached)))
        return grad(loss, params)

    monkeypatch.setattr(model, "grad", spy)
    game.play(2)
    assert seen == [(True, False), (False, True)] * 2


@each_model
def test_nothing_is_left_in_the_gradients_of_the_parameters(model):
    game = Game(model)
    game.play(1)
    assert all(p.grad is None for net in (game.G, game.D) for p in net.parameters())


def test_a_step_normalises_real_and_generated_images_apart():
    game = Game(dcgan)
    game.play(1)
    moved = [m for m in game.D.modules() if isinstance(m, nn.BatchNorm2d)]
    assert moved
    for layer in moved:  # once with real images, and twice with fakes
        assert layer.running_mean.version == 3


@each_model
def test_the_seed_decides_every_bit(model):
    first, again, other = (Game(model, seed=seed) for seed in (0, 0, 1))
    assert first.play(3) == again.play(3) != other.play(3)
    for name, array in first.state().items():
        np.testing.assert_array_equal(array, again.state()[name])


@each_model
def test_training_ends_with_the_data(model):
    assert len(Game(model, data=islice(batches(QUICK[model]), 2)).play(5)) == 2


@each_model
def test_a_trained_generator_works_in_evaluation(model):
    game = Game(model)
    game.play(1)
    z = Tensor(Generator(1).normal((1, 3)))
    with no_grad():
        made = game.G.eval()(z)
    assert made.shape == (1, *QUICK[model])
    assert np.isfinite(made.numpy()).all()


# Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, 0) for name in ("steps", "latent")),
        *(("batch_size", n) for n in (0, 1)),  # batch norm needs two
        *((name, -1e-3) for name in ("lr", "beta1", "beta2")),
        *((name, 1.0) for name in ("beta1", "beta2")),
        ("lr", math.nan),
    ],
)
@each_model
def test_a_setting_out_of_range_is_refused(model, name, value):
    with pytest.raises(MiniganError, match=f"^{name} must be .*, got {value}$"):
        model.Config(**{name: value})


@pytest.mark.parametrize(("model", "name"), [(gan, "size"), (dcgan, "width")], ids=name_of)
def test_a_width_below_one_is_refused(model, name):
    with pytest.raises(MiniganError, match=f"{name} must be at least 1, got 0"):
        model.Config(**{name: 0})


@each_model
def test_settings_do_not_change(model):
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.Config().lr = 1.0


@pytest.mark.parametrize("shape", [(2,), (1, 28, 28), (1, 8, 8), (1, 16, 32), (3, 128, 128)], ids=str)
def test_dcgan_refuses_what_is_no_image_of_its_sizes(shape):
    with pytest.raises(MiniganError, match=r"dcgan makes images of \(16, 32, 64\) pixels a side, not "):
        dcgan.networks(config(dcgan), shape, Generator(0))


@pytest.mark.parametrize(
    ("model", "pixels", "size"),
    [(gan, 8, 8), (gan, 28, 28)]
    + [
        (dcgan, n, size) for n, size in ((8, 16), (16, 16), (17, 32), (28, 32), (33, 64), (64, 64), (200, 64))
    ],
)
def test_default_size(model, pixels, size):
    assert model.default_size(pixels) == size


@each_model
def test_every_setting_has_a_help_text(model):
    """The command line reads it from the source: a string under the field."""
    body = next(
        node.body
        for node in ast.parse(inspect.getsource(model)).body
        if isinstance(node, ast.ClassDef) and node.name == "Config"
    )
    helped = {
        field.target.id
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and str(text.value.value).endswith(".")
    }
    assert helped == {field.name for field in dataclasses.fields(model.Config)}


def test_models_are_found_by_name():
    assert {name: model_named(name) for name in MODELS} == MODELS


@pytest.mark.parametrize(
    ("name", "hint"), [("dcgna", "did you mean 'dcgan'?"), ("xyz", f"there are: {', '.join(sorted(MODELS))}")]
)
def test_an_unknown_model_gets_a_hint(name, hint):
    with pytest.raises(MiniganError) as error:
        model_named(name)
    assert str(error.value) == f"unknown model {name!r}; {hint}"


def test_a_dcgan_step_moves_no_image_into_another_memory_order():
    images = Dataset("noise", np.random.default_rng(0).integers(0, 256, (4, 3, 16, 16), np.uint8))
    game = Game(dcgan, images.shape, data=Batches(images, 4))
    with kernels.engine("cpu"), kernels.layout_copies() as copies:
        game.play(2)
    assert copies == []


def test_a_step_of_a_wgan_gp_critic_moves_no_image_into_another_memory_order():
    cfg, rng = dcgan.Config(latent=3, width=2), Generator(0)
    D = critic(cfg, (3, 16, 16), rng)
    opt = Adam(D.parameters(), 1e-4, (0.0, 0.9))
    real, fake = (Tensor(channels_last(rng.uniform((4, 3, 16, 16), -1, 1))) for _ in range(2))
    u = Tensor(rng.uniform((4, 1, 1, 1)))
    with kernels.engine("cpu"), kernels.layout_copies() as copies:
        for _ in range(2):
            critic_step(D, opt, real, fake, u, 10.0, 1e-12)
    assert copies == []


def test_a_copy_of_images_that_lie_in_order_is_not_counted():
    x, w = (np.ones(shape, np.float32) for shape in ((2, 3, 1, 1), (4, 3, 1, 1)))
    x.flags.writeable = False  # which is copied all the same
    with kernels.engine("cpu"), kernels.layout_copies() as copies:
        kernels.conv2d(x, w, (1, 1), (0, 0), (1, 1), 1)
    assert copies == []


def test_a_copy_for_a_norm_is_counted():
    gy = np.random.default_rng(0).standard_normal((2, 3, 5, 5)).astype(np.float32)
    x = channels_last(gy)
    _, mean, var = kernels.normalize(x, None, None, (0, 2, 3), 1e-5)
    with kernels.engine("cpu"), kernels.layout_copies() as copies:
        kernels.normalize_backward(gy, x, None, None, mean, var, (0, 2, 3), 1e-5)
    assert copies == [x.shape]


def test_a_copy_into_channels_last_memory_is_counted():
    x, w = (np.ones(shape, np.float32) for shape in ((2, 3, 5, 5), (4, 3, 3, 3)))
    with kernels.engine("cpu"), kernels.layout_copies() as copies:
        kernels.conv2d(x, w, (1, 1), (0, 0), (1, 1), 1)
    assert copies == [x.shape, w.shape]
