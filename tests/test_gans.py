"""The models: shapes, ranges, first weights; who is trained by what; settings that are refused."""

import math
from itertools import chain, islice, pairwise, product

import numpy as np
import pytest

import minigan_kernels as kernels
from minigan import Generator, MiniganError, Tensor, grad, nn, no_grad
from minigan.data import Batches, Dataset, Field, Fields
from minigan.gans import Model, model_named, model_names
from minigan.gans.parts.conditioning import join
from minigan.gans.parts.packing import pack
from minigan.speed.minigan_side import channels_last
from minigan.speed.steps import fields_of
from minigan.training.session import numbers_of

MODELS = {name: model_named(name) for name in ("gan", "dcgan", "cgan", "wgan-gp")}
gan, dcgan, cgan, wgan_gp = MODELS.values()
each_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)

POINTS, IMAGES = (2,), (1, 16, 16)
SMALL = {"latent": 3, "width": 2}
TINY = {gan: {"latent": 3}, dcgan: SMALL, cgan: SMALL, wgan_gp: SMALL}
QUICK = {gan: POINTS, dcgan: IMAGES, cgan: IMAGES, wgan_gp: POINTS}  # gan's networks for images are large
LOSSES = {
    wgan_gp: {"d_loss", "g_loss", "d_real", "d_fake", "wasserstein", "penalty"},
    **{model: {"d_loss", "g_loss", "d_real", "d_fake"} for model in (gan, dcgan, cgan)},
}
CLASSES = 4


def name_of(value):
    return value.name if isinstance(value, Model) else str(value)


def fields(shape, classes=CLASSES):
    kind = "image" if len(shape) == 3 else "point"
    return Fields({kind: Field(kind, shape), "label": Field("label", (), classes)})


def config(model, shape=None, **settings):
    cfg = model.Config(**TINY[model], **{"batch_size": 4, **settings})
    return cfg.fitted(fields(shape or QUICK[model]))


def networks(model, cfg, shape, seed=0):
    """(G, D)."""
    parts = model.parts(cfg, fields(shape), Generator(seed))
    return parts["G"], parts["D"]


def batches(model, shape, n=4, seed=0):
    rng = Generator(seed)
    while True:
        real = channels_last(rng.uniform((n, *shape), -1, 1))
        yield (real, rng.integers(0, CLASSES, n)) if model.labelled else real


def inputs(model, cfg, n, rng):
    """What G takes: noise and, if it is conditional, labels."""
    return [Tensor(array) for array in model.inputs(n, rng, cfg).values()]


class Game:
    """A model in training, on random data."""

    def __init__(self, model, shape=None, seed=0, data=None, **settings):
        shape = shape or QUICK[model]
        self.model, self.cfg, rng = model, config(model, shape, **settings), Generator(seed)
        self.parts = model.parts(self.cfg, fields(shape), rng)
        self.G, self.D, self.opt_g, self.opt_d = (self.parts[name] for name in ("G", "D", "opt_g", "opt_d"))
        data = data or batches(model, shape, self.cfg.samples)
        self.loop = model.train(self.parts, data, rng, self.cfg)

    def play(self, steps):
        """The numbers of each step."""
        return [numbers_of(seen, self.model.is_critic(self.cfg))[0] for seen in islice(self.loop, steps)]

    def weights(self):
        """Copies of the parameters, of G and of D."""
        return [[p.numpy().copy() for p in net.parameters()] for net in (self.G, self.D)]

    def state(self):
        return {**self.G.state_dict(), **{f"D.{k}": a for k, a in self.D.state_dict().items()}}


@each_model
def test_every_model_has_the_public_parts(model):
    parts = {"Config", "parts", "inputs", "make", "judge", "train"}
    assert {name for name in parts if callable(getattr(model.module, name, None))} == parts
    assert model.summary.endswith(".")
    game = Game(model)
    assert list(game.parts) == ["G", "D", "opt_g", "opt_d"]
    assert list(model.makers(game.parts)) == ["G"]


