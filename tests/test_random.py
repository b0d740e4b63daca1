"""Random numbers: the same bits for the same seed, and the right distributions.

The seeds are fixed, so that nothing here is left to chance: a p-value below 1e-3 is an error.
"""

import importlib

import numpy as np
import pytest
from scipy import stats

import minigan
import minigan.random
from minigan import Generator

SEEDS = range(5)
DTYPES = [np.float32, np.float64]

DRAWS = {
    "uniform": lambda g, n=1000: g.uniform((n,)),
    "uniform float64": lambda g, n=1000: g.uniform((n,), dtype=np.float64),
    "normal": lambda g, n=1000: g.normal((n,)),
    "normal float64": lambda g, n=1000: g.normal((n,), dtype=np.float64),
    "integers": lambda g, n=1000: g.integers(-5, 1000, (n,)),
    "permutation": lambda g, n=1000: g.permutation(n),
}
each_draw = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)


# Streams


@each_draw
def test_a_seed_gives_its_numbers_again(draw):
    g = Generator(3)
    first, second = draw(g), draw(g)
    np.testing.assert_array_equal(first, draw(Generator(3)))
    np.testing.assert_array_equal(first, draw(g.manual_seed(3)))
    assert (first != second).any()
    assert (first != draw(Generator(4))).any()


@each_draw
def test_a_stream_goes_on_from_a_saved_state(draw):
    g, other = Generator(3), Generator()
    draw(g, 7)
    other.state = list(g.state)  # as it comes back from a file
    np.testing.assert_array_equal(draw(g), draw(other))
    assert g.state == other.state


@pytest.mark.parametrize("name", [name for name in DRAWS if name != "permutation"])
def test_one_big_draw_is_many_small_ones(name):
    """In whole blocks of four words: a draw leaves the rest of its last block."""
    draw = DRAWS[name]
    g = Generator(3)
    whole = draw(Generator(3), 100)
    np.testing.assert_array_equal(np.concatenate([draw(g, n) for n in (4, 60, 36)]), whole)


@pytest.mark.parametrize(
    ("draw", "blocks"),
    [
        (lambda g: g.uniform((9,)), 3),
        (lambda g: g.uniform((9,), dtype=np.float64), 5),
        (lambda g: g.normal((9,)), 3),
        (lambda g: g.normal((9,), dtype=np.float64), 5),
        (lambda g: g.integers(0, 9, (9,)), 5),
        (lambda g: g.permutation(9), 5),
        (lambda g: g.spawn(), 1),
        (lambda g: g.uniform(()), 1),
        (lambda g: g.uniform((0, 3)), 0),
    ],
)
def test_a_draw_moves_the_counter_by_the_blocks_it_used(draw, blocks):
    g = Generator(3)
    draw(g)
    assert g.state == (3, blocks)


def test_the_counter_wraps():
    g = Generator()
    g.state = 3, 2**64 - 1
    g.uniform((8,))
    assert g.state == (3, 1)


def test_the_first_numbers_are_pinned():
    """A seed is a promise: a change of what it gives is a change for every saved run."""
    uniform = [0.3990464708489645, 0.7357127844834425, 0.9722412015223156, 0.6939309190579442]
    normal = [-0.09047305844120267, -1.0051318150657187, -0.9238335510946979, -2.51295372489041]
    assert Generator(0).uniform((4,), dtype=np.float64).tolist() == uniform
    assert Generator(0).normal((4,), dtype=np.float64).tolist() == pytest.approx(normal, rel=1e-14)
    assert Generator(0).integers(0, 1000, (8,)).tolist() == [399, 735, 972, 693, 19, 140, 787, 604]
    assert Generator(0).permutation(8).tolist() == [4, 5, 0, 7, 3, 1, 6, 2]


def test_spawned_streams_are_their_own():
    parent = Generator(3)
    streams = [parent.spawn() for _ in range(100)] + [parent]
    numbers = np.array([g.uniform((1000,)) for g in streams])
    correlations = np.corrcoef(numbers)[np.triu_indices(len(streams), 1)]
    assert len({g.key for g in streams}) == len(streams)
    assert np.abs(correlations).max() < 6 / 1000**0.5


def test_neighbouring_seeds_are_independent():
    numbers = np.array([Generator(seed).uniform((1000,)) for seed in range(100)])
    correlations = np.corrcoef(numbers)[np.triu_indices(100, 1)]
    assert np.abs(correlations).max() < 6 / 1000**0.5


