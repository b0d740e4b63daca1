"""The run doctor: what it sees in planted cases, what it makes of it, and that it changes nothing."""

import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from minigan import Tensor, grad, nn, training
from minigan.cli import main
from minigan.data import Dataset, load
from minigan.diagnostics import Doctor, Reference, look, verdict
from minigan.diagnostics.critic import steepest
from minigan.diagnostics.look import judged
from minigan.diagnostics.verdict import EXPLODED, HEALTHY, LOSS, PERSIST, RULES, YOUNG
from minigan.gans.noise import cgan, dcgan, gan, wgan_gp
from minigan.optim import SGD
from minigan.random import Generator
from minigan.training import Options, Run, Session
from minigan.training.session import numbers_of


def linear(rows, bias=None):
    layer = nn.Linear(len(rows[0]), len(rows), bias=bias is not None)
    layer.weight.data[...] = rows
    if bias is not None:
        layer.bias.data[...] = bias
    return layer


# What one look sees


def test_a_look_sees_accuracy_outputs_gradients_and_updates():
    G, D = linear([[1.0]]), linear([[1.0]])
    opt_g, opt_d = SGD(G.parameters(), 0.5), SGD(D.parameters(), 0.25)
    real = np.array([[2.0], [1.0], [-1.0], [3.0]], np.float32)  # right on 3 of 4
    with look({"G": G, "D": D, "opt_g": opt_g, "opt_d": opt_d}) as seen:
        fake = G(Tensor(np.array([[-1.0], [1.0], [1.0], [1.0]], np.float32)))  # right on 1 of 4
        d_real, d_fake = D(Tensor(real)), D(fake.detach())
        opt_d.step(grad(d_real.sum() + d_fake.sum(), opt_d.params))  # the gradient is 5 + 2
        opt_g.step(grad(D(fake).sum(), opt_g.params))  # (1 - 0.25 · 7) · 2
    judge = judged({"d_real": d_real.data, "d_fake": d_fake.data}, critic=False)["d"]
    assert judge["accuracy"] == {"real": 0.75, "fake": 0.25}
    assert judge["output"]["real"][2] == pytest.approx((0.7311 + 0.8808) / 2, abs=1e-4)  # σ(1), σ(2)
    surprise = np.log1p(np.exp([-2, -1, 1, -3])).mean() + np.log1p(np.exp([-1, 1, 1, 1])).mean()
    assert judge["entropy"] == pytest.approx(surprise, rel=1e-4)
    assert seen["gradient_norm"] == {"G": {"weight": 1.5}, "D": {"weight": 7.0}}
    assert seen["update_ratio"] == {"G": {"weight": 0.75}, "D": {"weight": 1.75}}
    assert "dead_units" not in seen
    assert not G._forward_hooks
    assert not opt_d._pre_hooks


def test_dead_units_and_the_drift_of_batch_norm():
    norm = nn.BatchNorm1d(4)
    G = nn.Sequential(nn.Identity(), norm, nn.ReLU(), linear(np.ones((1, 4))))
    norm.bias.data[...] = [-100, 0, 0, 0]  # one unit of four is never on
    D = linear([[1.0]])
    opt_g, opt_d = SGD(G.parameters(), 0.0), SGD(D.parameters(), 0.0)
    z = np.random.default_rng(0).normal(3.0, 1.0, (5000, 4)).astype(np.float32)  # 3 from a mean of 0
    with look({"G": G, "D": D, "opt_g": opt_g, "opt_d": opt_d}) as seen:
        fake = G(Tensor(z))
        D(Tensor(z[:, :1]))
        opt_d.step(grad(D(fake.detach()).sum(), opt_d.params))
        opt_g.step(grad(D(fake).sum(), opt_g.params))
    assert seen["dead_units"] == {"G": 0.25}
    assert seen["batch_norm_drift"] == {"G": pytest.approx(3.0, rel=0.05)}


