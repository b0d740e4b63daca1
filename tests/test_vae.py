"""The VAE: its bound by formula and by chance, gradients through the sampling, and what it may be told."""

import io

import numpy as np
import pytest
from rich.console import Console

from minigan import Generator, MiniganError, Tensor, grad, nn, training
from minigan import functional as F
from minigan.data import Field, Fields, load
from minigan.gans import model_named
from minigan.gans.codes import vae
from minigan.gans.parts.gaussian import divergence, mean_and_log_var
from minigan.optim import Adam
from minigan.testing import assert_close, check_grads, check_model
from minigan.training import Options, Run, Sampler, Session

VAE = model_named("vae")
SHAPE = (1, 4, 4)
FIELDS = Fields({"image": Field("image", SHAPE)})


def small(**settings):
    return vae.Config(**{"batch_size": 8, "latent": 3, "hidden": 6, **settings})


def test_the_divergence_by_formula_is_that_of_many_draws():
    """E_q[log q(z) - log p(z)] over 400,000 draws."""
    rng = np.random.default_rng(0)
    mean, log_var = rng.normal(size=(2, 4, 3))
    z = mean + np.exp(0.5 * log_var) * rng.standard_normal((400_000, 4, 3))
    log_q = -0.5 * ((z - mean) ** 2 / np.exp(log_var) + log_var)
    by_chance = (log_q + 0.5 * z**2).sum(axis=2).mean(axis=0)
    assert_close(divergence(Tensor(mean), Tensor(log_var)), by_chance, rtol=1e-2)
    assert_close(divergence(Tensor(np.zeros((2, 3))), Tensor(np.zeros((2, 3)))), np.zeros(2))


def test_the_bound_is_below_the_likelihood_by_importance():
    """log p(x) by 20,000 weighted draws is above the bound of the same networks, for every image."""
    parts = VAE.parts(small(), FIELDS, Generator(0))
    for net in (parts["encoder"], parts["decoder"]):
        net.to(np.float64)
    x, n = Generator(1).uniform((5, *SHAPE), -1, 1, np.float64), 20_000
    mean, log_var = (a.numpy() for a in mean_and_log_var(parts["encoder"](Tensor(x))))
    noise = Generator(2).normal((n, 5, 3), dtype=np.float64)
    z = mean + np.exp(0.5 * log_var) * noise
    logits = parts["decoder"](Tensor(z.reshape(-1, 3))).numpy().reshape(n, 5, -1)
    coins = 0.5 * (x.reshape(5, -1) + 1)
    likelihood = -(np.logaddexp(0, logits) - coins * logits).sum(axis=2)
    weights = likelihood - 0.5 * (z**2).sum(axis=2) + 0.5 * (noise**2 + log_var).sum(axis=2)
    by_importance = np.logaddexp.reduce(weights, axis=0) - np.log(n)
    terms = [vae.bound(Tensor(x), Tensor(noise[i]), parts["encoder"], parts["decoder"]) for i in range(500)]
    bound = np.mean([(likely - kl).numpy() for likely, kl in terms], axis=0)
    assert (bound < by_importance).all()
    assert (by_importance - bound < 5).all()


def test_gradients_go_through_the_sampling_to_second_order():
    parts = VAE.parts(small(), FIELDS, Generator(0))
    encoder, decoder = (parts[name].to(np.float64) for name in ("encoder", "decoder"))
    rng = np.random.default_rng(0)
    code, noise, x = rng.normal(size=(2, 6)), rng.normal(size=(2, 3)), rng.uniform(-1, 1, (2, *SHAPE))

    def through(code, weight):
        mean, log_var = code[:, :3], code[:, 3:]
        z = mean + F.exp(0.5 * log_var) * noise
        logits = F.tanh(z @ weight)  # a smooth decoder: ReLU has kinks
        surprise = F.binary_cross_entropy_with_logits(
            logits, Tensor(0.5 * (x.reshape(2, -1) + 1)), reduction="sum"
        )
        return surprise + divergence(mean, log_var).sum()

    check_grads(through, [code, rng.normal(size=(3, 16))], order=2)
    likelihood, kl = vae.bound(Tensor(x), Tensor(noise), encoder, decoder)
    assert likelihood.shape == kl.shape == (2,)


