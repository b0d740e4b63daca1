"""WaveGAN: its networks, what it is told, and what it refuses."""

import fake_cupy
import numpy as np
import pytest

import minigan_kernels as kernels
from minigan import Generator, MiniganError, Tensor, no_grad
from minigan.data import Field, Fields
from minigan.gans import model_named
from minigan.gans.parts.phase_shuffle import PhaseShuffle
from minigan.gans.time import wavegan
from minigan.metrics import EvaluationData, metrics_for
from minigan.metrics.chimes import chimes
from minigan.testing import assert_close, check_model
from minigan.training import Options, Session
from minigan.training.keep import QUICK

WAVEGAN = model_named("wavegan")
SMALL = {"latent": 4, "width": 2}
K = 3


def fields_of(length=64, classes=0):
    fields = {"sound": Field("sound", (1, length), rate=1000)}
    return Fields(fields | ({"label": Field("label", (), classes)} if classes else {}))


def made(length=64, classes=0, **settings):
    """(its fitted settings, its parts) for small networks."""
    data = fields_of(length, classes)
    cfg = wavegan.Config(**SMALL | settings).fitted(data)
    return cfg, wavegan.parts(cfg, data, Generator(0))


def steps_of(cfg, parts, n, shape=(1, 64), seed=0):
    rng = np.random.default_rng(seed)
    real = rng.uniform(-1, 1, (n, cfg.samples, *shape)).astype(np.float32)
    labels = rng.integers(0, K, (n, cfg.samples))
    data = zip(real, labels, strict=True) if cfg.conditional else real
    return [
        {k: float(v.numpy().mean()) for k, v in seen.items()}
        for seen in wavegan.train(iter(data), Generator(1), cfg, **parts)
    ]


