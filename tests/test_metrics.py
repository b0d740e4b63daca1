"""Distances of features and what a classifier says: anchors, naive definitions, planted failures."""

import itertools

import numpy as np
import pytest

from minigan import metrics
from minigan.errors import MiniganError
from minigan.metrics.distances import squared_distances
from minigan.random import Generator


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# Frechet distance


def test_frechet_anchor():
    """compare_gan's example. Its 89.0909 is that of covariances divided by N - 1; by N, it would be 89."""
    real = np.array([(2, 1)] * 50 + [(1, 1)] * 50)
    fake = np.array([(9, 9)] * 50 + [(2, 9)] * 50)
    assert metrics.frechet_distance(real, fake) == pytest.approx(80 + 9 * 100 / 99, abs=1e-12)
    assert metrics.frechet_distance(real, fake) == pytest.approx(89.0909, abs=1e-4)


def test_frechet_of_normals_known_by_hand():
    """Diagonal covariances: the squared distance of the means and of the standard deviations."""
    x = normal(40, 3)
    x = (x - x.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T  # Σ = 1 exactly
    y = x * [1, 2, 5] + [3, 0, -4]
    assert metrics.frechet_distance(x, y) == pytest.approx(25 + 0 + 1 + 16)


def test_frechet_of_covariances_that_do_not_commute():
    from scipy.linalg import sqrtm

    x, y = normal(50, 4) @ normal(4, 4, seed=1), normal(60, 4, seed=2) @ normal(4, 4, seed=3) + 1
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert metrics.frechet_distance(x, y) == pytest.approx(expected)


def test_frechet_is_a_distance():
    x, y = normal(100, 8), normal(80, 8, seed=1) + 1
    assert metrics.frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet_distance(x, y) == pytest.approx(metrics.frechet_distance(y, x))
    rotation = np.linalg.qr(normal(8, 8, seed=2))[0]
    assert metrics.frechet_distance(x @ rotation, y @ rotation) == pytest.approx(
        metrics.frechet_distance(x, y)
    )


def test_frechet_of_features_that_never_vary():
    x, y = np.pad(normal(50, 2), [(0, 0), (0, 2)]), np.pad(normal(50, 2, seed=1), [(0, 0), (0, 2)])
    assert metrics.frechet_distance(x, y) == pytest.approx(metrics.frechet_distance(x[:, :2], y[:, :2]))


def test_frechet_refuses_too_few():
    with pytest.raises(MiniganError, match="of 8 features needs more than 8 samples, got 8"):
        metrics.frechet_distance(normal(100, 8), normal(8, 8))


# Kernel distance


def test_squared_mmd_by_brute_force():
    x, y = normal(5, 3), normal(7, 3, seed=1)

    def k(a, b):
        return (a @ b / 3 + 1) ** 3

    within = [np.mean([k(a, b) for a, b in itertools.permutations(z, 2)]) for z in (x, y)]
    expected = sum(within) - 2 * np.mean([k(a, b) for a in x for b in y])
    assert metrics.squared_mmd(x, y) == pytest.approx(expected)


def test_squared_mmd_is_unbiased():
    """Over all ways to take 3 of 6 samples, the estimates have the mean of the estimate from all 6."""
    x, y = normal(6, 2), normal(6, 2, seed=1) + 0.5
    parts = list(itertools.combinations(range(6), 3))
    draws = [metrics.squared_mmd(x[list(a)], y[list(b)]) for a in parts for b in parts]
    assert np.mean(draws) == pytest.approx(metrics.squared_mmd(x, y))
    assert min(draws) < np.mean(draws) < max(draws)


def test_kernel_distance():
    x, y = normal(300, 4), normal(300, 4, seed=1)
    mean, deviation = metrics.kernel_distance(x, y, subset_size=100, subsets=20)
    assert abs(mean) < 2 * deviation
    assert (mean, deviation) == metrics.kernel_distance(x, y, 100, 20, Generator(0))
    assert metrics.kernel_distance(x, y + 1, 100, 20)[0] > 20 * deviation


def test_kernel_distance_of_all_samples_has_no_deviation():
    x, y = normal(50, 4), normal(50, 4, seed=1)
    mean, deviation = metrics.kernel_distance(x, y, subset_size=50, subsets=3)
    assert mean == pytest.approx(metrics.squared_mmd(x, y))
    assert deviation == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "draws subsets of 1000 samples, got sets of 50 and 60"),
        ({"subset_size": 1}, "at least 2 samples"),
        ({"subset_size": 10, "subsets": 0}, "at least 2 samples, and one subset; got 0 of 10"),
    ],
)
def test_kernel_distance_refuses(settings, message):
    with pytest.raises(MiniganError, match=message):
        metrics.kernel_distance(normal(50, 4), normal(60, 4), **settings)


# Precision, recall, density, coverage


def naive_prdc(real, fake, k):
    def distance(a, b):
        return np.sqrt(((a - b) ** 2).sum())

    def radius(i, x):
        return sorted(distance(x[i], x[j]) for j in range(len(x)) if j != i)[k - 1]

    r = [radius(i, real) for i in range(len(real))]
    s = [radius(i, fake) for i in range(len(fake))]
    inside = np.array([[distance(x, y) <= r[i] for y in fake] for i, x in enumerate(real)])
    recalled = np.array([[distance(x, y) <= s[j] for j, y in enumerate(fake)] for x in real])
    precision, recall = inside.any(axis=0).mean(), recalled.any(axis=1).mean()
    return metrics.PRDC(precision, recall, inside.sum() / (k * len(fake)), inside.any(axis=1).mean())


