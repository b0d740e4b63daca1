"""A user's own pairs and domains, in folders laid out as those of pix2pix and CycleGAN are.

pairs      PATH/*.jpg, two pictures side by side in each file, the left one for x; or PATH/a/*.jpg, for x, and
           PATH/b/*.jpg of equal names (A and B, too). Where there are sub-folders train and test, or val,
           they are the splits: in PATH, or in a and b.
domains    PATH/trainA, for x, and PATH/trainB; for the test testA and testB.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from minigan.errors import MiniganError

from .dataset import Dataset
from .domains import Domains
from .folder import Pictures, existing
from .pairs import Pairs
from .pictures import picture_size, read_picture

FOLDERS = {"train": ("train",), "test": ("test", "val")}  # of a split: the first of them that is there


def load_pairs(
    path: str,
    size: int | None = None,
    split: str = "train",
    channels: int | None = None,
    swapped: bool = False,
) -> Pairs:
    """The pairs of pictures in the folder `path`, each half as `load_folder` has pictures; the two may differ
    in channels. By default a half is grey if all of it is in the training split. swapped: x is what would be
    y.

    MiniganError as there; for a folder of which one half, or the training's, is missing; for halves of which
    one lacks the name of the other or has another size, and files that are no two halves.
    """
    halves, of_each = _halves(existing(path), split), [channels, channels]
    if channels is None and split != "train":
        of_each = [half.decoded(size).shape[1] for half in _halves(existing(path), "train")]
    name = f"{'pairs-swapped' if swapped else 'pairs'}:{path}"
    x, y = (Dataset(name, half.decoded(size, c)) for half, c in zip(halves, of_each, strict=True))
    return Pairs(y, x, name) if swapped else Pairs(x, y, name)


def pairs_have_test(path: str) -> bool:
    """Whether there is a folder for the test split. MiniganError for a missing folder."""
    root = existing(path)
    return any(_sub_folder(folder, "test") for folder in (root, _called(root, "a")) if folder)


def load_domains(
    path: str, size: int | None = None, split: str = "train", channels: int | None = None
) -> Domains:
    """The pictures of two domains in folders of `path`, as `load_folder` has pictures. By default they are
    grey if all of both are in the training split.

    MiniganError as there, and for a folder of one domain that is missing.
    """
    root, name = existing(path), f"domains:{path}"
    if channels is None and split != "train":
        channels = load_domains(path, size).shape[0]
    found = [Pictures.below(existing(root / f"{split}{domain}")) for domain in "AB"]
    x, y = (each.decoded(size, channels) for each in found)
    if x.shape[1] != y.shape[1]:
        x, y = (each.decoded(size, 3) for each in found)
    return Domains(Dataset(name, x), Dataset(name, y), name)


def domains_have_test(path: str) -> bool:
    """Whether there are folders for the test split. MiniganError for a missing folder."""
    return any((existing(path) / f"test{domain}").is_dir() for domain in "AB")


def _halves(root, split):
    """The pictures of x, and those of y, of a split in the folder `root`."""
    root = _of_split(root, split)
    a, b = _called(root, "a"), _called(root, "b")
    if a and b:
        return _beside(_of_split(a, split), _of_split(b, split))
    if a or b:
        raise MiniganError(f"there is a folder {a or b}, but no folder {root / ('b' if a else 'a')}")
    both = Pictures.below(root)
    return [replace(both, read=partial(read_picture, half=half), part=half) for half in ("left", "right")]


def _sub_folder(folder, split):
    """The first of a split's folders that is in `folder`, None if none is."""
    return next((folder / name for name in FOLDERS[split] if (folder / name).is_dir()), None)


def _of_split(folder, split):
    """Where in `folder` a split is; itself, if it has none."""
    own = _sub_folder(folder, split)
    if not own and split == "train" and (other := _sub_folder(folder, "test")):
        raise MiniganError(f"there is a folder {other}, but no folder {folder / 'train'}")
    return own or folder


def _called(root, name):
    """The folder `name` in `root`, in small or capital letters; None if there is none."""
    return next((root / each for each in (name, name.upper()) if (root / each).is_dir()), None)


def _beside(a, b):
    """The pictures in a and b, in one order. MiniganError unless each has one of its name in the other."""
    found = [Pictures.below(folder) for folder in (a, b)]
    named = [_by_name(each) for each in found]
    for (own, other), each in zip((named, named[::-1]), found, strict=True):
        if alone := sorted(own.keys() - other.keys()):
            counts = " and ".join(f"{len(one.pictures):,} in {one.root}" for one in found)
            file = each.file(own[alone[0]])
            raise MiniganError(
                f"{file} has no other half: of the pictures, {counts}, each needs one of its name"
            )
    halves = []
    for letter, own, other, each, twin in zip("ab", named, named[::-1], found, found[::-1], strict=True):
        files = {each.file(own[name]): twin.file(other[name]) for name in own}
        pictures = [own[name] for name in sorted(own)]
        halves.append(replace(each, pictures=pictures, read=partial(_as_large, files), part=letter))
    return halves


def _by_name(found):
    """The pictures by their names without the endings. MiniganError if two have the same."""
    named = {}
    for picture in found.pictures:
        *folders, file = picture.parts
        name = (*folders, Path(file).stem)
        if name in named:
            raise MiniganError(f"{found.file(named[name])} and {found.file(picture)} have one name")
        named[name] = picture
    return named


def _as_large(
    other_half: dict[Path, Path], file: Path, size: int, channels: int | None
) -> tuple[np.ndarray, set[str]]:
    """As `read_picture`. MiniganError if the other half of the pair has another size."""
    (width, height), (w, h) = picture_size(file), picture_size(other_half[file])
    if (width, height) != (w, h):
        raise MiniganError(
            f"{file} has {width}x{height} pixels, and its other half {other_half[file]} {w}x{h}"
        )
    return read_picture(file, size, channels)
