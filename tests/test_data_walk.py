"""Which files of a folder are its pictures: it ends, and nothing is left out unsaid."""

import builtins
import errno
import os
import socket
import threading

import pytest
from PIL import Image

from minigan.data.folder import load_folder
from minigan.data.walk import walk
from minigan.errors import MiniganError


def save(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4)).save(path)
    return path


def found(root):
    pictures, said = walk(root)
    return ["/".join(picture.parts) for picture in pictures], said


def test_the_order_is_that_of_sorted_paths(tmp_path):
    names = ["b.png", "a/z.png", "a.png", "a/b/c.png", "a-b/a.png", "B.png"]
    for name in names:
        save(tmp_path / name)
    expected = sorted(tmp_path / name for name in names)
    assert [tmp_path / name for name in found(tmp_path)[0]] == expected


def test_links_to_a_parent_end(tmp_path):
    save(tmp_path / "cat" / "a.png")
    for name in ("up", "back"):
        (tmp_path / "cat" / name).symlink_to(tmp_path)
    names, said = found(tmp_path)
    assert names == ["cat/a.png"]
    assert said == [f"{tmp_path / 'cat' / 'back'} leads to a folder that is read already, and is passed over"]


def test_folders_that_all_link_to_each_other_are_read_once(tmp_path):
    for i in range(12):  # there are 12! ways through them
        save(tmp_path / str(i) / "a.png")
        for j in range(12):
            (tmp_path / str(i) / f"to{j}").symlink_to(tmp_path / str(j))
    assert len(found(tmp_path)[0]) == 12


def test_a_folder_is_read_as_itself_before_links_to_it(tmp_path):
    save(tmp_path / "dog" / "a.png")
    (tmp_path / "best").symlink_to(tmp_path / "dog")
    names, said = found(tmp_path)
    assert names == ["dog/a.png"]
    assert "best leads to a folder that is read already" in said[0]


def test_links_to_elsewhere_are_followed_and_their_links(tmp_path):
    save(tmp_path / "elsewhere" / "a.png")
    save(tmp_path / "further" / "b.png")
    (tmp_path / "elsewhere" / "on").symlink_to(tmp_path / "further")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "dog").symlink_to(tmp_path / "elsewhere")
    assert found(tmp_path / "set") == (["dog/a.png", "dog/on/b.png"], [])


def test_a_link_to_a_folder_above(tmp_path):
    save(tmp_path / "set" / "a.png")
    save(tmp_path / "b.png")
    (tmp_path / "set" / "up").symlink_to(tmp_path)
    names, said = found(tmp_path / "set")
    assert names == ["a.png", "up/b.png"]
    assert said == [
        f"{tmp_path / 'set' / 'up' / 'set'} leads to a folder that is read already, and is passed over"
    ]


def test_the_folder_itself_may_be_a_link(tmp_path):
    save(tmp_path / "real" / "a.png")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert found(tmp_path / "link") == (["a.png"], [])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_and_sockets_are_passed_over(tmp_path, monkeypatch):
    save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.png")
        answers = []
        walker = threading.Thread(target=lambda: answers.append(found(tmp_path)), daemon=True)
        walker.start()
        walker.join(10)
    assert answers == [
        (["a.png"], [f"3 files that are no picture passed over, the first {tmp_path / 'pipe'}"])
    ]


def refuse(monkeypatch, function, name, error=errno.EACCES):
    """Let os.`function` refuse what is called `name`: the root user may read everything."""
    original = getattr(os, function)

    def refusing(path, *args, **kwargs):
        if os.path.basename(os.fspath(path)) == name:
            raise OSError(error, os.strerror(error), str(path))
        return original(path, *args, **kwargs)

    monkeypatch.setattr(os, function, refusing)


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    for name in ("ant", "bee", "cat"):
        save(tmp_path / name / "a.png")
    refuse(monkeypatch, "scandir", "bee")
    with pytest.raises(
        MiniganError, match=rf"the folder {tmp_path / 'bee'} cannot be read: Permission denied"
    ):
        load_folder(tmp_path)


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    save(tmp_path / "a.png")
    save(tmp_path / "b.png")
    original = open

    def refusing(path, *args, **kwargs):
        if str(path).endswith("b.png"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return original(path, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", refusing)
    with pytest.raises(MiniganError, match=r"b\.png cannot be read: Permission denied"):
        load_folder(tmp_path)


def test_broken_links(tmp_path):
    save(tmp_path / "a.png")
    (tmp_path / "notes").symlink_to(tmp_path / "nowhere")
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    assert found(tmp_path) == (
        ["a.png"],
        [f"2 files that are no picture passed over, the first {tmp_path / 'itself'}"],
    )
    (tmp_path / "b.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(MiniganError, match=r"b\.png cannot be read: No such file"):
        walk(tmp_path)


def test_only_other_files(tmp_path):
    (tmp_path / "notes.txt").write_bytes(b"text")
    with pytest.raises(
        MiniganError, match=r"has no images; 1 file that is no picture passed over, the first .*notes\.txt"
    ):
        load_folder(tmp_path)
