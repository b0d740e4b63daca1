"""Folders that are decoded once and kept: the same samples, memory for a batch, and nothing is lost."""

import errno
import os
import shutil
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from minigan.data import Batches, folder, kept
from minigan.data.folder import load_folder
from minigan.diagnostics import Reference
from minigan.errors import MiniganError
from minigan.metrics import EvaluationData
from minigan.metrics.cache import digest
from minigan.metrics.distances import nearest_in
from minigan.random import Generator
from minigan.training.options import Options


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Everything is kept, in a cache of its own."""
    monkeypatch.setenv("MINIGAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(folder, "KEPT_FROM", 0)
    monkeypatch.setattr(folder, "BLOCK", 4 * 3 * 8 * 8)
    monkeypatch.setattr(kept, "BLOCK", 3 * 3 * 8 * 8)
    return tmp_path / "cache" / "pictures"


@pytest.fixture
def pictures(tmp_path):
    """Ten pictures of two classes, the last of them in colour."""
    root = tmp_path / "pictures"
    for i in range(10):
        place = root / ("ab"[i // 5]) / f"{i}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 20 * i).save(place)
    Image.new("RGB", (8, 8), (255, 0, 0)).save(root / "b" / "9.png")
    return root


def files(cache):
    return sorted(path.name for path in cache.iterdir()) if cache.exists() else []


def is_mapped(samples):
    while samples is not None:
        if isinstance(samples, np.memmap):
            return True
        samples = getattr(samples, "base", None)
    return False


def unread(monkeypatch):
    """From here on decoding is an error."""
    monkeypatch.setattr(folder, "read_picture", None)


@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize("grey", [True, False])
def test_what_is_kept_is_what_is_decoded(cache, pictures, monkeypatch, channels, grey):
    if grey:
        (pictures / "b" / "9.png").unlink()
    with monkeypatch.context() as small:
        small.setattr(folder, "KEPT_FROM", 1 << 40)
        expected = load_folder(pictures, 8, channels)
    assert files(cache) == []
    first = load_folder(pictures, 8, channels)
    unread(monkeypatch)
    second = load_folder(pictures, 8, channels)
    for dataset in (first, second):
        assert is_mapped(dataset.samples)
        assert type(dataset.samples) is np.ndarray
        np.testing.assert_array_equal(dataset.samples, expected.samples)
        np.testing.assert_array_equal(dataset.labels, expected.labels)
    assert len(files(cache)) == 1
    assert first.shape[0] == (channels or (1 if grey else 3))


def change_size(pictures):
    Image.new("L", (9, 9), 200).save(pictures / "a" / "0.png")


def change_time(pictures):
    os.utime(pictures / "a" / "0.png", ns=(1, 1))


def rename(pictures):
    (pictures / "a" / "0.png").rename(pictures / "a" / "00.png")


def remove(pictures):
    (pictures / "a" / "0.png").unlink()


def add(pictures):
    Image.new("L", (8, 8), 200).save(pictures / "a" / "new.png")


@pytest.mark.parametrize("change", [change_size, change_time, rename, remove, add])
def test_other_pictures_are_decoded_anew_and_the_earlier_ones_removed(cache, pictures, change):
    load_folder(pictures, 8)
    before = files(cache)
    change(pictures)
    dataset = load_folder(pictures, 8)
    assert len(dataset) == {"remove": 9, "add": 11}.get(change.__name__, 10)
    assert len(files(cache)) == 1
    assert files(cache) != before


def test_what_is_no_picture_changes_nothing(cache, pictures, monkeypatch):
    load_folder(pictures, 8)
    (pictures / "Thumbs.db").write_bytes(b"other")
    unread(monkeypatch)
    load_folder(pictures, 8)


def test_sizes_and_channels_are_kept_beside_each_other(cache, pictures):
    for size, channels in ((8, None), (16, None), (8, 1), (8, 3), (16, 3), (16, 1)):
        assert load_folder(pictures, size, channels).shape == (channels or 3, size, size)
    assert len(files(cache)) == 4  # that of colours is the one that came without a word


def test_folders_are_kept_beside_each_other(cache, pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "other" / "pictures")
    load_folder(pictures, 8)
    load_folder(tmp_path / "other" / "pictures", 8)
    assert len(files(cache)) == 2


def test_the_longest_unused_go_beyond_the_limit(cache, pictures, tmp_path, monkeypatch):
    others = [tmp_path / name for name in ("one", "two", "three")]
    for i, other in enumerate(others):
        shutil.copytree(pictures, other)
        load_folder(other, 8)
        (new,) = (path for path in cache.iterdir() if path.name.startswith(other.name))
        os.utime(new, (1000 + i, 1000 + i))
    load_folder(others[0], 8)  # it is used now
    monkeypatch.setattr(kept, "LIMIT", 2 * new.stat().st_size + 10 * 3 * 8 * 8)
    load_folder(pictures, 8)
    assert [name.partition("-")[0] for name in files(cache)] == ["one", "pictures", "three"]


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"not an array", None])
def test_a_damaged_file_is_replaced(cache, pictures, damage):
    expected = load_folder(pictures, 8).samples.copy()
    (path,) = cache.iterdir()
    path.write_bytes(path.read_bytes()[:-1] if damage is None else damage)
    np.testing.assert_array_equal(load_folder(pictures, 8).samples, expected)
    assert len(files(cache)) == 1


def test_damaged_pictures_leave_the_cache_as_it_was(cache, pictures):
    load_folder(pictures, 8)
    before = files(cache)
    (pictures / "a" / "0b.png").write_bytes(b"")
    with pytest.raises(MiniganError, match=r"0b\.png is not an image"):
        load_folder(pictures, 8)
    assert files(cache) == before


def in_memory(dataset, capsys, why):
    assert not is_mapped(dataset.samples)
    assert dataset.shape == (3, 8, 8)
    said = capsys.readouterr().err
    assert f"({why}): they are held in memory, and decoded at each start\n" in said


def test_a_full_disk(cache, pictures, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 100))
    in_memory(load_folder(pictures, 8), capsys, "0.0 GB are not free on the disk")
    assert files(cache) == []


def test_a_disk_that_fills_up(cache, pictures, monkeypatch, capsys):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    in_memory(load_folder(pictures, 8), capsys, "No space left on device")
    assert files(cache) == []


def test_a_cache_that_cannot_be(cache, pictures, monkeypatch, capsys):
    cache.parent.write_bytes(b"a file")
    in_memory(load_folder(pictures, 8), capsys, "Not a directory")


def test_what_a_killed_process_left_is_removed_in_time(cache, pictures):
    cache.mkdir(parents=True)
    dead, alive = cache / ".pictures-x-64-auto.npy.123", cache / ".pictures-y-64-auto.npy.124"
    for left in (dead, alive):
        left.write_bytes(b"part")
    os.utime(dead, (time.time() - 2 * kept.STALE,) * 2)
    load_folder(pictures, 8)
    assert not dead.exists()
    assert alive.exists()


DECODE = """
import sys
from minigan.data import folder
folder.KEPT_FROM = 0
dataset = folder.load_folder(sys.argv[1], 8)
print(dataset.samples.sum(), flush=True)
"""


def decoding(pictures, code=DECODE):
    return subprocess.Popen(
        [sys.executable, "-c", code, str(pictures)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


@pytest.mark.slow
def test_two_processes_at_once(cache, pictures):
    processes = [decoding(pictures) for _ in range(2)]
    said = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert int(said[0][0]) == int(said[1][0]) == load_folder(pictures, 8).samples.sum()
    assert len(files(cache)) == 1


@pytest.mark.slow
def test_a_kill_while_it_is_written(cache, pictures, monkeypatch):
    expected = load_folder(pictures, 8).samples.copy()
    shutil.rmtree(cache)
    stuck = DECODE.replace(
        "dataset =",
        "import os, time\nos.fsync = lambda handle: (print('here', flush=True), time.sleep(60))\ndataset =",
    )
    process = decoding(pictures, stuck)
    assert process.stdout.readline() == "here\n"
    process.kill()
    process.communicate()
    assert [name.startswith(".") for name in files(cache)] == [True]
    np.testing.assert_array_equal(load_folder(pictures, 8).samples, expected)


def test_the_folder_of_the_files(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIGAN_CACHE_DIR", str(tmp_path))
    assert kept.pictures_folder() == tmp_path / "pictures"
    monkeypatch.delenv("MINIGAN_CACHE_DIR")
    assert kept.pictures_folder().parts[-2:] == ("minigan", "pictures")


def test_progress_in_lines(cache, pictures, capsys, monkeypatch):
    monkeypatch.setattr("minigan.data.waiting.LINE_EVERY", 0)
    load_folder(pictures, 8)
    first, *others = capsys.readouterr().err.splitlines()
    assert first == f"decoding the pictures in {pictures}: 10"
    assert others[0].startswith(f"decoding the pictures in {pictures}: 4 of 10, 0:0")
    load_folder(pictures, 8)
    assert capsys.readouterr().err == ""


def looked_at(root, size, flip):
    """By all that looks at data."""
    options = Options(data=f"folder:{root}", flip=flip)
    dataset = options.dataset(size)
    data = EvaluationData.load(options.data, size, flip=flip)
    next(Batches(dataset, 4))
    Reference(dataset.part(slice(8)), Generator(0))
    data.real(data.train, 4, Generator(0))
    assert -1 < data.lowest < 0  # so that it had to look at all
    digest(data.train)
    x = np.zeros((4, 3, size, size), np.float32)
    nearest_in(data.train, x)
    nearest_in(dataset, x, start=10)
    return dataset


@pytest.mark.slow
def test_nothing_copies_the_pictures_into_memory(cache, tmp_path, monkeypatch):
    for module in (folder, kept):
        monkeypatch.setattr(module, "BLOCK", 1 << 18)
    monkeypatch.setattr("minigan.data.dataset.READ", 1 << 18)
    root, noise = tmp_path / "pictures", np.random.default_rng(0).integers(100, 150, (8, 8, 3), np.uint8)
    for place in ("a", "b"):
        (root / place).mkdir(parents=True)
    Image.fromarray(noise).save(root / "a" / "first.png")
    for i in range(2000):
        os.link(root / "a" / "first.png", root / "ab"[i % 2] / f"{i}.png")
    looked_at(root, 8, flip=True)  # so that all is imported
    tracemalloc.start()
    try:
        looked_at(root, 64, flip=False)  # decoded
        dataset = looked_at(root, 64, flip=True)  # mapped
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert dataset.samples.nbytes == 2001 * 3 * 64 * 64
    assert most < dataset.samples.nbytes / 3


def test_the_doctor_tells_the_place_and_the_size(cache, pictures):
    from minigan.environment import findings

    def told():
        return dict(findings())["decoded pictures"]

    assert told() == f"{cache}, 0 MB (MINIGAN_CACHE_DIR)"
    cache.mkdir(parents=True)
    (cache / "a-b-c-64-auto.npy").write_bytes(bytes(3_000_000))
    assert told() == f"{cache}, 3 MB (MINIGAN_CACHE_DIR)"
