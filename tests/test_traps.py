"""Bugs that teaching code of GANs ships, each with a test that fails on it.

Here are those that no other file has:

    BatchNorm(n, 0.8), meant as a momentum, sets eps to 0.8
    a softmax before a cross-entropy that takes the softmax itself; test_metrics_classifier.py, too
    log(1 - D) of a probability: infinite where D is sure, with a gradient that is 0 or NaN
    unrolling that takes the gradients of D's steps as constants

and these are elsewhere:

    fakes that are not detached in D's step             test_gans.py: the_loss_of_d_does_not_reach_g
    linspace(0, 2π, 8), 7 modes on the ring of 8        test_data_builtin.py: ring8_has_eight_distinct_modes
    float32 * 2.0 becomes float64                       test_autograd.py: numbers_take_the_dtype_of_the_tensor
    a checker of the outputs' sum takes a softmax
    whose gradient is 0                                 test_checker.py, test_planted.py: ZeroSoftmax
    gradient penalties                                  test_gradient_penalty.py, test_wgan_gp.py
    samples in [-1, 1] before a classifier of [0, 1]    test_metrics_classifier.py, test_metrics_evaluate.py
"""

import inspect
import itertools
import math
from functools import partial

import numpy as np
import pytest

import minigan_kernels as kernels
from minigan import Generator, Tensor, grad, nn
from minigan import functional as F
from minigan.autograd import enable_grad
from minigan.data import Dataset, Field, Fields
from minigan.gans import model_named
from minigan.gans.model import networks
from minigan.metrics import classifier
from minigan.testing import assert_close, check_grads
from minigan.training.session import numbers_of

MODELS = {name: model_named(name) for name in ("gan", "dcgan", "cgan", "wgan-gp")}
IMAGES = Fields({"image": Field("image", (1, 16, 16)), "label": Field("label", (), 2)})
POINTS = Fields({"point": Field("point", (2,))})

# Batch norm


def networks_of(model, fields=IMAGES, **settings):
    return networks(model.parts(model.Config(**settings).fitted(fields), fields, Generator(0))).values()


def networks_of_the_classifier():
    digits = Dataset("digits", np.zeros((4, 1, 16, 16), np.uint8), np.arange(4) % 2)
    return [classifier.build(digits, classifier.SETTINGS)]


WITH_BATCH_NORM = {
    **{name: partial(networks_of, model) for name, model in MODELS.items()},
    "pacgan": partial(networks_of, MODELS["gan"], POINTS, net="pacgan"),
    "classifier": networks_of_the_classifier,
}