def test_a_network_that_rests_in_a_step_is_no_obstacle():
    """One that only every 16th step needs, say: of its units and its batches there is nothing to tell."""
    parts = {"G": linear([[1.0]]), "Q": nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.ReLU())}
    parts |= {"opt_g": SGD(parts["G"].parameters(), 0.5), "opt_q": SGD(parts["Q"].parameters(), 0.5)}
    with look(parts) as seen:
        loss = parts["G"](Tensor(np.ones((2, 1), np.float32))).sum()
        parts["opt_g"].step(grad(loss, parts["opt_g"].params))
    assert seen == {"gradient_norm": {"G": {"weight": 2.0}}, "update_ratio": {"G": {"weight": 1.0}}}


def test_an_optimiser_that_holds_two_networks_is_looked_at_and_each_has_its_own_parameters():
    """As in InfoGAN, whose G and Q learn together; networks in lists have dotted names."""
    G, Q, T = linear([[1.0]]), linear([[2.0]]), nn.Parameter(np.ones(1, np.float32))
    both = SGD([*G.parameters(), *Q.parameters(), T], 0.5)
    with look({"G": G, "Q": [Q], "optimisers": {"both": both}}) as seen:
        loss = Q(G(Tensor(np.full((1, 1), 3.0, np.float32)))).sum() + 4 * T.sum()
        both.step(grad(loss, both.params))
    assert seen["gradient_norm"] == {"G": {"weight": 6.0}, "Q.0": {"weight": 3.0}, "other": {"2": 4.0}}
    assert seen["update_ratio"] == {"G": {"weight": 3.0}, "Q.0": {"weight": 0.75}, "other": {"2": 2.0}}


