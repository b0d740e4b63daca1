"""Downloads, from a small server on this machine that can misbehave."""

import gzip
import hashlib
import io
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pooch
import pytest

from minigan.data import download, load
from minigan.data.download import fetch
from minigan.errors import MiniganError

FILE = "train-images-idx3-ubyte.gz"
CONTENT = np.random.default_rng(0).bytes(600_000)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append(asked)
        content = server.files.get(self.path.strip("/"))
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.ranges else 0
        if server.status or content is None:
            return self.answer(server.status or 404)
        if start and start >= len(content):
            return self.answer(416)
        body = content[start:]
        self.send_response(206 if asked and server.ranges else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.cuts:
            server.cuts -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    """A server whose attributes say how it behaves: files, ranges, cuts to come, status."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.ranges, server.cuts, server.status, server.asked = {FILE: CONTENT}, True, 0, 0, []
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setitem(download.URLS, "mnist", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setitem(download.MD5["mnist"], FILE, hashlib.md5(CONTENT).hexdigest())
    monkeypatch.setattr(download, "PAUSE", 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / project)
    return tmp_path / "minigan" / "mnist"


@pytest.fixture
def part(cache):
    cache.mkdir(parents=True)
    return cache / f"{FILE}.part"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_downloaded_once(server, cache):
    assert fetch("mnist", FILE) == cache / FILE
    assert (cache / FILE).read_bytes() == CONTENT
    assert names(cache) == [FILE]
    fetch("mnist", FILE)
    assert server.asked == ["bytes=0-"]


def test_a_damaged_file_in_the_cache_is_replaced(server, cache):
    cache.mkdir(parents=True)
    (cache / FILE).write_bytes(CONTENT[:-1])
    assert fetch("mnist", FILE).read_bytes() == CONTENT


def test_a_part_is_continued(server, part):
    part.write_bytes(CONTENT[:1000])
    assert fetch("mnist", FILE).read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-"]
    assert names(part.parent) == [FILE]


def test_a_server_that_ignores_ranges_starts_over(server, part):
    server.ranges = False
    part.write_bytes(CONTENT[:1000])
    assert fetch("mnist", FILE).read_bytes() == CONTENT


@pytest.mark.parametrize("left", [CONTENT, CONTENT + b"more"])
def test_a_part_with_nothing_to_follow_starts_over(server, part, left):
    part.write_bytes(left)
    assert fetch("mnist", FILE).read_bytes() == CONTENT
    assert server.asked == [f"bytes={len(left)}-", "bytes=0-"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_connection_is_taken_up_again(server, cache, ranges):
    server.cuts, server.ranges = 2, ranges
    assert fetch("mnist", FILE).read_bytes() == CONTENT
    assert len(server.asked) == 3
    assert server.asked[1] != "bytes=0-"


def test_a_connection_that_is_always_cut_keeps_what_came(server, cache):
    server.cuts = 100
    with pytest.raises(MiniganError, match="run again to continue, or --data-dir DIR") as caught:
        fetch("mnist", FILE)
    assert len(server.asked) == download.ATTEMPTS
    assert names(cache) == [f"{FILE}.part"]
    came = (cache / f"{FILE}.part").read_bytes()
    assert len(came) > len(CONTENT) // 2
    assert CONTENT.startswith(came)
    assert f"{len(came):,} bytes" in str(caught.value)
    server.cuts = 0
    assert fetch("mnist", FILE).read_bytes() == CONTENT
    assert server.asked[-1] == f"bytes={len(came)}-"


def test_a_wrong_checksum_leaves_nothing_behind(server, cache):
    server.files = {FILE: b"x" * 1000}
    md5 = hashlib.md5(CONTENT).hexdigest()
    with pytest.raises(MiniganError, match=rf"/{FILE} does not have the md5 checksum {md5}; .* run again"):
        fetch("mnist", FILE)
    assert names(cache) == []
    server.files = {FILE: CONTENT}
    assert fetch("mnist", FILE).read_bytes() == CONTENT
    assert server.asked == ["bytes=0-", "bytes=0-"]


def test_a_part_of_another_file_leaves_nothing_behind(server, part):
    part.write_bytes(b"x" * 1000)
    with pytest.raises(MiniganError, match="does not have the md5 checksum"):
        fetch("mnist", FILE)
    assert names(part.parent) == []


@pytest.mark.parametrize("status", [404, 416, 503])
def test_an_answer_that_is_an_error(server, cache, status):
    server.status = status
    with pytest.raises(MiniganError, match=rf"/{FILE}: the server answered {status}; --data-dir DIR may"):
        fetch("mnist", FILE)
    assert len(server.asked) == 1


def test_no_network(server, cache, monkeypatch):
    monkeypatch.setitem(download.URLS, "mnist", "http://127.0.0.1:9/")
    with pytest.raises(MiniganError) as caught:
        fetch("mnist", FILE)
    assert str(caught.value) == (
        f"cannot download http://127.0.0.1:9/{FILE}: the connection failed; "
        "--data-dir DIR may point to a folder that has the files"
    )
    assert names(cache) == []


def test_a_cache_that_cannot_be_written(server, cache):
    cache.parent.write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(MiniganError, match=f"the cache folder {cache} cannot be used"):
        fetch("mnist", FILE)


def test_one_line_where_there_is_no_terminal(server, cache, capsys):
    server.cuts = 1
    pooch_log = logging.StreamHandler(io.StringIO())
    pooch.get_logger().addHandler(pooch_log)
    fetch("mnist", FILE)
    fetch("mnist", FILE)
    pooch.get_logger().removeHandler(pooch_log)
    assert pooch_log.stream.getvalue() == ""
    output = capsys.readouterr()
    assert output.err == f"downloading {download.URLS['mnist']}{FILE}\n"
    assert output.out == ""


def test_a_bar_on_a_terminal(server, cache, capsys, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    fetch("mnist", FILE)
    assert FILE in terminal.getvalue()
    assert "600.0/600.0 kB" in terminal.getvalue()
    assert "downloading" not in terminal.getvalue()
    assert capsys.readouterr().out == ""


def test_load_downloads_both_files(server, cache, monkeypatch):
    monkeypatch.delenv("MINIGAN_DATA_DIR", raising=False)
    images = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes(2 * 28 * 28)
    labels = bytes([0, 0, 8, 1, 0, 0, 0, 2, 4, 7])
    server.files = {
        "t10k-images-idx3-ubyte.gz": gzip.compress(images),
        "t10k-labels-idx1-ubyte.gz": gzip.compress(labels),
    }
    for file, content in server.files.items():
        monkeypatch.setitem(download.MD5["mnist"], file, hashlib.md5(content).hexdigest())
    dataset = load("mnist", split="test")
    assert (dataset.samples.shape, dataset.labels.tolist()) == ((2, 1, 28, 28), [4, 7])
    assert names(cache) == sorted(server.files)


def test_the_registry_names_every_file_of_both_datasets():
    kinds = ("images-idx3", "labels-idx1")
    files = {f"{split}-{kind}-ubyte.gz" for split in ("train", "t10k") for kind in kinds}
    assert set(download.URLS) == set(download.MD5) == {"mnist", "fashion-mnist"}
    for registry in download.MD5.values():
        assert set(registry) == files
    checksums = [md5 for registry in download.MD5.values() for md5 in registry.values()]
    assert all(len(md5) == 32 for md5 in checksums)
    assert len(set(checksums)) == 8
