"""Dataset: what it accepts, what it gives out, how it changes size."""

import numpy as np
import pytest
from PIL import Image

from minigan.data import Dataset
from minigan.errors import MiniganError


def images(n=3, channels=1, height=28, width=28):
    count = n * channels * height * width
    return (np.arange(count) % 251).astype(np.uint8).reshape(n, channels, height, width)


def points(n=4):
    return np.arange(2 * n, dtype=np.float32).reshape(n, 2)


def test_length_shape_and_classes():
    labelled = Dataset("a", images(), np.array([0, 4, 1]))
    assert (len(labelled), labelled.shape, labelled.classes) == (3, (1, 28, 28), 5)
    assert labelled.labels.dtype == np.int64
    plain = Dataset("b", points())
    assert (len(plain), plain.shape, plain.classes) == (4, (2,), 0)


def test_classes_of_an_empty_dataset():
    assert Dataset("a", images(0), np.zeros(0, np.int64)).classes == 0


def test_repr_leaves_the_arrays_out():
    assert repr(Dataset("a", images())) == "Dataset(name='a')"


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros((2, 1, 4, 4), np.float32),
        np.zeros((2, 4, 4), np.uint8),
        np.zeros((2, 2)),
        np.zeros((2, 3), np.float32),
    ],
)
def test_other_samples_are_refused(samples):
    with pytest.raises(MiniganError, match="odd: samples are uint8"):
        Dataset("odd", samples)


def test_counts_of_samples_and_labels_must_agree():
    with pytest.raises(MiniganError, match="a has 3 samples but 2 labels"):
        Dataset("a", images(3), np.array([0, 1]))


@pytest.mark.parametrize(("rows", "named"), [([0, -1, 2], -1), ([0, 3, 1], 3), ([1, -2, 9], -2)])
def test_a_row_that_it_has_not_is_named(rows, named):
    with pytest.raises(MiniganError, match=f"a: rows are of its 3 samples, got {named}$"):
        Dataset("a", images(3), rows=np.array(rows))


def test_batch_of_images_is_in_minus_one_to_one():
    samples = np.array([0, 255, 51], np.uint8).reshape(3, 1, 1, 1)
    batch = Dataset("a", samples).batch([2, 0, 1])
    assert batch.dtype == np.float32
    np.testing.assert_array_equal(batch.ravel(), np.float32([51 / 127.5 - 1, -1, 1]))
    assert samples.ravel().tolist() == [0, 255, 51]


def test_batch_of_points_is_unchanged_and_a_copy():
    dataset = Dataset("a", points())
    batch = dataset.batch(slice(1, 3))
    np.testing.assert_array_equal(batch, dataset.samples[1:3])
    batch[:] = -1
    np.testing.assert_array_equal(dataset.samples, points())


def test_same_size_is_the_same_dataset():
    dataset = Dataset("a", images())
    assert dataset.to_size(28) is dataset


@pytest.mark.parametrize(("size", "before"), [(32, 2), (29, 0), (31, 1)])
def test_a_few_missing_pixels_are_a_black_border(size, before):
    labels = np.array([2, 0, 1])
    padded = Dataset("a", images(), labels).to_size(size)
    assert padded.shape == (1, size, size)
    assert padded.samples.dtype == np.uint8
    inside = np.s_[:, :, before : before + 28, before : before + 28]
    np.testing.assert_array_equal(padded.samples[inside], images())
    assert padded.samples.sum() == images().sum()
    np.testing.assert_array_equal(padded.labels, labels)


@pytest.mark.parametrize(("sides", "size"), [((28, 28), 33), ((28, 28), 14), ((28, 20), 28), ((30, 28), 28)])
def test_other_sizes_are_bicubic(sides, size):
    dataset = Dataset("a", images(2, 3, *sides))
    resized = dataset.to_size(size).samples
    assert resized.shape == (2, 3, size, size)
    picture = Image.fromarray(dataset.samples[1].transpose(1, 2, 0))
    expected = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(resized[1].transpose(1, 2, 0), expected)


@pytest.mark.parametrize("size", [0, -3])
def test_size_below_one(size):
    with pytest.raises(MiniganError, match=f"at least 1 pixel, got {size}"):
        Dataset("a", images()).to_size(size)


def test_points_have_no_size():
    with pytest.raises(MiniganError, match="plane is made of points"):
        Dataset("plane", points()).to_size(32)


def test_a_part_is_of_its_samples_alone():
    whole = Dataset("a", images(10), np.arange(10))
    for indices in (slice(2, 9, 3), [8, 0, 5], np.arange(10) % 3 == 1):
        part = whole.part(indices)
        assert part.samples is whole.samples
        assert len(part) == len(part.labels) == len(np.arange(10)[indices])
        np.testing.assert_array_equal(part.labels, np.arange(10)[indices])
        np.testing.assert_array_equal(part.stored(slice(None)), whole.samples[indices])
        np.testing.assert_array_equal(part.batch([1, 0]), whole.batch(np.arange(10)[indices][[1, 0]]))
        np.testing.assert_array_equal(part.part([1]).batch([0]), part.batch([1]))
        np.testing.assert_array_equal(part.to_size(32).batch([0]), whole.to_size(32).part(indices).batch([0]))
        np.testing.assert_array_equal(np.concatenate([*part.blocks()]), whole.samples[indices])


def test_blocks_are_all_samples_in_their_order(monkeypatch):
    monkeypatch.setattr("minigan.data.dataset.READ", 3 * 28 * 28 + 5)
    blocks = list(Dataset("a", images(10)).blocks())
    assert [len(block) for block in blocks] == [3, 3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(blocks), images(10))


def test_the_darkest_pixel(monkeypatch):
    monkeypatch.setattr("minigan.data.dataset.READ", 28 * 28)
    samples = np.full((5, 1, 28, 28), 200, np.uint8)
    samples[3, 0, 4, 4] = 51
    dataset = Dataset("a", samples)
    assert dataset.lowest == pytest.approx(51 / 127.5 - 1)
    assert dataset.part([0, 4]).lowest == pytest.approx(200 / 127.5 - 1)
    assert Dataset("plane", points()).lowest == -1


def test_points_have_no_mirror_images():
    with pytest.raises(MiniganError, match="plane is made of points, which have no mirror images"):
        Dataset("plane", points(), flip=True)