class TwoHeads(nn.Module):
    """A judge that says two things of each sample: whether it is real, and something else."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(1, 3), nn.BatchNorm1d(3), nn.LeakyReLU(0.2))
        self.real, self.other = nn.Linear(3, 1), nn.Linear(3, 2)

    def forward(self, x):
        h = self.trunk(x)
        return self.real(h), self.other(h)


def test_a_judge_with_two_heads_is_looked_at():
    D, x = TwoHeads(), Tensor(np.random.default_rng(0).normal(size=(8, 1)).astype(np.float32))
    opt_d = SGD(D.parameters(), 0.1)
    with look({"D": D, "opt_d": opt_d}) as seen:
        (d_real, about_real), (d_fake, about_fake) = D(x), D(x * 2)
        loss = d_real.mean() - d_fake.mean() + (about_real**2).mean() + (about_fake**2).mean()
        opt_d.step(grad(loss, opt_d.params))
    assert seen["gradient_norm"]["D"].keys() == dict(D.named_parameters()).keys()
    assert seen.keys() == {"gradient_norm", "update_ratio", "dead_units", "batch_norm_drift"}
    said = {"d_real": d_real, "d_fake": d_fake, "d_loss": loss}
    numbers, arrays = numbers_of(said, critic=False)
    assert list(judged(arrays, critic=False)) == ["d"]
    assert 0 < numbers["d_real"] < 1


def test_fakes_are_told_by_their_name_wherever_they_come_from():
    """From a pool of earlier pictures, or as copies: not by their array being the last that G made."""
    D = linear([[1.0]], [0.0])
    pool = Tensor(np.full((6, 1), -2.0, np.float32))  # which no network made
    said = {"d_real": D(Tensor(np.full((4, 1), 3.0, np.float32))), "d_fake": D(pool)}
    numbers, arrays = numbers_of(said, critic=False)
    found = judged(arrays, critic=False)["d"]
    assert found["accuracy"] == {"real": 1.0, "fake": 1.0}
    assert found["output"]["fake"] == pytest.approx([0.1192] * 5, abs=1e-4)  # σ(-2)
    assert numbers == {"d_real": pytest.approx(0.9526, abs=1e-4), "d_fake": pytest.approx(0.1192, abs=1e-4)}


def test_what_a_critic_says_are_numbers_and_go_through_no_sigmoid():
    said = {"d_real": Tensor(np.array([[-40.0], [90.0]])), "d_fake": Tensor(np.array([[-7.0], [-5.0]]))}
    numbers, arrays = numbers_of(said, critic=True)
    assert numbers == {"d_real": 25.0, "d_fake": -6.0}
    output = judged(arrays, critic=True)["d"]["output"]
    assert output["real"] == pytest.approx([-33.5, -7.5, 25, 57.5, 83.5])
    assert output["fake"] == pytest.approx([-6.9, -6.5, -6, -5.5, -5.1])
    assert list(judged(arrays, critic=True)["d"]) == ["output"]


def test_the_slope_of_a_linear_critic():
    real, fake = (Tensor(np.zeros((4, 2), np.float32)) for _ in range(2))
    u = np.full((4, 1), 0.5, np.float32)
    assert steepest(linear([[3.0, 4.0]]), real, fake, u) == pytest.approx(5.0)


# What samples show


def test_samples_of_the_data_are_diverse_and_of_every_mode():
    data = load("ring8")
    seen = Reference(data, Generator(1)).examine(data.batch(np.arange(256)))
    assert seen["diversity"] == pytest.approx(1.0, abs=0.05)
    assert min(seen["modes"]) > 10
    assert seen["high_quality"] > 0.95
    assert seen["support"]["size"] == pytest.approx(seen["support"]["real"], rel=0.5)


def test_one_mode_is_counted_as_one_mode():
    data = load("ring8")
    seen = Reference(data, Generator(1)).examine(data.batch(np.flatnonzero(data.labels == 3)[:256]))
    assert seen["modes"] == [0, 0, 0, 256, 0, 0, 0, 0]
    assert seen["diversity"] < 0.05
    assert seen["support"]["size"] < seen["support"]["real"] / 4


def test_support_of_one_picture_beside_data_with_copies():
    data = load("digits")
    half = data.part(np.arange(len(data)) // 2)  # each twice
    for real in (half, data.part(np.zeros(200, np.int64))):
        seen = Reference(real, Generator(1)).examine(np.repeat(data.batch([5]), 128, axis=0))
        assert seen["support"]["pairs"] == 128 * 127 // 2
        assert seen["support"]["size"] == 1


def test_copies_of_images_are_not_new():
    data = load("digits", 16)
    reference = Reference(data, Generator(1))
    copies = reference.examine(data.batch(Generator(1).permutation(len(data))[:128]))
    assert copies["novelty"] < 0.01
    assert sum(n > 0 for n in copies["modes"]) == 10
    others = reference.examine(data.batch(Generator(1).permutation(len(data))[1000:1128]))
    assert others["novelty"] == pytest.approx(1.0, abs=0.1)


def test_data_that_are_all_alike_are_no_obstacle():
    black = Dataset("black", np.zeros((1, 1, 16, 16), np.uint8))
    seen = Reference(black, Generator(0)).examine(-np.ones((8, 1, 16, 16), np.float32))
    assert seen["diversity"] is None
    assert Reference(black, Generator(0)).examine(np.full((8, 1, 16, 16), np.nan, np.float32)) == {}


# Verdicts on histories

JUDGE = {
    "accuracy": {"real": 0.7, "fake": 0.7},
    "output": {"real": [0.3, 0.4, 0.6, 0.7, 0.8], "fake": [0.1, 0.3, 0.4, 0.5, 0.6]},
    "entropy": 1.2,
    "oscillation": 0.1,
}
GOOD = {
    "losses": {"d_loss": 1.2, "g_loss": 0.8},
    "judges": {"d": JUDGE},
    "makers": {"G": 1.0},
    "gradient_norm": {"G": {"w": 1.0}, "D": {"w": 1.0}},
    "diversity": 0.9,
    "novelty": 1.3,
    "modes": [5] * 8,
}
FAKE = {**JUDGE["output"], "fake": [0.0, 0.0, 0.01, 0.02, 0.03]}
STRONG = {**JUDGE, "accuracy": {"real": 1.0, "fake": 0.99}, "output": FAKE}
ILL = {
    "diverging": {
        "losses": {"d_loss": 20.0, "g_loss": 0.8},
        "judges": {"d": {**JUDGE, "entropy": 20.0}},
    },
    "generator gradient vanished": {
        "makers": {"G": 1e-3},
        "judges": {"d": {**JUDGE, "output": FAKE}},
    },
    "memorising": {"novelty": 0.1},
    "discriminator too strong": {"judges": {"d": STRONG}},
    "oscillating": {"judges": {"d": {**JUDGE, "oscillation": 0.9}}},
    "mode collapse": {"modes": [20, 20, 0, 0, 0, 0, 0, 0]},
}


def history(*looks):
    return [{**look, "step": 10 * i} for i, look in enumerate(looks, start=1)]


@pytest.mark.parametrize("name", ILL)
def test_each_rule_on_a_history_that_shows_it(name):
    well, ill = [GOOD] * 10, {**GOOD, **ILL[name]}
    assert verdict(history(*well))["verdict"] == "healthy"
    assert verdict(history(*well, *[ill] * (PERSIST - 1)))["verdict"] == "healthy"
    found = verdict(history(*well, *[ill] * PERSIST))
    assert found["verdict"] == name
    (finding,) = found["findings"]
    assert finding["since"] == 110
    assert any(c.isdigit() for c in finding["evidence"])
    assert verdict(history(*well, *[ill] * PERSIST, GOOD))["verdict"] == "healthy", "it is over"
    assert verdict(history(*well, *[ill] * 3, GOOD, *[ill] * 3))["verdict"] == name, "one look in between"


def test_a_critic_of_any_slope_diverges_and_too_few_looks_say_nothing():
    looks = [{"lipschitz": 400.0, "gradient_norm": GOOD["gradient_norm"]}] * PERSIST
    assert verdict(history(*looks))["verdict"] == "diverging"
    assert verdict(history(*looks[1:])) is None


def test_a_number_that_was_lost_is_no_sign():
    look = {**GOOD, "judges": {"d": {**STRONG, "accuracy": {"real": None, "fake": 1.0}}}}
    assert verdict(history(*[look] * PERSIST))["verdict"] == "healthy"


def test_each_of_two_judges_has_a_verdict_of_its_own():
    """As in CycleGAN: the finding says which of them, and both where both are ill."""

    def found(**judges):
        networks = {name.upper(): {"w": 1.0} for name in ("g", "f", *judges)}
        looks = history(*[{**GOOD, "gradient_norm": networks, "judges": judges}] * PERSIST)
        return [(finding["name"], finding["evidence"][:3]) for finding in verdict(looks)["findings"]]

    assert found(d_x=JUDGE, d_y=JUDGE) == []
    strong = "discriminator too strong"
    assert found(d_x=STRONG, d_y=JUDGE) == [(strong, "D_X")]
    assert found(d_x=JUDGE, d_y=STRONG) == [(strong, "D_Y")]
    assert found(d_x=STRONG, d_y=STRONG) == [(strong, "D_X"), (strong, "D_Y")]


def test_a_penalty_in_the_loss_of_a_good_discriminator_is_no_divergence():
    """R1's is of any size; what D says of samples is as it should be."""
    losses = {"d_loss": 50 * LOSS, "g_loss": 0.8}
    assert verdict(history(*[{**GOOD, "losses": losses}] * PERSIST))["verdict"] == HEALTHY
    lost = {**GOOD, "losses": losses, "judges": {"d": {**JUDGE, "entropy": 2 * LOSS}}}
    assert verdict(history(*[lost] * PERSIST))["verdict"] == "diverging"


