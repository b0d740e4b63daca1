"""Models that somebody else wrote, in files outside the package: trained, killed, resumed, drawn from,
exported; and what is said of a file that keeps not to the contract."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from minigan import gans, training
from minigan.cli import main
from minigan.errors import MiniganError
from minigan.gans import model_named, model_names
from minigan.training import Options, Run, Session
from minigan.training.checkpoint import load_checkpoint

TWO = '''"""Mine: a GAN of two networks, in the plane."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from minigan import Tensor, functional as F, grad, nn
from minigan.gans.settings import Settings
from minigan.optim import Adam

TAKES = ("point",)
DATA = "ring8"


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    steps: int = 8
    batch_size: int = 8
    lr: float = 1e-3
    """What Adam is given."""


def parts(cfg, data, rng):
    G = nn.Sequential(nn.Linear(3, 16, generator=rng), nn.ReLU(), nn.Linear(16, 2, generator=rng))
    D = nn.Sequential(
        nn.Linear(2, 16, generator=rng), nn.LeakyReLU(0.2), nn.Dropout(0.3, generator=rng.spawn()),
        nn.Linear(16, 1, generator=rng),
    )
    return {"G": G, "D": D, "opt_g": Adam(G.parameters(), cfg.lr), "opt_d": Adam(D.parameters(), cfg.lr)}


def inputs(n, rng, cfg, spread: float = 1.0, sign: Literal["both", "plus"] = "both", times=1):
    """Noise.

    spread: how far apart the samples are
    """
    z = spread * times * rng.normal((n, 3))
    return {"z": abs(z)} if sign == "plus" else {"z": z}


def make(z, G):
    return G(z)


def judge(x, D):
    return D(x)


def train(data, rng, cfg, G, D, opt_g, opt_d):
    bce = F.binary_cross_entropy_with_logits
    for real in data:
        fake = G(Tensor(rng.normal((len(real), 3))))
        d_real, d_fake = D(Tensor(real)), D(fake.detach())
        d_loss = bce(d_real, 1.0) + bce(d_fake, 0.0)
        opt_d.step(grad(d_loss, opt_d.params))
        g_loss = bce(D(fake), 1.0)
        opt_g.step(grad(g_loss, opt_g.params))
        seen = {"d_loss": d_loss, "g_loss": g_loss, "d_real": d_real, "d_fake": d_fake}
        if opt_d.steps % 3 == 0:
            seen["width"] = fake.detach().mean()
        yield seen
'''

FOUR = '''"""Chain: two generators, one after the other, two judges, and a pool of what was made before."""
from dataclasses import dataclass

import numpy as np

from minigan import Tensor, functional as F, grad, nn
from minigan.gans.settings import Settings
from minigan.optim import Adam

TAKES = ("image",)


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    steps: int = 8
    batch_size: int = 4


class Pool:
    """Grows by a sample a step, and gives the first ones back."""

    def __init__(self):
        self.images, self.least, self.last = np.zeros((0, 1, 8, 8), np.float32), -1, None

    def add(self, x):
        self.images = np.concatenate([self.images, x[:1]])
        self.least = min(self.least, -len(self.images))
        if len(self.images) > 5:
            self.last = np.float32(x.mean())
        return np.concatenate([self.images[:1], x[1:]])

    def state_dict(self):
        return {"images": self.images, "least": self.least, "last": self.last}

    def load_state_dict(self, state):
        self.images, self.least, self.last = state["images"], state["least"], state["last"]


def parts(cfg, data, rng):
    def layer(n, m):
        return nn.Linear(n, m, generator=rng)

    G = [
        nn.Sequential(layer(3, 8), nn.BatchNorm1d(8), nn.ReLU()),
        nn.Sequential(layer(8, 64), nn.Tanh(), nn.Unflatten(1, 8, 8)),
    ]
    D = {
        "whole": nn.Sequential(nn.Flatten(), layer(64, 1)),
        "mean": nn.Sequential(nn.Flatten(), layer(64, 4), nn.Dropout(0.5), layer(4, 1)),
    }
    of_g, of_d = ([p for net in nets for p in net.parameters()] for nets in (G, D.values()))
    return {"G": G, "D": D, "opts": [Adam(of_g, 1e-3), Adam(of_d, 1e-3)], "pool": Pool()}