@pytest.mark.parametrize("k", [1, 3])
def test_prdc_against_loops(k, monkeypatch):
    monkeypatch.setattr("minigan.metrics.distances.BLOCK", 200)  # several blocks, the last one short
    real, fake = normal(30, 2), normal(23, 2, seed=1) + 0.7
    assert vars(metrics.prdc(real, fake, k)) == pytest.approx(vars(naive_prdc(real, fake, k)))


def test_prdc_anchor():
    """A normal distribution against itself: coverage 1 - 2⁻⁵, density 1."""
    found = metrics.prdc(normal(2000, 16), normal(2000, 16, seed=1), k=5)
    assert found.coverage == pytest.approx(1 - 2**-5, abs=0.01)
    assert found.density == pytest.approx(1, abs=0.05)


def test_prdc_tells_collapse_from_noise():
    real = normal(1000, 8)
    collapsed = 0.1 * normal(1000, 8, seed=1)
    found = metrics.prdc(real, collapsed)
    assert found.precision > 0.95
    assert found.recall < 0.05
    assert found.coverage < 0.7
    noisy = metrics.prdc(real, 3 * normal(1000, 8, seed=1))
    assert noisy.precision < 0.3
    assert noisy.recall > 0.9


def test_density_does_not_trust_outliers():
    """One real outlier has a ball around everything; precision falls for it, density does not."""
    real = np.concatenate([normal(500, 2), [[40.0, 0.0]]])
    fake = 0.5 * normal(500, 2, seed=1) + [20, 0]
    found = metrics.prdc(real, fake)
    assert found.precision > 0.45
    assert found.density < 0.25


@pytest.mark.parametrize("copies", [1, 6])
def test_prdc_does_not_depend_on_the_order_of_copies(copies):
    """All lie on the edges of balls, or in balls of radius 0."""
    real = np.repeat(3 * normal(100, 64) + 5, copies, axis=0)
    fake = real[np.random.default_rng(1).permutation(len(real))]
    for one, other in ((real, real), (real, fake), (fake, real)):
        assert metrics.prdc(one, other, k=5) == metrics.PRDC(1, 1, pytest.approx(6 / 5), 1)


def test_prdc_refuses():
    with pytest.raises(MiniganError, match="k = 5 needs more than 5 samples, got 5"):
        metrics.prdc(normal(50, 2), normal(5, 2))
    with pytest.raises(MiniganError, match="at least 1 neighbour, got k = 0"):
        metrics.prdc(normal(50, 2), normal(50, 2), k=0)


@pytest.mark.parametrize("offset", [0, 1000])
def test_squared_distances_far_from_the_origin(offset):
    x, y = normal(20, 5) + offset, normal(30, 5, seed=1) + offset
    expected = ((x[:, None] - y) ** 2).sum(axis=2)
    found = np.concatenate([block.copy() for _, block in squared_distances(x, y)])
    np.testing.assert_allclose(found, expected, rtol=1e-9)


# Scores


def test_classifier_score():
    sure = np.eye(4)[np.arange(400) % 4]
    assert metrics.classifier_score(sure) == (pytest.approx(4), pytest.approx(0))
    assert metrics.classifier_score(np.full((400, 4), 0.25))[0] == pytest.approx(1)
    assert metrics.classifier_score(np.eye(4)[np.zeros(400, int)])[0] == pytest.approx(1)


def test_classifier_score_by_hand():
    p = np.array([[0.9, 0.1], [0.2, 0.8]])
    divergence = sum(row @ np.log(row / p.mean(axis=0)) for row in p) / 2
    assert metrics.classifier_score(p, splits=1) == (pytest.approx(np.exp(divergence)), 0)


def test_label_histogram():
    shares = metrics.label_histogram([0, 0, 2, 2], classes=4)
    assert shares.tolist() == [0.5, 0, 0.5, 0]
    assert metrics.modes_present(shares) == 2
    assert metrics.label_entropy(shares) == pytest.approx(np.log(2))
    assert metrics.kl(shares, np.full(4, 0.25)) == pytest.approx(np.log(2))
    assert metrics.kl(np.full(4, 0.25), shares) == np.inf
    assert metrics.label_accuracy([0, 1, 2], [0, 1, 1]) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.classifier_score(np.ones((20, 3))), r"rows that sum to 1, got \(20, 3\)"),
        (lambda: metrics.classifier_score(np.eye(3)), "10 splits needs as many samples, got 3"),
        (lambda: metrics.label_histogram([3], 3), "labels from 0 to 2"),
        (lambda: metrics.label_accuracy([1], [1, 2]), r"got \(1,\) and \(2,\)"),
        (lambda: metrics.frechet_distance(normal(9, 2), normal(9, 3)), r"got \(9, 2\) and \(9, 3\)"),
        (lambda: metrics.frechet_distance(normal(9, 2), np.full((9, 2), np.nan)), "finite numbers"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(MiniganError, match=message):
        call()