def test_a_critic_whose_numbers_would_make_a_strong_discriminator_is_not_judged_as_one():
    """Nor is its loss, which has no scale: what tells of a critic are its slope and the samples."""
    critic = {"output": {"real": [4e3] * 5, "fake": [-4e3] * 5}, "oscillation": 1e3}
    of_critic = {**GOOD, "judges": {"d": critic}, "losses": {"d_loss": -8e3, "g_loss": 4e3}}
    assert verdict(history(*[of_critic] * PERSIST))["verdict"] == HEALTHY
    steep = {**of_critic, "lipschitz": 40.0}
    assert verdict(history(*[of_critic] * 5, *[steep] * PERSIST))["verdict"] == "diverging"
    collapsed = {**of_critic, **ILL["mode collapse"]}
    assert verdict(history(*[collapsed] * (YOUNG + PERSIST)))["verdict"] == "mode collapse"


def without_judges(**losses):
    """A look at a model that has none, as an autoencoder."""
    return {"losses": losses, "judges": {}, "gradient_norm": {"E": {"w": 1.0}, "G": {"w": 1.0}}}


def test_a_loss_that_explodes_is_told_of_a_model_without_a_judge():
    well, ill = without_judges(loss=300.0, kl=2.0), without_judges(loss=310.0, kl=2.5 * EXPLODED)
    assert verdict(history(*[well] * 20))["verdict"] == HEALTHY
    found = verdict(history(*[well] * 5, *[ill] * PERSIST))
    assert found["verdict"] == "diverging"
    assert found["findings"][0]["evidence"] == "kl is 25 on average, and was 2 at first"
    assert found["findings"][0]["since"] == 60


