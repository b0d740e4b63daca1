"""WGAN: weights in the box, the schedule of the critic, the estimate, and what is told of all this."""

import io
from itertools import count, islice

import numpy as np
import pytest
from rich.console import Console

from minigan import Generator, MiniganError, Tensor, nn, training
from minigan.diagnostics import Doctor
from minigan.diagnostics.verdict import RULES
from minigan.gans import model_named
from minigan.gans.model import numbers_of
from minigan.gans.noise import wgan
from minigan.optim import Adam, RMSprop
from minigan.speed.steps import fields_of
from minigan.testing import assert_close, check_model
from minigan.training import Options, Session

WGAN = model_named("wgan")
SMALL = {"latent": 3, "width": 2, "batch_size": 4, "n_critic": 2, "n_critic_first": 3}
SHAPES = pytest.mark.parametrize("shape", [(2,), (1, 16, 16)], ids=str)


def game(shape, seed=0, **settings):
    """(parts, cfg, the loop), on random data without an end."""
    cfg, rng = wgan.Config(**{**SMALL, **settings}).fitted(fields_of(shape)), Generator(seed)
    parts = wgan.parts(cfg, fields_of(shape), rng)
    data = (rng.uniform((cfg.samples, *shape), -1, 1) for _ in count())
    return parts, cfg, wgan.train(data, rng, cfg, **parts)


def weights(D):
    return np.concatenate([p.numpy().ravel() for p in D.parameters()])


@SHAPES
@pytest.mark.parametrize("clip", [0.01, 0.3])
def test_all_weights_of_d_and_none_of_g_are_held_within_the_clip(shape, clip):
    parts, _, loop = game(shape, clip=clip, lr=0.05)
    assert np.abs(weights(parts["D"])).max() > 0.01
    for seen in islice(loop, 3):
        size = np.abs(weights(parts["D"]))
        assert size.max() == np.float32(clip)
        assert seen["clipped"].item() == pytest.approx((size == np.float32(clip)).mean())
        assert 0 < seen["clipped"].item() < 1
    assert np.abs(weights(parts["G"])).max() > 0.5  # its steps are of 0.05


@SHAPES
def test_weights_far_inside_are_not_at_the_clip(shape):
    parts, _, loop = game(shape, clip=100.0)
    assert next(loop)["clipped"].item() == 0
    assert np.abs(weights(parts["D"])).max() < 100


def test_the_share_is_of_single_weights():
    net = nn.Linear(3, 2)
    net.weight.data[...] = [[0.5, -0.5, 0.1], [0.5, 0.0, -0.2]]
    net.bias.data[...] = [0.5, 0.49]
    assert wgan.clipped(net, 0.5).item() == 0.5


def test_the_critic_is_trained_longer_at_first_and_now_and_then():
    """100 steps before each of the first 25 of G, and before each 500th."""
    cfg = wgan.Config()
    counts = [wgan.critic_steps(cfg, step) for step in range(1002)]
    assert [step for step, n in enumerate(counts) if n == 100] == [*range(25), 500, 1000]
    assert {*counts} == {5, 100}
    assert wgan.critic_steps(wgan.Config(n_critic=9, n_critic_first=3), 0) == 9


@pytest.mark.slow
def test_the_loop_takes_as_many_and_asks_the_optimiser_which():
    parts, _, loop = game((2,))
    taken = []
    for _ in islice(loop, 27):
        taken.append(parts["opt_d"].steps)
    assert np.diff([0, *taken]).tolist() == [3] * 25 + [2] * 2
    parts["opt_g"].steps = 498
    for more in (2, 2, 3, 2):  # how many there are is decided right after a step of G
        next(loop)
        taken.append(parts["opt_d"].steps)
        assert taken[-1] - taken[-2] == more


@SHAPES
def test_the_estimate_is_the_difference_of_the_means(shape):
    _, _, loop = game(shape)
    numbers, _ = numbers_of(next(loop), critic=True)
    assert numbers.keys() == {"d_loss", "g_loss", "d_real", "d_fake", "wasserstein", "clipped"}
    assert numbers["wasserstein"] == pytest.approx(numbers["d_real"] - numbers["d_fake"], abs=1e-6)
    assert numbers["d_loss"] == -numbers["wasserstein"]


def test_the_estimate_is_that_of_two_places_up_to_the_slope_of_a_linear_critic():
    """Of points at 0 and at (3, 4), 5 apart, a linear critic whose weights are in [-c, c] reaches 7 c; the
    steepest of those has slope √2 c, so it cannot be more than 5 √2 c."""
    D, G = nn.Linear(2, 1, bias=False), nn.Linear(1, 2, bias=False)
    G.weight.data[...] = 0
    opts = {"opt_d": RMSprop(D.parameters(), 0.01), "opt_g": RMSprop(G.parameters(), 0.0)}
    cfg = wgan.Config(latent=1, clip=0.1, n_critic_first=50)
    data = [np.full((4, 2), [3, 4], np.float32)] * 50
    (seen,) = wgan.train(data, Generator(0), cfg, G, D, **opts)
    assert seen["wasserstein"].item() == pytest.approx(0.7, rel=1e-6)
    assert seen["clipped"].item() == 1


