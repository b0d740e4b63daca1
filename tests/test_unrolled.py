"""The unrolled GAN: G's gradient is the slope of what D would say some steps later; nothing else moves."""

import copy

import numpy as np
import pytest

from minigan import Generator, MiniganError, Tensor, grad, nn
from minigan.gans import model_named
from minigan.gans.noise import unrolled
from minigan.gans.noise.unrolled import game, look_ahead
from minigan.optim import SGD, Adam, RMSprop
from minigan.speed.steps import fields_of
from minigan.testing import assert_close, check_model

UNROLLED = model_named("unrolled")
LATENT, N = 3, 8


def judge(norm):
    """A smooth D of points."""
    layers = [nn.Linear(2, 5), *([nn.BatchNorm1d(5)] if norm else []), nn.Tanh(), nn.Linear(5, 1)]
    return nn.Sequential(*layers).to(np.float64)


def players(opt, norm=False):
    """(G, D, D's optimiser after two steps), smooth, in float64."""
    G = nn.Sequential(nn.Linear(LATENT, 4), nn.Tanh(), nn.Linear(4, 2)).to(np.float64)
    D, rng = judge(norm), Generator(0)
    for p in (*G.parameters(), *D.parameters()):
        p.data[...] = rng.normal(p.shape, dtype=np.float64)
    made = opt(D.parameters())
    for _ in range(2):
        made.step(grad(game(D(drawn(rng, 2)), D(drawn(rng, 2))), made.params))
    return G, D, made


def drawn(rng, width):
    return Tensor(rng.normal((N, width), dtype=np.float64))


OPTIMISERS = {
    "adam": lambda params: Adam(params, 0.05, betas=(0.5, 0.999)),
    "sgd": lambda params: SGD(params, 0.3),
    "momentum": lambda params: SGD(params, 0.1, momentum=0.9),
    "rmsprop": lambda params: RMSprop(params, 0.02),
}


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "norm"])
@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("opt", OPTIMISERS.values(), ids=OPTIMISERS)
def test_the_gradient_is_the_finite_difference_of_the_surrogate(opt, steps, norm):
    """The surrogate is computed by the optimiser itself, in place, on copies of it and D."""
    G, D, opt_d = players(opt, norm)
    rng = Generator(5)
    real, z = drawn(rng, 2), drawn(rng, LATENT)

    def surrogate():
        judge, ahead = copy.deepcopy((D, opt_d))
        fake = G(z).detach()
        for _ in range(steps):
            ahead.step(grad(game(judge(real), judge(fake)), ahead.params))
        return game(judge(real), judge(fake)).item()

    loss = game(*look_ahead(D, opt_d, real, G(z), steps))
    assert loss.item() == pytest.approx(surrogate(), rel=1e-12)
    slopes, eps = grad(loss, [*G.parameters()]), 1e-5
    for p, slope in zip(G.parameters(), slopes, strict=True):
        for i in np.ndindex(p.shape):
            value, found = p.data[i], []
            for sign in (1, -1):
                p.data[i] = value + sign * eps
                found.append(surrogate())
            p.data[i] = value
            assert slope.numpy()[i] == pytest.approx((found[0] - found[1]) / (2 * eps), rel=1e-6, abs=1e-7)


def test_the_gradient_goes_through_the_steps():
    """It is another one than that of the loss at D's later weights alone, so the test above can fail."""
    G, D, opt_d = players(OPTIMISERS["adam"])
    rng = Generator(5)
    real, fake = drawn(rng, 2), G(drawn(rng, LATENT))
    later = copy.deepcopy((D, opt_d))
    later[1].step(grad(game(later[0](real), later[0](fake.detach())), later[1].params))
    (through,) = grad(game(*look_ahead(D, opt_d, real, fake, 1)), fake)
    (at,) = grad(game(later[0](real), later[0](fake)), fake)
    assert np.abs(through.numpy() - at.numpy()).max() > 0.01 * np.abs(at.numpy()).max()


@pytest.mark.parametrize("inner", ["adam", "sgd"])
def test_looking_ahead_moves_neither_the_judge_nor_its_optimiser_nor_statistics(inner):
    G, D, opt_d = players(OPTIMISERS[inner], norm=True)
    rng = Generator(5)
    states = [{k: np.copy(v) for k, v in part.state_dict().items()} for part in (D, opt_d)]
    assert any("running" in name for name in states[0])
    said = look_ahead(D, opt_d, drawn(rng, 2), G(drawn(rng, LATENT)), 3)
    grad(game(*said), [*G.parameters()])
    for part, before in zip((D, opt_d), states, strict=True):
        for name, value in part.state_dict().items():
            np.testing.assert_array_equal(value, before[name], err_msg=name)


def one_step(**settings):
    cfg = UNROLLED.Config(batch_size=8, latent=4, **settings)
    parts = UNROLLED.parts(cfg, fields_of((2,)), Generator(0))
    return next(UNROLLED.train(parts, iter([Generator(1).normal((8, 2))]), Generator(2), cfg)), parts


def test_without_steps_it_is_the_ordinary_game():
    seen, _ = one_step(unroll=0, lr_d=0.0)
    assert seen["d_ahead_loss"].item() == pytest.approx(seen["d_loss"].item(), rel=1e-6)
    assert seen["g_loss"].item() == pytest.approx(-seen["d_loss"].item(), rel=1e-6)


def test_the_judge_ahead_is_the_better_one_by_rate_and_by_steps():
    ahead = [{"unroll": k, "inner_lr": lr} for k, lr in ((0, 0.05), (1, 0.05), (5, 0.05), (5, 0.2))]
    losses = [one_step(inner="sgd", **given)[0]["d_ahead_loss"].item() for given in ahead]
    assert losses == sorted(losses, reverse=True)
    by_default, given = (
        one_step(inner="sgd", inner_lr=rate)[0]["d_ahead_loss"].item() for rate in (None, 0.1)
    )
    assert by_default == given


def test_the_weights_of_networks_for_points_are_orthogonal():
    parts = UNROLLED.parts(UNROLLED.Config(), fields_of((2,)), Generator(0))
    assert [layer.weight.shape for layer in parts["G"] if isinstance(layer, nn.Linear)] == [
        (128, 256),
        (128, 128),
        (2, 128),
    ]
    assert [layer.weight.shape for layer in parts["D"] if isinstance(layer, nn.Linear)] == [
        (128, 2),
        (1, 128),
    ]
    w = parts["G"][2].weight.numpy()
    assert_close(w @ w.T, 0.64 * np.eye(128), atol=1e-5)


def test_the_rate_of_the_judge_is_less_for_images():
    found = [unrolled.Config().fitted(fields_of(shape)).rates for shape in ((2,), (1, 16, 16))]
    assert found == [(1e-3, 1e-3), (1e-3, 1e-4)]
    assert unrolled.Config(lr_d=0.01).fitted(fields_of((1, 16, 16))).rates == (1e-3, 0.01)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"unroll": -1}, "unroll must be at least 0, got -1"),
        ({"inner_lr": -0.1}, "inner_lr must be at least 0, got -0.1"),
        ({"inner": "sdg"}, "inner cannot be 'sdg'; did you mean 'sgd'"),
        ({"loss": "hinge"}, "loss cannot be 'hinge'"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, says):
    with pytest.raises(MiniganError, match=says):
        unrolled.Config(**settings)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "settings"), [("ring8", {"latent": 4}), ("digits", {"latent": 4, "width": 4, "unroll": 1})]
)
def test_an_unrolled_gan_keeps_the_contract(data, settings):
    check_model("unrolled", data=data, **settings)