def test_a_loss_that_comes_later_than_the_first_look_is_compared_with_its_own_first():
    rest, well, ill = without_judges(loss=3.0), without_judges(loss=3.0, r1=2.0), without_judges(r1=90.0)
    assert verdict(history(rest, *[well] * 9))["verdict"] == HEALTHY
    assert verdict(history(rest, *[well] * 4, *[ill] * PERSIST))["verdict"] == "diverging"


def test_a_loss_that_is_lost_is_told_of_a_model_without_a_judge():
    found = verdict(history(*[without_judges(loss=3.0)] * 5, *[without_judges(loss=None)] * PERSIST))
    assert found["verdict"] == "diverging"
    assert found["findings"][0]["evidence"] == "loss is not finite"


def test_a_generator_that_rests_at_a_look_has_not_lost_its_gradient():
    """Whose optimiser takes a step less often than the looks come."""
    moves = {**GOOD, "judges": {"d": {**JUDGE, "output": FAKE}}}
    rests = {**moves, "gradient_norm": {"D": {"w": 1.0}}}
    assert verdict(history(moves, *[rests] * PERSIST))["verdict"] == HEALTHY
    lost = {**moves, "gradient_norm": {"G": {"w": None}, "D": {"w": 1.0}}}
    assert verdict(history(lost, *[moves] * PERSIST))["verdict"] == HEALTHY, "after one that was infinite"


# In a run

OPTIONS = Options(checkpoint_every=4, sample_every=100, seed=5, diagnose_every=2)
SMALL = {"steps": 12, "batch_size": 8, "latent": 8}
MODELS = [
    ("dcgan", dcgan.Config(**SMALL, width=4)),
    ("cgan", cgan.Config(**SMALL, net="mlp", pack=2)),  # with dropout
    ("wgan-gp", wgan_gp.Config(**SMALL, width=4, n_critic=2, pack=2)),
]


def train(path, model, cfg, options=OPTIONS):
    return training.train(model, options, cfg, path, Console(file=io.StringIO()))


@pytest.mark.slow
@pytest.mark.parametrize(("model", "cfg"), MODELS, ids=[m for m, _ in MODELS])
def test_looking_changes_nothing_and_a_resumed_run_sees_the_same(tmp_path, model, cfg):
    seen = train(tmp_path / "seen", model, cfg)
    unseen = train(tmp_path / "unseen", model, cfg, replace(OPTIONS, diagnose_every=0))
    assert seen.checkpoints.latest().read_bytes() == unseen.checkpoints.latest().read_bytes()
    assert seen.records.metrics.path.read_bytes() == unseen.records.metrics.path.read_bytes()
    assert unseen.records.diagnostics.read() == []
    assert [record["step"] for record in seen.records.diagnostics.read()] == [1, 2, 4, 6, 8, 10, 12]
    assert seen.records.verdict()["step"] == 12

    part = train(tmp_path / "part", model, replace(cfg, steps=8))
    training.resume(part.path, steps=12, console=Console(file=io.StringIO()))
    assert part.records.diagnostics.path.read_bytes() == seen.records.diagnostics.path.read_bytes()
    assert part.records.verdict() == seen.records.verdict()


@pytest.mark.slow
def test_looks_at_every_step_tell_of_oscillation_too(tmp_path):
    options = replace(OPTIONS, data="ring8", diagnose_every=1)
    run = train(tmp_path / "run", "gan", gan.Config(steps=12, batch_size=8), options)
    swings = [look["judges"]["d"]["oscillation"] for look in run.records.diagnostics.read()]
    assert [swing is None for swing in swings] == [True] * 9 + [False] * 3


