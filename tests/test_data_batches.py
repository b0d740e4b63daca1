"""Batches: the order of samples, epochs, and going on from a saved state."""

from itertools import chain, islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan.data import Batches, Dataset
from minigan.errors import MiniganError
from minigan.random import Generator


def numbered(n, labels=True):
    """Points that carry their own index, and so do the labels."""
    index = np.arange(n)
    return Dataset("numbered", np.stack([index, -index], 1).astype(np.float32), index if labels else None)


def indices(batches, count):
    return [batch[:, 0].astype(int).tolist() for batch in islice(batches, count)]


def together(batches, count):
    return list(chain.from_iterable(indices(batches, count)))


def test_an_epoch_gives_every_sample_once_and_drops_the_rest():
    batches = Batches(numbered(10), 3)
    for _ in range(4):
        seen = together(batches, 3)
        assert len(seen) == len(set(seen)) == 9


def test_whole_epochs_when_the_batch_size_divides():
    batches = Batches(numbered(12), 4)
    for epoch in (0, 1):
        assert sorted(together(batches, 3)) == list(range(12))
        assert batches.epoch == epoch


def test_epoch_and_position_belong_to_the_last_batch():
    batches = Batches(numbered(10), 4)
    places = [(batches.epoch, batches.position) for _ in islice(batches, 3)]
    assert places == [(0, 4), (0, 8), (1, 4)]


def test_batches_are_float32():
    batch = next(Batches(numbered(10), 4))
    assert (batch.dtype, batch.shape) == (np.float32, (4, 2))


def test_labels_go_with_their_samples():
    for batch, labels in islice(Batches(numbered(10), 4, labels=True), 5):
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(batch[:, 0], labels)


def test_images_come_mapped():
    dataset = Dataset("white", np.full((2, 1, 3, 3), 255, np.uint8))
    np.testing.assert_array_equal(next(Batches(dataset, 2)), np.ones((2, 1, 3, 3), np.float32))


def test_seed_decides_the_order():
    assert indices(Batches(numbered(50), 10, seed=1), 12) == indices(Batches(numbered(50), 10, seed=1), 12)
    assert indices(Batches(numbered(50), 10, seed=1), 5) != indices(Batches(numbered(50), 10, seed=2), 5)


def test_epochs_differ():
    batches = Batches(numbered(50), 50)
    first, second, third = indices(batches, 3)
    assert first != second != third != first


def test_an_epoch_needs_none_before_it():
    batches = Batches(numbered(20), 5, seed=3)
    expected = indices(batches, 12)[8:]
    jumped = Batches(numbered(20), 5, seed=3)
    jumped.load_state_dict({"seed": 3, "samples": 20, "epoch": 2, "position": 0})
    assert indices(jumped, 4) == expected


