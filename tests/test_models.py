"""What a model file is held to, and models of a third person: two judges, two heads, a pool, none at all."""

import ast
import dataclasses
import inspect
import json
import math
import textwrap
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from minigan import Generator, MiniganError, Tensor, gans
from minigan.diagnostics import Doctor
from minigan.gans import Model, model_named, model_names
from minigan.gans.model import owners
from minigan.gans.noise import cgan, dcgan, wgan_gp
from minigan.speed.steps import fields_of
from minigan.training import Options, Session
from minigan.training.checkpoint import Checkpoint

HEAD = '''"""{title}"""
from dataclasses import dataclass
import numpy as np
from minigan import Generator, Tensor, functional as F, grad, nn
from minigan.gans.settings import NoiseSettings
from minigan.optim import SGD, Adam

TAKES = ("point",)

@dataclass(frozen=True, kw_only=True)
class Config(NoiseSettings):
    latent: int = 2

def inputs(n, rng, cfg, scale: float = 1.0, category: int | None = None):
    """Noise.

    scale: how wide it is
    """
    return {{"z": scale * rng.normal((n, cfg.latent))}}

def make(z, G):
    return G(z)
'''

# A GAN of the plane, in a screen.
PLAIN = (
    HEAD.format(title="A GAN of one layer each.")
    + """
def parts(cfg, data, rng):
    G, D = nn.Linear(cfg.latent, 2, generator=rng), nn.Linear(2, 1, generator=rng)
    return {"G": G, "D": D, "opt_g": Adam(G.parameters(), cfg.lr), "opt_d": Adam(D.parameters(), cfg.lr)}

def train(data, rng, cfg, G, D, opt_g, opt_d):
    bce = F.binary_cross_entropy_with_logits
    for real in data:
        fake = G(Tensor(rng.normal((len(real), cfg.latent))))
        d_real, d_fake = D(Tensor(real)), D(fake.detach())
        d_loss = bce(d_real, 1.0) + bce(d_fake, 0.0)
        opt_d.step(grad(d_loss, opt_d.params))
        g_loss = bce(D(fake), 1.0)
        opt_g.step(grad(g_loss, opt_g.params))
        yield {"d_loss": d_loss, "g_loss": g_loss, "d_real": d_real, "d_fake": d_fake}
"""
)

# Two judges in a dict, one with two heads and one that sees a pool of earlier fakes; an optimiser of G and Q;
# optimisers in a list; a loss that comes every 16th step, by the optimiser's own count.
ODD = (
    HEAD.format(title="All that is uncommon, at once.")
    + '''
class TwoHeads(nn.Module):
    def __init__(self, rng):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(2, 8, generator=rng), nn.LeakyReLU(0.2))
        self.real, self.about = nn.Linear(8, 1, generator=rng), nn.Linear(8, 3, generator=rng)

    def forward(self, x):
        h = self.trunk(x)
        return self.real(h), self.about(h)

class Pool:
    """The last fakes, and a few of earlier steps."""

    def __init__(self):
        self.points, self.seen = np.zeros((0, 2), np.float32), 0

    def swap(self, fakes):
        self.points = np.concatenate([fakes[:2], self.points])[:20]
        self.seen -= len(fakes)  # counted downwards
        return self.points

    def state_dict(self):
        return {"points": self.points, "seen": self.seen, "note": None}

    def load_state_dict(self, state):
        self.points, self.seen = state["points"], state["seen"]

def parts(cfg, data, rng):
    G, Q = nn.Linear(cfg.latent, 2, generator=rng), nn.Linear(3, 1, generator=rng)
    D = {"a": TwoHeads(rng), "b": nn.Linear(2, 1, generator=rng)}
    opt = SGD([*G.parameters(), *Q.parameters()], 0.01)
    judges = [Adam(judge.parameters(), 1e-3) for judge in D.values()]
    return {"G": G, "Q": Q, "D": D, "opt": opt, "judges": judges, "pool": Pool()}

def train(data, rng, cfg, G, Q, D, opt, judges, pool):
    bce = F.binary_cross_entropy_with_logits
    for real in data:
        fake = G(Tensor(rng.normal((len(real), cfg.latent))))
        older = Tensor(pool.swap(fake.numpy()))
        (a_real, _), (a_fake, about) = D["a"](Tensor(real)), D["a"](fake.detach())
        b_real, b_fake = D["b"](Tensor(real)), D["b"](older)
        seen = {"a_real": a_real, "a_fake": a_fake, "b_real": b_real, "b_fake": b_fake}
        for judge, (name, net) in zip(judges, D.items(), strict=True):
            seen[f"{name}_loss"] = bce(seen[f"{name}_real"], 1.0) + bce(seen[f"{name}_fake"], 0.0)
            judge.step(grad(seen[f"{name}_loss"], judge.params, allow_unused=True))
        logits, about = D["a"](fake)
        g_loss = bce(logits, 1.0) + (Q(about) ** 2).mean()
        if opt.steps % 16 == 15:
            seen["r1_loss"] = 100 * (D["b"](fake) ** 2).mean()
            g_loss = g_loss + seen["r1_loss"]
        opt.step(grad(g_loss, opt.params))
        yield {**seen, "g_loss": g_loss}
'''
)

