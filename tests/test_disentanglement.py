"""Measures of disentanglement: of codes that are perfect, turned, and random, whose scores are known."""

import numpy as np
import pytest

from minigan.data.factors import VALUES, Told, scaled
from minigan.errors import MiniganError
from minigan.metrics import (
    beta_vae_score,
    dci,
    disentanglement,
    factor_vae_score,
    mutual_information_gap,
)
from minigan.metrics.disentanglement import SamplesAlike, binned, information
from minigan.random import Generator

N = 2000
RESIDUE = [0, 1, -1, -1, 1]  # of squares modulo 5
TURN = np.array(  # a turn after which each number of a code holds five of six factors, all alike
    [[0, 1, 1, 1, 1, 1], *([1, *np.roll(RESIDUE, i)] for i in range(5))]
) / np.sqrt(5)
SCORES = {
    "mig": mutual_information_gap,
    "factor-vae-score": factor_vae_score,
    "beta-vae-score": beta_vae_score,
    "dci-disentanglement": lambda *args: dci(*args).disentanglement,
    "dci-completeness": lambda *args: dci(*args).completeness,
}


@pytest.fixture(scope="module")
def factors():
    return Told().drawn(N, Generator(1))


@pytest.fixture(scope="module")
def perfect(factors):
    """Each number of the code is a factor, of mean 0 and variance 1, in the order of the factors."""
    return (scaled(factors) - 0.5) * np.sqrt(12)


@pytest.fixture(scope="module")
def found(factors, perfect):
    """All scores by what kind of a code it is."""
    rng = np.random.default_rng(0)
    other = perfect[:, [3, 0, 5, 1, 4, 2]] * [1, -3, 0.5, 2, 1, -0.7] + 4
    codes = {
        "perfect": perfect,
        "scaled, in another order": other,
        "with unused numbers": np.c_[1e-3 * rng.normal(size=(N, 2)), other, np.full((N, 1), 7.0)],
        "in float32": other.astype(np.float32),
        "noisy": perfect + 0.3 * rng.normal(size=perfect.shape),
        "turned": perfect @ TURN,
        "random": rng.normal(size=(N, 6)),
    }
    return {kind: disentanglement(code, factors) for kind, code in codes.items()}


@pytest.mark.parametrize("kind", ["perfect", "scaled, in another order", "with unused numbers", "in float32"])
def test_perfect_codes(found, kind):
    for name, score in found[kind].items():
        assert 0.95 < score <= 1 + 1e-9, name
    assert found[kind]["mig"] > 0.98  # finite samples have some information by chance


def test_the_turn_is_one():
    np.testing.assert_allclose(TURN @ TURN.T, np.eye(6), atol=1e-12)
    assert len({*np.abs(TURN[~np.eye(6, dtype=bool)]).round(12)}) == 1


def test_turned_codes_have_all_and_score_low(found):
    """A turn loses nothing, so a forest can read the factors; no number stands for one of them."""
    turned = found["turned"]
    assert turned["dci-informativeness"] > 0.85
    assert turned["mig"] < 0.1
    assert turned["factor-vae-score"] < 0.6
    assert turned["beta-vae-score"] < 0.8
    assert max(turned["dci-disentanglement"], turned["dci-completeness"]) < 0.25


def test_random_codes_are_at_chance(found):
    for name in ("mig", "dci-disentanglement", "dci-completeness", "dci-informativeness"):
        assert found["random"][name] < 0.02, name
    for name in ("factor-vae-score", "beta-vae-score"):
        assert found["random"][name] == pytest.approx(1 / 6, abs=0.06), name


def test_noise_costs_what_its_information_is_worth(found):
    """All but the vote, which a little noise does not move, and the classifier, fall."""
    for name in ("mig", "dci-disentanglement", "dci-completeness", "dci-informativeness"):
        assert found["turned"][name] * (name != "dci-informativeness") < found["noisy"][name] < 0.96, name
    assert found["noisy"]["factor-vae-score"] == 1


