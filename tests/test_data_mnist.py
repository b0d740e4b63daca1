"""MNIST, Fashion-MNIST and stacked MNIST: where the files are looked for, and what is made of them."""

import gzip
import hashlib
import io
import os
from itertools import islice

import numpy as np
import pooch
import pytest
from rich.console import Console

from minigan import training
from minigan.cli import main
from minigan.data import download, load, stacked
from minigan.errors import MiniganError
from minigan.gans.images import pix2pix


def idx(array):
    dimensions = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + dimensions + array.tobytes()


def write(folder, value=0, labels=(0, 9, 3), split="train", suffix="", mark="-"):
    """A tiny dataset of three 28x28 images in which every pixel is `value`, or the
    image's own one of shape (3, 1, 1)."""
    folder.mkdir(parents=True, exist_ok=True)
    images = np.full((3, 28, 28), value, np.uint8)
    for kind, array in ((f"images{mark}idx3", images), (f"labels{mark}idx1", np.array(labels, np.uint8))):
        content = idx(array)
        path = folder / f"{split}-{kind}-ubyte{suffix}"
        path.write_bytes(gzip.compress(content) if suffix else content)
    return folder


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """An empty cache, no environment variable, and an address where nothing listens."""
    monkeypatch.delenv("MINIGAN_DATA_DIR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    for name in download.URLS:
        monkeypatch.setitem(download.URLS, name, "http://127.0.0.1:9/")


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("nested", [False, True])
def test_data_dir(tmp_path, name, mark, suffix, nested):
    folder = tmp_path / "files"
    write(folder / name if nested else folder, 7, suffix=suffix, mark=mark)
    dataset = load(name, data_dir=folder)
    assert (dataset.name, dataset.shape, dataset.classes) == (name, (1, 28, 28), 10)
    assert dataset.samples.dtype == np.uint8
    assert (dataset.samples == 7).all()
    assert dataset.labels.tolist() == [0, 9, 3]


def test_size(tmp_path):
    assert load("mnist", size=32, data_dir=str(write(tmp_path))).shape == (1, 32, 32)


def test_splits_are_different_files(tmp_path):
    write(tmp_path, 1)
    write(tmp_path, 2, split="t10k")
    assert load("mnist", data_dir=tmp_path).samples[0, 0, 0, 0] == 1
    assert load("mnist", data_dir=tmp_path, split="train").samples[0, 0, 0, 0] == 1
    assert load("mnist", data_dir=tmp_path, split="test").samples[0, 0, 0, 0] == 2


def test_the_folder_of_the_dataset_comes_before_the_folder_itself(tmp_path):
    write(tmp_path, 1)
    write(tmp_path / "fashion-mnist", 2)
    assert load("fashion-mnist", data_dir=tmp_path).samples[0, 0, 0, 0] == 2


def test_a_folder_named_after_one_dataset_does_not_hold_the_other(tmp_path):
    folder = write(tmp_path / "mnist")
    assert load("mnist", data_dir=folder).name == "mnist"
    with pytest.raises(MiniganError, match="fashion-mnist: no file train-images-idx3-ubyte"):
        load("fashion-mnist", data_dir=folder)


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write(tmp_path / "files", 5)
    assert load("mnist", data_dir="~/files").samples[0, 0, 0, 0] == 5


@pytest.mark.parametrize("missing", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
def test_a_file_missing_from_data_dir(tmp_path, missing, monkeypatch):
    folder = write(tmp_path / "files")
    (folder / missing).unlink()
    monkeypatch.setenv("MINIGAN_DATA_DIR", str(write(tmp_path / "other")))
    with pytest.raises(MiniganError) as caught:
        load("mnist", data_dir=folder)
    assert str(caught.value) == f"mnist: no file {missing}, with or without .gz, in the folder {folder}"


def test_a_data_dir_that_is_not_there(tmp_path):
    with pytest.raises(MiniganError, match=r"mnist: no file train-images-idx3-ubyte.*nowhere"):
        load("mnist", data_dir=tmp_path / "nowhere")


def test_the_environment_comes_after_the_argument_and_before_the_cache(tmp_path, monkeypatch):
    fill_cache(tmp_path, monkeypatch, value=3)
    assert load("mnist").samples[0, 0, 0, 0] == 3
    monkeypatch.setenv("MINIGAN_DATA_DIR", str(write(tmp_path / "environment", 2)))
    assert load("mnist").samples[0, 0, 0, 0] == 2
    assert load("mnist", data_dir=write(tmp_path / "argument", 1)).samples[0, 0, 0, 0] == 1


@pytest.mark.parametrize("missing", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
def test_files_missing_from_the_environment_are_taken_from_the_cache(tmp_path, monkeypatch, missing):
    fill_cache(tmp_path, monkeypatch, value=3)
    folder = write(tmp_path / "environment", 2)
    (folder / missing).unlink()
    monkeypatch.setenv("MINIGAN_DATA_DIR", str(folder))
    assert load("mnist").samples[0, 0, 0, 0] == 3


def fill_cache(tmp_path, monkeypatch, value):
    folder = write(tmp_path / "cache" / "minigan" / "mnist", value, suffix=".gz")
    for path in folder.iterdir():
        monkeypatch.setitem(download.MD5["mnist"], path.name, pooch.file_hash(path, alg="md5"))


def test_without_files_and_network(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGAN_DATA_DIR", str(tmp_path))
    with pytest.raises(MiniganError, match=r"127\.0\.0\.1:9/train-images.*: .*--data-dir DIR"):
        load("mnist")


def test_counts_of_images_and_labels_must_agree(tmp_path):
    with pytest.raises(MiniganError, match="mnist has 3 samples but 2 labels"):
        load("mnist", data_dir=write(tmp_path, labels=(1, 2)))


def test_labels_beyond_nine(tmp_path):
    with pytest.raises(MiniganError, match="idx1-ubyte should have labels from 0 to 9, it has 10"):
        load("mnist", data_dir=write(tmp_path, labels=(1, 10, 2)))


def test_a_broken_file_is_named(tmp_path):
    (write(tmp_path) / "train-labels-idx1-ubyte").write_bytes(b"")
    with pytest.raises(MiniganError, match="train-labels-idx1-ubyte is empty"):
        load("mnist", data_dir=tmp_path)


def test_images_need_three_dimensions(tmp_path):
    (write(tmp_path) / "train-images-idx3-ubyte").write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(MiniganError, match=r"should have 3 dimension\(s\), its header says 1"):
        load("mnist", data_dir=tmp_path)


# Stacks of three digits


@pytest.fixture
def few_stacks(monkeypatch):
    monkeypatch.setattr(stacked, "STACKS", {"train": 200, "test": 100})


VALUES, DIGITS = np.array([10, 20, 30]), np.array([0, 9, 3])


def three_digits(folder, split="train"):
    """A zero whose pixels are 10, a nine of 20 and a three of 30."""
    return write(folder, VALUES[:, None, None], DIGITS, split)


def test_a_label_tells_the_three_digits_of_its_stack(tmp_path, few_stacks):
    stacks = load("stacked-mnist", data_dir=three_digits(tmp_path))
    assert (stacks.name, len(stacks), stacks.shape) == ("stacked-mnist", 200, (3, 28, 28))
    assert stacks.samples.dtype == np.uint8
    pixels = stacks.samples[:, :, 0, 0]
    assert (stacks.samples == pixels[:, :, None, None]).all()
    a, b, c = DIGITS[np.searchsorted(VALUES, pixels)].T
    np.testing.assert_array_equal(stacks.labels, 100 * a + 10 * b + c)
    assert len(np.unique(stacks.labels)) == 27


def test_the_stacks_are_always_the_same(tmp_path, few_stacks):
    stacks, again = (load("stacked-mnist", data_dir=three_digits(tmp_path)) for _ in range(2))
    np.testing.assert_array_equal(stacks.samples, again.samples)


def test_the_test_split_stacks_test_digits(tmp_path, few_stacks):
    write(tmp_path, 1)
    write(tmp_path, 2, split="t10k")
    stacks = load("stacked-mnist", data_dir=tmp_path, split="test")
    assert len(stacks) == 100
    assert (stacks.samples == 2).all()


@pytest.mark.parametrize("size", [32, 40])
def test_the_size_of_a_stack_is_that_of_its_digits(tmp_path, few_stacks, size):
    folder = three_digits(tmp_path)
    stacks, small = load("stacked-mnist", size, folder), load("stacked-mnist", data_dir=folder)
    np.testing.assert_array_equal(stacks.samples, small.to_size(size).samples)


def test_stacks_without_the_files_of_mnist(tmp_path):
    with pytest.raises(MiniganError, match=r"^mnist: no file train-images-idx3-ubyte"):
        load("stacked-mnist", data_dir=tmp_path)


REAL = os.environ.get("MINIGAN_DATA_DIR")


@pytest.mark.skipif(not REAL, reason="the environment variable MINIGAN_DATA_DIR names no folder with MNIST")
@pytest.mark.parametrize(
    ("split", "count", "first", "mean"),
    [("train", 60_000, [5, 0, 4, 1, 9], 33.3184), ("test", 10_000, [7, 2, 1, 0, 4], 33.7912)],
)
def test_the_real_mnist(split, count, first, mean):
    try:
        dataset = load("mnist", data_dir=REAL, split=split)
    except MiniganError as error:
        pytest.skip(str(error))
    assert (len(dataset), dataset.shape, dataset.classes) == (count, (1, 28, 28), 10)
    assert dataset.labels[:5].tolist() == first
    assert dataset.samples.mean() == pytest.approx(mean, abs=1e-3)


@pytest.mark.skipif(not REAL, reason="the environment variable MINIGAN_DATA_DIR names no folder with MNIST")
@pytest.mark.parametrize(("split", "count"), [("train", 128_000), ("test", 26_000)])
def test_the_real_stacks_have_a_thousand_modes(split, count):
    try:
        stacks = load("stacked-mnist", data_dir=REAL, split=split)
    except MiniganError as error:
        pytest.skip(str(error))
    assert (len(stacks), stacks.shape, stacks.classes) == (count, (3, 28, 28), 1000)
    assert np.bincount(stacks.labels).min() > 0.4 * count / 1000


@pytest.mark.skipif(not REAL, reason="the environment variable MINIGAN_DATA_DIR names no folder with MNIST")
@pytest.mark.parametrize(
    ("name", "how", "digest"),  # as they were before there were other kinds of data
    [
        ("mnist", {}, "c9c15832face2dcb"),
        ("mnist", {"split": "test", "size": 32, "flip": True}, "1522b6d4dde3c7f7"),
        ("stacked-mnist", {}, "2f3f3098441d4308"),
    ],
)
def test_the_bits_of_real_batches(name, how, digest):
    found = hashlib.sha256()
    try:
        batches = load(name, data_dir=REAL, **how).batches(16, 5, labels=True)
    except MiniganError as error:
        pytest.skip(str(error))
    for batch, labels in islice(batches, 12):
        found.update(np.ascontiguousarray(batch).tobytes() + labels.tobytes())
    assert found.hexdigest()[:16] == digest


@pytest.mark.slow
def test_a_run_of_pairs_is_evaluated_where_its_files_have_gone_to(tmp_path):
    folder = tmp_path / "files"
    for split in ("train", "t10k"):
        write(folder, np.array([0, 90, 200], np.uint8).reshape(3, 1, 1), split=split)
    cfg = pix2pix.Config(steps=1, batch_size=2, width=4, size=32)
    options = training.Options(data="edges:mnist", data_dir=folder, diagnose_every=0)
    run = training.train("pix2pix", options, cfg, tmp_path / "run", Console(file=io.StringIO()))
    moved = folder.rename(tmp_path / "elsewhere")
    metrics = ["--metrics", "psnr", "--draws", "1"]
    assert main(["evaluate", str(run.path), *metrics]) == 2
    assert main(["evaluate", str(run.path), *metrics, "--data-dir", str(moved)]) == 0
