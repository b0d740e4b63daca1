"""A folder of the user's own images."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from minigan.data.dataset import Dataset, check_size
from minigan.errors import MiniganError


def load_folder(path: str | Path, size: int = 64) -> Dataset:
    """Every image in the folder `path` and below it, cut to a centred square and resized (Lanczos).

    Gives uint8 (N, C, size, size) in the order of the sorted paths: C = 1 when all are grey, else 3.
    Where all the images are in sub-folders, each sub-folder of `path` is a class, in sorted order.
    Files and folders whose name starts with a dot are skipped.
    MiniganError for a missing folder, one without images, a file that is no image, a size below 1.
    """
    check_size(size)
    root = Path(path).expanduser()
    if not root.is_dir():
        raise MiniganError(f"there is no folder {root}")
    files = _files(root)
    if not files:
        raise MiniganError(f"the folder {root} has no images")
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(partial(_decode, size=size), files))
    return Dataset(f"folder:{path}", _stack(images), _labels(root, files))


def _files(root):
    files = []
    for parent, folders, names in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(parent, name) for name in names if not name.startswith(".")]
    return sorted(files)


def _labels(root, files):
    places = [file.relative_to(root).parts for file in files]
    if any(len(parts) == 1 for parts in places):
        return None
    return np.unique([parts[0] for parts in places], return_inverse=True)[1]


def _decode(file, size):
    """The image in `file`, a square of Pillow mode L or RGB."""
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as image:
            image = ImageOps.exif_transpose(image)
    except Exception as error:  # Pillow's many decoders have no common error
        raise MiniganError(f"{file} is not an image that Pillow can read ({error})") from error
    mode = "L" if Image.getmodebase(image.mode) == "L" else "RGB"
    if image.mode.startswith("I;16"):  # which Pillow would clip at 255, not scale
        image = image.point(lambda value: value / 257)
    if "transparency" in image.info:  # Pillow warns of palettes that lose theirs without this step
        image = image.convert("RGBA")
    return ImageOps.fit(image.convert(mode), (size, size), Image.Resampling.LANCZOS)


def _stack(images):
    if all(image.mode == "L" for image in images):
        return np.stack(images)[:, None]
    return np.stack([image.convert("RGB") for image in images]).transpose(0, 3, 1, 2).copy()
