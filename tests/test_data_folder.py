"""folder:PATH: a folder of the user's own images."""

import re

import numpy as np
import pytest
from PIL import Image

from minigan.data import load
from minigan.data.folder import load_folder
from minigan.errors import MiniganError

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def save(path, colour=RED, size=(10, 10), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)
    return path


def test_sorted_recursive_and_resized_to_64(tmp_path):
    save(tmp_path / "c.png", BLUE)
    save(tmp_path / "a.png", RED)
    save(tmp_path / "b" / "deep" / "x.bmp", GREEN)
    dataset = load(f"folder:{tmp_path}")
    assert dataset.name == f"folder:{tmp_path}"
    assert dataset.samples.dtype == np.uint8
    assert dataset.samples.shape == (3, 3, 64, 64)
    np.testing.assert_array_equal(dataset.samples[:, :, 30, 30], [RED, GREEN, BLUE])
    assert dataset.samples.flags.c_contiguous


def test_size(tmp_path):
    save(tmp_path / "a.png", size=(50, 40))
    assert load(f"folder:{tmp_path}", size=24).shape == (3, 24, 24)
    with pytest.raises(MiniganError, match="at least 1 pixel, got 0"):
        load(f"folder:{tmp_path}", size=0)


def test_the_middle_square_is_kept(tmp_path):
    image = Image.new("RGB", (30, 10), RED)
    image.paste(GREEN, (10, 0, 20, 10))
    image.save(tmp_path / "wide.png")
    image.rotate(90, expand=True).save(tmp_path / "tall.png")
    expected = np.broadcast_to(np.reshape(GREEN, (3, 1, 1)), (2, 3, 10, 10))
    np.testing.assert_array_equal(load_folder(tmp_path, 10).samples, expected)


