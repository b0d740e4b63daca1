"""Bugs that teaching code of GANs ships, each with a test that fails on it.

Here are those that no other file has:

    BatchNorm(n, 0.8), meant as a momentum, sets eps to 0.8
    a softmax before a cross-entropy that takes the softmax itself
    log(1 - D) of a probability: infinite where D is sure, with a gradient that is 0 or NaN

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

import numpy as np
import pytest

import minigan_kernels as kernels
from minigan import Generator, Tensor, grad, nn
from minigan import functional as F
from minigan.gans import MODELS, is_conditional
from minigan.testing import assert_close

# Batch norm


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_batch_norms_of_the_models_have_pytorchs_settings(model):
    networks = model.networks(model.Config().fitted((1, 16, 16), classes=2), (1, 16, 16), Generator(0))
    norms = [m for net in networks for m in net.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
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
    """D calls every fake a fake, to a probability of exactly 0 in float32: G's gradient is its largest."""
    cfg = model.Config(batch_size=4).fitted((1, 16, 16), classes=2)
    G, D = model.networks(cfg, (1, 16, 16), Generator(0))
    opt_g, opt_d = model.optimizers(cfg, G, D)
    last = [p for p in D.parameters() if p.shape == (1,)][-1]
    last.data[:] = -1e4
    opt_d.lr = 0.0
    before = [p.numpy().copy() for p in G.parameters()]
    real, labels = np.zeros((4, 1, 16, 16), np.float32), np.arange(4) % 2
    data = itertools.repeat((real, labels) if is_conditional(model) else real)
    metrics = next(model.train(G, D, opt_g, opt_d, data, Generator(1), cfg))
    assert metrics["g_loss"] == pytest.approx(1e4, rel=0.01)
    assert all(np.isfinite(p.numpy()).all() for p in G.parameters())
    assert any(np.abs(p.numpy() - b).max() > 1e-5 for p, b in zip(G.parameters(), before, strict=True))
