"""MNIST and Fashion-MNIST, from a folder of the user's or from the cache they are downloaded to."""

import os
from pathlib import Path

from minigan.data.dataset import Dataset
from minigan.data.download import URLS, fetch
from minigan.data.idx import read_idx
from minigan.errors import MiniganError

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def load_mnist(name: str, split: str = "train", data_dir: str | Path | None = None) -> Dataset:
    """`mnist` or `fashion-mnist`: (60000, 1, 28, 28) images, 10,000 in the test split, and 10 classes.

    The files are taken from `data_dir`; without one from the folder MINIGAN_DATA_DIR, if they are
    there; else from the cache, after a download where needed. They may lie in the folder itself or
    in one of the dataset's name inside.
    MiniganError when a file is missing from `data_dir`, broken, or cannot be downloaded.
    """
    images_path, labels_path = _locate(name, FILES[split], data_dir)
    images, labels = read_idx(images_path, ndim=3), read_idx(labels_path, ndim=1)
    if labels.max(initial=0) > 9:
        raise MiniganError(f"{labels_path} should have labels from 0 to 9, it has {labels.max()}")
    return Dataset(name, images[:, None], labels)


def _locate(name, files, data_dir):
    folder = data_dir or os.environ.get("MINIGAN_DATA_DIR")
    if folder:
        paths = [_find(folder, name, file) for file in files]
        if None not in paths:
            return paths
        if data_dir:
            missing = files[paths.index(None)]
            raise MiniganError(f"{name}: no file {missing}, with or without .gz, in the folder {data_dir}")
    return [fetch(name, f"{file}.gz") for file in files]


def _find(folder, name, file):
    folder = Path(folder).expanduser()
    # The two datasets name their files alike: a folder called `mnist` has no Fashion-MNIST in it.
    others_own = folder.resolve().name in URLS.keys() - {name}
    for parent in [folder / name] if others_own else [folder / name, folder]:
        for stem in (file, file.replace("-idx", ".idx")):
            for path in (parent / stem, parent / f"{stem}.gz"):
                if path.is_file():
                    return path
    return None
