"""Patches of photographs: which pixels are whose, sizes, folders of the user's, what cannot be cut."""

import numpy as np
import pytest
from PIL import Image

from minigan.data import kind_of, load, resolved
from minigan.errors import MiniganError


def places(width, height):
    """A picture whose pixels say where they are: red the column, green the row."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.arange(width)
    pixels[..., 1] = np.arange(height)[:, None]
    return pixels


def columns(patches):
    return set(np.unique(patches[:, 0]))


@pytest.mark.parametrize(("size", "train", "test"), [(None, 2438, 30), (48, 4640, 48), (128, 438, 6)])
def test_the_photographs_are_cut_at_the_size_asked_for(size, train, test):
    for split, n in (("train", train), ("test", test)):
        data = load("photographs", size, split=split)
        side = size or 64
        assert data.samples.shape == (n, 3, side, side)
        assert data.samples.dtype == np.uint8
        assert data.kind == kind_of("photographs") == "image"
    assert data.to_size(32).samples.shape == (130, 3, 32, 32), "cut anew, not resized"


def test_the_right_half_of_the_flower_is_held_out():
    from sklearn.datasets import load_sample_image

    flower = load_sample_image("flower.jpg").transpose(2, 0, 1)
    test = load("photographs", 64, split="test").samples
    np.testing.assert_array_equal(test[0], flower[:, :64, 320:384])
    np.testing.assert_array_equal(test[6], flower[:, 64:128, 384:448])


@pytest.mark.slow
def test_training_patches_are_the_half_with_the_most_detail_turned_in_eight_ways():
    from sklearn.datasets import load_sample_image

    temple, flower = (load_sample_image(name).transpose(2, 0, 1) for name in ("china.jpg", "flower.jpg"))
    train = load("photographs", 64).samples
    upright = []
    for i, patch in enumerate(train):
        patch = patch[..., ::-1] if i % 8 >= 4 else patch
        upright.append(np.rot90(patch, -(i % 8), (1, 2)))
    begun = 0
    for photograph in (temple, flower[..., :320]):
        rows, columns = (range(0, n - 63, 8) for n in photograph.shape[1:])
        patches = [photograph[:, y : y + 64, x : x + 64] for y in rows for x in columns]
        found = upright[begun : begun + len(patches) // 2]
        begun += len(found)
        kept = {patch.tobytes() for patch in found}
        detail = {True: [], False: []}
        for patch in patches:
            detail[patch.tobytes() in kept].append(np.abs(np.diff(patch.astype(int))).mean())
        assert len(detail[True]) == len(found)
        assert min(detail[True]) >= max(detail[False])
    assert begun == len(train)


def test_what_is_held_out_of_a_folder_is_the_middle_of_each_picture(tmp_path):
    (tmp_path / "inside").mkdir()
    Image.fromarray(places(100, 40)).save(tmp_path / "a.png")
    Image.fromarray(places(200, 30)).save(tmp_path / "inside" / "b.png")
    Image.fromarray(places(20, 20)).save(tmp_path / "small.png")
    name = f"patches:{tmp_path}"
    train, test = (load(name, 16, split=split) for split in ("train", "test"))
    assert columns(test.samples) == {*range(40, 56), *range(80, 112)}
    held = train.samples[:8], train.samples[8:]
    assert columns(held[0]).isdisjoint(range(40, 60))
    assert columns(held[1]).isdisjoint(range(80, 120))
    first = test.samples[:2]
    np.testing.assert_array_equal(first[0], places(100, 40).transpose(2, 0, 1)[:, :16, 40:56])
    np.testing.assert_array_equal(first[1], places(100, 40).transpose(2, 0, 1)[:, 16:32, 40:56])
    assert len(train) == 2 * (2 * 2) + 2 * 5 * 1
    assert resolved(name) == f"patches:{tmp_path.resolve()}"


def test_grey_pictures_stay_grey_unless_one_is_not(tmp_path):
    Image.fromarray(places(100, 40)[..., 0]).save(tmp_path / "a.png")
    name = f"patches:{tmp_path}"
    assert load(name, 16).shape == (1, 16, 16)
    assert load(name, 16, channels=3).shape == (3, 16, 16)
    Image.fromarray(places(100, 40)).save(tmp_path / "b.png")
    assert load(name, 16).shape == (3, 16, 16)
    assert load(name, 16, channels=1).shape == (1, 16, 16)


def test_what_cannot_be_cut_is_refused(tmp_path):
    with pytest.raises(MiniganError, match=r"up to 320 pixels a side, got size 321"):
        load("photographs", 321)
    with pytest.raises(MiniganError, match="at least 1 pixel"):
        load("photographs", 0)
    with pytest.raises(MiniganError, match="there is no folder"):
        load(f"patches:{tmp_path / 'nowhere'}")
    with pytest.raises(MiniganError, match="has no images"):
        load(f"patches:{tmp_path}")
    Image.fromarray(places(100, 40)).save(tmp_path / "a.png")
    with pytest.raises(MiniganError, match=r"patches of up to 20 pixels a side.*got size 64"):
        load(f"patches:{tmp_path}")
    (tmp_path / "b.png").write_text("no picture", encoding="utf-8")
    with pytest.raises(MiniganError, match=r"b\.png is not an image"):
        load(f"patches:{tmp_path}", 16)
