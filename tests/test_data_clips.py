"""clips:PATH: the user's own films."""

import numpy as np
import pytest
from PIL import Image

from minigan.data import Field, has_test, load
from minigan.data import clips as clips_file
from minigan.data.kept import pictures_folder
from minigan.errors import MiniganError


def frames(n, first=0, size=(12, 12)):
    """Grey pictures, each a little brighter."""
    return [Image.new("L", size, 10 * (first + i)) for i in range(n)]


def save_film(path, n, first=0, size=(12, 12)):
    path.parent.mkdir(parents=True, exist_ok=True)
    start, *rest = frames(n, first, size)
    start.save(path, save_all=True, append_images=rest, duration=100)


def save_frames(folder, n, first=0, size=(12, 12), name="frame{}.png"):
    folder.mkdir(parents=True, exist_ok=True)
    for i, frame in enumerate(frames(n, first, size)):
        frame.save(folder / name.format(i))


def levels(dataset):
    """The level of each frame, in tens: (N, T)."""
    return dataset.samples[:, :, 0, 2, 2] / 10


def test_gifs_and_folders_of_frames_in_the_order_of_their_names(tmp_path, capsys):
    save_film(tmp_path / "b.gif", 5)
    save_frames(tmp_path / "a", 11, first=5)
    dataset = load(f"clips:{tmp_path}", size=8)
    assert dataset.fields == {"clip": Field("clip", (5, 1, 8, 8))}
    assert dataset.name == f"clips:{tmp_path}"
    assert levels(dataset).tolist() == [[5, 6, 7, 8, 9], [10, 11, 12, 13, 14], [0, 1, 2, 3, 4]]
    assert f"clips have 5 frames, as {tmp_path / 'b.gif'} has" in capsys.readouterr().err
    assert not has_test(f"clips:{tmp_path}")


def test_long_films_are_cut_into_clips_of_16(tmp_path):
    save_frames(tmp_path / "long", 24)
    save_film(tmp_path / "longer.gif", 33 - 8)
    assert load(f"clips:{tmp_path}").shape == (16, 1, 64, 64)
    assert levels(load(f"clips:{tmp_path}", 8)).tolist() == [[*range(16)], [*range(16)]]


def test_films_of_two_sizes_are_made_alike_and_sub_folders_are_classes(tmp_path):
    save_film(tmp_path / "one" / "x.gif", 3, size=(20, 10))
    save_frames(tmp_path / "two" / "y", 6, size=(9, 14))
    dataset = load(f"clips:{tmp_path}", size=6)
    assert dataset.shape == (3, 1, 6, 6)
    assert dataset.labels.tolist() == [0, 1, 1]
    colour = load(f"clips:{tmp_path}", size=6, channels=3)
    np.testing.assert_array_equal(colour.samples, np.repeat(dataset.samples, 3, axis=2))


def test_frames_of_a_folder_alone_are_one_film(tmp_path):
    save_frames(tmp_path, 4)
    dataset = load(f"clips:{tmp_path}", size=4)
    assert (len(dataset), dataset.labels) == (1, None)


def test_films_are_decoded_once(tmp_path, monkeypatch):
    monkeypatch.setattr(clips_file, "KEPT_FROM", 1)
    monkeypatch.setenv("MINIGAN_CACHE_DIR", str(tmp_path / "cache"))
    films = tmp_path / "films"
    save_film(films / "a.gif", 4)
    save_frames(films / "b", 4, first=4)
    first = load(f"clips:{films}", size=8).samples
    assert len([*pictures_folder().glob("*.npy")]) == 1
    monkeypatch.setattr(clips_file, "read_frames", None)
    np.testing.assert_array_equal(load(f"clips:{films}", size=8).samples, first)


def test_what_cannot_be(tmp_path):
    with pytest.raises(MiniganError, match="there is no folder"):
        load(f"clips:{tmp_path / 'none'}")
    with pytest.raises(MiniganError, match="has no films: no images at all"):
        load(f"clips:{tmp_path}")
    save_film(tmp_path / "a.gif", 4)
    with pytest.raises(MiniganError, match="at least 1 pixel, got 0"):
        load(f"clips:{tmp_path}", size=0)
    with pytest.raises(MiniganError, match=r"1 channel, for grey, or 3, for colour; got channels = 2"):
        load(f"clips:{tmp_path}", channels=2)
    save_frames(tmp_path / "b", 1)
    with pytest.raises(MiniganError, match=r"a film has two frames at least, and .*b has 1: a GIF"):
        load(f"clips:{tmp_path}")
    (tmp_path / "b" / "frame1.png").write_bytes(b"no picture")
    with pytest.raises(MiniganError, match=r"frame1.png is not an image that Pillow can read"):
        load(f"clips:{tmp_path}")


def test_a_film_that_ends_early_is_named(tmp_path):
    save_frames(tmp_path, 3)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "frame2.png")
    whole = (tmp_path / "frame2.png").read_bytes()
    (tmp_path / "frame2.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MiniganError, match=r"frame2.png is not an image that Pillow can read"):
        load(f"clips:{tmp_path}", size=8)
