"""The whole of a WGAN-GP critic step: a gradient of a gradient, through every layer of the critic.

Gulrajani et al., "Improved training of Wasserstein GANs", 2017, equation 3.
"""

from functools import partial

import numpy as np
import pytest

from minigan import Generator, Tensor, enable_grad, grad, nn
from minigan import functional as F
from minigan.gans.parts.penalties import r1_penalty
from minigan.testing import assert_close, check_grads


def critic(activation=None):
    rng = Generator(1)
    activation = activation or nn.LeakyReLU(0.2)
    return nn.Sequential(
        nn.Conv2d(2, 4, 4, 2, 1, generator=rng),
        activation,
        nn.Conv2d(4, 6, 4, 2, 1, generator=rng),
        nn.LayerNorm((6, 2, 2)),
        activation,
        nn.Flatten(),
        nn.Linear(24, 1, generator=rng),
    ).to(np.float64)


def penalty(D, x):
    """E[(‖∇ₓ D(x)‖ - 1)²]"""
    with enable_grad():
        (gx,) = grad(D(x).sum(), x, create_graph=True)
        return ((gx.flatten(1).norm(axis=1) - 1.0) ** 2).mean()


def images(n=3):
    return Generator(2).normal((n, 2, 8, 8), dtype=np.float64)


def penalty_of_weights(D):
    """The penalty as a function of the critic's weights."""
    names = [name for name, _ in D.named_parameters()]

    def f(*weights):
        def replaced(x):
            return nn.functional_call(D, dict(zip(names, weights, strict=True)), x)

        return penalty(replaced, Tensor(images(), requires_grad=True))

    return f


# The penalty does not depend on the last bias, and on the norm's bias only by where LeakyReLU bends.
check = partial(check_grads, rtol=1e-6, allow_unused=True)


def test_the_penalty_has_the_right_gradient_in_all_weights_together():
    D = critic()
    assert check(penalty_of_weights(D), [p.data for p in D.parameters()], order=1) <= 1e-6


@pytest.mark.parametrize("name", [name for name, _ in critic().named_parameters()])
def test_the_penalty_has_the_right_gradient_in_each_weight(name):
    D = critic()
    weights = [p.data for p in D.parameters()]
    i = [n for n, _ in D.named_parameters()].index(name)

    def f(w):
        return penalty_of_weights(D)(*[w if j == i else Tensor(a) for j, a in enumerate(weights)])

    assert check(f, [weights[i]], order=1) <= 1e-6


def test_the_penalty_of_a_smooth_critic_is_right_to_second_order():
    """tanh in place of LeakyReLU: at second order the differences may not cross a kink."""
    D = critic(nn.Tanh())
    assert check(penalty_of_weights(D), [p.data for p in D.parameters()], order=2) <= 1e-6


def test_the_penalty_of_a_linear_critic_is_known():
    """D(x) = w·x has the gradient w everywhere: the penalty is (‖w‖ - 1)², its slope 2 (‖w‖ - 1) w / ‖w‖."""
    D = nn.Sequential(nn.Flatten(), nn.Linear(128, 1, bias=False)).to(np.float64)
    (w,) = D.parameters()
    x = Tensor(images(), requires_grad=True)
    value = penalty(D, x)
    norm = np.linalg.norm(w.data)
    assert_close(value, (norm - 1) ** 2, rtol=1e-12)
    (gw,) = grad(value, w)
    assert_close(gw, 2 * (norm - 1) * w.data / norm, rtol=1e-10)


def test_the_penalty_is_finite_where_the_critic_is_flat():
    """‖∇ₓ D‖ = 0 has no derivative; √ would make NaN of it."""
    D = nn.Sequential(nn.Flatten(), nn.Linear(128, 1)).to(np.float64)
    nn.init.zeros_(D[1].weight)
    value = penalty(D, Tensor(images(), requires_grad=True))
    gradients = grad(value, D.parameters(), allow_unused=True)
    assert value.item() == 1
    assert all(np.isfinite(g.numpy()).all() for g in gradients if g is not None)


def test_the_norm_is_taken_of_each_image_by_itself():
    D = critic()
    together = penalty(D, Tensor(images(), requires_grad=True))
    apart = [penalty(D, Tensor(images()[i : i + 1], requires_grad=True)).item() for i in range(3)]
    assert_close(together, np.mean(apart), rtol=1e-12)


def test_float32_stays_float32_through_both_backward_passes():
    D = critic().to(np.float32)
    x = Tensor(images().astype(np.float32), requires_grad=True)
    gradients = grad(penalty(D, x), D.parameters(), allow_unused=True)
    assert {str(g.dtype) for g in gradients if g is not None} == {"float32"}


@pytest.mark.parametrize("given", ["weight", "bias"])
def test_the_gradient_of_a_norm_of_constants_has_a_graph(given):
    """x is an array: what varies is the weight or the bias."""
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((5, 4)), Tensor(rng.standard_normal(4), requires_grad=True)
    y = F.layer_norm(x, 4, **{given: t})
    (first,) = grad((y * y).sum(), t)
    (recorded,) = grad((y * y).sum(), t, create_graph=True)
    assert_close(recorded, first, rtol=1e-12)


def test_r1_of_a_linear_critic_is_known():
    """D(x) = w·x: the penalty is ‖w‖² whatever x is, its slope 2w."""
    D = nn.Sequential(nn.Flatten(), nn.Linear(128, 1, bias=False)).to(np.float64)
    (w,) = D.parameters()
    value = r1_penalty(D, Tensor(images()))
    assert_close(value, (w.data**2).sum(), rtol=1e-12)
    (gw,) = grad(value, w)
    assert_close(gw, 2 * w.data, rtol=1e-12)


def test_r1_has_the_right_gradient_in_all_weights_together():
    D = critic()
    names = [name for name, _ in D.named_parameters()]

    def f(*weights):
        tensors = dict(zip(names, weights, strict=True))
        return r1_penalty(lambda x: nn.functional_call(D, tensors, x), Tensor(images()))

    assert check(f, [p.data for p in D.parameters()], order=1) <= 1e-6
