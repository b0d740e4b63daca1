"""The VAE: its bound by formula and by chance, gradients through the sampling, and a twin in PyTorch."""

import io

import numpy as np
import pytest
from rich.console import Console

from minigan import Generator, Tensor, training
from minigan import functional as F
from minigan.data import Field, Fields, load
from minigan.gans import model_named
from minigan.gans.codes import vae
from minigan.gans.parts.gaussian import divergence, mean_and_log_var
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


@pytest.mark.slow
def test_a_vae_keeps_the_contract():
    check_model("vae", hidden=8, latent=3)


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


# Beside PyTorch

STEPS = 10


class Given:
    """Random numbers that were drawn before."""

    def __init__(self, arrays):
        self.arrays = iter(arrays)

    def normal(self, shape):
        return next(self.arrays)


@pytest.mark.torch
def test_ten_steps_are_those_of_a_twin_in_pytorch():
    torch = pytest.importorskip("torch")
    tnn, cfg, rng = torch.nn, small(lr=1e-2), Generator(0)
    parts = VAE.parts(cfg, FIELDS, rng)
    data = [rng.uniform((8, *SHAPE), -1, 1, np.float64) for _ in range(STEPS)]
    noise = [rng.normal((8, 3), dtype=np.float64) for _ in range(STEPS)]
    encoder = tnn.Sequential(tnn.Flatten(), tnn.Linear(16, 6), tnn.ReLU(), tnn.Linear(6, 6)).double()
    decoder = tnn.Sequential(
        tnn.Linear(3, 6), tnn.ReLU(), tnn.Linear(6, 16), tnn.Unflatten(1, SHAPE)
    ).double()
    for name, net in {"encoder": encoder, "decoder": decoder}.items():
        parts[name].to(np.float64)
        net.load_state_dict({k: torch.from_numpy(a.copy()) for k, a in parts[name].state_dict().items()})
    opt = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-2)

    loop = VAE.train(parts, iter(data), Given(noise), cfg)
    for seen, x, eps in zip(loop, data, noise, strict=True):
        mean, log_var = encoder(torch.from_numpy(x)).chunk(2, 1)
        logits = decoder(mean + torch.exp(0.5 * log_var) * torch.from_numpy(eps))
        coins = torch.from_numpy(0.5 * (x + 1))
        reconstruction = tnn.functional.binary_cross_entropy_with_logits(logits, coins, reduction="sum") / 8
        kl = -0.5 * (1 + log_var - mean**2 - log_var.exp()).sum() / 8
        opt.zero_grad()
        (reconstruction + kl).backward()
        opt.step()
        assert seen["loss"].item() == pytest.approx((reconstruction + kl).item(), rel=1e-8)
        assert seen["kl"].item() == pytest.approx(kl.item(), rel=1e-8)
    for name, net in {"encoder": encoder, "decoder": decoder}.items():
        for key, array in net.state_dict().items():
            assert_close(parts[name].state_dict()[key], array.numpy(), rtol=1e-8, atol=1e-8)


def test_codes_make_images_of_the_data():
    digits = load("digits", 16)
    parts = VAE.parts(vae.Config(), digits.fields, Generator(0))
    images = vae.make(Tensor(Generator(1).normal((4, 20))), parts["decoder"])
    assert images.shape == (4, 1, 16, 16)
    assert np.abs(images.numpy()).max() <= 1