def test_successive_numbers_are_independent():
    for draw in DRAWS.values():
        numbers = draw(Generator(3), 100_000).astype(np.float64)
        for lag in (1, 2, 3, 4):
            assert abs(np.corrcoef(numbers[lag:], numbers[:-lag])[0, 1]) < 5 / 100_000**0.5


def test_manual_seed_seeds_the_default_generator():
    before = minigan.random.default_generator.state
    minigan.manual_seed(11)
    drawn = minigan.random.default_generator.uniform((4,))
    minigan.random.default_generator.state = before
    np.testing.assert_array_equal(drawn, Generator(11).uniform((4,)))


# Shapes and dtypes


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", ["uniform", "normal"])
@pytest.mark.parametrize(("shape", "expected"), [((), ()), (3, (3,)), ((2, 3), (2, 3)), ((0, 3), (0, 3))])
def test_shapes_and_dtypes(method, shape, expected, dtype):
    x = getattr(Generator(0), method)(shape, dtype=dtype)
    assert (x.shape, x.dtype) == (expected, dtype)


@pytest.mark.parametrize("dtype", [np.dtype(np.float64), "float64", float])
@pytest.mark.parametrize("method", ["uniform", "normal"])
def test_a_dtype_can_be_given_in_any_form(method, dtype):
    assert getattr(Generator(0), method)((2,), dtype=dtype).dtype == np.float64


def test_integers_are_int64():
    assert Generator(0).integers(0, 5, (2, 3)).dtype == np.int64
    assert Generator(0).integers(0, 5, (2, 3)).shape == (2, 3)
    assert Generator(0).permutation(5).dtype == np.int64


# Distributions


def accepted(test):
    assert test.pvalue > 1e-3


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_uniform_numbers_are_uniform(dtype, seed):
    x = Generator(seed).uniform((200_000,), -2.0, 3.0, dtype).astype(np.float64)
    assert x.min() >= -2
    assert x.max() < 3
    accepted(stats.kstest(x, stats.uniform(-2, 5).cdf))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_normal_numbers_are_normal(dtype, seed):
    x = Generator(seed).normal((200_000,), 1.5, 0.5, dtype).astype(np.float64)
    accepted(stats.kstest(x, stats.norm(1.5, 0.5).cdf))
    z = (x - 1.5) / 0.5
    for moment, expected, deviation in ((1, 0, 1), (2, 1, 2**0.5), (3, 0, 15**0.5), (4, 3, 96**0.5)):
        assert abs((z**moment).mean() - expected) < 4 * deviation / 200_000**0.5


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_tails_of_the_normal_distribution_are_there(dtype):
    z = Generator(0).normal((2_000_000,), dtype=dtype)
    for limit in (3, 4):
        expected = 2 * stats.norm.sf(limit) * z.size
        assert abs((np.abs(z) > limit).sum() - expected) < 4 * expected**0.5
    assert np.isfinite(z).all()


def test_a_pair_of_normal_numbers_is_independent():
    z = Generator(0).normal((100_000, 2), dtype=np.float64)
    accepted(stats.kstest((z**2).sum(1), stats.chi2(2).cdf))
    accepted(stats.kstest(np.arctan2(z[:, 1], z[:, 0]), stats.uniform(-np.pi, 2 * np.pi).cdf))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("word", [0, 2**32 - 1])
def test_the_extreme_words_give_numbers_in_range(monkeypatch, word, dtype):
    """The largest number must not be rounded up to the end of its interval, nor a logarithm be infinite."""
    philox = importlib.import_module("minigan_kernels.reference.philox")  # not the function in its package
    monkeypatch.setattr(philox, "philox", lambda key, counter, n, xp=np: np.full(n, word, np.uint32))
    u = Generator(0).uniform((2,), 1.0, 2.0, dtype)
    assert ((u >= 1) & (u < 2)).all()
    assert np.isfinite(Generator(0).normal((2,), dtype=dtype)).all()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("low", "high"), [(0, 2), (-3, 4), (10, 1010)])
def test_integers_are_uniform_in_their_range(low, high, seed):
    n = Generator(seed).integers(low, high, (100_000,))
    counts = np.bincount(n - low, minlength=high - low)
    assert len(counts) == high - low
    accepted(stats.chisquare(counts))