def inputs(n, rng, cfg):
    return {"z": rng.normal((n, 3))}


def make(z, G):
    h = G[0](z)
    return {"last": G[1](h), "first": F.reshape(F.concat([h] * 8, axis=1), len(h), 1, 8, 8)}


def train(data, rng, cfg, G, D, opts, pool):
    bce = F.binary_cross_entropy_with_logits
    for real in data:
        fake = G[1](G[0](Tensor(rng.normal((len(real), 3)))))
        old = Tensor(pool.add(fake.numpy()))
        seen, loss = {}, 0.0
        for name, judge in D.items():
            seen[f"{name}_real"], seen[f"{name}_fake"] = judge(Tensor(real)), judge(old)
            loss = loss + bce(seen[f"{name}_real"], 1.0) + bce(seen[f"{name}_fake"], 0.0)
        opts[1].step(grad(loss, opts[1].params))
        g_loss = bce(D["whole"](fake), 1.0) + bce(D["mean"](fake), 1.0)
        opts[0].step(grad(g_loss, opts[0].params))
        yield {"d_loss": loss, "g_loss": g_loss, **seen, "old": float(len(pool.images))}
'''
SOURCES = {"mine": TWO, "chain": FOUR}
EVERY = ["--checkpoint-every=2", "--sample-every=4", "--diagnose-every=1", "--ema=0.5", "--device=cpu"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    for name, source in SOURCES.items():
        (tmp_path / "models" / f"{name}.py").write_text(source, encoding="utf-8")
    return tmp_path


def assert_same(one, other):
    assert one.state == other.state
    assert one.arrays.keys() == other.arrays.keys()
    for name, a in one.arrays.items():
        np.testing.assert_array_equal(a, other.arrays[name], err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("name", SOURCES)
def test_a_killed_run_goes_on_to_the_same_bits(here, name, monkeypatch):
    file = f"models/{name}.py"
    assert main(["train", file, *EVERY, "--out=whole"]) == 0
    with monkeypatch.context() as patch:
        next_step = Session.next_step

        def dies(session):
            if session.step == 5:
                raise RuntimeError("killed")
            return next_step(session)

        patch.setattr(Session, "next_step", dies)
        with pytest.raises(RuntimeError, match="killed"):
            main(["train", file, *EVERY, "--out=run"])
    assert Run.open(here / "run").checkpoints.steps() == [2, 4]
    assert main(["train", file, "--resume=run"]) == 0
    whole, run = (Run.open(here / path) for path in ("whole", "run"))
    for step in (6, 8):
        assert_same(*(load_checkpoint(r.checkpoints.path(step)) for r in (whole, run)))
    assert run.records.metrics.path.read_bytes() == whole.records.metrics.path.read_bytes()
    assert run.records.diagnostics.path.read_bytes() == whole.records.diagnostics.path.read_bytes()
    assert run.config["model"] == str(here / "models" / f"{name}.py")


@pytest.mark.slow
def test_two_networks_are_drawn_from_reported_and_exported(here, capsys):
    assert main(["train", "models/mine.py", *EVERY, "--lr=0.002", "--out=run"]) == 0
    assert Run.open(here / "run").hyperparameters().lr == 0.002
    for out, *flags in (("one",), ("wide", "--spread=3"), ("times", "--times=3"), ("plus", "--sign=plus")):
        assert main(["sample", "run", "--n=6", *flags, f"--out={out}.npz"]) == 0
    one, wide, times, plus = (np.load(f"{out}.npz")["samples"] for out in ("one", "wide", "times", "plus"))
    assert one.shape == (6, 2)
    assert not np.array_equal(one, wide)
    assert not np.array_equal(one, plus)
    np.testing.assert_array_equal(wide, times)
    assert main(["report", "run"]) == 0
    page = (here / "run" / "report.html").read_text(encoding="utf-8")
    assert all(part in page for part in ('"losses"', '"means-d"', '"outputs-d"', '"width"', '"plane"'))
    widths = [
        record["width"] for record in Run.open(here / "run").records.metrics.read() if "width" in record
    ]
    assert len(widths) == 2  # of steps 3 and 6
    assert main(["diagnose", "run"]) == 0
    assert main(["export", "run", "--to=safetensors", "--part=all", "--out=weights"]) == 0
    assert load_file("weights/G.safetensors")["0.weight"].shape == (16, 3)
    assert load_file("weights/D.safetensors")["0.weight"].shape == (16, 2)


@pytest.mark.slow
def test_its_graphs_are_exported(here):
    pytest.importorskip("onnx", reason="exports to ONNX, which is not installed")
    for name, parts in {"mine": ["samples", "judge"], "chain": ["samples"]}.items():
        assert main(["train", f"models/{name}.py", "--steps=2", f"--out={name}"]) == 0
        assert main(["export", name, "--to=onnx", "--part=all"]) == 0
        assert sorted(p.stem for p in (here / name).glob("*.onnx")) == sorted(parts)


@pytest.mark.slow
def test_parts_in_lists_and_dicts_are_saved_drawn_from_and_exported(here):
    assert main(["train", "models/chain.py", *EVERY, "--out=run"]) == 0
    run = Run.open(here / "run")
    found = load_checkpoint(run.checkpoints.path(8))
    assert {"G.0.0.weight", "G.1.0.weight", "D.whole.1.weight", "D.mean.3.weight"} <= found.arrays.keys()
    assert {"average.G.0.0.weight", "average.G.1.0.weight", "opts.0.exp_avg.0"} <= found.arrays.keys()
    assert found.arrays["pool.images"].shape == (8, 1, 8, 8)
    assert found.state["parts"]["pool"].keys() == {"least", "last"}
    assert found.state["parts"]["pool"]["least"] == -8
    assert load_checkpoint(run.checkpoints.path(4)).state["parts"]["pool"]["last"] is None
    judges = run.records.diagnostics.read()[-1]["judges"]
    assert judges.keys() == {"whole", "mean"}
    assert main(["sample", "run", "--n=3", "--out=sheet.png"]) == 0
    Image.open("sheet.png").verify()
    assert main(["report", "run"]) == 0
    page = run.page.read_text(encoding="utf-8")
    assert all(part in page for part in ('"means-whole"', '"means-mean"', '"gradient_norm-G.1"'))
    assert main(["export", "run", "--to=safetensors", "--out=weights"]) == 0
    assert sorted(p.name for p in (here / "weights").iterdir()) == ["G.0.safetensors", "G.1.safetensors"]


def test_the_generator_of_a_dropout_goes_on_where_it_was(here):
    """One of its own, of two.py; and the one of all layers that are given none, of four.py."""
    for file, layer in (("mine", "D.2.generator"), ("chain", "default")):
        options, cfg = Options(device="cpu"), model_named(f"models/{file}.py").Config()
        one, other = (Session(f"models/{file}.py", options, cfg) for _ in range(2))
        for _ in range(3):
            one.next_step()
        state = json.loads(json.dumps(one.state()))
        assert layer in state["random"]
        saved = training.checkpoint.Checkpoint(file, 3, {}, one.arrays(), state)
        expected = [one.next_step() for _ in range(3)]
        other.restore(saved)
        assert [other.next_step() for _ in range(3)] == expected
        forgetful = Session(f"models/{file}.py", options, cfg)
        numbers = {name: words for name, words in state["random"].items() if name != layer}
        numbers = numbers | {layer: [1, 2]}
        forgetful.restore(
            training.checkpoint.Checkpoint(file, 3, {}, saved.arrays, state | {"random": numbers})
        )
        assert forgetful.next_step() != expected[0]


@pytest.mark.slow
def test_a_model_of_another_package_is_found_by_its_entry_point(here, monkeypatch):
    module = model_named("models/mine.py").module
    points = [SimpleNamespace(name="ours", load=lambda: module)]

    def entry_points(group, name=None):
        assert group == "minigan.models"
        return [point for point in points if name in (None, point.name)]

    monkeypatch.setattr(gans, "entry_points", entry_points)
    assert "ours" in model_names()
    run = training.train("ours", Options(checkpoint_every=2), module.Config(steps=4), here / "run")
    assert run.config["model"] == "ours"
    assert run.config["run"]["data"] == "ring8"
    training.resume(run.path, steps=6)
    assert Run.open(run.path).checkpoints.steps() == [2, 4, 6]
    with pytest.raises(MiniganError, match="unknown model 'our'; did you mean 'ours'"):
        model_named("our")


def test_its_help_lists_its_flags(here, capsys):
    assert main(["train", "models/mine.py", "--help"]) == 0
    told = capsys.readouterr().out
    assert "Mine: a GAN of two networks" in told
    assert "--lr" in told
    assert "What Adam is given." in told


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("def make(", "def makes("), "mine.py has no function make, which a model needs"),
        (("def make(z, G):", "def make(z, G:"), "mine.py cannot be read as a model: SyntaxError: "),
        (("from minigan import Tensor", "from minigan import Tensr"), "read as a model: ImportError: "),
        (('TAKES = ("point",)\n', ""), 'TAKES must say what a batch holds, as in TAKES = ("image",)'),
        (("TAKES = (", "TAKES = list("), 'TAKES must say what a batch holds, as in TAKES = ("image",)'),
        (("(Settings)", ""), "Config must be a dataclass derived from minigan.gans.settings.Settings"),
        (("lr: float = 1e-3", "lr: int = 1e-3"), "config.toml: lr = 0.001 does not fit; expected an integer"),
        (("lr: float = 1e-3", "lr: float | complex = 1e-3"), "could not be read back from config.toml: "),
        (('{"G": G,', '{"pool": [], "seen": [3], "G": G,'), "part 'seen.0', a int, cannot be saved: "),
        (("def make(z, G):", "def make(z, F):"), "make asks for 'F', which is no part, no input "),
        (("def train(data, rng,", "def train(dat, rng,"), "train asks for 'dat'"),
        (("def judge(x, D):", "def judge(x, E):"), "judge asks for 'E'"),
        (('else {"z": z}', 'else {"G": z}'), "'G' is a part, and an input, too"),
        (('{"G": G,', '{"rng": G, "G": G,'), "a part cannot be called 'rng'"),
        (('    return {"G": G,', '    return [G]\n    {"G": G,'), "parts must give a dict, got list"),
    ],
)
def test_a_file_that_keeps_not_to_the_contract_is_told_in_a_sentence(here, change, message, capsys):
    assert change[0] in TWO
    (here / "models" / "mine.py").write_text(TWO.replace(*change), encoding="utf-8")
    assert main(["train", "models/mine.py", "--steps=2", "--out=run"]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (here / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train models/none.py", "there is no model file models/none.py"),
        ("train models", "models"),
        (
            "train models/mine.py --data digits",
            "mine learns from data of the kind point, digits is of the kind image; there are: ring8, grid25",
        ),
        ("train models/chain.py --data ring8", "chain learns from data of the kind image, ring8 is"),
        ("sample run --spred 2", "mine cannot be asked for a spred: it takes spread, sign, times"),
        ("sample run --spread wide", "--spread takes a value of the kind float, got 'wide'"),
        ("sample run --sign minus", "--sign takes 'both' or 'plus', got 'minus'"),
        ("interpolate run --label 3", "mine cannot be asked for a label"),
        ("train models/chain.py --resume run", "models/mine.py, not of"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(here, command, message, capsys):
    if "run" in command.split():
        assert main(["train", "models/mine.py", "--steps=2", "--out=run"]) == 0
        capsys.readouterr()
    assert main(command.split()) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_a_state_that_cannot_be_written_is_named_before_there_is_a_run(here, capsys):
    source = FOUR.replace('"least": self.least,', '"least": {self.least},')
    (here / "models" / "chain.py").write_text(source, encoding="utf-8")
    assert main(["train", "models/chain.py", "--steps=2", "--out=run"]) == 2
    assert "part 'pool' cannot be saved: its state has least = {-1}, which" in capsys.readouterr().err
    assert not (here / "run").exists()
