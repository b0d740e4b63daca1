"""The gradient penalty: against what is known of it, and against the ways in which it is got wrong."""

from itertools import islice

import numpy as np
import pytest

from minigan import Generator, Tensor, grad, nn
from minigan import functional as F
from minigan.gans.noise import wgan_gp
from minigan.gans.parts.packing import packed
from minigan.gans.parts.penalties import gradient_penalty
from minigan.speed.steps import fields_of
from minigan.testing import assert_close
from minigan.training.session import numbers_of

SHAPES = [(2,), (1, 8, 8), (3, 16, 16)]


def linear_critic(w):
    """w · x, whatever the shape of x."""
    return lambda x: F.flatten(x, 1) @ F.reshape(w, -1, 1)


def samples(shape, n=6):
    rng = Generator(1)
    real, fake = (Tensor(rng.normal((n, *shape), dtype=np.float64)) for _ in range(2))
    return real, fake, Tensor(rng.uniform((n, *(1,) * len(shape)), dtype=np.float64))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("length", [0.3, 1.0, 4.0])
def test_the_penalty_of_a_linear_critic_is_known(shape, length):
    """Its slope is w everywhere, so the penalty is (‖w‖ - 1)², and its gradient 2 (‖w‖ - 1) w / ‖w‖."""
    w = Generator(2).normal(shape, dtype=np.float64)
    w *= length / np.linalg.norm(w)
    W = Tensor(w, requires_grad=True)
    penalty = gradient_penalty(linear_critic(W), *samples(shape))
    (gw,) = grad(penalty, W)
    assert penalty.item() == pytest.approx((length - 1) ** 2, abs=1e-10)
    assert_close(gw.numpy(), 2 * (length - 1) * w / length, rtol=1e-10, atol=1e-10)


def test_the_penalty_is_taken_between_the_samples():
    """At u · real + (1 - u) · fake: of a critic x²/2, whose slope is x itself, it says where."""
    real, fake, u = samples((5,))
    x = u.numpy() * real.numpy() + (1 - u.numpy()) * fake.numpy()
    expected = ((np.linalg.norm(x, axis=1) - 1) ** 2).mean()
    found = gradient_penalty(lambda x: (x * x).sum(1, keepdims=True) / 2, real, fake, u)
    assert found.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_norm_is_that_of_a_whole_sample(shape):
    """Not of a batch, nor of a channel: samples whose slopes have lengths of their own."""
    lengths = np.array([0.5, 1.0, 2.0, 3.0, 1.5, 0.1])
    slopes = Generator(3).normal((6, *shape), dtype=np.float64)
    slopes /= np.linalg.norm(slopes.reshape(6, -1), axis=1).reshape(-1, *(1,) * len(shape))
    slopes *= lengths.reshape(-1, *(1,) * len(shape))
    found = gradient_penalty(lambda x: (x * Tensor(slopes)).flatten(1).sum(1, keepdims=True), *samples(shape))
    assert found.item() == pytest.approx(((lengths - 1) ** 2).mean(), rel=1e-10)


def test_the_penalty_of_packs_is_that_of_all_their_samples():
    w = Generator(2).normal((4,), dtype=np.float64)
    real, fake, u = samples((2,))
    D = packed(nn.Sequential(nn.Linear(4, 1).to(np.float64)), 2)
    D[1].weight.data[...] = w
    found = gradient_penalty(D, real, fake, u[:3], packs=2)
    assert found.item() == pytest.approx((np.linalg.norm(w) - 1) ** 2, rel=1e-10)


def test_a_critic_that_is_flat_has_a_penalty_with_a_gradient():
    """The norm has no slope at 0: without an eps under the root the gradient would be NaN."""
    w = Tensor(np.zeros(5), requires_grad=True)
    penalty = gradient_penalty(linear_critic(w), *samples((5,)))
    (gw,) = grad(penalty, w)
    assert penalty.item() == pytest.approx(1.0, abs=1e-5)
    assert np.isfinite(gw.numpy()).all()


@pytest.mark.parametrize("norm", wgan_gp.NORMS)
@pytest.mark.parametrize("shape", [(2,), (1, 16, 16)], ids=str)
def test_the_critic_judges_each_sample_by_itself(shape, norm):
    """Batch norm would let one sample change what is said of another, and the penalty would be of neither."""
    cfg = wgan_gp.Config(latent=3, width=4, norm=norm).fitted(fields_of(shape))
    D = wgan_gp.parts(cfg, fields_of(shape), Generator(0))["D"]
    assert not [layer for layer in D.modules() if isinstance(layer, nn.BatchNorm1d)]
    x = Generator(1).normal((4, *shape))
    before = D(Tensor(x)).numpy()
    x[1:] *= 3
    assert_close(D(Tensor(x)).numpy()[:1], before[:1], rtol=1e-5, atol=1e-6)


def trained(penalty, steps=30):
    """The slopes, at the data, of a critic of points that was trained with a weight of the penalty."""
    cfg = wgan_gp.Config(latent=2, batch_size=32, lr=2e-3, penalty=penalty).fitted(fields_of((2,)))
    rng = Generator(0)
    parts = wgan_gp.parts(cfg, fields_of((2,)), rng)
    D, parts["opt_g"].lr = parts["D"], 0.0
    data = (rng.normal((32, 2)) + 4 for _ in range(steps * cfg.n_critic))
    loop = islice(wgan_gp.train(data, rng, cfg, **parts), steps)
    metrics = [numbers_of(seen, critic=True)[0] for seen in loop]
    x = Tensor(rng.normal((64, 2)) + 2, requires_grad=True)
    (slope,) = grad(D(x).sum(), x)
    return np.linalg.norm(slope.numpy(), axis=1).mean(), metrics


@pytest.mark.slow
def test_the_penalty_is_in_the_loss_and_keeps_the_slope_near_one():
    slope, metrics = trained(10.0)
    assert 0.5 < slope < 2
    for m in metrics:
        assert m["d_loss"] == pytest.approx(10 * m["penalty"] - m["wasserstein"], rel=1e-4, abs=1e-4)


@pytest.mark.slow
def test_without_the_penalty_the_slope_grows():
    """So that the test above can fail."""
    slope, _ = trained(0.0)
    assert slope > 3


@pytest.mark.parametrize("n_critic", [1, 3])
def test_there_are_n_critic_steps_of_d_to_one_of_g(n_critic):
    cfg = wgan_gp.Config(latent=2, batch_size=4, n_critic=n_critic).fitted(fields_of((2,)))
    rng = Generator(0)
    parts = wgan_gp.parts(cfg, fields_of((2,)), rng)
    data = (rng.normal((4, 2)) for _ in range(2 * n_critic))
    assert len(list(wgan_gp.train(data, rng, cfg, **parts))) == 2
    assert (parts["opt_g"].steps, parts["opt_d"].steps) == (2, 2 * n_critic)