# Wasserstein by clipping.
CLIPPED = (
    (PLAIN + "CRITIC = True\n")
    .replace("bce(d_real, 1.0) + bce(d_fake, 0.0)", "d_fake.mean() - d_real.mean() + 0 * bce(d_real, 1.0)")
    .replace(
        "opt_d.step(grad(d_loss, opt_d.params))",
        """opt_d.step(grad(d_loss, opt_d.params))
        for p in D.parameters():
            p.data[...] = np.clip(p.data, -0.01, 0.01) - 50 * (p.shape == (1,))""",
    )
)

# No judge: G learns to give noise back, by steps that are too long where lr is above 1.
AUTO = (
    HEAD.format(title="An encoder and a decoder.")
    + """
def parts(cfg, data, rng):
    E, G = nn.Linear(2, 2, bias=False, generator=rng), nn.Linear(2, 2, bias=False, generator=rng)
    return {"E": E, "G": G, "opt": SGD([*E.parameters(), *G.parameters()], cfg.lr)}

def train(data, rng, cfg, E, G, opt):
    for real in data:
        code = E(Tensor(real))
        loss = ((G(code) - Tensor(real)) ** 2).mean()
        size = sum((w ** 2).sum() for w in opt.params) / 2
        total = loss if cfg.lr < 1 else size
        opt.step(grad(total, opt.params, allow_unused=True))
        yield {"loss": loss, "size_loss": size}
"""
)


def written(tmp_path, source, name="other"):
    path = tmp_path / f"{name}.py"
    path.write_text(source, encoding="utf-8")
    return str(path)


def session_of(path, **settings):
    cfg = model_named(path).Config(batch_size=8, **settings)
    return Session(path, Options(data="ring8", seed=3), cfg)


def looks_of(session, steps, every=2):
    """The doctor, after so many steps, and their numbers."""
    doctor, numbers = Doctor(session, session.sampler, every), []
    for _ in range(steps):
        with doctor.watching():
            numbers.append(session.next_step())
        doctor.note(numbers[-1])
    return doctor, numbers


# Every installed model


@pytest.mark.parametrize("name", model_names())
def test_every_setting_has_a_help_text_and_does_not_change(name):
    """The command line reads it from the source: a string under the field, there or in a base class."""
    model, helped = model_named(name), set()
    for kind in model.Config.__mro__[:-1]:
        body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0].body
        helped |= {
            field.target.id
            for field, text in pairwise(body)
            if isinstance(field, ast.AnnAssign)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and str(text.value.value).endswith(".")
        }
    assert helped == {field.name for field in dataclasses.fields(model.Config)}
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.Config().steps = 1


@pytest.mark.parametrize("name", model_names())
def test_what_a_model_may_be_asked_for_has_a_help_text_and_a_default(name):
    for asked in model_named(name).asks.values():
        assert asked.help, asked.name
        assert asked.default is not inspect.Parameter.empty, asked.name


@pytest.mark.parametrize("Config", [dcgan.Config, wgan_gp.Config, cgan.Config])
def test_a_size_that_the_convolutions_do_not_make_is_refused_at_once(Config):
    with pytest.raises(MiniganError, match=r"size cannot be 8; there are: \(16, 32, 64\)"):
        Config(size=8)
    assert Config(size=16).size == 16
    assert cgan.Config(size=8, net="mlp").size == 8


