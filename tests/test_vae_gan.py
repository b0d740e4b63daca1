"""The VAE-GAN: which loss moves which network, and its gradients through the sampling and through D."""

import io

import numpy as np
import pytest
from given import GivenFirst
from rich.console import Console

from minigan import Generator, MiniganError, Tensor, grad, training
from minigan import functional as F
from minigan.data import load
from minigan.gans import model_named
from minigan.gans.codes import vae_gan
from minigan.gans.model import networks
from minigan.gans.parts.gaussian import divergence, drawn, mean_and_log_var
from minigan.optim import SGD
from minigan.speed.steps import fields_of
from minigan.testing import assert_close, check_grads, check_model
from minigan.training import Options, Sampler, Session

MODEL = model_named("vae-gan")
SHAPE = (1, 16, 16)
NOISE = np.random.default_rng(2).standard_normal((2, 4, 3))  # of the codes, and of the samples


def small(**settings):
    return vae_gan.Config(**{"batch_size": 4, "latent": 3, "width": 2, **settings})


def moved(**settings):
    """{network: how far each of its numbers goes in one step of plain descent}, and the losses: the same
    networks, images and noise whatever the settings."""
    cfg = small(**settings)
    parts = MODEL.parts(cfg, fields_of(SHAPE), Generator(0))
    nets = networks(parts)
    for name, net in nets.items():
        net.to(np.float64)
        parts[f"opt_{name.lower()}"] = SGD(net.parameters(), 1.0)
    before = {name: [p.numpy().copy() for p in net.parameters()] for name, net in nets.items()}
    x = Generator(1).uniform((4, *SHAPE), -1, 1, np.float64)
    seen = next(MODEL.train(parts, iter([x]), GivenFirst(NOISE), cfg))
    ways = {
        name: np.concatenate(
            [(b - p.numpy()).ravel() for b, p in zip(before[name], net.parameters(), strict=True)]
        )
        for name, net in nets.items()
    }
    return ways, seen


def test_gamma_is_of_the_decoder_alone():
    """Algorithm 1: likeness has its full weight for the encoder, and none for D."""
    (none, _), (one, _), (two, _) = (moved(gamma=gamma) for gamma in (0.0, 1.0, 2.0))
    assert np.array_equal(none["encoder"], two["encoder"])
    assert np.array_equal(none["D"], two["D"])
    likeness = one["decoder"] - none["decoder"]
    assert np.abs(likeness).max() > 0
    assert_close(two["decoder"] - none["decoder"], 2 * likeness, rtol=1e-6, atol=1e-9)


def test_each_network_learns_by_its_own_share_at_weights_that_have_not_moved_yet():
    """The gradients of the losses one by one, written out, beside the steps that were taken."""
    cfg = small(gamma=0.5)
    parts = MODEL.parts(cfg, fields_of(SHAPE), Generator(0))
    encoder, decoder, D = (parts[name].to(np.float64) for name in ("encoder", "decoder", "D"))
    x = Tensor(Generator(1).uniform((4, *SHAPE), -1, 1, np.float64))
    mean, log_var = mean_and_log_var(encoder(x))
    again = decoder(drawn(mean, log_var, NOISE[0]))
    fake = decoder(Tensor(NOISE[1]))
    like = 0.5 * ((D.features(x) - D.features(again)) ** 2).sum() / 4
    prior = divergence(mean, log_var).mean()
    real, made, sampled = (F.sigmoid(D(images)) for images in (x, again, fake))
    game = -(F.log(real) + F.log(1 - made) + F.log(1 - sampled)).mean()
    fooling = -(F.log(made) + F.log(sampled)).mean()
    expected = {
        "encoder": grad(prior + like, encoder.parameters()),
        "decoder": grad(0.5 * like + fooling, decoder.parameters()),
        "D": grad(game, D.parameters()),
    }
    ways, seen = moved(gamma=0.5)
    for name, gradients in expected.items():
        assert_close(ways[name], np.concatenate([g.numpy().ravel() for g in gradients]), rtol=1e-5, atol=1e-7)
    for name, value in {"prior": prior, "unlikeness": like, "d_loss": game, "g_loss": fooling}.items():
        assert seen[name].item() == pytest.approx(value.item(), rel=1e-6)