def test_the_default_is_the_loop_that_it_was_bit_for_bit():
    """One hidden layer, coins, one code, a rate that stays; written out."""
    cfg, rng = small(), Generator(0)
    encoder = nn.Sequential(
        nn.Flatten(), nn.Linear(16, 6, generator=rng), nn.ReLU(), nn.Linear(6, 6, generator=rng)
    )
    decoder = nn.Sequential(
        nn.Linear(3, 6, generator=rng), nn.ReLU(), nn.Linear(6, 16, generator=rng), nn.Unflatten(*SHAPE)
    )
    opt = Adam([*encoder.parameters(), *decoder.parameters()], 1e-3)
    parts = VAE.parts(cfg, FIELDS, Generator(0))
    assert [*parts] == ["encoder", "decoder", "opt"]
    data = [Generator(i).uniform((8, *SHAPE), -1, 1) for i in range(5)]
    noise = Generator(1)
    for seen, x in zip(VAE.train(parts, iter(data), Generator(1), cfg), data, strict=True):
        said = encoder(Tensor(x))
        mean, log_var = said[:, :3], said[:, 3:]
        z = mean + F.exp(0.5 * log_var) * Tensor(noise.normal((8, 3)))
        coins = 0.5 * (Tensor(x) + 1.0)
        surprise = F.binary_cross_entropy_with_logits(decoder(z), coins, reduction="none")
        kl = (0.5 * (mean * mean + F.exp(log_var) - 1.0 - log_var).sum(axis=1)).mean()
        likelihood = (-F.flatten(surprise, 1).sum(axis=1)).mean()
        loss = kl - likelihood
        opt.step(grad(loss, opt.params))
        assert [*seen] == ["loss", "reconstruction", "kl"]
        assert seen["loss"].item() == loss.item()
    for name, net in {"encoder": encoder, "decoder": decoder}.items():
        own = parts[name].state_dict()
        assert [*own] == [*net.state_dict()]
        for key, array in net.state_dict().items():
            assert np.array_equal(own[key], array)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"likelihood": "gaussian"},
        {"likelihood": "gaussian", "sigma": 0.2, "draws": 2},
        {"draws": 3, "binarise": True, "layers": 2, "activation": "tanh", "lr_last": 1e-4, "centred": True},
    ],
    ids=["default", "gaussian", "given-sigma", "burda"],
)
def test_a_vae_keeps_the_contract(settings):
    check_model("vae", hidden=8, latent=3, **settings)


def test_the_rate_falls_to_the_last_one_by_the_same_factor_each_step():
    cfg, rng = small(steps=10, lr=1e-2, lr_last=1e-4), Generator(0)
    parts = VAE.parts(cfg, FIELDS, rng)
    data = [rng.uniform((8, *SHAPE), -1, 1) for _ in range(10)]
    rates = [parts["opt"].lr for _ in VAE.train(parts, iter(data), rng, cfg)]
    assert rates == pytest.approx([1e-2 * 10 ** (-0.2 * n) for n in range(1, 11)], rel=1e-6)


def test_a_centred_decoder_begins_with_the_mean_of_the_first_batch():
    cfg, rng = small(centred=True, lr=0.0), Generator(0)
    parts = VAE.parts(cfg, FIELDS, rng)
    parts["decoder"][-2].weight.data[...] = 0
    data = [rng.uniform((8, *SHAPE), -0.9, 0.9) for _ in range(2)]
    for _ in VAE.train(parts, iter(data), rng, cfg):
        made = vae.make(Tensor(rng.normal((2, 3))), parts["decoder"])
        assert_close(made, np.repeat(data[0].mean(axis=0, keepdims=True), 2, axis=0), rtol=1e-5, atol=1e-5)
    black = -np.ones((8, *SHAPE), np.float32)
    vae.centre(parts["decoder"], black)
    assert np.isfinite(parts["decoder"][-2].bias.numpy()).all()


def test_of_several_codes_the_loss_is_below_that_of_one():
    cfg, rng = small(draws=20), Generator(0)
    parts = VAE.parts(cfg, FIELDS, rng)
    data = [rng.uniform((8, *SHAPE), -1, 1) for _ in range(5)]
    for seen in VAE.train(parts, iter(data), rng, cfg):
        assert seen["loss"].item() < seen["loss_of_one"].item()


