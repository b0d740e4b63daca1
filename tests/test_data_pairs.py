"""Pairs and Domains: two images of a sample, and two sets of images; their orders, mirrors and places."""

from itertools import islice

import numpy as np
import pytest

from minigan.data import Batches, Dataset, Domains, Field, Pairs
from minigan.errors import MiniganError

X, Y = Field("image", (1, 4, 4)), Field("image", (3, 4, 4))


def numbered(n, channels=1, first=0, name="n", side=4):
    """Images whose left column is their own number, the rest is black."""
    samples = np.zeros((n, channels, side, side), np.uint8)
    samples[..., 0] = np.arange(first, first + n).reshape(-1, 1, 1)
    return Dataset(name, samples)


def numbers(batch):
    """(the numbers of the images, which are mirrored)"""
    columns = np.rint((batch[:, 0, 0, [0, -1]] + 1) * 127.5).astype(int)
    return columns.max(axis=1), columns[:, 1] > columns[:, 0]


def test_a_pair():
    pairs = Pairs(numbered(10, name="maps"), numbered(10, 3, 100, "photos"))
    assert (pairs.name, pairs.kind, len(pairs), pairs.shape) == ("maps and photos", "pair", 10, (1, 4, 4))
    assert (pairs.fields, list(pairs.fields), pairs.classes) == ({"x": X, "y": Y}, ["x", "y"], 0)
    x, y = pairs.batch([3, 1])
    assert numbers(x)[0].tolist() == [3, 1]
    assert numbers(y)[0].tolist() == [103, 101]
    assert (x.dtype, y.shape) == (np.float32, (2, 3, 4, 4))
    assert repr(Pairs(numbered(2), numbered(2))) == "Pairs(name='n')"


def test_both_of_a_pair_come_together_in_the_order_of_either_alone():
    pairs = Pairs(numbered(10, first=1), numbered(10, 3, 101)).mirrored()
    alone = pairs.x.batches(4, seed=7)
    for (x, y), expected in islice(zip(pairs.batches(4, seed=7), alone, strict=True), 6):
        np.testing.assert_array_equal(x, expected)
        np.testing.assert_array_equal(numbers(x)[0] + 100, numbers(y)[0])
        np.testing.assert_array_equal(numbers(x)[1], numbers(y)[1])
    assert {bool(m) for x, _ in islice(pairs.batches(5), 10) for m in numbers(x)[1]} == {True, False}


def test_parts_and_sizes_of_pairs():
    pairs = Pairs(numbered(10), numbered(10, 3, 100), "both").mirrored()
    part = pairs.part(np.arange(10) % 4 == 1)
    assert (len(part), part.name, part.flip) == (3, "both", True)
    assert [numbers(half)[0].tolist() for half in part.batch(slice(None))] == [[1, 5, 9], [101, 105, 109]]
    assert part.to_size(16).fields == {"x": Field("image", (1, 16, 16)), "y": Field("image", (3, 16, 16))}


def test_domains_have_an_order_each():
    domains = Domains(numbered(10), numbered(7, 3, 100))
    assert (domains.name, domains.kind, len(domains), domains.classes) == ("n", "domains", 10, 0)
    assert (domains.fields, domains.shape) == ({"x": X, "y": Y}, (1, 4, 4))
    batches = domains.batches(3, seed=5)
    assert batches.dataset is domains
    xs, ys = zip(*((numbers(x)[0], numbers(y)[0]) for x, y in islice(batches, 6)), strict=True)
    np.testing.assert_array_equal(xs, [numbers(x)[0] for x in islice(domains.x.batches(3, seed=5), 6)])
    for epoch in (0, 2, 4):  # of y: two batches
        assert len(set(np.ravel(ys[epoch : epoch + 2]))) == 6
    for epoch in (0, 3):
        assert len(set(np.ravel(xs[epoch : epoch + 3]))) == 9
    same = Domains(numbered(10), numbered(10)).batches(10, seed=5)
    x, y = next(same)
    assert numbers(x)[0].tolist() != numbers(y)[0].tolist()


