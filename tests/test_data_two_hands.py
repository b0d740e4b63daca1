"""digits-mnist: digits of scikit-learn and of MNIST, two domains with labels."""

import numpy as np
import pytest
from test_data_mnist import write

from minigan.data import Field, has_test, kind_of, load
from minigan.errors import MiniganError


def test_both_hands_come_at_one_size_with_their_labels(tmp_path):
    write(tmp_path)
    both = load("digits-mnist", data_dir=tmp_path)
    image = Field("image", (1, 16, 16))
    assert (both.name, both.kind, kind_of("digits-mnist")) == ("digits-mnist", "domains", "domains")
    assert both.fields == {"x": image, "y": image}
    digits, mnist = load("digits", 16), load("mnist", 16, tmp_path)
    held = np.arange(len(digits)) % 5 == 4
    np.testing.assert_array_equal(both.x.batch(slice(None)), digits.batch(~held))
    np.testing.assert_array_equal(both.x.labels, digits.labels[~held])
    np.testing.assert_array_equal(both.y.batch(slice(None)), mnist.batch(slice(None)))
    np.testing.assert_array_equal(both.y.labels, mnist.labels)
    assert load("digits-mnist", 8, tmp_path).shape == (1, 8, 8)


def test_what_is_held_out_is_of_both(tmp_path):
    write(tmp_path)
    write(tmp_path, split="t10k")
    train, test = (load("digits-mnist", data_dir=tmp_path, split=split) for split in ("train", "test"))
    assert has_test("digits-mnist")
    assert len(train.x) + len(test.x) == 1797
    np.testing.assert_array_equal(test.x.labels, load("digits").labels[4::5])
    np.testing.assert_array_equal(test.y.labels, load("mnist", data_dir=tmp_path, split="test").labels)


def test_mnist_that_is_not_there_is_told(tmp_path):
    with pytest.raises(MiniganError, match=r"mnist: no file train-images-idx3-ubyte"):
        load("digits-mnist", data_dir=tmp_path)
    with pytest.raises(MiniganError, match="only the images of a folder are made grey or colour"):
        load("digits-mnist", data_dir=tmp_path, channels=3)
