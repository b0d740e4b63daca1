"""Patches of photographs, for models that enlarge or mend them: what is near is what matters, and a
photograph has very many patches. No pixel is in a training patch and in a test patch.
"""

from pathlib import Path

import numpy as np

from minigan.data.dataset import Dataset, Drawn, check_size
from minigan.data.folder import SIZE, Pictures, existing
from minigan.data.pictures import read_picture
from minigan.data.waiting import counted
from minigan.errors import MiniganError

HELD = 2 / 5, 3 / 5  # of the width of a picture of the user's: what the test patches are of
STEP = 8  # training patches of the two photographs begin an eighth of their size apart


def load_photographs(size: int | None = None, split: str = "train") -> Drawn:
    """Patches (3, size, size) of scikit-learn's two photographs, a temple and a flower of 640x427 pixels. The
    test split has those of the flower's right half that lie side by side. The training split has overlapping
    ones of the temple and of the flower's left half: of each the half with the most detail, since a smooth
    patch teaches nothing, and in all eight ways that a square can be turned and mirrored, one each.

    size: by default 64. In another one (`to_size`) they are cut anew, not resized.
    MiniganError for a size that the held-out half, 320 pixels wide, does not have.
    """
    from sklearn.datasets import load_sample_image

    temple, flower = (load_sample_image(name).transpose(2, 0, 1) for name in ("china.jpg", "flower.jpg"))
    half = flower.shape[2] // 2

    def draw(size):
        check_size(size)
        if size > half:
            raise MiniganError(f"photographs has patches of up to {half} pixels a side, got size {size}")
        if split == "test":
            return _patches(flower[..., half:], size, size)
        apart = max(size // STEP, 1)
        return _turned(
            np.concatenate([_detailed(_patches(p, size, apart)) for p in (temple, flower[..., :half])])
        )

    return Drawn("photographs", draw(SIZE if size is None else size), draw=draw)


def load_patches(
    path: str | Path, size: int | None = None, split: str = "train", channels: int | None = None
) -> Dataset:
    """Patches (C, size, size) of the pictures in the folder `path` and below it, at their own resolution and
    side by side, in the order of the sorted paths. Of each picture the middle fifth of its width is held out,
    from top to bottom: the test split is of there.

    size: by default 64. channels: C, 1 for grey or 3 for colour; by default 1 when all pictures are grey,
    else 3. Pictures are kept in memory as the patches that they are cut into; those too small to hold some
    out of are passed over.
    MiniganError for a missing folder, one that has no images, a damaged one, or none that is large enough.
    """
    found, pictures = Pictures.below(existing(path)), []
    size = SIZE if size is None else size
    check_size(size)
    with counted(f"reading the pictures in {found.root}", len(found.pictures), found.are_many) as report:
        for i, picture in enumerate(found.pictures, 1):
            pixels, _ = read_picture(found.file(picture), channels=channels)
            pictures.append(np.ascontiguousarray(pixels))
            report(i)
    most, parts, largest = max(len(pixels) for pixels in pictures), [], 0
    for pixels in pictures:
        _, H, W = pixels.shape
        start, end = (round(share * W) for share in HELD)
        largest = max(largest, min(H, end - start))
        if min(H, end - start) >= size:
            colour = np.broadcast_to(pixels, (most, H, W))
            held = split == "test"
            parts += [colour[..., start:end]] if held else [colour[..., :start], colour[..., end:]]
    if not parts:
        raise MiniganError(
            f"patches:{path} has patches of up to {largest} pixels a side, which are held out of a fifth of "
            f"a picture's width; got size {size}"
        )
    return Dataset(f"patches:{path}", np.concatenate([_patches(part, size, size) for part in parts]))


def _detailed(patches):
    """The half with the largest differences between neighbouring pixels, in their order."""
    detail = [float(np.abs(np.diff(patch.astype(np.int16))).mean()) for patch in patches]
    return patches[np.sort(np.argsort(detail, kind="stable")[len(patches) // 2 :])]


def _turned(patches):
    """Patches (N, C, size, size), the one after the other turned by a quarter more, every second four of them
    mirrored."""
    turned = np.empty_like(patches)
    for way in range(8):
        some = np.rot90(patches[way::8], way, (2, 3))
        turned[way::8] = some[..., ::-1] if way >= 4 else some
    return turned


def _patches(pixels, size, apart):
    """Patches of a picture (C, H, W), row by row, so many pixels from each other."""
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (size, size), (1, 2))[:, ::apart, ::apart]
    return windows.transpose(1, 2, 0, 3, 4).reshape(-1, len(pixels), size, size)