def test_its_numbers_are_bounds_one_above_the_other():
    digits = load("digits", 16).part(slice(20))
    parts = VAE.parts(small(), digits.fields, Generator(0))
    networks = {name: parts[name] for name in ("encoder", "decoder")}
    for settings in ({}, {"binarise": True}):
        found = vae.numbers(digits, Generator(0), cfg=small(**settings), **networks)
        assert [*found] == ["bound", "reconstruction", "kl", "iw-bound-50", "iw-bound-500"]
        (fifty, n), (five_hundred, _) = found["iw-bound-50"], found["iw-bound-500"]
        assert n == 20
        assert found["bound"] < fifty < five_hundred < 0
        assert found["bound"] == pytest.approx(-found["reconstruction"] - found["kl"])


def test_the_weighted_bounds_are_of_images_that_are_spread_over_all(monkeypatch):
    monkeypatch.setattr(vae, "IMAGES", 4)
    digits, asked = load("digits", 16).part(slice(10)), []
    monkeypatch.setattr(
        vae,
        "held_out_bounds",
        lambda images, *rest: asked.extend(images) or dict.fromkeys((1, 50, 500), 0.0),
    )
    parts = VAE.parts(small(), digits.fields, Generator(0))
    found = vae.numbers(digits, Generator(0), parts["encoder"], parts["decoder"], small())
    assert found["iw-bound-500"] == (0.0, 4)
    assert np.array_equal(asked[0].numpy(), digits.batch([0, 2, 5, 7]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"draws": 0}, "draws must be at least 1, got 0"),
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"likelihood": "normal"}, "likelihood cannot be 'normal'"),
        ({"activation": "sigmoid"}, "activation cannot be 'sigmoid'"),
        ({"likelihood": "gaussian", "sigma": 0.0}, r"sigma must be above 0, got 0\.0"),
        ({"likelihood": "gaussian", "sigma": float("nan")}, "sigma must be above 0, got nan"),
        ({"sigma": 0.1}, r"sigma = 0\.1 is of the gaussian likelihood, and coins have none"),
        ({"likelihood": "gaussian", "binarise": True}, "which the gaussian likelihood is not for"),
        ({"lr_last": -1e-4}, "lr_last must be above 0"),
        ({"lr": 0.0, "lr_last": 1e-4}, "lr must be above 0 to fall to"),
    ],
)
def test_what_it_cannot_be_told(settings, message):
    with pytest.raises(MiniganError, match=message):
        vae.Config(**settings)


@pytest.mark.slow
def test_a_short_run_is_told_the_truth_and_shows_reconstructions(tmp_path):
    console = Console(file=io.StringIO())
    cfg = vae.Config(steps=300, batch_size=64)
    run = training.train("vae", Options(diagnose_every=20, seed=1), cfg, tmp_path / "run", console)
    first, last = run.records.metrics.read()[0], run.records.metrics.read()[-1]
    assert last["loss"] == pytest.approx(last["reconstruction"] + last["kl"], rel=1e-5)
    assert last["loss"] < 0.65 * first["loss"]
    assert run.records.verdict()["verdict"] == "healthy"
    assert run.records.diagnostics.read()[-1]["judges"] == {}
    page = run.page.read_text(encoding="utf-8")
    assert "each beside it as the decoder makes it" in page
    assert "discriminator" not in page.lower().replace("a discriminator", "")
    result, _ = training.evaluate_run(run, names=["diversity"], draws=1, say=lambda line: None)
    rows = result["metrics"]
    assert rows["bound"]["value"] == pytest.approx(-rows["reconstruction"]["value"] - rows["kl"]["value"])
    assert abs(rows["bound"]["value"] + last["loss"]) < 10
    assert Sampler.of(Run.open(run.path))(3).shape == (3, 1, 16, 16)


def test_a_loss_that_explodes_is_told_without_a_judge():
    session = Session("vae", Options(data="digits", diagnose_every=1), small(steps=10, lr=1e-3))
    from minigan.diagnostics import Doctor

    doctor = Doctor(session, session.sampler_of(session.parts), 1)
    for step in range(8):
        if step == 2:
            session.parts["decoder"][0].weight.data[...] *= 500
        with doctor.watching():
            metrics = session.next_step()
        doctor.note(metrics)
    assert doctor.verdict()["verdict"] == "diverging"
    assert "loss is" in doctor.verdict()["findings"][0]["evidence"]


def test_codes_make_images_of_the_data():
    digits = load("digits", 16)
    parts = VAE.parts(vae.Config(), digits.fields, Generator(0))
    images = vae.make(Tensor(Generator(1).normal((4, 20))), parts["decoder"])
    assert images.shape == (4, 1, 16, 16)
    assert np.abs(images.numpy()).max() <= 1
