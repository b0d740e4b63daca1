"""Parzen windows, modes and neighbours: published anchors, naive loops, and samples of known number."""

import itertools

import numpy as np
import pytest

from minigan import metrics
from minigan.data import Dataset
from minigan.data.mixtures import MIXTURES, load_mixture
from minigan.errors import MiniganError


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# Parzen windows


def test_parzen_anchor():
    samples = np.array([2, 2.5, 3, 1, 6])[:, None]
    assert np.exp(metrics.log_density([[3.0]], samples, 1.0)) == pytest.approx(0.2103, abs=5e-5)


def test_parzen_against_a_loop(monkeypatch):
    monkeypatch.setattr("minigan.metrics.distances.BLOCK", 100)
    x, samples = normal(25, 3), normal(20, 3, seed=1)
    for width in (0.3, 2.0):
        norm = (2 * np.pi * width**2) ** 1.5
        p = [np.mean([np.exp(-((a - s) @ (a - s)) / (2 * width**2)) / norm for s in samples]) for a in x]
        np.testing.assert_allclose(metrics.log_density(x, samples, width), np.log(p))


def test_parzen_far_from_every_sample():
    found = metrics.log_density(np.full((1, 784), 100.0), np.zeros((5, 784)), 0.1)
    assert found == pytest.approx(-784e4 / 0.02 - 392 * np.log(2 * np.pi * 0.01))


def test_hypercube_window():
    samples = np.array([[0.0, 0.0], [1.0, 0.2], [4.0, 4.0]])
    found = metrics.log_density([[0.6, 0.1], [9.0, 0.0]], samples, 2.0, "hypercube")
    assert found.tolist() == [pytest.approx(np.log(2 / 3 / 4)), -np.inf]


def test_parzen_score_chooses_the_width_by_the_validation_set():
    score = metrics.parzen_score(
        normal(2000, 1), normal(200, 1, seed=1), normal(500, 1, seed=2), (0.01, 0.3, 9)
    )
    assert score.width == 0.3
    assert score.mean == pytest.approx(-0.5 * np.log(2 * np.pi * np.e), abs=3 * score.error)


def test_kmeans_centres_are_near_the_data():
    x = np.repeat([[0.0, 0.0], [5.0, 5.0]], 100, axis=0) + 0.1 * normal(200, 2)
    centres = metrics.kmeans_centres(x, centres=20)
    assert (centres.shape, centres.dtype) == ((20, 2), np.float32)
    with pytest.raises(MiniganError, match="20 centres needs more than 19 samples, got 5"):
        metrics.kmeans_centres(x[:5], centres=20)


@pytest.mark.parametrize(
    ("width", "window", "message"),
    [(0, "gaussian", "above 0, got 0"), (1, "gausian", "unknown window 'gausian'; did you mean 'gaussian'?")],
)
def test_parzen_refuses(width, window, message):
    with pytest.raises(MiniganError, match=message.replace("?", r"\?")):
        metrics.log_density(normal(2, 2), normal(2, 2), width, window)


# Modes


@pytest.mark.parametrize(("name", "modes"), [("ring8", 8), ("grid25", 25)])
def test_a_perfect_sampler_finds_all_modes(name, modes):
    found = metrics.mixture_modes(load_mixture(name).samples[:2500], MIXTURES[name])
    assert found.found == modes
    assert found.high_quality == pytest.approx(1 - np.exp(-4.5), abs=0.01)
    assert found.reverse_kl == pytest.approx((modes - 1) / 5000, abs=0.005)


def test_the_ring_has_eight_distinct_modes():
    centres = MIXTURES["ring8"].centres
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(centres, 2)) > 0.7


def test_modes_that_are_missed():
    ring = MIXTURES["ring8"]
    one = metrics.mixture_modes(np.repeat(ring.centres[:1], 100, axis=0), ring)
    assert (one.found, one.high_quality, one.reverse_kl) == (1, 1, pytest.approx(np.log(8)))
    far = metrics.mixture_modes(np.concatenate([ring.centres, ring.centres + 0.05]), ring)
    assert (far.found, far.high_quality, far.reverse_kl) == (8, 0.5, pytest.approx(0))
    none = metrics.mixture_modes(np.full((10, 2), 9.0), ring)
    assert (none.found, none.high_quality, none.reverse_kl) == (0, 0, np.inf)


