"""pairs:PATH and domains:PATH: a user's own, laid out as those of pix2pix and CycleGAN are."""

import re

import numpy as np
import pytest
from PIL import Image

from minigan.data import Field, folder, has_test, load, resolved
from minigan.errors import MiniganError

RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (90, 90, 90)


def save(path, *colours, size=(20, 20), **options):
    """A picture of parts of `size` beside each other, each of a colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    image = Image.new("RGB", (width * len(colours), height))
    for i, colour in enumerate(colours):
        image.paste(colour, (i * width, 0, (i + 1) * width, height))
    image.save(path, **options)
    return path


def colours(dataset):
    """The colour of each picture, which is the same all over."""
    pixels = dataset.stored(slice(None))
    assert (pixels == pixels[:, :, :1, :1]).all()
    return [tuple(colour) for colour in pixels[:, :, 0, 0].tolist()]


@pytest.fixture
def side_by_side(tmp_path):
    save(tmp_path / "b.png", BLUE, RED)
    save(tmp_path / "a.png", RED, GREEN)
    return tmp_path


def test_side_by_side(side_by_side):
    pairs = load(f"pairs:{side_by_side}")
    image = Field("image", (3, 64, 64))
    assert (pairs.name, pairs.kind, pairs.fields) == (
        f"pairs:{side_by_side}",
        "pair",
        {"x": image, "y": image},
    )
    assert (colours(pairs.x), colours(pairs.y)) == ([RED, BLUE], [GREEN, RED])
    swapped = load(f"pairs-swapped:{side_by_side}", size=8)
    assert (swapped.name, swapped.shape) == (f"pairs-swapped:{side_by_side}", (3, 8, 8))
    assert (colours(swapped.x), colours(swapped.y)) == ([GREEN, RED], [RED, BLUE])


def test_the_middle_square_of_each_half_is_kept(tmp_path):
    save(tmp_path / "a.png", BLUE, RED, BLUE, GREEN, BLUE, GREEN, size=(10, 10))
    pairs = load(f"pairs:{tmp_path}", size=10)
    assert (colours(pairs.x), colours(pairs.y)) == ([RED], [BLUE])


def test_a_half_is_that_of_the_upright_picture(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    upright = save(tmp_path / "a.png", RED, GREEN)
    with Image.open(upright) as image:
        image.transpose(Image.Transpose.ROTATE_90).save(upright, exif=turned)
    pairs = load(f"pairs:{tmp_path}")
    assert (colours(pairs.x), colours(pairs.y)) == ([RED], [GREEN])


@pytest.mark.parametrize(("a", "b"), [("a", "b"), ("A", "B")])
def test_two_folders_of_equal_names(tmp_path, a, b):
    for name, x, y in (("x/1.png", RED, GREEN), ("x/2.png", BLUE, RED), ("x-1.png", GREEN, BLUE)):
        save(tmp_path / a / name, x)
        save(tmp_path / b / name.replace("png", "bmp"), y)
    pairs = load(f"pairs:{tmp_path}", size=16)
    assert dict(zip(colours(pairs.x), colours(pairs.y), strict=True)) == {RED: GREEN, BLUE: RED, GREEN: BLUE}
    assert pairs.y.labels is None


def test_each_half_is_grey_if_all_of_it_is(tmp_path):
    save(tmp_path / "1.png", GREY, RED)
    pairs = load(f"pairs:{tmp_path}")
    assert (pairs.x.shape, pairs.y.shape) == ((1, 64, 64), (3, 64, 64))
    assert [
        half.shape[0]
        for half in (load(f"pairs:{tmp_path}", channels=1).y, load(f"pairs:{tmp_path}", channels=3).x)
    ] == [1, 3]
    with pytest.raises(MiniganError, match="got channels = 2"):
        load(f"pairs:{tmp_path}", channels=2)


@pytest.mark.parametrize(("of_train", "of_test"), [(GREY, RED), (RED, GREY)])
def test_held_out_halves_and_domains_are_grey_or_in_colour_as_the_trainings_are(tmp_path, of_train, of_test):
    for split, x in (("train", of_train), ("test", of_test)):
        save(tmp_path / "pairs" / split / "1.png", x, BLUE)
        save(tmp_path / "domains" / f"{split}A" / "1.png", x)
        save(tmp_path / "domains" / f"{split}B" / "1.png", GREY)
    for kind in ("pairs", "pairs-swapped", "domains"):
        name = f"{kind}:{tmp_path / kind.partition('-')[0]}"
        assert load(name, split="test").fields == load(name).fields


def test_what_is_transparent_is_black_in_either_half(tmp_path):
    for half, colour in (("a", (255, 0, 0, 255)), ("b", (255, 0, 0, 0))):
        (tmp_path / half).mkdir()
        Image.new("RGBA", (20, 20), colour).save(tmp_path / half / "1.png")
    pairs = load(f"pairs:{tmp_path}", size=8)
    assert (colours(pairs.x), colours(pairs.y)) == ([RED], [(0,)])


@pytest.mark.parametrize("test", ["test", "val"])
@pytest.mark.parametrize("layout", ["{split}/{name}", "{split}/{half}/{name}", "{half}/{split}/{name}"])
def test_splits_are_folders(tmp_path, layout, test):
    for split, x, y in (("train", RED, GREEN), (test, BLUE, RED)):
        if "half" in layout:
            save(tmp_path / layout.format(split=split, half="a", name="1.png"), x)
            save(tmp_path / layout.format(split=split, half="b", name="1.png"), y)
        else:
            save(tmp_path / layout.format(split=split, name="1.png"), x, y)
    name = f"pairs:{tmp_path}"
    assert has_test(name)
    assert [colours(half) for half in vars(load(name)).values() if half != name] == [[RED], [GREEN]]
    test = load(name, split="test")
    assert (colours(test.x), colours(test.y)) == ([BLUE], [RED])


def test_without_such_folders_there_is_no_test(side_by_side):
    name = f"pairs:{side_by_side}"
    assert not has_test(name)
    with pytest.raises(MiniganError, match="has no test split: there is no folder test or val in it"):
        load(name, split="test")


def test_domains(tmp_path):
    for domain, those in (("A", [RED, BLUE]), ("B", [GREEN, GREY, RED])):
        for i, colour in enumerate(those):
            save(tmp_path / f"train{domain}" / f"{i}.png", colour)
        save(tmp_path / f"test{domain}" / "0.png", those[1])
    name = f"domains:{tmp_path}"
    train, test = load(name, size=16), load(name, size=16, split="test")
    image = Field("image", (3, 16, 16))
    assert (train.name, train.kind, len(train), train.fields) == (
        name,
        "domains",
        3,
        {"x": image, "y": image},
    )
    assert (colours(train.x), colours(train.y)) == ([RED, BLUE], [GREEN, GREY, RED])
    assert (colours(test.x), colours(test.y)) == ([BLUE], [GREY])
    assert has_test(name)
    assert load(name, flip=True).x.flip
    assert load(name, channels=1).shape == (1, 64, 64)


def test_grey_beside_colour_and_transparent_pictures_come_in_colour(tmp_path):
    save(tmp_path / "trainA" / "1.png", GREY)
    (tmp_path / "trainB").mkdir()
    Image.new("RGBA", (20, 20), (200, 40, 0, 128)).save(tmp_path / "trainB" / "1.png")
    domains = load(f"domains:{tmp_path}", 8)
    assert domains.fields["x"] == domains.fields["y"] == Field("image", (3, 8, 8))
    x, y = (half.samples[0, :, 4, 4].tolist() for half in (domains.x, domains.y))
    assert len(set(x)) == 1, "grey"
    np.testing.assert_allclose(y, [100, 20, 0], atol=1)  # half of it, before black


@pytest.mark.parametrize(("empty", "split"), [("trainA", "train"), ("trainB", "train"), ("testB", "test")])
def test_a_domain_without_images_is_named(tmp_path, empty, split):
    for name in ("trainA", "trainB", "testA", "testB"):
        (tmp_path / name).mkdir()
        if name != empty:
            save(tmp_path / name / "1.png", RED)
    with pytest.raises(MiniganError, match=f"the folder {tmp_path}/{empty} has no images"):
        load(f"domains:{tmp_path}", split=split)
    (tmp_path / empty).rmdir()
    with pytest.raises(MiniganError, match=f"there is no folder {tmp_path}/{empty}"):
        load(f"domains:{tmp_path}", split=split)


def test_domains_without_a_test(tmp_path):
    save(tmp_path / "trainA" / "1.png", GREY)
    save(tmp_path / "trainB" / "1.png", GREY)
    assert not has_test(f"domains:{tmp_path}")
    assert load(f"domains:{tmp_path}").shape == (1, 64, 64)
    with pytest.raises(MiniganError, match="has no test split: there are no folders testA and testB in it"):
        load(f"domains:{tmp_path}", split="test")


def test_paths_are_resolved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for kind in ("pairs", "pairs-swapped", "domains"):
        assert resolved(f"{kind}:x") == f"{kind}:{tmp_path / 'x'}"


def test_what_is_decoded_is_kept(side_by_side, tmp_path, monkeypatch):
    expected = load(f"pairs:{side_by_side}")
    expected = colours(expected.x), colours(expected.y)
    monkeypatch.setattr(folder, "KEPT_FROM", 0)
    monkeypatch.setenv("MINIGAN_CACHE_DIR", str(tmp_path / ".cache"))
    for name in ("a", "b"):
        save(tmp_path / ".two" / name / "1.png", RED)
    decoded = []
    decode = folder._decoded
    monkeypatch.setattr(folder, "_decoded", lambda *how: decoded.append(how[0].part) or decode(*how))
    for _ in range(2):
        for size in (8, 16):
            pairs = load(f"pairs:{side_by_side}", size=size)
            assert (colours(pairs.x), colours(pairs.y)) == expected
            assert not pairs.x.samples.flags.writeable
            load(f"pairs:{tmp_path / '.two'}", size=size)
    assert decoded == ["left", "right", "a", "b"] * 2
    assert len(list((tmp_path / ".cache").rglob("*.npy"))) == 8


def fill(root, *files):
    """Pictures by name, 20 pixels high and wide, or "name 20x24"."""
    for file in files:
        name, _, size = file.partition(" ")
        size = tuple(map(int, (size or "20x20").split("x")))
        save(root / f"{name}.png", RED, size=size)


@pytest.mark.parametrize(
    ("kind", "files", "sentence"),
    [
        ("pairs", [], "the folder {root} has no images"),
        (
            "pairs",
            ["a/1", "a/2", "b/2"],
            "{root}/a/1.png has no other half: of the pictures, 2 in {root}/a and 1 in {root}/b, each needs "
            "one of its name",
        ),
        (
            "pairs",
            ["a/1", "b/1", "b/0"],
            "{root}/b/0.png has no other half: of the pictures, 1 in {root}/a and",
        ),
        ("pairs", ["a/1", "b/2"], "{root}/a/1.png has no other half"),
        ("pairs", ["a/1"], "there is a folder {root}/a, but no folder {root}/b"),
        ("pairs", ["B/1"], "there is a folder {root}/B, but no folder {root}/a"),
        ("pairs", ["test/1 40x20"], "there is a folder {root}/test, but no folder {root}/train"),
        (
            "pairs",
            ["a/0", "a/1", "b/0", "b/1 20x24"],
            "{root}/a/1.png has 20x20 pixels, and its other half {root}/b/1.png 20x24",
        ),
        (
            "pairs",
            ["1 40x20", "2"],
            "{root}/2.png has 20x20 pixels; two pictures side by side are wider than high",
        ),
        (
            "pairs",
            ["1 40x20", "2 41x20", "3"],
            "2 of the 3 pictures cannot be used: {root}/2.png has 41 pixels in a row, which make no two "
            "halves; so are {root}/3.png",
        ),
        ("domains", ["trainA/1"], "there is no folder {root}/trainB"),
        ("domains", ["trainB/1"], "there is no folder {root}/trainA"),
        ("domains", ["1"], "there is no folder {root}/trainA"),
    ],
)
def test_bad_folders(tmp_path, kind, files, sentence):
    fill(tmp_path, *files)
    with pytest.raises(MiniganError, match=re.escape(sentence.format(root=tmp_path))):
        load(f"{kind}:{tmp_path}")


def test_two_files_of_one_name(tmp_path):
    save(tmp_path / "a" / "1.png", RED)
    save(tmp_path / "a" / "1.jpg", RED)
    save(tmp_path / "b" / "1.png", RED)
    with pytest.raises(MiniganError, match=r"a/1\.jpg and \S+a/1\.png have one name"):
        load(f"pairs:{tmp_path}")


def test_a_damaged_half_is_named(tmp_path):
    for half in "ab":
        save(tmp_path / half / "1.png", RED)
    (tmp_path / "b" / "1.png").write_bytes(b"no picture")
    with pytest.raises(MiniganError, match=r"b/1\.png is not an image that Pillow can read"):
        load(f"pairs:{tmp_path}")


@pytest.mark.parametrize("kind", ["pairs", "pairs-swapped", "domains"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_missing_folder(tmp_path, kind, split):
    with pytest.raises(MiniganError, match=r"there is no folder \S+nowhere"):
        load(f"{kind}:{tmp_path}/nowhere", split=split)
    with pytest.raises(MiniganError, match=f"unknown dataset '{kind}'; did you mean '{kind}:PATH'"):
        load(kind)
    with pytest.raises(MiniganError, match="are read from a data folder, pairs:x needs none"):
        load("pairs:x", data_dir="y")