# Networks


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "shape"),
    [
        *((model, POINTS) for model in (gan, cgan, wgan_gp)),
        *((model, (c, size, size)) for model, c, size in product(MODELS.values(), (1, 3), (16, 32, 64))),
        (gan, (1, 28, 28)),
    ],
    ids=name_of,
)
@pytest.mark.parametrize("packed", [1, 2])
def test_shapes_of_what_the_networks_make(model, shape, packed):
    cfg = config(model, shape, pack=packed)
    parts = model.parts(cfg, fields(shape), Generator(0))
    given = {name: Tensor(array) for name, array in model.inputs(6, Generator(1), cfg).items()}
    assert list(given) == (["z", "labels"] if model.labelled else ["z"])
    made = model.make(given, parts, cfg)
    assert list(made) == ["samples"]
    z, fake = given["z"], made["samples"]
    judged = model.call("judge", **parts, **given, x=fake)
    assert (z.shape, fake.shape, judged.shape) == ((6, 3), (6, *shape), (6 // packed, 1))
    assert {t.dtype for t in (z, fake, judged)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("packed", [1, 2])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 5, 5)], ids=str)
def test_shapes_of_the_networks_of_the_cgan_paper(shape, packed):
    cfg = config(cgan, shape, pack=packed, net="mlp")
    assert cfg.size == shape[1]
    G, D = networks(cgan, cfg, shape)
    z, labels = inputs(cgan, cfg, 6, Generator(1))
    assert (G(z, labels).shape, D(G(z, labels), labels).shape) == ((6, *shape), (6 // packed, 1))
    assert [w.shape for name, w in G.named_parameters() if name.endswith("weight")] == [
        (200, 3),
        (1000, CLASSES),
        (1200, 1200),
        (math.prod(shape), 1200),
    ]


@pytest.mark.parametrize("packed", [1, 2])
def test_the_networks_of_the_pacgan_paper(packed):
    cfg = config(gan, pack=packed, net="pacgan")
    G, D = networks(gan, cfg, POINTS)
    assert [p.shape for p in D.parameters() if p.ndim == 2] == [
        (1000, 2 * packed),
        (1000, 200),
        (1000, 200),
        (1, 200),
    ]
    assert [p.shape for p in G.parameters() if p.ndim == 2] == [(400, 3), *[(400, 400)] * 3, (2, 400)]
    assert G[3].weight.numpy().std() == pytest.approx(0.02, rel=0.05)
    with pytest.raises(MiniganError, match="'pacgan' is for points of the plane, not for samples of shape"):
        networks(gan, cfg, IMAGES)


@each_model
def test_images_reach_and_keep_the_range_of_the_data(model):
    cfg = config(model, IMAGES)
    G, _ = networks(model, cfg, IMAGES)
    for p in G.parameters():
        p.data *= 100
    fake = G(*inputs(model, cfg, 5, Generator(1))).numpy()
    assert 0.99 < fake.max() <= 1
    assert -1 <= fake.min() < -0.99


def test_points_have_no_bounds():
    G, _ = networks(gan, config(gan), POINTS)
    for p in G.parameters():
        p.data *= 100
    assert np.abs(G(*inputs(gan, config(gan), 5, Generator(1))).numpy()).max() > 10


def test_first_weights_of_dcgan():
    G, D = networks(dcgan, dcgan.Config(width=16, latent=20), (3, 32, 32))
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
    G, D = networks(dcgan, config(dcgan), (1, 32, 32))
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
        G = model.parts(config(model), fields(QUICK[model]), rng)["G"]
        return G(*inputs(model, config(model), 3, rng)).numpy()

    np.testing.assert_array_equal(drawn(0), drawn(0))
    assert not np.array_equal(drawn(0), drawn(1))


@each_model
def test_both_networks_are_trained_by_adam_with_the_settings(model):
    game = Game(model, lr=0.003, lr_d=0.001, beta1=0.4, beta2=0.7)
    for opt, net, lr in ((game.opt_g, game.G, 0.003), (game.opt_d, game.D, 0.001)):
        assert type(opt).__name__ == "Adam"
        assert (opt.lr, opt.beta1, opt.beta2) == (lr, 0.4, 0.7)
        assert set(opt.params) == set(net.parameters())


def test_d_learns_as_fast_as_g_where_nothing_else_is_said():
    assert gan.Config(lr=0.003).rates == (0.003, 0.003)
    assert dcgan.Config(lr_d=None).rates == (dcgan.Config().lr,) * 2


# The game


PLAYED = [*QUICK.items(), (gan, IMAGES), (cgan, POINTS), (wgan_gp, IMAGES)]


@pytest.mark.parametrize(("model", "shape"), PLAYED, ids=name_of)
def test_a_few_steps_change_every_parameter(model, shape):
    game = Game(model, shape)
    before = game.weights()
    for metrics in game.play(2):
        assert set(metrics) == LOSSES[model]
        assert all(type(value) is float and math.isfinite(value) for value in metrics.values())
        if not model.is_critic(game.cfg):
            assert all(0 < metrics[name] < 1 for name in ("d_real", "d_fake"))
    old, new = (list(chain(*weights)) for weights in (before, game.weights()))
    assert all(np.isfinite(a).all() for a in new)
    still = [i for i, (a, b) in enumerate(zip(old, new, strict=True)) if np.array_equal(a, b)]
    # To a critic's loss, a difference, its last bias is nothing.
    assert still == ([len(old) - 1] if model is wgan_gp else [])


@each_model
@pytest.mark.parametrize("frozen", ["opt_g", "opt_d"])
def test_each_optimiser_moves_its_own_network_alone(model, frozen):
    game = Game(model)
    getattr(game, frozen).lr = 0.0
    before = game.weights()
    game.play(2)
    moved = [not all(map(np.array_equal, old, new)) for old, new in zip(before, game.weights(), strict=True)]
    assert moved == [frozen != "opt_g", frozen != "opt_d"]


BETTER = [
    ("opt_g", "d_loss", -1),
    ("opt_g", "d_real", 1),
    ("opt_g", "d_fake", -1),
    ("opt_g", "wasserstein", 1),
    ("opt_d", "g_loss", -1),
    ("opt_d", "d_fake", 1),
    ("opt_d", "wasserstein", -1),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "frozen", "metric", "sign"),
    [
        (model, *row)
        for model in MODELS.values()
        for row in BETTER
        # Of what a critic says only differences count.
        if row[1] in LOSSES[model] and not (model.is_critic(config(model)) and row[1] in ("d_real", "d_fake"))
    ],
    ids=name_of,
)
def test_a_player_whose_opponent_stands_still_gets_better(model, frozen, metric, sign):
    steps = 20 * getattr(config(model), "n_critic", 1)
    game = Game(model, data=iter([next(batches(model, QUICK[model]))] * steps), lr=5e-3, lr_d=5e-3)
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

    critic_steps = getattr(config(model), "n_critic", 1)
    monkeypatch.setattr(model.module, "grad", lambda *args, **how: grad(*args, **how) if how else spy(*args))
    game.play(2)
    assert seen == [*[(True, False)] * critic_steps, (False, True)] * 2


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


@pytest.mark.slow
@each_model
def test_the_seed_decides_every_bit(model):
    first, again, other = (Game(model, seed=seed) for seed in (0, 0, 1))
    assert first.play(3) == again.play(3) != other.play(3)
    for name, array in first.state().items():
        np.testing.assert_array_equal(array, again.state()[name])


@each_model
def test_training_ends_with_the_data(model):
    given = 2 * getattr(config(model), "n_critic", 1)
    assert len(Game(model, data=islice(batches(model, QUICK[model]), given)).play(5)) == 2


@each_model
def test_a_trained_generator_works_in_evaluation(model):
    game = Game(model)
    game.play(1)
    with no_grad():
        made = game.G.eval()(*inputs(model, config(model), 1, Generator(1)))
    assert made.shape == (1, *QUICK[model])
    assert np.isfinite(made.numpy()).all()


# What networks are told


def test_packs_are_joined_along_the_channels():
    x = np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(pack(Tensor(x), 2).numpy(), [[*x[0], *x[2]], [*x[1], *x[3]]])
    assert pack(Tensor(np.zeros((6, 2, 5, 5))), 3).shape == (2, 6, 5, 5)
    with pytest.raises(ValueError, match="pack: 4 samples do not make packs of 3"):
        pack(Tensor(x), 3)


def test_a_pack_is_judged_by_all_its_samples():
    game = Game(gan, pack=2)
    x = Generator(5).normal((4, 2))
    before = game.D(Tensor(x)).numpy()
    x[0] += 1.0  # packed with sample 2
    np.testing.assert_array_equal(game.D(Tensor(x)).numpy() != before, [[True], [False]])


def test_labels_are_joined_as_channels():
    x, y = np.full((2, 1, 2, 2), 7.0), np.array([[0.0, 1.0], [0.25, 0.75]])
    joined = join(Tensor(x), Tensor(y)).numpy()
    assert joined.shape == (2, 3, 2, 2)
    np.testing.assert_array_equal(joined[:, 0], x[:, 0])
    np.testing.assert_array_equal(joined[:, 1:, 1, 0], y)
    np.testing.assert_array_equal(joined[:, 1:].max((2, 3)), joined[:, 1:].min((2, 3)))


@pytest.mark.parametrize("settings", [{}, {"net": "mlp"}], ids=str)
@pytest.mark.parametrize("shape", [POINTS, IMAGES], ids=str)
def test_both_networks_of_cgan_listen_to_the_label(shape, settings):
    game = Game(cgan, shape, **settings)
    game.G.eval(), game.D.eval()
    z, x = (Tensor(Generator(7).normal(s)) for s in ((2, 3), (2, *shape)))
    one, other = (Tensor(np.array([k, k])) for k in (0, 1))
    for net, given in ((game.G, z), (game.D, x)):
        assert not np.array_equal(net(given, one).numpy(), net(given, other).numpy())


@pytest.mark.parametrize("settings", [{}, {"net": "mlp"}], ids=str)
def test_a_label_may_be_a_mixture(settings):
    G = Game(cgan, IMAGES, **settings).G.eval()
    z = Tensor(Generator(7).normal((2, 3)))
    pure = Tensor(np.eye(CLASSES, dtype=np.float32)[[1, 3]])
    np.testing.assert_array_equal(G(z, pure).numpy(), G(z, Tensor(np.array([1, 3]))).numpy())
    with pytest.raises(MiniganError, match="labels are weights of 3 classes, there are 4"):
        G(z, Tensor(np.ones((2, 3), np.float32)))


@pytest.mark.slow
def test_cgan_learns_which_label_is_which():
    """Points of class k at the corners of a square: after some steps G puts each where it belongs."""
    corners = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)], np.float32)
    labels = np.arange(64) % 4
    rng = Generator(3)
    data = ((corners[labels] + rng.normal((64, 2), std=0.05), labels) for _ in range(400))
    game = Game(cgan, POINTS, data=data, batch_size=64, lr=2e-3)
    game.play(400)
    made = game.G.eval()(Tensor(rng.normal((64, 3))), Tensor(labels)).numpy()
    nearest = ((made[:, None] - corners) ** 2).sum(-1).argmin(1)
    assert (nearest == labels).mean() > 0.95