def test_stacked_modes():
    digits = np.array(list(itertools.product(range(10), repeat=3)))
    assert metrics.stacked_modes(digits) == (1000, pytest.approx(0))
    found, divergence = metrics.stacked_modes(digits[:100])
    assert (found, divergence) == (100, pytest.approx(np.log(10)))
    assert metrics.stacked_modes(digits[:100], digits[:100])[1] == pytest.approx(0)
    for bad in (digits[:, :2], digits + 1, digits[:0]):
        with pytest.raises(MiniganError, match=r"labels \(N, 3\) from 0 to 9"):
            metrics.stacked_modes(bad)


def test_stacked_labels():
    class Mean:
        def labels(self, images):
            assert images.shape[1:] == (1, 8, 8)
            return images.mean(axis=(1, 2, 3)).astype(int)

    images = np.broadcast_to(np.array([[3, 1, 4], [1, 5, 9]])[:, :, None, None], (2, 3, 8, 8))
    assert metrics.stacked_labels(images, Mean()).tolist() == [[3, 1, 4], [1, 5, 9]]
    with pytest.raises(MiniganError, match=r"shape \(N, 3, H, W\)"):
        metrics.stacked_labels(images[:, :1], Mean())


# Neighbours


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_distance_of_equal_rows_is_exactly_0(monkeypatch, dtype):
    from minigan.metrics.distances import squared_distances

    monkeypatch.setattr("minigan.metrics.distances.BLOCK", 1000)  # several blocks
    y = (10 * normal(40, 500) + 7).astype(dtype)
    y[1] = y[0]
    x = np.concatenate([y[::-1], y + dtype(1e-3)])
    squares = np.concatenate([block.copy() for _, block in squared_distances(x, y)])
    equal = (x[:, None] == y).all(axis=2)
    assert equal.sum() == 42
    np.testing.assert_array_equal(squares[equal], 0)
    y[0], x[0] = 0.0, -0.0
    assert next(squared_distances(x[:1], y))[1][0, 0] == 0


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8)])
def test_nearest(shape, monkeypatch):
    from minigan.metrics.distances import nearest

    monkeypatch.setattr("minigan.metrics.distances.BLOCK", 100)
    x, y = (normal(n, *shape, seed=n).astype(np.float32) for n in (30, 40))
    apart = np.sqrt(((x[:, None] - y[None]).reshape(30, 40, -1).astype(float) ** 2).sum(axis=2))
    distances, indices = nearest(x, y)
    assert indices.tolist() == apart.argmin(axis=1).tolist()
    np.testing.assert_allclose(distances, apart.min(axis=1))
    assert nearest(x, x)[0].tolist() == [0] * 30
    assert (nearest(x, x, same=True)[0] > 0).all()


def test_nearest_in_a_dataset(monkeypatch):
    from minigan.metrics.distances import nearest, nearest_in

    monkeypatch.setattr("minigan.data.dataset.READ", 30 * 48)  # several blocks, the last one short
    data = Dataset("noise", np.random.default_rng(0).integers(0, 256, (100, 3, 4, 4), np.uint8))
    x = normal(20, 3, 4, 4, seed=1).astype(np.float32)
    for start in (0, 47):
        distances, indices = nearest(x, data.batch(slice(start, None)))
        found = nearest_in(data, x, start)
        np.testing.assert_array_equal(found[1], indices + start)
        np.testing.assert_allclose(found[0], distances)
        assert not found[2].any()
    assert metrics.memorisation(x, data, x[:5]) == pytest.approx(
        metrics.memorisation(x, data.batch(slice(None)), x[:5])
    )


def test_nearest_in_a_dataset_with_mirror_images():
    from minigan.metrics.distances import nearest, nearest_in

    data = Dataset("noise", np.random.default_rng(0).integers(0, 256, (50, 3, 4, 4), np.uint8), flip=True)
    x = np.concatenate(
        [normal(20, 3, 4, 4, seed=1).astype(np.float32), data.batch([7]), data.batch([9])[..., ::-1]]
    )
    both = np.concatenate([data.batch(slice(None)), data.batch(slice(None))[..., ::-1]])
    distances, indices = nearest(x, both)
    found = nearest_in(data, x)
    np.testing.assert_allclose(found[0], distances)
    np.testing.assert_array_equal(found[1], indices % 50)
    np.testing.assert_array_equal(found[2], indices >= 50)
    assert (found[0][-2:].tolist(), found[1][-2:].tolist(), found[2][-2:].tolist()) == (
        [0, 0],
        [7, 9],
        [False, True],
    )


