"""Another game than the usual one: hinge loss, smoothed labels, feature matching, a penalty on D's slope."""

import itertools
import math

import numpy as np
import pytest

from minigan import Generator, MiniganError, Tensor, grad, nn, no_grad
from minigan import functional as F
from minigan.data import Field, Fields
from minigan.gans import model_named, model_names
from minigan.gans.model import numbers_of
from minigan.gans.parts.matching import feature_matching, features
from minigan.gans.parts.packing import packed
from minigan.gans.parts.penalties import r1_penalty
from minigan.testing import assert_close, check_model

MODELS = {name: model_named(name) for name in ("gan", "dcgan", "cgan")}
IMAGES = Fields({"image": Field("image", (1, 16, 16)), "label": Field("label", (), 3)})
SMALL = {"latent": 3, "batch_size": 4}

each_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def step(model, logit=0.0, **settings):
    """(what a step yields, the parts) where D says `logit` of everything, and does not learn."""
    cfg = model.Config(**SMALL, **settings).fitted(IMAGES)
    parts = model.parts(cfg, IMAGES, Generator(0))
    with no_grad():
        for p in parts["D"].parameters():
            p.data[...] = 0
        [p for p in parts["D"].parameters() if p.shape == (1,)][-1].data[...] = logit
    parts["opt_d"].lr = 0.0
    real = Generator(1).uniform((cfg.samples, 1, 16, 16), -1, 1)
    data = itertools.repeat((real, np.arange(cfg.samples) % 3) if model.labelled else real)
    return numbers_of(next(model.train(parts, data, Generator(2), cfg)), model.is_critic(cfg))[0], parts


@each_model
@pytest.mark.parametrize("logit", [-3.0, 0.0, 0.5, 3.0])
def test_the_hinge_loss(model, logit):
    """max(0, 1 - D(x)) + max(0, 1 + D(G(z))), and -D(G(z)); what D says is logged as it is."""
    seen, _ = step(model, logit, loss="hinge")
    assert seen["d_loss"] == pytest.approx(max(0, 1 - logit) + max(0, 1 + logit))
    assert (seen["g_loss"], seen["d_real"], seen["d_fake"]) == pytest.approx((-logit, logit, logit))


@each_model
@pytest.mark.parametrize("logit", [-2.0, 1.5])
def test_smoothed_labels_are_those_of_real_samples_alone(model, logit):
    p = 1 / (1 + math.exp(-logit))
    for smoothing in (0.0, 0.1, 0.3):
        seen, _ = step(model, logit, smoothing=smoothing)
        real = -(1 - smoothing) * math.log(p) - smoothing * math.log(1 - p)
        assert seen["d_loss"] == pytest.approx(real - math.log(1 - p), rel=1e-5)
        assert seen["g_loss"] == pytest.approx(-math.log(p), rel=1e-5)


def test_with_smoothed_labels_the_best_answer_is_not_to_be_sure():
    """Of real samples alone, D's loss is least where it says 0.9."""
    logit = Tensor(np.array([[math.log(9)]]), requires_grad=True)
    (slope,) = grad(F.binary_cross_entropy_with_logits(logit, 1 - 0.1), logit)
    assert abs(slope.item()) < 1e-12


@each_model
def test_r1_is_on_the_loss_of_d_and_bends_its_weights(model):
    """D's loss is that of a D without it, plus γ/2 times its squared slope at the real samples."""
    (without, _), (nothing, _) = (step(model, 0.5, r1=r1) for r1 in (0.0, 10.0))
    assert nothing["d_loss"] == pytest.approx(without["d_loss"])  # all weights are 0, and so is the slope
    cfg = model.Config(**SMALL, r1=10.0).fitted(IMAGES)
    parts = model.parts(cfg, IMAGES, Generator(0))
    D, real = parts["D"], Tensor(Generator(1).uniform((4, 1, 16, 16), -1, 1))
    labels = Tensor(np.arange(4) % 3)

    def judged(x):
        return D(x, labels) if model.labelled else D(x)

    r1 = r1_penalty(judged, real)
    seen = next(
        model.train(
            parts,
            iter([(real.numpy(), labels.numpy()) if model.labelled else real.numpy()]),
            Generator(2),
            cfg,
        )
    )
    bce = F.binary_cross_entropy_with_logits
    game = bce(seen["d_real"], 1.0) + bce(seen["d_fake"], 0.0)
    assert r1.item() > 0
    assert seen["d_loss"].item() == pytest.approx((game + 5.0 * r1).item(), rel=1e-4)


@pytest.mark.parametrize("name", ["dcgan", "cgan"])
def test_with_r1_a_judge_of_images_looks_at_each_by_itself(name):
    model = MODELS[name]
    for r1, alone in ((0.0, False), (1.0, True)):
        cfg = model.Config(**SMALL, r1=r1).fitted(IMAGES)
        D = model.parts(cfg, IMAGES, Generator(0))["D"]
        x, labels = Generator(1).uniform((4, 1, 16, 16), -1, 1), [Tensor(np.arange(4) % 3)] * model.labelled
        before = D(Tensor(x), *labels).numpy()[0]
        x[1] *= -1
        assert np.array_equal(D(Tensor(x), *labels).numpy()[0], before) is alone


