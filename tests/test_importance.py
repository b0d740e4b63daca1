"""The importance-weighted bound: where the likelihood has a formula, of networks, and its gradients."""

import math

import numpy as np
import pytest

from minigan import Generator, Tensor, nn
from minigan import functional as F
from minigan.gans.codes import vae
from minigan.gans.parts.gaussian import divergence, drawn, mean_and_log_var, prior_over_posterior
from minigan.gans.parts.importance import held_out_bounds, log_weights, weighted_bound
from minigan.gans.parts.likelihood import Gaussian, bernoulli, binarised, shown
from minigan.speed.steps import fields_of
from minigan.testing import assert_close, check_grads


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


class Linear(nn.Module):
    """p(x|z) = N(W z + b, 1) and q(z|x) = N(μ, σ²) of a linear encoder, in numbers that anyone can check."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = numbers(2, 5, seed=1), numbers(5, seed=2)

    def decoder(self, z):
        return z @ self.weight + self.bias

    def encoder(self, x):
        """A q(z|x) that is not the posterior: right in the mean, too wide by far."""
        covariance = np.linalg.inv(np.eye(2) + self.weight @ self.weight.T)
        mean = (x - self.bias) @ (self.weight.T @ covariance)
        return F.concat([mean, Tensor(np.full(mean.shape, 0.5))], axis=1)

    @staticmethod
    def likelihood(mean, x):
        return -0.5 * ((x - mean) ** 2 + math.log(2 * math.pi)).sum(axis=1)

    def log_density(self, x):
        """log p(x): x is normally distributed, too."""
        covariance = np.eye(5) + self.weight.T @ self.weight
        far = x - self.bias
        squares = (far @ np.linalg.inv(covariance) * far).sum(axis=1)
        return -0.5 * (squares + np.linalg.slogdet(2 * np.pi * covariance)[1])


def test_with_many_codes_the_bound_is_the_likelihood_and_with_one_that_of_kl():
    """Theorem 1, where log p(x) is known: L_1 < L_50 < L_500 < log p(x), and all but that in the end."""
    model, x = Linear(), 2 * numbers(300, 5, seed=3)
    rng = Generator(0)
    rng.normal, draw = lambda shape: draw(shape, dtype=np.float64), rng.normal
    networks = model.encoder, model.decoder, model.likelihood
    found = held_out_bounds(map(Tensor, np.split(x, 3)), 2, rng, *networks)
    truth = model.log_density(x).mean()
    assert [*found] == [1, 50, 500]
    assert found[1] < found[50] < found[500]
    assert found[500] == pytest.approx(truth, abs=0.02)
    assert truth - found[1] > 0.1
    mean, log_var = mean_and_log_var(model.encoder(Tensor(x)))
    z = drawn(mean, log_var, numbers(1000, 300, 2, seed=4)).numpy().reshape(-1, 2)
    likely = model.likelihood(model.decoder(Tensor(z)), Tensor(np.tile(x, (1000, 1)))).numpy()
    by_formula = likely.mean() - divergence(mean, log_var).numpy().mean()
    assert found[1] == pytest.approx(by_formula, abs=0.02)


def test_the_bounds_do_not_depend_on_how_many_images_go_through_at_once():
    """But for the noise, which is another; here all of it is the same."""
    model, x = Linear(), np.tile(numbers(1, 5, seed=3), (12, 1))

    class Same(Generator):
        def normal(self, shape):
            k, n, latent = shape
            return np.repeat(super().normal((k, 1, latent), dtype=np.float64), n, axis=1)

    def found(*pieces):
        networks = model.encoder, model.decoder, model.likelihood
        return held_out_bounds(map(Tensor, pieces), 2, Same(0), *networks)

    assert found(x[:5]) == pytest.approx(found(x[:1]), rel=1e-12)
    assert found(x) == pytest.approx(found(x[:1]), rel=1e-12)


def networks(likelihood="bernoulli"):
    cfg = vae.Config(latent=3, hidden=6, layers=2, activation="tanh", likelihood=likelihood)
    parts = vae.parts(cfg, fields_of((1, 4, 4)), Generator(0))
    return [parts[name].to(np.float64) for name in ("encoder", "decoder")], parts.get("likelihood")


def test_weights_are_those_of_the_densities():
    (encoder, decoder), _ = networks()
    x, noise = np.tanh(numbers(2, 1, 4, 4)), numbers(7, 2, 3, seed=1)
    log_w = log_weights(Tensor(x), Tensor(noise), encoder, decoder, bernoulli).numpy()
    assert log_w.shape == (7, 2)
    mean, log_var = (a.numpy() for a in mean_and_log_var(encoder(Tensor(x))))
    z = mean + np.exp(0.5 * log_var) * noise

    def normal(z, mean, log_var):
        return -0.5 * ((z - mean) ** 2 / np.exp(log_var) + log_var + np.log(2 * np.pi)).sum(axis=-1)

    for i in range(7):
        logits = decoder(Tensor(z[i])).numpy()
        coins = 0.5 * (x + 1)
        likely = -(np.logaddexp(0, logits) - coins * logits).sum(axis=(1, 2, 3))
        assert_close(log_w[i], likely + normal(z[i], 0, 0 * z[i]) - normal(z[i], mean, log_var), rtol=1e-10)
    assert_close(weighted_bound(Tensor(log_w)), np.logaddexp.reduce(log_w, axis=0) - math.log(7), rtol=1e-12)


@pytest.mark.parametrize("kind", ["bernoulli", "gaussian"])
def test_gradients_go_through_the_weighted_bound_to_second_order(kind):
    noise, x = numbers(4, 2, 3, seed=1), np.tanh(numbers(2, 16, seed=2))

    def through(code, weight, log_var):
        likelihood = bernoulli
        if kind == "gaussian":
            likelihood = Gaussian()
            likelihood.log_var = log_var
        log_w = log_weights(Tensor(x), noise, lambda x: code, lambda z: F.tanh(z @ weight), likelihood)
        return weighted_bound(log_w) + 0.0 * log_var.sum()

    check_grads(through, [numbers(2, 6, seed=3), numbers(3, 16, seed=4), np.array([-1.3])], order=2)


def test_gradients_go_through_a_gaussian_with_a_learned_variance_to_second_order():
    def surprise(logits, log_var, x):
        likelihood = Gaussian()
        likelihood.log_var = log_var
        return likelihood(logits, x)

    given = [numbers(2, 1, 3, 3), np.array([-1.3]), np.tanh(numbers(2, 1, 3, 3, seed=1))]
    check_grads(surprise, given, order=2)


@pytest.mark.parametrize("sigma", [None, 0.1, 2.0])
def test_a_gaussian_is_the_density_of_its_pixels(sigma):
    from scipy.stats import norm

    logits, x = numbers(2, 1, 3, 3), np.tanh(numbers(2, 1, 3, 3, seed=1))
    likelihood = Gaussian(sigma).to(np.float64)
    mean = shown(Tensor(logits)).numpy()
    expected = norm.logpdf(x, mean, 0.3 if sigma is None else sigma).sum(axis=(1, 2, 3))
    assert_close(likelihood(Tensor(logits), Tensor(x)), expected, rtol=1e-6)
    assert len(likelihood.parameters()) == (sigma is None)
    assert np.abs(mean).max() < 1


def test_the_learned_variance_goes_to_the_mean_square():
    """Where its gradient is 0, σ² is the mean square of what is left."""
    from minigan import grad

    likelihood = Gaussian().to(np.float64)
    logits, x = Tensor(numbers(50, 1, 3, 3)), Tensor(np.tanh(numbers(50, 1, 3, 3, seed=1)))
    left = ((x - shown(logits)) ** 2).numpy().mean()
    likelihood.log_var.data[...] = math.log(left)
    (slope,) = grad(likelihood(logits, x).mean(), [likelihood.log_var])
    assert_close(slope, np.zeros(1), atol=1e-12)


def test_binarised_images_are_black_and_white_and_as_bright_on_average():
    x = np.linspace(-1, 1, 5, dtype=np.float32).reshape(1, 1, 1, 5) * np.ones((40_000, 1, 1, 1), np.float32)
    drawn_from = binarised(x, Generator(0))
    assert drawn_from.dtype == np.float32
    assert set(np.unique(drawn_from)) == {-1.0, 1.0}
    assert (drawn_from[..., 0] == -1).all()
    assert (drawn_from[..., -1] == 1).all()
    assert_close(drawn_from.mean(axis=0)[0, 0], x[0, 0, 0], atol=0.02)
    assert np.array_equal(drawn_from, binarised(x, Generator(0)))


def test_the_divergence_is_what_the_weights_lack_on_average():
    mean, log_var, noise = numbers(3, 2), numbers(3, 2, seed=1), numbers(200_000, 3, 2, seed=2)
    z = drawn(mean, Tensor(log_var), noise)
    by_chance = prior_over_posterior(z, Tensor(log_var), Tensor(noise)).numpy().mean(axis=0)
    assert_close(divergence(Tensor(mean), Tensor(log_var)), -by_chance, rtol=0.02)