@pytest.mark.parametrize("length", [64, 256, 1024, 4096])
@pytest.mark.parametrize("classes", [0, K])
def test_shapes_and_channels(length, classes):
    _, parts = made(length, classes)
    labels = np.arange(5) % K if classes else None
    x = wavegan.make(Tensor(np.zeros((5, 4), np.float32)), parts["G"], labels)
    assert x.shape == (5, 1, length)
    assert wavegan.judge(x, parts["D"], labels).shape == (5, 1)
    layers = {64: 1, 256: 2, 1024: 3, 4096: 4}[length]
    widths = [p.shape[0] for p in parts["D"].parameters() if p.ndim == 3]
    assert widths == [2 * 2**i for i in range(layers)]
    up = [p.shape[:2] for p in parts["G"].parameters() if p.ndim == 3]
    assert up == [*((n, n // 2) for n in widths[:0:-1]), (2, 1)]


def test_the_papers_networks_for_a_second_at_16_khz():
    """Tables 3 and 4, with d = 64."""
    data = fields_of(16384)
    parts = wavegan.parts(wavegan.Config(width=64).fitted(data), data, Generator(0))
    shapes = [p.shape for p in parts["G"].parameters() if p.ndim > 1]
    assert shapes == [
        (256 * 64, 100),
        (1024, 512, 25),
        (512, 256, 25),
        (256, 128, 25),
        (128, 64, 25),
        (64, 1, 25),
    ]
    shapes = [p.shape for p in parts["D"].parameters() if p.ndim > 1]
    assert shapes == [
        (64, 1, 25),
        (128, 64, 25),
        (256, 128, 25),
        (512, 256, 25),
        (1024, 512, 25),
        (1, 256 * 64),
    ]


@pytest.mark.parametrize("loss", ["wgan-gp", "bce"])
@pytest.mark.parametrize("settings", [{}, {"conditional": False}, {"pack": 2}, {"n_critic": 2, "shuffle": 0}])
def test_steps_move_both_networks_at_a_rate_that_falls_to_0(loss, settings):
    cfg, parts = made(classes=K, loss=loss, batch_size=4, steps=4, **settings)
    weights = [p for name in "GD" for p in parts[name].parameters() if p.ndim > 1]
    before = [p.numpy().copy() for p in weights]
    said = steps_of(cfg, parts, 4 * cfg.n_critic)
    assert len(said) == 4
    assert {"d_loss", "g_loss", "d_real", "d_fake"} <= said[0].keys()
    assert ("penalty" in said[0]) == (loss == "wgan-gp")
    assert np.isfinite([*said[-1].values()]).all()
    assert all((p.numpy() != a).any() for p, a in zip(weights, before, strict=True))
    assert parts["opt_g"].lr == parts["opt_d"].lr == 0


def test_d_adds_the_product_of_its_features_with_a_vector_of_the_class():
    _, parts = made(classes=K)
    D, x = parts["D"].eval(), Tensor(np.random.default_rng(0).normal(size=(6, 1, 64)).astype(np.float32))
    labels = np.arange(6) % K
    with no_grad():
        features = D.features(x).numpy()
        expected = D.said(Tensor(features)).numpy()[:, 0]
        expected = expected + (features * D.of_class.weight.numpy().T[labels]).sum(axis=1)
        assert_close(wavegan.judge(x, D, labels).numpy()[:, 0], expected, rtol=1e-5, atol=1e-5)


def test_phases_are_shuffled_between_the_layers_of_d_in_training_alone():
    _, parts = made(1024)
    D, x = parts["D"], Tensor(np.random.default_rng(0).normal(size=(6, 1, 1024)).astype(np.float32))
    kinds = [type(layer).__name__ for layer in D.features]
    layer = ["Conv1d", "LeakyReLU", "PhaseShuffle"]
    assert kinds == [*layer, *layer, *layer[:2], "Flatten"]
    for module in D.modules():
        if isinstance(module, PhaseShuffle):
            assert module.n == 2
            module.generator = Generator(0)
    with no_grad():
        assert (D(x).numpy() != D(x).numpy()).any()
        D.eval()
        np.testing.assert_array_equal(D(x).numpy(), D(x).numpy())


# What it is told


def test_it_is_told_labels_where_there_are_any_and_not_where_it_is_said():
    assert (made(classes=K)[0].conditional, made(classes=K)[0].classes) == (True, K)
    assert (made()[0].conditional, made()[0].classes) == (False, None)
    cfg, _ = made(classes=K, conditional=False)
    assert not cfg.conditional
    assert WAVEGAN.beside(cfg) == ()
    assert WAVEGAN.beside(made(classes=K)[0]) == ("label",)
    assert not WAVEGAN.is_conditional(cfg)
    assert WAVEGAN.is_conditional(made(classes=K)[0])


def test_a_label_is_asked_for():
    cfg, parts = made(classes=K)
    assert WAVEGAN.inputs(4, Generator(0), cfg)["labels"].tolist() == [0, 1, 2, 0]
    one = WAVEGAN.inputs(4, Generator(0), cfg, label=2)
    assert one["labels"].tolist() == [2] * 4
    z = Tensor(one["z"])
    with no_grad():
        found = [wavegan.make(z, parts["G"], np.full(4, label)).numpy() for label in (0, 2)]
    assert (found[0] != found[1]).any()


def test_a_model_that_is_told_none_is_not_asked_for_one():
    cfg, _ = made()
    assert [*WAVEGAN.inputs(4, Generator(0), cfg)] == ["z"]
    with pytest.raises(MiniganError, match="label = 1 cannot be asked for: this model was told no labels"):
        WAVEGAN.inputs(4, Generator(0), cfg, label=1)


@pytest.mark.parametrize(
    ("data", "settings", "sentence"),
    [
        (
            fields_of(1000),
            {},
            "WaveGAN makes sounds of 16 times a power of 4 numbers, as 1024, 4096 or 16384, got 1000",
        ),
        (fields_of(16), {}, "16 times a power of 4 numbers, as 1024, 4096 or 16384, got 16"),
        (fields_of(), {"conditional": True}, "learns from labels, and this data has none"),
        (
            fields_of(),
            {"classes": 3},
            "classes = 3 are of a model that is told labels, and this one is told none",
        ),
        (fields_of(classes=K), {"classes": 2}, "the data has 3 classes, got classes = 2"),
        (fields_of(), {"augment": "shift"}, "shift is done to images, not to samples of shape"),
    ],
)
def test_data_that_do_not_fit_are_refused(data, settings, sentence):
    with pytest.raises(MiniganError, match=sentence):
        wavegan.Config(**settings).fitted(data)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"shuffle": 16}, "shuffle must be"),
        ({"shuffle": -1}, "shuffle must be"),
        ({"n_critic": 0}, "n_critic must be"),
        ({"width": 0}, "width must be"),
        ({"penalty": -1.0}, "penalty must be"),
        ({"loss": "hinge"}, "loss cannot be 'hinge'"),
        ({"minibatch_features": 3}, "does not go with the gradient penalty"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, sentence):
    with pytest.raises(MiniganError, match=sentence):
        wavegan.Config(**settings)


def test_images_are_refused():
    with pytest.raises(
        MiniganError, match="wavegan learns from data of the kind sound, digits is of the kind image"
    ):
        Session("wavegan", Options(data="digits", device="cpu"), wavegan.Config(batch_size=4))


# As a whole


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [{}, {"conditional": False, "n_critic": 2}, {"loss": "bce", "data": "vowels", "pack": 2}],
    ids=["told", "untold", "bce"],
)
def test_it_keeps_the_contract(settings):
    check_model("wavegan", steps=6, latent=4, width=2, **settings)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"conditional": False, "n_critic": 2}, {"loss": "bce"}])
def test_captured_steps_are_those_of_the_plain_ones(settings, monkeypatch):
    """On a stand-in for a GPU, whose rules CuPy has; products and convolutions are one kernel each there, as
    those of the CUDA engine are."""

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
            cfg = wavegan.Config(**SMALL, batch_size=4, steps=6, **settings)
            session = Session("wavegan", Options(device="gpu", data="chimes", graph=graph), cfg)
            found.append(([session.next_step() for _ in range(6)], session.arrays()))
    assert fake_cupy.state.calls.count("launch") > 0
    assert found[1][0] == found[0][0]
    for name, array in found[0][1].items():
        np.testing.assert_array_equal(found[1][1][name], array, err_msg=name)


def test_a_run_may_keep_the_checkpoint_whose_notes_are_best_in_tune():
    measured = [
        name for name in metrics_for(EvaluationData.load("chimes", conditional=True)) if name in QUICK
    ]
    assert "chimes" in measured
    quantities = chimes(np.zeros((1, 1, 1024), np.float32))
    assert QUICK["chimes"].keys() == quantities.keys()
    kept = Options(data="chimes", evaluate_every=10, keep="best=in-tune").kept()
    assert kept.best == "in-tune"