def test_dropout_of_the_cgan_paper_draws_from_the_generator_of_the_run():
    game = Game(cgan, IMAGES, net="mlp")
    game.play(1)
    drops = [layer for layer in game.D.modules() if isinstance(layer, nn.Dropout)]
    assert len(drops) == 3
    assert len({id(layer.generator) for layer in drops}) == 1
    assert drops[0].generator.counter > 0


@pytest.mark.parametrize("loss", ["minimax", "non-saturating"])
def test_the_two_losses_of_g(loss):
    """Equation 1's generator loss, and that of section 3: what their values are, on logits that are known."""
    game = Game(gan, loss=loss)
    with no_grad():
        for p in game.D.parameters():
            p.data[...] = 0  # D says 1/2
    game.opt_d.lr = 0.0
    (metrics,) = game.play(1)
    assert metrics["g_loss"] == pytest.approx(-math.log(2) if loss == "minimax" else math.log(2))


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


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (gan, "size"),
        (gan, "pack"),
        (dcgan, "width"),
        (cgan, "width"),
        (cgan, "classes"),
        (wgan_gp, "n_critic"),
    ],
    ids=name_of,
)
def test_a_width_below_one_is_refused(model, name):
    with pytest.raises(MiniganError, match=f"{name} must be at least 1, got 0"):
        model.Config(**{name: 0})