def test_d_s_layers_are_those_of_dcgan_cut_in_two():
    D = MODEL.parts(small(), fields_of(SHAPE), Generator(0))["D"]
    x = Tensor(Generator(1).uniform((4, *SHAPE), -1, 1))
    assert D.features(x).shape == (4, 4, 4, 4)
    assert D.eval()(x).shape == (4, 1)
    assert np.array_equal(D(x).numpy(), D.real(D.features(x)).numpy())


def test_gradients_go_through_the_sampling_and_what_d_sees_to_second_order():
    rng = np.random.default_rng(0)
    x, noise = rng.uniform(-1, 1, (2, 5)), rng.standard_normal((2, 3))

    def unlike(code, decoder, D):
        mean, log_var = mean_and_log_var(code)
        again = F.tanh(drawn(mean, log_var, noise) @ decoder)
        seen = [F.tanh(images @ D) for images in (Tensor(x), again)]
        return vae_gan.unlikeness(*seen) + divergence(mean, log_var)

    check_grads(unlike, [rng.normal(size=s) for s in ((2, 6), (3, 5), (5, 4))], order=2)


@pytest.mark.slow
@pytest.mark.parametrize("size", [16, 32, 64])
def test_a_vae_gan_keeps_the_contract(size):
    check_model("vae-gan", width=2, latent=3, size=size, steps=6)


@pytest.mark.slow
def test_a_short_run_shows_reconstructions_and_is_measured(tmp_path):
    cfg = vae_gan.Config(steps=60, width=8, latent=8)
    run = training.train("vae-gan", Options(seed=1), cfg, tmp_path / "run", Console(file=io.StringIO()))
    first, last = run.records.metrics.read()[0], run.records.metrics.read()[-1]
    assert last["unlikeness"] < first["unlikeness"]
    assert "each beside it as the decoder makes it" in run.page.read_text(encoding="utf-8")
    result, _ = training.evaluate_run(run, names=["sharpness"], draws=1, say=lambda line: None)
    assert {"sharpness", "kl", "error", "unlikeness"} == {*result["metrics"]}
    assert Sampler.of(run)(3).shape == (3, 1, 16, 16)


def test_its_numbers_are_means_over_the_images_however_many_go_through_at_once():
    data = load("digits", 16).part(slice(700))
    session = Session("vae-gan", Options(), small())
    session.next_step()
    found = session.sampler.call("numbers", 0, data=data)
    encoder, decoder = (session.parts[name].eval() for name in ("encoder", "decoder"))
    x = Tensor(data.batch(np.arange(700)))
    mean, log_var = mean_and_log_var(encoder(x))
    assert found["error"] == pytest.approx(((decoder(mean) - x) ** 2).mean().item(), rel=1e-5)
    assert found["kl"] == pytest.approx(divergence(mean, log_var).mean().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gamma": -1.0}, r"gamma must be at least 0, got -1\.0"),
        ({"gamma": float("nan")}, "gamma must be at least 0, got nan"),
        ({"latent": 0}, "latent must be at least 1, got 0"),
        ({"beta1": 1.0}, "beta1 must be below 1"),
        ({"size": 28}, r"size cannot be 28; there are: \(16, 32, 64\)"),
    ],
)
def test_what_it_cannot_be_told(settings, message):
    with pytest.raises(MiniganError, match=message):
        vae_gan.Config(**settings)


def test_images_of_28_pixels_get_a_border():
    assert vae_gan.Config().fitted(fields_of((1, 28, 28))).size == 32