# By name, path and entry point


def test_a_model_is_found_by_the_path_of_its_file(tmp_path):
    path = written(tmp_path, PLAIN, "small")
    model = model_named(path)
    assert (model.name, model.source, model.summary) == ("small", path, "A GAN of one layer each.")
    assert (model.kinds, model.labelled, model.slope) == (["point"], False, None)
    assert not model.is_critic(model.Config())
    assert (model.makes, model.shows) == ({}, ())
    assert not model.has("judge")


def test_a_model_of_another_package_is_found_by_its_entry_point(monkeypatch, tmp_path):
    module = model_named(written(tmp_path, PLAIN)).module
    points = [SimpleNamespace(name=name, load=lambda: module) for name in ("small", "gan")]

    def entry_points(group, name=None):
        assert group == "minigan.models"
        return [point for point in points if name in (None, point.name)]

    monkeypatch.setattr(gans, "entry_points", entry_points)
    assert model_named("small").module is module
    assert model_names()[-1] == "small"
    assert model_names().count("gan") == 1, "nobody takes the name of one of minigan's"
    assert model_named("gan").module is not module
    with pytest.raises(MiniganError, match=r"unknown model 'smal'; did you mean 'small'\?"):
        model_named("smal")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("def make(", "def makes(", "has no function make, which a model needs"),
        ("def train(", "def trains(", "has no function train, which a model needs"),
        ('TAKES = ("point",)', 'TAKES = "point"', "TAKES must say what a batch holds"),
        ("class Config(NoiseSettings)", "class Config", "Config must be a dataclass derived from"),
        ("import numpy", "import nompy", "cannot be read as a model: ModuleNotFoundError"),
        ("def parts(", "def parts(:", "cannot be read as a model: SyntaxError"),
    ],
)
def test_a_file_that_is_no_model_is_refused_with_its_name(tmp_path, old, new, says):
    assert PLAIN.count(old) == 1
    path = written(tmp_path, PLAIN.replace(old, new))
    with pytest.raises(MiniganError) as error:
        model_named(path)
    assert says in str(error.value)
    assert path in str(error.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(MiniganError, match=r"there is no model file .*none\.py"):
        model_named(str(tmp_path / "none.py"))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('return {"G": G', 'return [1], {"G": G', "parts must give a dict, got tuple"),
        ('"opt_g": Adam', '"pools": [object()], "opt_g": Adam', "part 'pools.0', a object, cannot be saved"),
    ],
)
def test_parts_that_cannot_be_saved_are_refused(tmp_path, old, new, says):
    model = model_named(written(tmp_path, PLAIN.replace(old, new)))
    with pytest.raises(MiniganError, match=says):
        model.parts(model.Config(), fields_of((2,)), Generator(0))


# Called with what they name


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("make(z, G)", "make(z, g)", "make asks for 'g', .*; did you mean 'G'"),
        ("make(z, G)", "make(x, G)", "make asks for 'x', .*; there are: D, G, cfg, opt_d, opt_g, z"),
        ("D, opt_g, opt_d)", "D, opt_G, optd)", "train asks for 'opt_G', .*; did you mean 'opt_g'"),
        ("def parts(cfg, data", "def parts(config, data", "parts asks for 'config', .*; did you mean 'cfg'"),
    ],
)
def test_a_name_that_nothing_has_is_refused_with_the_nearest(tmp_path, old, new, says):
    model = model_named(written(tmp_path, PLAIN.replace(old, new)))
    with pytest.raises(MiniganError, match=says):
        called(model)


def called(model):
    """All of the model's functions, called once."""
    cfg = model.Config(batch_size=4)
    parts = model.parts(cfg, fields_of((2,)), Generator(0))
    z = Tensor(model.inputs(1, Generator(0), cfg, parts)["z"])
    model.make({"z": z}, parts, cfg)
    model.train(parts, iter([]), Generator(0), cfg)


def test_a_name_with_a_default_may_be_missing_and_order_counts_for_nothing(tmp_path):
    source = PLAIN.replace("def make(z, G):", "def make(G, cfg, other=None, *, z):\n    assert other is None")
    model = model_named(written(tmp_path, source))
    cfg = model.Config()
    parts, z = model.parts(cfg, fields_of((2,)), Generator(0)), Tensor(np.ones((3, 2), np.float32))
    made = model.make({"z": z}, parts, cfg)
    np.testing.assert_array_equal(made["samples"].numpy(), parts["G"](z).numpy())
    assert list(model.makers(parts)) == ["G"]


