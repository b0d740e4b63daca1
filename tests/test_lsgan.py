"""LSGAN: what its squares minimise against the best D, by distributions that can be written down."""

import numpy as np
import pytest

from minigan import Generator, MiniganError, Tensor, nn
from minigan.gans import model_named
from minigan.gans.noise import dcgan, lsgan
from minigan.gans.parts import convolutions
from minigan.optim import SGD
from minigan.speed.steps import fields_of
from minigan.testing import assert_close, check_model
from minigan.training import Options, Session

LSGAN = model_named("lsgan")
PAPER = {"a": 0.0, "b": 1.0, "c": 1.0}  # equation 9
PEARSON = {"a": -1.0, "b": 1.0, "c": 0.0}  # equation 8
DATA, MADE = np.array([1, 4, 2, 1]), np.array([3, 1, 2, 2])  # of 8 samples, how many are of each kind


class Table(nn.Module):
    """A D that says a number of its own of each kind: x is one-hot (N, kinds)."""

    def __init__(self, kinds):
        super().__init__()
        self.said = nn.Parameter(np.zeros((kinds, 1)))

    def forward(self, x):
        return x @ self.said


class Maker(nn.Module):
    """A G that makes the same samples from any noise; its parameter changes nothing."""

    def __init__(self, samples):
        super().__init__()
        self.samples, self.nothing = samples, nn.Parameter(np.zeros(1))

    def forward(self, z):
        return Tensor(self.samples) + 0.0 * self.nothing


def samples_of(counts):
    return np.eye(len(counts)).repeat(counts, axis=0)


def played(codes, data=DATA, made=MADE, steps=400):
    """(what the best D says of each kind, the numbers of the last step): D alone learns."""
    D, G = Table(len(data)), Maker(samples_of(made))
    opts = {"opt_d": SGD(D.parameters(), 1.0), "opt_g": SGD(G.parameters(), 0.0)}
    cfg = lsgan.Config(latent=2, **codes)
    loop = lsgan.train([samples_of(data)] * steps, Generator(0), cfg, G, D, **opts)
    *_, seen = loop
    return D.said.numpy()[:, 0], seen


@pytest.mark.slow
@pytest.mark.parametrize("codes", [PAPER, PEARSON, {"a": 2.0, "b": -3.0, "c": 0.5}], ids=str)
def test_the_best_d_is_the_mean_of_the_codes_by_the_densities(codes):
    """Equation 5: (b p + a q) / (p + q)."""
    best, _ = played(codes)
    assert_close(best, (codes["b"] * DATA + codes["a"] * MADE) / (DATA + MADE), rtol=1e-8)


def chi_squared(p, q):
    """Pearson's χ²(p + q ‖ 2q) as equation 6 has it."""
    return ((2 * q - (p + q)) ** 2 / (p + q)).sum()


@pytest.mark.slow
@pytest.mark.parametrize("codes", [PEARSON, {"a": 0.0, "b": 2.0, "c": 1.0}], ids=str)
@pytest.mark.parametrize("made", [MADE, DATA, np.array([8, 0, 0, 0]), np.array([0, 0, 0, 8])], ids=str)
def test_with_b_less_c_1_and_b_less_a_2_g_minimises_pearsons_divergence(codes, made):
    """The loss of G against the best D, and the term of the data, which is not G's, are half of χ²."""
    best, seen = played(codes, made=made)
    p, q = DATA / 8, made / 8
    of_data = 0.5 * (p * (best - codes["c"]) ** 2).sum()
    assert seen["g_loss"].item() + of_data == pytest.approx(0.5 * chi_squared(p, q), rel=1e-8, abs=1e-12)


def test_it_is_0_for_the_data_alone_and_most_where_nothing_is_in_common():
    assert chi_squared(DATA / 8, DATA / 8) == 0
    apart = np.array([0.5, 0.5, 0, 0]), np.array([0, 0, 0.5, 0.5])
    assert chi_squared(*apart) == 2


def test_other_codes_minimise_something_else():
    """So that the test above can fail: 0, 1, 1 is not Pearson's."""
    best, seen = played(PAPER)
    of_data = 0.5 * (DATA / 8 * (best - 1.0) ** 2).sum()
    assert abs(seen["g_loss"].item() + of_data - 0.5 * chi_squared(DATA / 8, MADE / 8)) > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("data", ["digits", "ring8"])
def test_lsgan_keeps_the_contract(data):
    check_model("lsgan", data, width=4, latent=4)


@pytest.mark.parametrize(
    ("codes", "says"),
    [
        ({"a": 1.0}, "a and b must differ, got 1.0 for both: D would have nothing to tell apart"),
        ({"c": 0.0}, "a and c must differ, got 0.0 for both: G would help D"),
        ({"b": float("nan")}, "b must be a finite number, got nan"),
        ({"c": float("inf")}, "c must be a finite number, got inf"),
        ({"batch_norm": "g"}, "batch_norm cannot be 'g'; did you mean 'G'?"),
    ],
    ids=str,
)
def test_codes_that_make_no_game_are_refused(codes, says):
    with pytest.raises(MiniganError) as error:
        lsgan.Config(**codes)
    assert str(error.value) == says


@pytest.mark.slow
def test_what_d_says_is_told_as_numbers():
    """Near b and a, not the probabilities of logits."""
    session = Session("lsgan", Options(data="ring8"), lsgan.Config(batch_size=16, a=-40.0, b=40.0, lr_d=1e-2))
    seen = [session.next_step() for _ in range(200)][-1]
    assert seen["d_real"] > 5
    assert session.model.is_critic(session.cfg)


# Batch norm taken away, of either game


@pytest.mark.parametrize("model", [dcgan, lsgan], ids=["dcgan", "lsgan"])
@pytest.mark.parametrize(
    ("batch_norm", "has"),
    [("both", (True, True)), ("G", (True, False)), ("D", (False, True)), ("none", (False, False))],
)
def test_batch_norm_is_where_it_is_asked_for_and_a_bias_where_it_is_not(model, batch_norm, has):
    cfg = model.Config(latent=3, width=2, batch_norm=batch_norm)
    parts = model.parts(cfg, fields_of((1, 32, 32)), Generator(0))
    for net, normed in zip((parts["G"], parts["D"]), has, strict=True):
        layers = [*net.modules()]
        assert any(isinstance(layer, nn.BatchNorm2d) for layer in layers) == normed
        convs = [layer for layer in layers if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
        biased = [conv.bias is not None for conv in convs]
        assert len(biased) == 4
        assert sum(biased) == (4 if not normed else 1 if net is parts["G"] else 2)
        assert all((conv.bias.numpy() == 0).all() for conv in convs if conv.bias is not None)


def test_networks_without_any_norm_make_images_and_learn():
    cfg = lsgan.Config(latent=3, width=2, batch_size=4, batch_norm="none").fitted(fields_of((1, 16, 16)))
    session = Session("lsgan", Options(), cfg)
    before = {name: a.copy() for name, a in session.arrays().items() if name.startswith(("G.", "D."))}
    session.next_step(), session.next_step()
    for name, a in before.items():
        assert not np.array_equal(session.arrays()[name], a), name


def test_layers_without_a_norm_have_none_in_either_network():
    G = convolutions.generator(3, 2, (1, 32, 32), norm=None)
    D = convolutions.discriminator(2, 1, (1, 32, 32), norm=None, outputs=5)
    assert [type(layer).__name__ for layer in D] == ["Conv2d", "LeakyReLU"] * 3 + ["Conv2d", "Flatten"]
    assert D(G(Tensor(np.zeros((6, 3), np.float32)))).shape == (6, 5)