@pytest.mark.parametrize("shape", [(2,), (1, 28, 28), (1, 8, 8), (1, 16, 32), (3, 128, 128)], ids=str)
def test_dcgan_refuses_what_is_no_image_of_its_sizes(shape):
    with pytest.raises(MiniganError, match="networks make images of 16, 32 or 64 pixels a side, not "):
        networks(dcgan, config(dcgan), shape)


@pytest.mark.parametrize(
    ("model", "pixels", "size"),
    [
        *((gan, n, n) for n in (8, 28)),
        *(
            (dcgan, *sizes)
            for sizes in ((8, 16), (16, 16), (17, 32), (28, 32), (33, 64), (64, 64), (200, 64))
        ),
        *((model, 28, 32) for model in (cgan, wgan_gp)),
    ],
    ids=name_of,
)
def test_the_size_is_by_default_that_of_the_data(model, pixels, size):
    shape = (1, pixels, pixels)
    assert model.Config().fitted(fields(shape)).size == size
    assert model.Config(size=64).fitted(fields(shape)).size == 64
    assert model.Config().fitted(fields(POINTS)).size is None


def test_classes_are_those_of_the_data():
    assert cgan.Config().fitted(fields(POINTS, 8)).classes == 8
    assert cgan.Config(classes=9).fitted(fields(POINTS, 8)).classes == 9
    with pytest.raises(MiniganError, match="learns from labels, and this data has none"):
        cgan.Config().fitted(fields_of(POINTS))
    with pytest.raises(MiniganError, match="the data has 8 classes, got classes = 7"):
        cgan.Config(classes=7).fitted(fields(POINTS, 8))