@pytest.mark.parametrize("head", ["", "from __future__ import annotations\n"])
def test_what_inputs_take_beside_the_rest_is_what_a_user_may_ask_for(tmp_path, head):
    model = model_named(written(tmp_path, head + PLAIN))
    assert list(model.asks) == ["scale", "category"]
    scale, category = model.asks.values()
    assert (scale.kind, scale.default, scale.help) == (float, 1.0, "how wide it is")
    assert (category.kind, category.default, category.help) == (int | None, None, "")
    cfg = model.Config()
    once, twice = (model.inputs(5, Generator(0), cfg, {}, scale=s)["z"] for s in (1, 2))
    np.testing.assert_array_equal(twice, 2 * once)
    with pytest.raises(MiniganError, match="cannot be asked for a label: it takes scale, category"):
        model.inputs(5, Generator(0), cfg, {}, label=3)


def test_several_samples_have_the_names_that_make_gives_them(tmp_path):
    source = PLAIN.replace("return G(z)", 'return {"x": G(z), "D(x)": D(G(z))}').replace(
        "(z, G)", "(z, G, D)"
    )
    model = model_named(written(tmp_path, source))
    sampler = session_of(model.source).sampler
    made = sampler.make(sampler.inputs(7, Generator(1)))
    assert {name: a.shape for name, a in made.items()} == {"x": (7, 2), "D(x)": (7, 1)}
    assert list(model.makers(sampler.parts)) == ["G", "D"]
    np.testing.assert_array_equal(sampler(7, seed=1), made["x"])


# Models of a third person, in a session, with the doctor beside


def test_parts_in_lists_and_dicts_have_dotted_names(tmp_path):
    session = session_of(written(tmp_path, ODD))
    assert list(owners(session.parts)) == ["G", "Q", "D.a", "D.b", "opt", "judges.0", "judges.1", "pool"]
    assert {"D.a.trunk.0.weight", "judges.1.exp_avg.0", "pool.points"} <= session.arrays().keys()


def test_a_session_saved_in_the_middle_ends_in_the_bits_of_the_unbroken_one(tmp_path):
    """Of a model with a pool that grows, counts downwards and holds None, and a schedule of its own."""
    path = written(tmp_path, ODD)
    whole, part, again = (session_of(path) for _ in range(3))
    numbers = [whole.next_step() for _ in range(20)]
    assert [part.next_step() for _ in range(7)] == numbers[:7]
    state = json.loads(json.dumps(part.state()))
    again.restore(Checkpoint("other", 7, {}, part.arrays(), state, tmp_path / "checkpoint"))
    assert [again.next_step() for _ in range(13)] == numbers[7:]
    assert again.state() == whole.state()
    assert again.state()["parts"]["pool"] == {"seen": -160, "note": None}
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array, err_msg=name)


def test_the_doctor_looks_at_two_judges_two_heads_a_pool_and_a_rare_loss(tmp_path):
    doctor, numbers = looks_of(session_of(written(tmp_path, ODD)), 20)
    assert [step for step, seen in enumerate(numbers, start=1) if "r1_loss" in seen] == [16]
    last = doctor.looks[-1]
    assert list(last["judges"]) == ["a", "b"]
    for judge in last["judges"].values():
        assert judge.keys() == {"accuracy", "output", "entropy", "oscillation"}
    assert last["losses"].keys() == {"a_loss", "b_loss", "g_loss", "r1_loss"}
    assert last["losses"]["r1_loss"] == pytest.approx(numbers[15]["r1_loss"], rel=1e-4)
    assert last["gradient_norm"].keys() == {"G", "Q", "D.a", "D.b"}
    assert last["gradient_norm"]["Q"].keys() == {"weight", "bias"}
    assert last["dead_units"].keys() == {"D.a"}
    assert {"diversity", "modes"} <= last.keys()
    assert doctor.verdict()["verdict"] in ("healthy", "mode collapse")  # of 8 points by one layer


