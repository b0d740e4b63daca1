"""The classifier behind the metrics: what it learns, what it refuses, and how it is kept."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minigan import functional as F
from minigan.data import Dataset, load
from minigan.errors import MiniganError
from minigan.metrics import Settings, classifier_for, hold_out, splits, train_classifier
from minigan.metrics import cache as cache_module

QUICK = Settings(steps=60, batch_size=64, width=16)
TRAIN, TEST = splits("digits")


@pytest.fixture(scope="module")
def classifier():
    return train_classifier(TRAIN, TEST, QUICK)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGAN_CACHE_DIR", str(tmp_path))
    return tmp_path / "classifiers"


def images(n=20, size=8, channels=1):
    return np.random.default_rng(0).uniform(-1, 1, (n, channels, size, size)).astype(np.float32)


def small(n=20, size=8, channels=1, classes=2):
    pixels = np.random.default_rng(0).integers(0, 256, (n, channels, size, size)).astype(np.uint8)
    return Dataset("small", pixels, np.arange(n) % classes)


# Learning and looking


def test_the_loss_is_of_logits(monkeypatch):
    """After a softmax of its own none would be below 0."""
    given, loss = [], F.cross_entropy
    monkeypatch.setattr(
        F, "cross_entropy", lambda logits, labels: given.append(logits) or loss(logits, labels)
    )
    train_classifier(TRAIN, TEST, replace(QUICK, steps=1))
    assert len(given) == 1
    assert (given[0].numpy() < 0).any()


def test_it_learns_the_digits(classifier):
    assert classifier.accuracy > 0.9
    seen = classifier.labels(TEST.batch(np.arange(len(TEST))))
    assert (seen == TEST.labels).mean() == classifier.accuracy
    assert (classifier.data, classifier.shape, classifier.classes) == ("digits", (1, 8, 8), 10)


def test_what_it_gives(classifier):
    x = TEST.batch(np.arange(7))
    features, logits = classifier.features(x), classifier.logits(x)
    assert (features.shape, features.dtype) == ((7, 64), np.float32)
    assert (logits.shape, logits.dtype) == ((7, 10), np.float32)
    np.testing.assert_allclose(classifier.logits_of(features), logits, rtol=1e-5, atol=1e-5)
    odds = np.exp(logits.astype(np.float64))
    np.testing.assert_allclose(classifier.probabilities(x), odds / odds.sum(axis=1, keepdims=True))
    assert classifier.labels(x).tolist() == logits.argmax(axis=1).tolist()
    assert classifier.features(x[:0]).shape == (0, 64)


def test_an_image_looks_the_same_in_any_company(classifier, monkeypatch):
    """Batch norm and dropout are those of evaluation, and batches leave no trace."""
    x = TEST.batch(np.arange(30))
    whole, weights = classifier.features(x), classifier.hash
    monkeypatch.setattr("minigan.metrics.classifier.BATCH", 7)
    np.testing.assert_allclose(classifier.features(x), whole, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(classifier.features(x[3:4]), whole[3:4], rtol=1e-4, atol=1e-4)
    from minigan.metrics.classifier import weights_hash

    assert weights_hash(classifier.network) == weights


def test_the_same_seed_gives_the_same_bits():
    few = replace(QUICK, steps=3)
    one, two = (train_classifier(TRAIN, TEST, few) for _ in range(2))
    assert one.hash == two.hash
    assert train_classifier(TRAIN, TEST, replace(few, seed=1)).hash != one.hash


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 16, 28, 32, 64])
def test_all_sizes(size, channels):
    data = small(8, size, channels)
    found = train_classifier(data, data, replace(QUICK, steps=1, width=4))
    assert found.features(images(3, size, channels)).shape == (3, 64)


def test_images_of_another_range_are_refused(classifier):
    """Samples in [0, 1], or 0..255, to a classifier of [-1, 1]: it would answer, and wrongly."""
    x = TEST.batch(np.arange(len(TEST)))
    unchecked = classifier.network.eval()
    from minigan.autograd import Tensor, no_grad

    with no_grad():
        blind = unchecked(Tensor((x + 1) / 2)).numpy().argmax(axis=1)
    assert (blind == TEST.labels).mean() < classifier.accuracy
    for look in (classifier.features, classifier.logits, classifier.probabilities, classifier.labels):
        with pytest.raises(MiniganError, match=r"should lie in \[-1, 1\], but these seem to be made for"):
            look((x + 1) / 2)
        with pytest.raises(MiniganError, match=r"should lie in \[-1, 1\], they go from 0 to 255"):
            look(255 * (x + 1) / 2)
    classifier.labels(np.ones_like(x))  # a model that went white is bad, but it is measured


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (images(2, 16), r"shape \(N, 1, 8, 8\), got float32 \(2, 1, 16, 16\)"),
        (images(2, 8, 3), r"got float32 \(2, 3, 8, 8\)"),
        (np.zeros((2, 1, 8, 8), np.uint8), "should be floats of shape .* got uint8"),
        (images() * np.float32(np.nan), "NaN or infinite"),
    ],
)
def test_images_that_do_not_fit(classifier, x, message):
    with pytest.raises(MiniganError, match=message):
        classifier.features(x)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (load("ring8"), "a classifier looks at images and sounds, ring8 has points"),
        (replace(small(), labels=None), "a classifier learns from labels, small has none"),
        (small(classes=1), "samples of two classes, small has 1"),
    ],
)
def test_data_that_do_not_fit(cache, data, message):
    with pytest.raises(MiniganError, match=message):
        classifier_for(data, data, QUICK)


def test_hold_out():
    data = small(11)
    train, test = hold_out(data)
    assert (len(train), len(test)) == (9, 2)
    np.testing.assert_array_equal(test.stored(slice(None)), data.samples[[4, 9]])
    assert test.labels.tolist() == data.labels[[4, 9]].tolist()
    with pytest.raises(MiniganError, match="has 4 samples; to hold some out takes at least 5"):
        hold_out(small(4))


# The cache


def test_a_classifier_is_trained_once(cache):
    few, said, steps = replace(QUICK, steps=3), [], []
    first = classifier_for(TRAIN, TEST, few, said.append, lambda step, of: steps.append((step, of)))
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert said[0].startswith("training a classifier of digits, 1,438 images of 1x8x8")
    assert said[1].endswith("of 359 test images")
    (path,) = cache.iterdir()
    said.clear()
    second = classifier_for(TRAIN, TEST, few, said.append)
    assert said == []
    for name in ("hash", "accuracy", "data", "shape", "classes", "lowest"):
        assert getattr(second, name) == getattr(first, name)
    x = TEST.batch(np.arange(20))
    np.testing.assert_array_equal(second.features(x), first.features(x))
    assert path.name.startswith("digits-")


def test_other_settings_or_data_are_other_classifiers(cache):
    few = replace(QUICK, steps=1, width=4)
    classifier_for(TRAIN, TEST, few, say=lambda line: None)
    classifier_for(TRAIN, TEST, replace(few, seed=1), say=lambda line: None)
    other = replace(TRAIN, labels=TRAIN.labels[::-1])
    classifier_for(other, TEST, few, say=lambda line: None)
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "foreign"])
def test_a_damaged_file_is_replaced(cache, damage):
    few, said = replace(QUICK, steps=2), []
    first = classifier_for(TRAIN, TEST, few, said.append)
    (path,) = cache.iterdir()
    content = path.read_bytes()
    changed = bytearray(content)
    changed[-5] ^= 64
    path.write_bytes(
        {"cut": content[:-100], "empty": b"", "changed": bytes(changed), "foreign": b"PNG" * 100}[damage]
    )
    said.clear()
    again = classifier_for(TRAIN, TEST, few, said.append)
    assert again.hash == first.hash
    assert f"{path} is damaged" in said[0]
    assert said[1].startswith("training a classifier of digits")
    assert said[-1].startswith("the classifier is right on")
    assert path.read_bytes() == content


def test_a_cache_that_cannot_be_written_costs_a_line(cache, monkeypatch):
    def full(*args):
        raise OSError("no space left")

    monkeypatch.setattr(cache_module, "write_atomically", full)
    said = []
    classifier_for(TRAIN, TEST, replace(QUICK, steps=1), said.append)
    assert any("cannot be kept" in line and "no space left" in line for line in said)


def test_the_name_of_a_file_is_one_on_every_system():
    assert cache_module._file_name("mnist") == "mnist"
    assert cache_module._file_name("folder:/home/me/My Cäts") == "folder-MyCts"
    assert cache_module._file_name("folder:..") == "folder"


def test_the_cache_is_the_users_by_default(monkeypatch):
    monkeypatch.delenv("MINIGAN_CACHE_DIR", raising=False)
    assert cache_module.classifiers_folder().parts[-2:] == ("minigan", "classifiers")


@pytest.mark.slow
@pytest.mark.parametrize("size", [28, 32])
def test_mnist(size):
    folder = os.environ.get("MINIGAN_DATA_DIR")
    if not folder or not any(Path(folder).rglob("train-images*")):
        pytest.skip("MINIGAN_DATA_DIR names no folder with MNIST")
    train, test = splits("mnist", size)
    assert train_classifier(train, test).accuracy >= 0.99