@SHAPES
@pytest.mark.parametrize(("name", "kind"), [("rmsprop", RMSprop), ("adam", Adam)])
def test_what_moves_the_networks(shape, name, kind):
    parts, *_ = game(shape, optimizer=name, lr=0.003, lr_d=0.001, beta1=0.4)
    for opt, net, lr in ((parts["opt_g"], parts["G"], 0.003), (parts["opt_d"], parts["D"], 0.001)):
        assert type(opt) is kind
        assert opt.lr == lr
        assert {*opt.params} == {*net.parameters()}
        assert getattr(opt, "beta1", 0.4) == 0.4


@pytest.mark.parametrize("norm", wgan.NORMS)
def test_a_critic_without_batch_norm_judges_each_sample_by_itself(norm):
    shape = (1, 16, 16)
    cfg = wgan.Config(latent=3, width=4, norm=norm).fitted(fields_of(shape))
    D = wgan.parts(cfg, fields_of(shape), Generator(0))["D"]
    x = Generator(1).normal((4, *shape))
    before = D(Tensor(x)).numpy()[:1]
    x[1:] *= 3
    alike = np.allclose(D(Tensor(x)).numpy()[:1], before, rtol=1e-5, atol=1e-6)
    assert alike == (norm != "batch")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"clip": 0.0}, "clip must be above 0 and finite, got 0.0: weights are held within [-clip, clip]"),
        (
            {"clip": -0.01},
            "clip must be above 0 and finite, got -0.01: weights are held within [-clip, clip]",
        ),
        (
            {"clip": float("inf")},
            "clip must be above 0 and finite, got inf: weights are held within [-clip, clip]",
        ),
        (
            {"clip": float("nan")},
            "clip must be above 0 and finite, got nan: weights are held within [-clip, clip]",
        ),
        ({"n_critic": 0}, "n_critic must be at least 1, got 0"),
        ({"n_critic_first": 0}, "n_critic_first must be at least 1, got 0"),
        ({"optimizer": "adm"}, "optimizer cannot be 'adm'; did you mean 'adam'?"),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(settings, says):
    with pytest.raises(MiniganError) as error:
        wgan.Config(**settings)
    assert str(error.value) == says


@pytest.mark.slow
@pytest.mark.parametrize("data", ["digits", "ring8"])
def test_wgan_keeps_the_contract(data):
    check_model("wgan", data, steps=30, **{k: SMALL[k] for k in SMALL if k != "batch_size"})


def test_the_doctor_wants_no_slope_of_a_clipped_critic():
    session = Session("wgan", Options(data="ring8"), wgan.Config(**SMALL))
    assert session.model.slope is None
    doctor = Doctor(session, session.sampler, every=1)
    for _ in range(3):
        with doctor.watching():
            metrics = session.next_step()
        look = doctor.note(metrics)
    assert "lipschitz" not in look
    assert look["judges"]["d"].keys() == {"output", "oscillation"}


def test_only_a_critic_that_is_too_steep_is_told_to_take_its_penalty():
    """One whose weights are clipped has none, nor has a discriminator that diverges."""
    assert [rule.sign.__name__ for rule in RULES if "penalty" in rule.advice] == ["too_steep"]


@pytest.mark.slow
def test_a_run_shows_the_estimate_the_share_and_the_order_of_the_critic(tmp_path):
    cfg = wgan.Config(**SMALL, steps=3, clip=0.02)
    run = training.train("wgan", Options(), cfg, tmp_path / "run", Console(file=io.StringIO()))
    page = run.page.read_text(encoding="utf-8")
    for text in (
        "What else a step says: wasserstein",
        "What else a step says: clipped",
        "Samples, from what D takes for least real to what it takes for most.",
        "Held-out images, from what",
    ):
        assert text in page
    assert "The discriminator" not in page
    result, _ = training.evaluate_run(run, names=["diversity"], draws=1, say=lambda line: None)
    assert result["metrics"]["clipped"]["value"] == pytest.approx(run.records.metrics.read()[-1]["clipped"])


def test_the_exhibit_is_in_the_order_of_the_critic():
    parts, cfg, _ = game((1, 16, 16))
    shown = []
    real = Generator(3).uniform((50, 1, 16, 16), -1, 1)

    class Data:
        batch = staticmethod(lambda which: real[list(which)])
        __len__ = staticmethod(lambda: len(real))

    wgan.pictures(lambda text, x: shown.append(x), Data(), Generator(1), cfg, parts["G"], parts["D"].eval())
    assert [len(x) for x in shown] == [40, 40]
    for x in shown:
        assert (np.diff(parts["D"](Tensor(x)).numpy()[:, 0]) >= -1e-6).all()
    assert_close(np.sort(shown[1].ravel()), np.sort(real[:40].ravel()))