@pytest.mark.parametrize("name", SCORES)
def test_the_same_seed_gives_the_same_number(name, factors, perfect):
    code = perfect + np.random.default_rng(3).normal(size=perfect.shape)
    assert SCORES[name](code, factors) == SCORES[name](code, factors)


def test_the_gap_of_a_code_that_holds_a_factor_twice(factors, perfect):
    """Two numbers that both are the factor leave no gap; of six factors one is lost."""
    twice = np.c_[perfect, perfect[:, 3]]
    assert mutual_information_gap(twice, factors) == pytest.approx(5 / 6, abs=0.02)
    assert dci(twice, factors).completeness == pytest.approx((5 + 1 - np.log(2) / np.log(7)) / 6, abs=0.03)
    assert dci(twice, factors).disentanglement > 0.98


def test_a_number_that_holds_two_factors(factors, perfect):
    """Disentanglement falls by those numbers' weight, completeness does not."""
    rng = np.random.default_rng(0)
    both = perfect[:, [3]] + perfect[:, [4]]
    code = np.c_[perfect[:, :3], both, 1e-9 * rng.normal(size=(N, 1)), perfect[:, 5]]
    scores = dci(code, factors)
    assert 0.6 < scores.disentanglement < 0.95
    assert factor_vae_score(code, factors) == pytest.approx(5 / 6, abs=0.06)


def test_mutual_information_is_that_of_the_formula():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 4, (2, 100_000))
    assert information(a, a) == pytest.approx(np.log(4), abs=1e-3)
    assert information(a, b) < 1e-3
    c = np.where(rng.random(len(a)) < 0.5, a, rng.integers(0, 4, len(a)))  # right with 5/8, else one of three
    expected = np.log(4) + 5 / 8 * np.log(5 / 8) + 3 / 8 * np.log(1 / 8)
    assert information(a, c) == pytest.approx(expected, abs=0.01)


def test_bins_have_one_width():
    np.testing.assert_array_equal(binned(np.linspace(-3, 7, 20)), np.arange(20))
    np.testing.assert_array_equal(binned(np.full(5, 2.0)), np.zeros(5))


def test_samples_alike_have_one_value_in_common(factors):
    alike = SamplesAlike(factors, np.random.default_rng(0))
    for k, count in enumerate(VALUES.values()):
        assert len({v for _ in range(200) for v in factors[alike.rows(k, 9), k]}) == count
        rows = alike.rows(k, 9)
        assert len({*factors[rows, k]}) == 1
        one, other = alike.pairs(k, 40)
        np.testing.assert_array_equal(factors[one, k], factors[other, k])
        assert len({*factors[one, k]}) > 1


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda z, f: (z[:, 0], f), r"shape \(N, d\)"),
        (
            lambda z, f: (z, f[:-1]),
            r"integers \(N, k\), of the 2000 samples that have codes, got int64",
        ),
        (lambda z, f: (z, scaled(f)), "got float64"),
        (lambda z, f: (z[:99], f[:99]), "needs more than 99 samples, got 99"),
        (lambda z, f: (z, np.where(f == 2, -1, f)), "some are not known"),
        (lambda z, f: (z, 0 * f), "needs factors that vary, and all 6 are constant"),
        (lambda z, f: (np.where(z > 1, np.nan, z), f), "needs finite numbers"),
    ],
)
def test_what_cannot_be_measured(name, change, sentence, factors, perfect):
    with pytest.raises(MiniganError, match=sentence):
        SCORES[name](*change(perfect, factors))


def test_a_constant_code_says_nothing(factors):
    code = np.zeros((N, 3))
    assert mutual_information_gap(code, factors) == 0
    assert factor_vae_score(code, factors) == 0
    assert beta_vae_score(code, factors) == pytest.approx(1 / 6, abs=0.06)
    scores = dci(code, factors)
    assert [*vars(scores).values()] == pytest.approx([0, 0, 0], abs=1e-12)


def test_a_factor_that_does_not_vary_is_left_out(factors, perfect):
    still = factors.copy()
    still[:, 5] = 2
    assert mutual_information_gap(perfect[:, :5], still) > 0.98