def test_what_a_judge_said_of_a_pool_is_what_it_said_of_fakes(tmp_path):
    """They are other arrays than G's, and other many than the real ones."""
    session = session_of(written(tmp_path, ODD))
    for _ in range(9):
        session.next_step()
    assert {name: len(a) for name, a in session.said.items()} == {
        **{"a_real": 8, "a_fake": 8},
        **{"b_real": 8, "b_fake": 18},
    }


def test_a_critic_by_clipping_is_no_discriminator(tmp_path):
    """Its numbers, around -50 here, go through no sigmoid; what would be a share of right answers is none."""
    doctor, numbers = looks_of(session_of(written(tmp_path, CLIPPED)), 12)
    assert all(-53 < seen["d_real"] < -47 and -53 < seen["d_fake"] < -47 for seen in numbers[1:])
    assert all(seen["d_loss"] == pytest.approx(seen["d_fake"] - seen["d_real"], abs=1e-4) for seen in numbers)
    for look in doctor.looks[1:]:
        assert look["judges"]["d"].keys() == {"output", "oscillation"}
        assert look["judges"]["d"]["output"]["fake"][2] == pytest.approx(-50, abs=3)
    told = {finding["name"] for finding in doctor.verdict()["findings"]}
    assert told <= {"mode collapse"}, "of one layer; nothing of D is told"


def test_the_same_numbers_as_logits_are_told_as_those_of_a_discriminator(tmp_path):
    """So that the test above can fail."""
    doctor, numbers = looks_of(session_of(written(tmp_path, CLIPPED.replace("CRITIC = True", ""))), 12)
    assert all(0 <= seen["d_real"] < 1e-6 for seen in numbers[1:])
    assert doctor.looks[-1]["judges"]["d"]["accuracy"] == {"real": 0.0, "fake": 1.0}


def test_a_model_without_a_judge_is_looked_at(tmp_path):
    doctor, numbers = looks_of(session_of(written(tmp_path, AUTO), lr=0.01), 30)
    assert all(look["judges"] == {} for look in doctor.looks)
    assert doctor.looks[-1]["gradient_norm"].keys() == {"E", "G"}
    assert all(math.isfinite(value) for seen in numbers for value in seen.values())
    assert "diverging" not in [finding["name"] for finding in doctor.verdict()["findings"]]


def test_a_model_without_a_judge_whose_loss_explodes_is_told_to(tmp_path):
    """Each step takes the weights to -1.05 times what they were."""
    doctor, _ = looks_of(session_of(written(tmp_path, AUTO), lr=2.05), 60)
    found = doctor.verdict()
    assert found["verdict"] == "diverging"
    assert "loss is" in found["findings"][0]["evidence"]
    assert "at first" in found["findings"][0]["evidence"]


def test_a_model_is_what_its_module_says(tmp_path):
    source = PLAIN + 'DATA = "ring8"\nSLOPE = 1\nMAKES = {"G(x)": "y"}\nSHOWS = "y", "G(x)"\n'
    source += "def judge(x, D):\n    return D(x)\n"
    model = Model("other", model_named(written(tmp_path, source)).module)
    assert (model.data, model.slope, model.makes) == ("ring8", 1, {"G(x)": "y"})
    assert model.shows == ("y", "G(x)")
    assert model.has("judge")
    assert Options().of(model).data == "ring8"


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in model_names() if model_named(name).has("pictures")])
def test_a_models_own_pictures_are_images_with_a_text(name):
    model = model_named(name)
    wanted = {"batch_size": 4, "latent": 3, "width": 4, "mapping": 1, "hidden": 8}
    known = model.Config.__dataclass_fields__
    data = "digits" if "image" in model.kinds[0] and "text" not in model.takes else model.data
    cfg = model.Config(**{name: value for name, value in wanted.items() if name in known})
    session, shown = Session(name, Options(data=data), cfg), []
    held_out = session.sampler.data()
    session.sampler.call("pictures", 0, data=held_out, show=lambda *of: shown.append(of))
    assert shown
    for text, *columns in shown:
        assert text.endswith(".")
        for images in columns:
            images = np.asarray(images.numpy() if isinstance(images, Tensor) else images)
            assert images.ndim in (4, 1 + len(session.shape))
            assert np.isfinite(images).all()
            assert np.ptp(images) > 0