@pytest.mark.parametrize("networks", WITH_BATCH_NORM.values(), ids=WITH_BATCH_NORM)
def test_batch_norms_have_pytorchs_settings(networks):
    norms = [m for net in networks() for m in net.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert norms
    assert {(m.eps, m.momentum) for m in norms} == {(1e-5, 0.1)}


@pytest.mark.parametrize("layer", [nn.BatchNorm1d, nn.BatchNorm2d])
def test_the_second_argument_of_batch_norm_is_eps(layer):
    """As PyTorch's: whoever means the momentum has to say so."""
    assert list(inspect.signature(layer).parameters)[:3] == ["num_features", "eps", "momentum"]
    assert (layer(3, 0.8).eps, layer(3, momentum=0.8).eps) == (0.8, 1e-5)


def test_batch_norm_makes_the_variance_1():
    x = Tensor(Generator(0).normal((256, 3), std=0.1))
    assert_close(nn.BatchNorm1d(3)(x).numpy().var(axis=0), np.ones(3), rtol=2e-3)


# Cross-entropy


def test_cross_entropy_takes_logits():
    """After a second softmax the loss of a sure and right answer would be 0.55, and of a wrong one 1.55."""
    logits = Tensor([[20.0, 0.0, 0.0]])
    assert_close(F.cross_entropy(logits, [0]).item(), math.log1p(2 * math.exp(-20)), rtol=1e-6, atol=1e-8)
    assert_close(F.cross_entropy(logits, [1]).item(), 20.0, rtol=1e-6)


# A discriminator that is sure


@pytest.mark.parametrize("engine", ["cpu", "reference"])
@pytest.mark.parametrize(
    ("target", "logit", "loss", "slope"),
    [(0.0, -1e4, 0, 0), (0.0, 1e4, 1e4, 1), (1.0, -1e4, 1e4, -1), (1.0, 1e4, 0, 0)],
)
@pytest.mark.parametrize("create_graph", [False, True])
def test_the_loss_of_a_sure_discriminator_is_finite_and_has_its_gradient(
    target, logit, loss, slope, create_graph, engine
):
    logits = Tensor(np.full((4, 1), logit, np.float32), requires_grad=True)
    with kernels.engine(engine):
        found = F.binary_cross_entropy_with_logits(logits, target)
        (g,) = grad(found, logits, create_graph=create_graph)
    assert_close(found.item(), loss, rtol=1e-6)
    assert_close(g.numpy(), np.full((4, 1), slope / 4), rtol=1e-6)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_generator_learns_from_a_discriminator_that_is_sure(model):
    """D calls all fakes, to a probability of exactly 0 in float32: G's gradient is its largest, and what D
    pays for the real ones has no limit."""
    losses, moved = a_step_with_a_sure_discriminator(model, model.Config(batch_size=4), -1e4)
    assert losses["g_loss"] == pytest.approx(1e4, rel=0.01)
    if not model.is_critic(model.Config()):  # whose loss is a difference: what is added to both goes
        assert losses["d_loss"] == pytest.approx(1e4, rel=0.01)
    assert moved > 1e-5


def test_the_minimax_loss_of_a_sure_discriminator_has_a_gradient():
    """D calls all real, to a probability of exactly 1 in float32, of which log(1 - D) would be -∞."""
    cfg = MODELS["gan"].Config(batch_size=4, loss="minimax")
    losses, moved = a_step_with_a_sure_discriminator(MODELS["gan"], cfg, 1e4)
    assert losses["g_loss"] == pytest.approx(-1e4, rel=0.01)
    assert losses["d_loss"] == pytest.approx(1e4, rel=0.01)
    assert moved > 1e-5


def a_step_with_a_sure_discriminator(model, cfg, logit):
    """(the losses, how far G's weights moved) where D's last bias is `logit`, and D does not learn."""
    cfg = cfg.fitted(IMAGES)
    parts = model.parts(cfg, IMAGES, Generator(0))
    G, D = parts["G"], parts["D"]
    last = [p for p in D.parameters() if p.shape == (1,)][-1]
    last.data[:] = logit
    parts["opt_d"].lr = 0.0
    before = [p.numpy().copy() for p in G.parameters()]
    real, labels = np.zeros((4, 1, 16, 16), np.float32), np.arange(4) % 2
    data = itertools.repeat((real, labels) if model.labelled else real)
    losses, _ = numbers_of(next(model.train(parts, data, Generator(1), cfg)), model.is_critic(cfg))
    assert all(np.isfinite(p.numpy()).all() for p in G.parameters())
    return losses, max(np.abs(p.numpy() - b).max() for p, b in zip(G.parameters(), before, strict=True))


# Unrolling


def loss_of_g_after_steps_of_d(fake, create_graph, steps=3, lr=0.5):
    """Metz et al., "Unrolled generative adversarial networks", 2017, equations 7 to 9."""
    bce, rng = F.binary_cross_entropy_with_logits, Generator(0)
    D = nn.Sequential(nn.Linear(2, 4, generator=rng), nn.Tanh(), nn.Linear(4, 1, generator=rng))
    logits = partial(nn.functional_call, D.to(np.float64))
    real, weights = Tensor(1.0 + rng.normal((5, 2), dtype=np.float64)), dict(D.named_parameters())
    with enable_grad():
        for _ in range(steps):
            d_loss = bce(logits(weights, real), 1.0) + bce(logits(weights, fake), 0.0)
            slopes = grad(d_loss, list(weights.values()), create_graph=create_graph)
            weights = {name: w - lr * slope for (name, w), slope in zip(weights.items(), slopes, strict=True)}
    return bce(logits(weights, fake), 1.0)


@pytest.mark.slow
def test_unrolling_differentiates_through_the_steps_of_d():
    fake = np.random.default_rng(2).normal(size=(5, 2))
    check_grads(partial(loss_of_g_after_steps_of_d, create_graph=True), [fake])
    with pytest.raises(AssertionError):
        check_grads(partial(loss_of_g_after_steps_of_d, create_graph=False), [fake], order=1)
