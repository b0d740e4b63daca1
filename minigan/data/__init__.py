"""The datasets: `load` one by its name, draw `Batches` from it."""

from dataclasses import replace
from pathlib import Path

from minigan.checks import flag, integer, shown
from minigan.data.batches import Batches
from minigan.data.dataset import Dataset
from minigan.data.digits import load_digits
from minigan.data.download import URLS
from minigan.data.folder import load_folder
from minigan.data.mixtures import load_mixture
from minigan.data.mnist import load_mnist
from minigan.data.stacked import load_stacked
from minigan.errors import MiniganError, did_you_mean

__all__ = ["FROM_FILES", "NAMES", "Batches", "Dataset", "load"]

NAMES = {  # with the line that the command line's help has on each
    "digits": "1,797 handwritten digits of 8x8 pixels, part of scikit-learn",
    "mnist": "60,000 handwritten digits of 28x28 pixels",
    "fashion-mnist": "60,000 pieces of clothing of 28x28 pixels",
    "stacked-mnist": "128,000 stacks of three MNIST digits, a colour each: 1,000 modes",
    "ring8": "8 Gaussians on a circle in the plane",
    "grid25": "25 Gaussians on a grid in the plane",
    "folder:PATH": "the images in the folder PATH; its sub-folders are the classes",
}
FROM_FILES = *URLS, "stacked-mnist"  # those that have a test split


def load(
    name: str,
    size: int | None = None,
    data_dir: str | Path | None = None,
    split: str = "train",
    channels: int | None = None,
    flip: bool = False,
) -> Dataset:
    """The dataset `name`, one of NAMES.

    size: height and width of the images; by default their own, and 64 in a folder.
    data_dir: the folder with the files of mnist or fashion-mnist; stacked-mnist is made of the former's,
        the other datasets take none.
    split: "train" or "test"; only those three have a test split.
    channels: of the images in a folder: 1 makes them grey, 3 colour; by default grey if all of them are.
    flip: whether images come mirrored half of the time, see `Dataset`.
    MiniganError for an unknown name or split, a size that cannot be, files that cannot be used, channels of
    other data than a folder, or mirrored points.
    """
    for argument, value, types in (("name", name, str), ("data_dir", data_dir, str | Path | None)):
        if not isinstance(value, types):
            raise TypeError(f"load: {argument} must be a text, got {shown(value)}")
    if size is not None:
        integer("load", "size", size)
    flag("load", "flip", flip)
    kind, _, path = name.partition(":")
    is_folder = kind == "folder" and bool(path)
    if name not in NAMES and not is_folder:
        raise MiniganError(f"unknown dataset {name!r}; {did_you_mean(name, NAMES)}")
    if split not in ("train", "test"):
        raise MiniganError(f"split must be 'train' or 'test', got {split!r}")
    if split == "test" and name not in FROM_FILES:
        raise MiniganError(f"{name} has no test split; only {', '.join(FROM_FILES)} have one")
    if data_dir and name not in FROM_FILES:
        raise MiniganError(f"only {', '.join(FROM_FILES)} are read from a data folder, {name} needs none")
    if is_folder:
        return load_folder(path, 64 if size is None else size, channels, flip)
    if channels is not None:
        raise MiniganError(f"only the images of a folder are made grey or colour, got channels of {name}")
    if name == "stacked-mnist":
        return replace(load_stacked(split, data_dir, size), flip=flip)
    if name in URLS:
        dataset = load_mnist(name, split, data_dir)
    else:
        dataset = load_digits() if name == "digits" else load_mixture(name)
    return replace(dataset if size is None else dataset.to_size(size), flip=flip)