def test_one_permutation_for_an_epoch(monkeypatch):
    drawn = []
    permutation = Generator.permutation
    monkeypatch.setattr(Generator, "permutation", lambda self, n: drawn.append(n) or permutation(self, n))
    list(islice(Batches(numbered(100), 10), 20))
    assert drawn == [100, 100]


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(data=st.data(), n=st.integers(1, 40), seed=st.integers(0, 2**64 - 1), steps=st.integers(0, 30))
def test_a_restored_state_gives_the_same_batches(data, n, seed, steps):
    size = data.draw(st.integers(1, n))
    batches = Batches(numbered(n), size, seed=seed, labels=True)
    list(islice(batches, steps))
    state = batches.state_dict()
    assert all(type(value) is int for value in state.values())
    restored = Batches(numbered(n), size, seed=0, labels=True)
    restored.load_state_dict(state)
    assert restored.state_dict() == state
    for expected, got in islice(zip(batches, restored, strict=True), 2 * n // size + 2):
        assert expected[0].tobytes() == got[0].tobytes()
        assert expected[1].tobytes() == got[1].tobytes()


def test_a_state_is_not_changed_by_later_batches():
    batches = Batches(numbered(10), 4)
    state = batches.state_dict()
    next(batches)
    assert state == {"seed": 0, "samples": 10, "epoch": 0, "position": 0}


def test_a_state_of_another_dataset_is_refused():
    state = Batches(numbered(11), 4).state_dict()
    with pytest.raises(MiniganError, match="saved run had 11 samples, numbered has 10"):
        Batches(numbered(10), 4).load_state_dict(state)


@pytest.mark.parametrize("size", [0, -1, 11])
def test_batch_size_out_of_range(size):
    with pytest.raises(MiniganError, match=f"from 1 to the 10 samples of numbered, got {size}"):
        Batches(numbered(10), size)


def test_the_largest_batch_is_the_dataset():
    assert sorted(indices(Batches(numbered(10), 10), 1)[0]) == list(range(10))


def test_an_empty_dataset():
    with pytest.raises(MiniganError, match="numbered has no samples"):
        Batches(numbered(0), 1)


def test_labels_that_are_not_there():
    with pytest.raises(MiniganError, match="numbered has no labels"):
        Batches(numbered(10, labels=False), 4, labels=True)


def test_a_seed_out_of_range():
    with pytest.raises(ValueError, match="seed"):
        Batches(numbered(10), 4, seed=-1)


@pytest.mark.parametrize(
    "change", [None, {"epoch": 1.5}, {"position": "2"}, {"seed": None}, {"samples": True}, {"more": 1}]
)
def test_a_place_that_is_none_is_refused_with_nothing_changed(change):
    batches = Batches(numbered(8), 4, seed=3)
    next(batches)
    before = batches.state_dict()
    with pytest.raises(MiniganError, match="place in the data"):
        batches.load_state_dict(None if change is None else {**before, "epoch": 1, **change})
    assert batches.state_dict() == before


# Mirrored images


def halves(n=400, flip=True):
    """Images whose left half is darker, and which carry their own index in a row."""
    samples = np.zeros((n, 1, 2, 4), np.uint8)
    samples[..., 0, 2:] = 255
    samples[..., 1, :] = np.arange(n)[:, None, None] % 251
    return Dataset("halves", samples, np.arange(n), flip=flip)


def mirrored(batches, count):
    """{index: whether it came mirrored} of the next batches."""
    found = {}
    for images, labels in islice(batches, count):
        left_is_dark = images[:, 0, 0, 0] < images[:, 0, 0, 3]
        found |= dict(zip(labels.tolist(), (~left_is_dark).tolist(), strict=True))
    return found


def test_half_of_the_images_are_mirrored_others_in_each_epoch():
    batches = Batches(halves(), 40, labels=True)
    epochs = [mirrored(batches, 10) for _ in range(3)]
    for epoch in epochs:
        assert len(epoch) == 400
        assert 160 < sum(epoch.values()) < 240
    assert epochs[0] != epochs[1] != epochs[2]


def test_mirroring_is_all_that_changes():
    plain, flipped = (Batches(halves(flip=flip), 40, seed=3, labels=True) for flip in (False, True))
    for (a, labels), (b, others) in islice(zip(plain, flipped, strict=True), 12):
        np.testing.assert_array_equal(labels, others)
        as_it_is = (a == b).all(axis=(1, 2, 3))
        np.testing.assert_array_equal(b[~as_it_is], a[~as_it_is][..., ::-1])
        assert b.transpose(0, 2, 3, 1).flags.c_contiguous  # channels-last, as ever


@pytest.mark.parametrize("steps", [0, 3, 10, 25])
def test_a_restored_state_mirrors_the_same(steps):
    batches = Batches(halves(), 40, seed=7, labels=True)
    mirrored(batches, steps)
    again = Batches(halves(), 40, seed=1, labels=True)
    again.load_state_dict(batches.state_dict())
    assert mirrored(again, 15) == mirrored(batches, 15)
