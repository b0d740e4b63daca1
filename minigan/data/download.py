"""Downloads to the user's cache: checked by pooch, and continued where the last one broke off."""

import sys
import time
from contextlib import contextmanager
from pathlib import Path

from minigan.errors import MiniganError

from .waiting import bar

URLS = {
    "mnist": "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "fashion-mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
}
MD5 = {
    "mnist": {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
}
ATTEMPTS = 4
PAUSE = 1.0  # seconds between two attempts
TIMEOUT = 30.0  # seconds without a byte
CHUNK = 1 << 16


def fetch(name: str, file: str) -> Path:
    """The path of `file` of dataset `name` in the cache, downloaded first unless it is there intact.

    MiniganError when the download fails or has the wrong checksum, or the cache cannot be written.
    """
    import pooch

    pooch.get_logger().setLevel("WARNING")  # or it would say again what `_progress` says
    folder = pooch.os_cache("minigan") / name
    registry = {known: f"md5:{md5}" for known, md5 in MD5[name].items()}
    cache = pooch.create(path=folder, base_url=URLS[name], registry=registry)
    try:
        return Path(cache.fetch(file, downloader=_download))
    except ValueError as error:
        raise MiniganError(
            f"{cache.get_url(file)} does not have the md5 checksum {MD5[name][file]}; "
            "what came was removed, run again to download it anew"
        ) from error
    except OSError as error:
        raise MiniganError(f"the cache folder {folder} cannot be used: {error}") from error


def _download(url, output_file, _pooch):
    """A downloader for pooch that collects the file in `<name>.part` beside `output_file`."""
    import requests

    name = url.rpartition("/")[2]
    part = Path(output_file).with_name(f"{name}.part")
    with _progress(name, url) as report:
        for attempt in range(ATTEMPTS):
            time.sleep(PAUSE if attempt else 0)
            try:
                _receive(url, part, report)
                part.replace(output_file)
                return
            except requests.RequestException as error:
                failure = error
            if not _size(part):
                break
    raise MiniganError(_explain(url, failure, _size(part))) from failure


def _receive(url, part, report):
    """Append to `part` the bytes of `url` that it lacks."""
    import requests

    done = _size(part)
    # Any other encoding would make lengths and ranges those of the encoded bytes.
    headers = {"Range": f"bytes={done}-", "Accept-Encoding": "identity"}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == 416 and done:  # nothing follows `part`: start over
            part.unlink()
            return _receive(url, part, report)
        response.raise_for_status()
        if response.status_code != 206:  # the server sends the whole file, whatever the range
            done = 0
        rest = response.headers.get("Content-Length")
        total = None if rest is None else done + int(rest)
        with part.open("ab" if done else "wb") as file:
            for chunk in response.iter_content(CHUNK):
                done += file.write(chunk)
                report(completed=done, total=total)


def _size(part):
    return part.stat().st_size if part.exists() else 0


def _explain(url, failure, size):
    response = failure.response
    reason = "the connection failed" if response is None else f"the server answered {response.status_code}"
    elsewhere = "--data-dir DIR may point to a folder that has the files"
    if size:
        return f"cannot download {url}: {reason} after {size:,} bytes; run again to continue, or {elsewhere}"
    return f"cannot download {url}: {reason}; {elsewhere}"


@contextmanager
def _progress(name, url):
    """A function report(completed, total) in bytes: a bar on a terminal, one line elsewhere."""
    if not sys.stderr.isatty():
        print(f"downloading {url}", file=sys.stderr)
        yield lambda completed, total: None
        return
    from rich.progress import DownloadColumn, TransferSpeedColumn

    with bar(name, DownloadColumn(), TransferSpeedColumn()) as (progress, task):
        yield lambda completed, total: progress.update(task, completed=completed, total=total)