def test_memorisation():
    train, held_out, fresh = (normal(400, 8, seed=i) for i in range(3))
    assert metrics.memorisation(train[:100], train, held_out) == 0
    assert metrics.memorisation(fresh, train, held_out) == pytest.approx(1, abs=0.1)
    assert metrics.memorisation(fresh + 10, train, held_out) > 3
    with pytest.raises(MiniganError, match="every held-out sample is also a training sample"):
        metrics.memorisation(fresh, train, train[:10])


@pytest.mark.parametrize("size", [50, 1000])
def test_support_of_a_known_number(size):
    """Each is one of `size` points, a little blurred."""
    rng = np.random.default_rng(0)
    points = 10 * normal(size, 8)
    samples = points[rng.integers(0, size, 600)] + 0.01 * normal(600, 8, seed=1)
    assert metrics.support(samples, threshold=1).size == pytest.approx(size, rel=0.2)


def test_support_of_one_picture_beside_data_with_copies():
    real = normal(1000, 1, 8, 8)
    without = metrics.near_duplicate_distance(real)
    real[:30] = real[30:60]
    threshold = metrics.near_duplicate_distance(real)
    assert threshold == pytest.approx(without, rel=0.05)
    one = np.repeat(normal(1, 1, 8, 8, seed=1), 1000, axis=0)
    for distance in (threshold, 0.0):
        assert metrics.support(one, distance) == metrics.Support(499_500, 1)
        assert metrics.support(real[:500], distance).pairs >= 30
    assert metrics.support(real[30:], 0.0) == metrics.Support(0, 970 * 969 / 2)


def test_data_of_copies_alone_have_no_near_duplicates():
    assert metrics.near_duplicate_distance(np.ones((10, 1, 2, 2))) == 0


def test_support_without_a_pair_is_a_bound():
    found = metrics.support(normal(100, 8), threshold=1e-6)
    assert (found.pairs, found.size) == (0, 100 * 99 / 2)


def test_near_duplicate_distance():
    x = np.array([0, 1, 3, 6, 10.0])[:, None]
    assert metrics.near_duplicate_distance(x, share=0.5) == pytest.approx(2)


def test_diversity_of_one_picture_is_exactly_0():
    real = normal(50, 3, 8, 8)
    assert metrics.diversity(np.repeat(real[:1] + 0.1, 50, axis=0), real) == 0
    with pytest.raises(MiniganError, match="all real samples are the same"):
        metrics.diversity(real, np.repeat(real[:1] + 0.1, 50, axis=0))


def test_a_copy_is_nearer_than_a_near_copy():
    from minigan.metrics.distances import nearest

    x = normal(30, 1, 16, 16).astype(np.float32)
    train = np.concatenate([x + np.float32(1e-4), x, x - np.float32(1e-4)])
    distances, indices = nearest(x, train)
    assert indices.tolist() == list(range(30, 60))
    assert not distances.any()
    assert metrics.memorisation(x, train, normal(5, 1, 16, 16, seed=1)) == 0


def test_diversity():
    real = normal(300, 1, 4, 4)
    assert metrics.diversity(normal(300, 1, 4, 4, seed=1), real) == pytest.approx(1, abs=0.05)
    assert metrics.diversity(real / 2, real) == pytest.approx(0.5, abs=1e-6)
    assert metrics.diversity(np.ones((50, 1, 4, 4)), real) == 0
    with pytest.raises(MiniganError, match="all real samples are the same"):
        metrics.diversity(real, np.ones((9, 1, 4, 4)))


def test_nearest_neighbour_accuracy():
    train, labels = np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([7, 8])
    test = np.array([[0.1, 0.0], [0.9, 1.2], [0.2, 0.2]])
    assert metrics.nearest_neighbour_accuracy(train, labels, test, [7, 8, 8]) == pytest.approx(2 / 3)
    with pytest.raises(MiniganError, match="got 2 with 1 labels"):
        metrics.nearest_neighbour_accuracy(train, labels[:1], test, [7, 8, 8])