def test_a_rare_loss_is_told_of_and_a_resumed_run_remembers_as_much():
    """One that comes every 16th step, where the doctor looks every second: its mean is over the last that
    came, however long ago."""
    rare = [{"d_loss": 1.0, "r1_loss": float(i)} if i % 16 == 0 else {"d_loss": 1.0} for i in range(200)]
    session = Session("gan", Options(data="ring8"), gan.Config(batch_size=8))
    unbroken, resumed = (Doctor(session, session.sampler, every=2) for _ in range(2))
    for metrics in rare:
        unbroken.note(metrics)
    resumed.remember([], rare)
    assert unbroken.size_of("r1_loss") == (176 + 192) / 2
    assert resumed.losses == unbroken.losses
    assert resumed.size_of("r1_loss") == unbroken.size_of("r1_loss")


@pytest.mark.slow
@pytest.mark.parametrize("terminal", [False, True])
def test_the_verdict_is_shown_live(tmp_path, terminal):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=150)
    run = training.train("dcgan", OPTIONS, MODELS[0][1], tmp_path / "run", console)
    last = re.findall(r"step 12/12.*", console.file.getvalue())[-1]
    assert run.records.verdict()["verdict"] in last


@pytest.mark.slow
def test_a_run_that_collapses_is_stopped_and_says_so(tmp_path, capsys):
    flags = ["--data=ring8", "--steps=400", "--stop-on=collapse,diverged", "--diagnose-every=10", "--seed=0"]
    flags += ["--checkpoint-every=1", "--lr=0.01"]
    assert main(["train", "gan", *flags, f"--out={tmp_path / 'run'}"]) == 3
    output = capsys.readouterr().out
    assert "Stopping on" in output
    run = Run.open(tmp_path / "run")
    found = json.loads(run.records.verdict_path.read_bytes())
    assert found["verdict"] != "healthy"
    assert run.records.metrics.read()[-1]["step"] < 400
    assert main(["diagnose", str(run.path)]) == 0
    assert found["verdict"] in capsys.readouterr().out


@pytest.mark.slow
def test_keep_spares_the_last_good_checkpoint_of_a_run_that_may_be_stopped(tmp_path, capsys):
    flags = ["--data=ring8", "--steps=400", "--stop-on=collapse,diverged", "--diagnose-every=10", "--seed=0"]
    flags += ["--checkpoint-every=10", "--keep=last=1", "--lr=0.01", f"--out={tmp_path / 'run'}"]
    assert main(["train", "gan", *flags]) == 3
    assert "the last good checkpoint is" in capsys.readouterr().out
    run = Run.open(tmp_path / "run")
    since = run.records.verdict()["findings"][0]["since"]
    assert run.checkpoints.steps() == list(range(since - 10, run.records.metrics.read()[-1]["step"] + 10, 10))


def test_what_cannot_be_stopped_on_is_refused(capsys):
    assert main(["train", "gan", "--stop-on=colapse"]) == 2
    assert "did you mean 'collapse'" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_is_the_verdict(tmp_path):
    with pytest.raises(ArithmeticError):
        train(tmp_path / "run", "gan", gan.Config(steps=50, lr=1e30), Options(data="ring8"))
    assert Run.open(tmp_path / "run").records.verdict()["verdict"] == "diverging"


def test_a_generator_that_only_begins_has_not_collapsed():
    look = {**GOOD, "modes": [20, *[0] * 7]}
    assert verdict(history(*[look] * YOUNG))["verdict"] == "healthy"
    assert verdict(history(*[look] * (YOUNG + PERSIST)))["verdict"] == "mode collapse"


def test_the_suite_counts_the_runs_that_became_what_they_should():
    from bench.doctor.table import LABELS, confusion, rates

    assert {HEALTHY, *(rule.name for rule in RULES)} == set(LABELS), "each verdict has a recipe"
    rows = [
        ("healthy", "healthy", True),
        ("healthy", "oscillating", True),
        ("diverging", "diverging", True),
        ("memorising", "healthy", True),
        ("memorising", "memorising", False),
    ]
    runs = [{"label": label, "verdict": verdict, "holds": holds} for label, verdict, holds in rows]
    assert rates(runs[:4]) == (0.5, 0.5)
    page = confusion(runs)
    assert "| diverging, 1 |" in page
    assert "| memorising, 1 |" in page
    assert "Recall 50%, false alarms 50%, of 4 runs; 1 runs did not" in page