@pytest.mark.parametrize(("low", "high"), [(0, 2**32), (-(2**31), 2**31), (2**40, 2**40 + 2**32 - 1)])
def test_the_widest_ranges_of_integers(low, high):
    n = Generator(0).integers(low, high, (100_000,))
    assert n.min() >= low
    assert n.max() < high
    accepted(stats.kstest((n - low) / (high - low), "uniform"))


@pytest.mark.parametrize("n", [0, 1, 2, 100, 10_000])
def test_a_permutation_has_every_number_once(n):
    assert sorted(Generator(0).permutation(n).tolist()) == list(range(n))


@pytest.mark.slow
def test_all_permutations_are_equally_likely():
    g = Generator(0)
    _, counts = np.unique([g.permutation(3) for _ in range(6000)], axis=0, return_counts=True)
    assert len(counts) == 6
    accepted(stats.chisquare(counts))


# Errors


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seeds_have_64_bits(seed):
    with pytest.raises(ValueError, match=f"seed must be .* got {seed}"):
        Generator(seed)


@pytest.mark.parametrize(("low", "high"), [(3, 3), (3, 2), (0, 2**32 + 1)])
def test_a_range_of_integers_must_be_one(low, high):
    with pytest.raises(ValueError, match=f"integers: .* got {low} and {high}"):
        Generator(0).integers(low, high)


def test_an_interval_must_be_one():
    with pytest.raises(ValueError, match=r"uniform: .* got 2 and 1"):
        Generator(0).uniform((3,), low=2, high=1)


@pytest.mark.parametrize("method", ["uniform", "normal"])
@pytest.mark.parametrize("dtype", [np.float16, np.int64])
def test_other_dtypes_are_refused(method, dtype):
    with pytest.raises(TypeError, match=f"float32 or float64, not {np.dtype(dtype)}"):
        getattr(Generator(0), method)((2,), dtype=dtype)


@pytest.mark.parametrize(
    "state",
    [None, 3, (1,), (1, 2, 3), ("1", 2), (1, 2.5), (1, None), (-1, 0), (0, 2**64), (True, 0), {"key": 1}],
)
def test_a_state_that_is_none_is_refused_with_nothing_changed(state):
    rng = Generator(3)
    rng.normal(5)
    before = rng.state
    with pytest.raises((TypeError, ValueError), match="Generator: "):
        rng.state = state
    assert rng.state == before


@pytest.mark.parametrize("key", [7, 2**64 - 1])
def test_a_stream_goes_on_from_a_saved_dict(key, tmp_path):
    rng = Generator(key)
    rng.normal(5)
    np.savez(tmp_path / "rng.npz", **{k: np.uint64(v) for k, v in rng.state_dict().items()})
    other = Generator(0)
    with np.load(tmp_path / "rng.npz") as state:
        other.load_state_dict(state)
    assert other.state_dict() == rng.state_dict() == {"key": key, "counter": 2}
    assert {type(n) for n in other.state} == {int}
    np.testing.assert_array_equal(other.normal(9), rng.normal(9))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (None, "Generator: a state is a dict"),
        ([1, 2], "Generator: a state is a dict"),
        ({}, "Generator: the state does not fit: key is missing; counter is missing"),
        ({"key": 1, "counter": 0, "seed": 1}, "Generator: the state does not fit: seed is unexpected"),
        ({"key": "1", "counter": 0}, "Generator: key must be an integer, got '1'"),
        ({"key": 1, "counter": -1}, "Generator: counter must be at least 0, got -1"),
        ({"key": 1, "counter": np.zeros(1, int)}, "Generator: counter must be an integer, got"),
        ({"key": 2**64, "counter": 0}, "Generator: state must be two integers below"),
    ],
)
def test_a_dict_that_is_no_state_is_refused_with_nothing_changed(state, message):
    rng = Generator(3)
    rng.normal(5)
    before = rng.state
    with pytest.raises((TypeError, ValueError), match=message):
        rng.load_state_dict(state)
    assert rng.state == before


@pytest.mark.parametrize("seed", [None, 1.5, "3", True, np.nan])
def test_a_seed_is_an_integer(seed):
    with pytest.raises(TypeError, match="seed must be an integer, got"):
        Generator(seed)