def test_domains_are_mirrored_each_by_itself():
    batches = Domains(numbered(30, first=1), numbered(30, first=1)).mirrored().batches(30)
    seen = set()
    for x, y in islice(batches, 4):
        mirrored = [dict(zip(*numbers(one), strict=True)) for one in (x, y)]
        seen |= {(mirrored[0][i], mirrored[1][i]) for i in mirrored[0]}
    assert len(seen) == 4


def test_indices_of_the_shorter_domain_go_round():
    x, y = Domains(numbered(5), numbered(3, 3, 100)).batch([0, 4, 3])
    assert numbers(x)[0].tolist() == [0, 4, 3]
    assert numbers(y)[0].tolist() == [100, 101, 100]


def test_parts_of_domains_have_no_image_in_common():
    domains = Domains(numbered(10), numbered(7, 3, 100))
    held = np.arange(10) % 5 == 4
    train, test = domains.part(~held), domains.part(held)
    assert numbers(train.x.batch(slice(None)))[0].tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert numbers(test.x.batch(slice(None)))[0].tolist() == [4, 9]
    assert numbers(train.y.batch(slice(None)))[0].tolist() == [100, 101, 102, 103, 105, 106]
    assert numbers(test.y.batch(slice(None)))[0].tolist() == [104]
    assert domains.part(slice(2)).to_size(8).fields["y"].shape == (3, 8, 8)


@pytest.mark.parametrize("kind", [Pairs, Domains])
@pytest.mark.parametrize("steps", [0, 1, 5, 12])
def test_a_restored_place_gives_the_same_batches(kind, steps):
    y = numbered(10 if kind is Pairs else 7, 3, 100)
    data = kind(numbered(10), y).mirrored()
    batches = data.batches(3, seed=2**64 - 1)
    list(islice(batches, steps))
    state = batches.state_dict()
    restored = data.batches(3)
    restored.load_state_dict(state)
    assert restored.state_dict() == state
    for expected, got in islice(zip(batches, restored, strict=True), 9):
        assert [half.tobytes() for half in expected] == [half.tobytes() for half in got]


@pytest.mark.parametrize(
    "state",
    [
        None,
        {"x": 1},
        {"seed": 0, "samples": 10, "epoch": 0, "position": 0},
        {"x": Batches(numbered(10), 3, 4).state_dict(), "y": Batches(numbered(8), 3).state_dict()},
    ],
)
def test_a_place_in_other_domains_is_refused_and_changes_nothing(state):
    batches = Domains(numbered(10), numbered(7)).batches(3)
    next(batches)
    before = batches.state_dict()
    with pytest.raises(MiniganError, match=r"two domains has x, y|saved run had 8 samples, n has 7"):
        batches.load_state_dict(state)
    assert batches.state_dict() == before


POINTS = Dataset("plane", np.zeros((10, 2), np.float32))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Pairs(numbered(3), numbered(2)), "equally many, got 3 images for x and 2 for y"),
        (lambda: Pairs(numbered(2), numbered(2, side=6)), "one height and width, got 4x4 and 6x6 pixels"),
        (lambda: Pairs(numbered(2).mirrored(), numbered(2)), "mirrored together, or neither"),
        (lambda: Pairs(numbered(10), POINTS), "y must be of images, plane is made of points"),
        (lambda: Domains(POINTS, numbered(2)), "x must be of images, plane is made of points"),
        (lambda: Domains(numbered(2), numbered(3, side=6)), "got 4x4 and 6x6 pixels"),
        (lambda: Pairs(numbered(2), numbered(2)).batches(1, labels=True), "n has no labels"),
        (lambda: Domains(numbered(2), numbered(2)).batches(1, labels=True), "n has no labels"),
        (lambda: Domains(numbered(5), numbered(2)).batches(3), "from 1 to the 2 samples of n, got 3"),
        (lambda: Domains(numbered(5), numbered(2)).part([4]).batches(1), "n has no samples"),
    ],
)
def test_what_does_not_fit_together_is_refused(make, sentence):
    with pytest.raises(MiniganError, match=sentence):
        make()


def test_batches_are_of_data_in_one_order():
    with pytest.raises(TypeError, match="dataset must be a Dataset or Pairs, got a Domains"):
        Batches(Domains(numbered(2), numbered(2)), 1)
