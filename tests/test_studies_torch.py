"""The side of the studies that is written in PyTorch: it begins with minigan's weights and batches."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from bench.studies import pytorch  # noqa: E402
from minigan import Generator, Tensor  # noqa: E402
from minigan.cli import call  # noqa: E402
from minigan.testing import assert_close  # noqa: E402
from minigan.training import Options, Session  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("model", ["dcgan", "wgan-gp"])
def test_both_sides_begin_with_the_same_networks_and_batches(model):
    cfg, dataset, nets = pytorch.prepared(model, "digits", None, seed=3, settings={"width": 4, "steps": 7})
    session = Session(model, Options(seed=3), type(cfg)(width=4, steps=7))
    assert session.cfg == cfg
    z = np.random.default_rng(0).standard_normal((5, cfg.latent)).astype(np.float32)
    x = next(pytorch.tensors(dataset, cfg, seed=3))
    np.testing.assert_array_equal(x.numpy(), next(session.batches))
    for own, its, given in zip((session.parts["G"], session.parts["D"]), nets, (z, x.numpy()), strict=True):
        expected = its(torch.from_numpy(given)).detach().numpy()
        assert_close(own(Tensor(given)).numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", ["dcgan", "wgan-gp"])
def test_both_sides_lose_alike_at_first(model, monkeypatch):
    """The first losses, with the noise and the interpolates of minigan's run."""
    cfg, dataset, nets = pytorch.prepared(model, "digits", None, seed=3, settings={"width": 4, "steps": 7})
    session = Session(model, Options(seed=3), type(cfg)(width=4, steps=7))
    rng = Generator(session.rng.key)
    monkeypatch.setattr(pytorch, "noise", lambda cfg, n: torch.from_numpy(rng.normal((n, cfg.latent))))
    monkeypatch.setattr(torch, "rand", lambda *shape: torch.from_numpy(rng.uniform(shape)))
    loop = {"dcgan": pytorch.dcgan_loop, "wgan-gp": pytorch.wgan_gp_loop}[model]
    losses = next(loop(*nets, pytorch.tensors(dataset, cfg, seed=3), cfg))
    own = session.next_step()
    for name, value in losses.items():
        assert value.item() == pytest.approx(own[name], rel=2e-3, abs=2e-3)


def test_it_writes_samples_of_the_averaged_generator(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(pytorch, "SAMPLES", 1000)
    flags = ["--data", "digits", "--width", "4", "--steps", "2", "--ema", "0.9", "--out", str(tmp_path)]
    pytorch.app(["dcgan", *flags], result_action="return_value")
    with np.load(tmp_path / "samples.npz") as file:
        samples = file["samples"]
    assert (samples.shape, samples.dtype) == ((1000, 1, 16, 16), np.float32)
    assert np.abs(samples).max() <= 1
    assert capsys.readouterr().out.startswith("0 d_loss ")


def test_its_moving_average_is_minigan_s():
    rng = np.random.default_rng(0)
    net, average = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    average.load_state_dict(net.state_dict())
    expected = net.weight.detach().numpy().copy()
    for decay in (0.1, 0.9):
        with torch.no_grad():
            net.weight += torch.from_numpy(rng.standard_normal((2, 3)).astype(np.float32))
        pytorch.follow(average, net, decay)
        expected = decay * expected + (1 - decay) * net.weight.detach().numpy()
    np.testing.assert_allclose(average.weight.detach().numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--norm", "layer"], "the settings are numbers, got 'layer'"),
        (["--pack", "2"], "dcgan has no setting 'pack' here"),
        (["--stps", "2"], "did you mean 'steps'?"),
        (["--data", "mnst"], "did you mean 'mnist'?"),
    ],
)
def test_what_it_cannot_do_is_told_in_a_sentence(flags, message, tmp_path, capsys):
    assert call(pytorch.app, ["dcgan", "--out", str(tmp_path / "out"), *flags]) == 2
    assert message in capsys.readouterr().err