def test_lanczos(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    image = Image.fromarray(noise)
    image.save(tmp_path / "noise.png")
    expected = np.asarray(image.resize((16, 16), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
    np.testing.assert_array_equal(load_folder(tmp_path, 16).samples[0], expected)


def test_all_grey_is_one_channel(tmp_path):
    save(tmp_path / "a.png", 100, mode="L")
    save(tmp_path / "b.png", (200, 255), mode="LA")
    save(tmp_path / "c.png", 1, mode="1")
    samples = load_folder(tmp_path, 8).samples
    assert samples.shape == (3, 1, 8, 8)
    assert samples[:, 0, 4, 4].tolist() == [100, 200, 255]


def test_grey_among_colours_is_rgb(tmp_path):
    save(tmp_path / "a.png", 100, mode="L")
    save(tmp_path / "b.png", RED)
    np.testing.assert_array_equal(load_folder(tmp_path, 8).samples[:, :, 4, 4], [(100, 100, 100), RED])


def test_colours_that_are_equal_are_grey(tmp_path):
    save(tmp_path / "a.png", (100, 100, 100))
    save(tmp_path / "b.png", (9, 9, 9, 255), mode="RGBA")
    assert load_folder(tmp_path, 8).samples[:, :, 4, 4].tolist() == [[100], [9]]


@pytest.mark.parametrize(("channels", "shown"), [(1, [[100], [76]]), (3, [[100] * 3, RED])])
def test_grey_or_colour_can_be_forced(tmp_path, channels, shown):
    save(tmp_path / "a.png", 100, mode="L")
    save(tmp_path / "b.png", RED)
    dataset = load(f"folder:{tmp_path}", 8, channels=channels)
    np.testing.assert_array_equal(dataset.samples[:, :, 4, 4], shown)
    (tmp_path / "b.png").unlink()
    assert load_folder(tmp_path, 8, channels).shape[0] == channels
    with pytest.raises(MiniganError, match="got channels = 2"):
        load_folder(tmp_path, 8, channels=2)


def test_only_a_folder_has_other_channels():
    with pytest.raises(
        MiniganError, match="only the images of a folder are made grey or colour, got channels of digits"
    ):
        load("digits", channels=3)


def test_transparency_is_black_and_told_once(tmp_path, capsys):
    save(tmp_path / "a.png", RED)
    save(tmp_path / "b.png", (*GREEN, 0), mode="RGBA")
    save(tmp_path / "c.png", (*GREEN, 0), mode="RGBA")
    for _ in range(2):
        samples = load_folder(tmp_path, 8).samples
    np.testing.assert_array_equal(samples[:, :, 4, 4], [RED, (0, 0, 0), (0, 0, 0)])
    told = f"2 of the 3 pictures have transparent parts, which are black; the first is {tmp_path / 'b.png'}\n"
    assert capsys.readouterr().err == told


def test_sub_folders_are_classes(tmp_path):
    save(tmp_path / "dog" / "1.png", RED)
    save(tmp_path / "cat" / "2.png", GREEN)
    save(tmp_path / "dog" / "more" / "0.png", BLUE)
    dataset = load_folder(tmp_path, 8)
    assert dataset.labels.tolist() == [0, 1, 1]
    assert dataset.classes == 2
    np.testing.assert_array_equal(dataset.samples[:, :, 4, 4], [GREEN, RED, BLUE])


def test_images_outside_the_sub_folders_have_no_class(tmp_path):
    save(tmp_path / "dog" / "1.png")
    save(tmp_path / "2.png")
    assert load_folder(tmp_path, 8).labels is None


def test_linked_sub_folders_are_followed(tmp_path):
    save(tmp_path / "elsewhere" / "1.png")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "dog").symlink_to(tmp_path / "elsewhere")
    assert len(load_folder(tmp_path / "set", 8)) == 1


def test_names_with_a_dot_are_skipped(tmp_path):
    save(tmp_path / "a" / "1.png")
    (tmp_path / "a" / ".DS_Store").write_text("not an image", encoding="utf-8")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "notes").write_text("not an image", encoding="utf-8")
    dataset = load_folder(tmp_path, 8)
    assert (len(dataset), dataset.classes) == (1, 1)


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    save(tmp_path / "pictures" / "a.png")
    assert len(load("folder:~/pictures")) == 1


def test_what_is_no_picture_is_passed_over_and_told(tmp_path, capsys):
    save(tmp_path / "cat" / "a.png")
    save(tmp_path / "dog" / "b", format="PNG")
    (tmp_path / "README.txt").write_bytes(b"just text")
    (tmp_path / "cat" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    dataset = load_folder(tmp_path, 8)
    assert (len(dataset), dataset.classes) == (2, 2)
    told = f"2 files that are no picture passed over, the first {tmp_path / 'README.txt'}\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("content", [b"just text", b""])
def test_a_picture_that_is_none_is_named(tmp_path, content):
    save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(content)
    with pytest.raises(MiniganError, match=r"b\.png is not an image that Pillow can read"):
        load_folder(tmp_path)


@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "bmp", "gif", "webp", "ppm"])
def test_a_truncated_image_is_named(tmp_path, kind):
    save(tmp_path / "a.png")
    path = save(tmp_path / f"cut.{kind}", size=(64, 64))
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(MiniganError, match=rf"cut\.{kind} is not an image that Pillow can read"):
        load_folder(tmp_path)


def test_all_damaged_images_are_told_at_once(tmp_path):
    save(tmp_path / "good.png")
    for i in range(6):
        (tmp_path / f"{i}.png").write_bytes(b"")
    with pytest.raises(MiniganError) as caught:
        load_folder(tmp_path)
    assert re.fullmatch(
        r"6 of the 7 pictures cannot be used: \S+0\.png is not an image .*; so are \S+1\.png, \S+2\.png, "
        r"\S+3\.png and 2 more",
        str(caught.value),
    )


def test_a_missing_folder(tmp_path):
    with pytest.raises(MiniganError, match=r"there is no folder .*nowhere"):
        load(f"folder:{tmp_path}/nowhere")


def test_a_file_for_a_folder(tmp_path):
    with pytest.raises(MiniganError, match=r"there is no folder .*a\.png"):
        load_folder(save(tmp_path / "a.png"))


def test_a_folder_without_images(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(MiniganError, match="has no images"):
        load_folder(tmp_path)
