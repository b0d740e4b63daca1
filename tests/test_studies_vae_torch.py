"""The side of the study of the VAE's bounds that is written in PyTorch."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from bench.studies import pytorch_vae  # noqa: E402
from minigan import Generator  # noqa: E402
from minigan.cli import call, main  # noqa: E402
from minigan.training import Options, Session  # noqa: E402

pytestmark = pytest.mark.torch
SMALL = {"hidden": "5", "latent": "3", "steps": "4", "batch-size": "8"}
BURDA = {
    "draws": "3",
    "binarise": "true",
    "layers": "2",
    "activation": "tanh",
    "lr-last": "1e-4",
    "centred": "true",
}


@pytest.mark.parametrize("settings", [{}, BURDA], ids=["one-code", "burda"])
def test_both_sides_lose_alike_at_first(settings, monkeypatch):
    """With the coins and the noise of minigan's run."""
    session, *nets = pytorch_vae.prepared("digits", None, 3, SMALL | settings)
    own = Session("vae", Options(data="digits", seed=3), session.cfg)
    assert session.cfg == own.cfg
    rng, draws = Generator(own.rng.key), session.cfg.draws

    def noise(cfg, n):
        drawn = rng.normal((draws, n, cfg.latent) if draws > 1 else (n, cfg.latent))
        return torch.from_numpy(drawn.reshape(draws, n, cfg.latent))

    monkeypatch.setattr(pytorch_vae, "noise", noise)
    monkeypatch.setattr(pytorch_vae, "uniform", lambda x: torch.from_numpy(rng.uniform(tuple(x.shape))))
    batches = map(torch.from_numpy, session.batches)
    for _, loss in zip(range(4), pytorch_vae.losses(*nets, batches, session.cfg), strict=False):
        assert loss.item() == pytest.approx(own.next_step()["loss"], rel=1e-5)


@pytest.mark.slow
def test_what_it_writes_is_measured_as_a_run_is(tmp_path, monkeypatch):
    """Its untrained networks are those of a run, and get the same numbers."""
    monkeypatch.setattr(pytorch_vae, "SAMPLES", 300)
    words = [f"--{key}={value}" for key, value in (SMALL | BURDA | {"lr": "1e-30"}).items()]
    where = ["--data=digits", "--seed=3"]
    pytorch_vae.app([*where, *words, f"--out={tmp_path / 'theirs'}"], result_action="return_value")
    ours = [word.removesuffix("=true") for word in words]
    assert main(["train", "vae", *where, *ours, f"--out={tmp_path / 'run'}"]) == 0
    how = ["--metrics=sharpness", "--draws=1", "--n=300"]
    assert main(["evaluate", str(tmp_path / "run"), *how]) == 0
    archive = tmp_path / "theirs" / "samples.npz"
    assert main(["evaluate", str(archive), "--data=digits", "--size=16", *how]) == 0
    found = [
        json.loads(path.read_text(encoding="utf-8"))["metrics"]
        for path in (tmp_path / "run" / "evaluation.json", archive.with_name("samples.evaluation.json"))
    ]
    assert {"bound", "iw-bound-50", "iw-bound-500", "sharpness"} <= found[1].keys()
    for name in ("bound", "reconstruction", "kl", "iw-bound-50", "iw-bound-500"):
        assert found[1][name]["value"] == pytest.approx(found[0][name]["value"], rel=1e-6)
        assert found[1][name]["n"] == found[0][name]["n"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--hiden", "5"], "did you mean 'hidden'?"),
        (["--likelihood", "gaussian"], "the pixels of the VAE in PyTorch are coins"),
        (["--draws", "0"], "draws must be at least 1, got 0"),
        (["--data", "mnst"], "did you mean 'mnist'?"),
    ],
)
def test_what_it_cannot_do_is_told_in_a_sentence(flags, message, tmp_path, capsys):
    given = [] if "--data" in flags else ["--data", "digits"]
    assert call(pytorch_vae.app, ["--out", str(tmp_path / "out"), *given, *flags]) == 2
    assert message in capsys.readouterr().err


def test_hidden_layers_and_the_rate_are_told(monkeypatch):
    _, encoder, decoder = pytorch_vae.prepared("digits", None, 0, SMALL | BURDA)
    kinds = [type(layer).__name__ for layer in encoder]
    assert kinds == ["Flatten", "Linear", "Tanh", "Linear", "Tanh", "Linear"]
    assert np.prod(decoder(torch.zeros(2, 3)).shape) == 2 * 256