def test_the_weight_of_the_penalty_is_less_for_points():
    found = [wgan_gp.Config().fitted(fields_of(shape)).penalty for shape in (IMAGES, POINTS)]
    assert found == [10.0, 0.1]
    assert wgan_gp.Config(penalty=0.0).fitted(fields_of(IMAGES)).penalty == 0.0


def test_models_are_found_by_name():
    assert set(MODELS) <= set(model_names())
    for name in model_names():
        assert model_named(name).name == model_named(name).source == name
    assert len({model_named(name).module for name in model_names()}) == len(model_names())


@pytest.mark.parametrize(
    ("name", "hint"),
    [("dcgna", "did you mean 'dcgan'?"), ("xyz", f"there are: {', '.join(sorted(model_names()))}")],
)
def test_an_unknown_model_gets_a_hint(name, hint):
    with pytest.raises(MiniganError) as error:
        model_named(name)
    assert str(error.value) == f"unknown model {name!r}; {hint}; one of your own is named by its file"


@pytest.mark.parametrize("packed", [1, 2])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("model", [dcgan, cgan, wgan_gp], ids=name_of)
def test_a_step_moves_no_image_into_another_memory_order(model, channels, packed):
    pixels = np.random.default_rng(0).integers(0, 256, (8, channels, 16, 16), np.uint8)
    images = Dataset("noise", pixels, np.arange(8) % CLASSES)
    data = Batches(images, 4 * packed, labels=model.labelled)
    game = Game(model, images.shape, data=data, pack=packed)
    with kernels.engine("cpu"), kernels.layout_copies() as copies:
        game.play(2)
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