def test_r1_of_packs_is_the_slope_in_all_samples_of_a_pack():
    w = Generator(0).normal((6, 1), dtype=np.float64)
    D = packed(nn.Sequential(nn.Linear(6, 1, bias=False)), 2).to(np.float64)
    D.load_state_dict({"1.weight": w.T})
    real = Tensor(Generator(1).normal((8, 3), dtype=np.float64))
    assert r1_penalty(D, real, 2).item() == pytest.approx((w**2).sum())


def test_feature_matching_is_the_distance_of_mean_features():
    rng = Generator(0)
    D = nn.Sequential(nn.Linear(3, 5, generator=rng), nn.ReLU(), nn.Linear(5, 1, generator=rng), nn.Flatten())
    D.to(np.float64)
    real, fake = (Tensor(rng.normal((n, 3), dtype=np.float64)) for n in (6, 4))
    hidden = [D[1](D[0](x)).numpy() for x in (real, fake)]
    np.testing.assert_array_equal(features(D, real).numpy(), hidden[0])
    expected = ((hidden[0].mean(0) - hidden[1].mean(0)) ** 2).sum()
    assert feature_matching(D, real, fake).item() == pytest.approx(expected, rel=1e-12)
    fake.requires_grad_()
    assert grad(feature_matching(D, real, fake), fake)[0].numpy().any()
    assert feature_matching(D, real, real).item() == 0


@pytest.mark.parametrize("name", ["gan", "dcgan"])
@pytest.mark.parametrize("pack", [1, 2])
def test_g_learns_by_feature_matching(name, pack):
    model = MODELS[name]
    cfg = model.Config(**SMALL, loss="feature-matching", pack=pack, lr=2e-3, lr_d=0.0).fitted(IMAGES)
    parts = model.parts(cfg, IMAGES, Generator(0))
    real = Generator(1).uniform((cfg.samples, 1, 16, 16), -1, 1)
    losses = [
        s["g_loss"].item()
        for s in itertools.islice(model.train(parts, itertools.repeat(real), Generator(2), cfg), 20)
    ]
    assert all(loss >= 0 for loss in losses)
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:3])


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        *((name, {"smoothing": -0.1}, "smoothing must be at least 0, got -0.1") for name in MODELS),
        *((name, {"smoothing": 1.0}, "smoothing must be below 1, got 1.0") for name in MODELS),
        *((name, {"r1": -1.0}, "r1 must be at least 0, got -1.0") for name in MODELS),
        *((name, {"r1": math.nan}, "r1 must be at least 0, got nan") for name in MODELS),
        *((name, {"loss": "hinge", "smoothing": 0.1}, "the hinge loss has none") for name in MODELS),
        *((name, {"loss": "hing"}, "loss cannot be 'hing'; did you mean 'hinge'") for name in MODELS),
        (
            "cgan",
            {"loss": "feature-matching"},
            "loss cannot be 'feature-matching'; did you mean 'non-saturating'",
        ),
        ("dcgan", {"loss": "minimax"}, "loss cannot be 'minimax'; there are"),
    ],
)
def test_a_setting_that_cannot_be_is_told_in_a_sentence(name, settings, message):
    with pytest.raises(MiniganError, match=message):
        MODELS[name].Config(**settings)


@pytest.mark.parametrize("setting", ["loss", "smoothing", "r1"])
def test_a_critic_has_none_of_them(setting):
    assert not hasattr(model_named("wgan-gp").Config(), setting)


@each_model
@pytest.mark.parametrize("settings", [{}, {"loss": "hinge"}], ids=str)
def test_numbers_and_logits_are_told_apart(model, settings):
    assert model.is_critic(model.Config(**settings)) is bool(settings)
    assert_close(step(model, 0.0, **settings)[0]["d_real"], 0.0 if settings else 0.5)


QUICK = {"n_critic": 1, "n_critic_first": 1, "width": 4, "categories": 3}


PACKED = [
    n for n in model_names() if hasattr(model_named(n).Config, "pack") and "image" in model_named(n).kinds
]


@pytest.mark.parametrize("name", PACKED)
def test_every_model_that_has_the_option_judges_packs(name):
    model = model_named(name)
    known = model.Config.__dataclass_fields__
    small = {**SMALL, **{k: v for k, v in QUICK.items() if k in known}}
    if name == "infogan":
        with pytest.raises(MiniganError, match="pack must be 1"):
            model.Config(**small, pack=2)
        return
    cfg = model.Config(**small, pack=2).fitted(IMAGES)
    parts = model.parts(cfg, IMAGES, Generator(0))
    real = Generator(1).uniform((cfg.samples, 1, 16, 16), -1, 1)
    data = itertools.repeat((real, np.arange(cfg.samples) % 3) if model.labelled else real)
    seen = next(model.train(parts, data, Generator(2), cfg))
    assert seen["d_real"].shape == seen["d_fake"].shape == (cfg.batch_size, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("gan", {"data": "ring8", "minibatch_features": 3, "loss": "feature-matching"}),
        ("dcgan", {"width": 4, "augment": "colour,shift,cutout,flip", "r1": 1.0, "loss": "hinge"}),
        ("dcgan", {"width": 4, "minibatch_features": 3, "pack": 2, "smoothing": 0.1}),
        ("cgan", {"width": 4, "augment": "shift", "minibatch_features": 3, "loss": "hinge"}),
        ("wgan-gp", {"width": 4, "augment": "cutout", "n_critic": 2}),
    ],
    ids=str,
)
def test_a_model_with_options_is_resumed_reported_and_exported(name, settings):
    check_model(name, steps=6, latent=3, **settings)
