"""Damaged input to everything that reads files: a result or a MiniganError, and nothing else."""

import contextlib
import functools
import gzip
import hashlib
import io
import json
import signal
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load, save

from minigan import report
from minigan.data.folder import load_folder
from minigan.data.idx import read_idx
from minigan.diagnostics import verdict
from minigan.errors import MiniganError
from minigan.report.page import Facts
from minigan.training import Run, Sampler, Session
from minigan.training.bedside import past
from minigan.training.checkpoint import checksum
from minigan.training.config import decisive
from minigan.training.evaluation import Archive
from minigan.training.keep import Keep
from minigan.training.records import alike

from .damage import damaged
from .runs import STEPS, call, random_source, scratch, train_command

SECONDS = 30  # that no input may take


def fuzz(loader: str, n: int, seed: int = 0, say=print) -> dict:
    """n damaged inputs to a loader of LOADERS; how it took them."""
    rng, counts, kinds = random_source(seed), Counter(), {}
    with scratch() as folder:
        for _, attempt in zip(range(n), LOADERS[loader](folder, rng), strict=False):
            try:
                with within(SECONDS), warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
                    warnings.simplefilter("error")
                    warnings.simplefilter("ignore", RuntimeWarning)  # of weights that overflow
                    attempt()
                counts["taken"] += 1
            except MiniganError as error:
                counts["refused"] += 1
                if "\n" in str(error).strip():
                    kinds.setdefault("more than one line", str(error))
            except Exception as error:
                counts["bad"] += 1
                where = traceback.extract_tb(error.__traceback__)[-1]
                kinds.setdefault(f"{type(error).__name__} in {where.name}", traceback.format_exc())
    for kind, trace in kinds.items():
        say(f"{loader}: {kind}\n{trace}")
    return {
        "what": loader,
        "inputs": n,
        "taken": counts["taken"],
        "refused in a sentence": counts["refused"],
        "other exceptions or hung": counts["bad"],
    }


@contextlib.contextmanager
def within(seconds: int):
    """TimeoutError if the block takes longer."""

    def late(number, frame):
        raise TimeoutError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# The loaders: each gives one attempt after another


def idx(folder: Path, rng) -> Iterator[Callable]:
    """Some are damaged, and then compressed."""
    file = folder / "numbers"
    images = bytes([0, 0, 8, 3, 0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 0, 4]) + rng.bytes(80)
    labels = bytes([0, 0, 8, 1, 0, 0, 0, 9]) + bytes(9)
    seeds = (images, 3), (labels, 1), (gzip.compress(images), 3)
    while True:
        seed, ndim = seeds[rng.integers(len(seeds))]
        content = damaged(seed, rng)
        file.write_bytes(gzip.compress(content) if rng.random() < 0.3 else content)
        yield functools.partial(read_idx, file, ndim)


def images(folder: Path, rng) -> Iterator[Callable]:
    pictures, seeds = folder / "pictures", []
    grey = Image.fromarray(rng.integers(0, 256, (9, 12), np.uint8))
    for mode in ("L", "RGB", "RGBA", "P", "1", "I;16", "CMYK", "LA"):
        image = grey.convert("I").convert(mode) if mode == "I;16" else grey.convert(mode)
        for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO"):
            with contextlib.suppress(OSError, ValueError, KeyError):  # not every kind has every mode
                image.save(buffer := io.BytesIO(), kind)
                seeds.append(buffer.getvalue())
    pictures.mkdir()
    while True:
        (pictures / "picture").write_bytes(damaged(seeds[rng.integers(len(seeds))], rng))
        yield lambda: load_folder(pictures, size=8)


def checkpoints(folder: Path, rng) -> Iterator[Callable]:
    """Half of them with checksums that are right, as only someone could write who means ill."""
    run = trained(folder / "run")
    path = run.checkpoints.latest()
    arrays, description = path.read_bytes(), json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))

    def attempt():
        Sampler.of(run)(2)
        session = Session(run.config["model"], run.options(), run.hyperparameters())
        session.restore(run.checkpoint())

    while True:
        new_arrays, new_text = arrays, json.dumps(description).encode()
        if rng.random() < 0.5:
            new_arrays = renamed(arrays, rng) if rng.random() < 0.2 else damaged(arrays, rng)
        else:
            new_text = damaged(new_text, rng)
        path.write_bytes(new_arrays)
        path.with_suffix(".json").write_bytes(
            signed(new_text, new_arrays) if rng.random() < 0.5 else new_text
        )
        yield attempt


def config(folder: Path, rng) -> Iterator[Callable]:
    run = trained(folder / "run")
    file = run.path / "config.toml"
    content = file.read_bytes()

    def attempt():
        opened = Run.open(run.path)
        opened.model(), opened.options(), opened.hyperparameters()
        opened.finished(), decisive(opened.config), opened.resume_command()
        Sampler.of(opened)

    while True:
        file.write_bytes(damaged(content, rng))
        yield attempt


def records(name: str, use: Callable[[Run], object]):
    def loader(folder: Path, rng) -> Iterator[Callable]:
        run = trained(folder / "run")
        file = run.path / name
        content = file.read_bytes()
        while True:
            file.write_bytes(damaged(content, rng))
            yield lambda: use(run)

    return loader


def use_lines(run):
    looks, metrics = past(run, step=STEPS)
    verdict(looks)
    np.array([record["d_loss"] for record in metrics if "d_loss" in record], float)
    Keep(best="modes").chosen(run.checkpoints.steps(), alike(run.records.evaluations.read()))
    Facts(run)


def archive(folder: Path, rng) -> Iterator[Callable]:
    file, seeds = folder / "samples.npz", []
    for write in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        write(buffer, samples=np.zeros((6, 1, 4, 4), np.float32), labels=np.arange(6))
        seeds.append(buffer.getvalue())

    def attempt():
        Archive(file)(2, seed=0)

    while True:
        file.write_bytes(damaged(seeds[rng.integers(2)], rng))
        yield attempt


def sheets(folder: Path, rng) -> Iterator[Callable]:
    file = folder / "step-000001.png"
    report.save_samples(file, rng.uniform(-1, 1, (9, 3, 8, 8)).astype(np.float32))
    content = file.read_bytes()

    def attempt():
        pictures, _ = report.readable([file])
        if pictures:
            report.save_gif(folder / "film.gif", pictures)

    while True:
        file.write_bytes(damaged(content, rng))
        yield attempt


LOADERS = {
    "IDX": idx,
    "image folder": images,
    "checkpoint": checkpoints,
    "config.toml": config,
    "metrics.jsonl": records("metrics.jsonl", use_lines),
    "evaluations.jsonl": records("evaluations.jsonl", use_lines),
    "diagnostics.jsonl": records("diagnostics.jsonl", use_lines),
    "verdict.json": records("verdict.json", lambda run: run.records.verdict()),
    "samples .npz": archive,
    "sample sheet": sheets,
}


def trained(path: Path) -> Run:
    """A small run in the folder `path`, without pictures."""
    for name, content in files_of_a_run().items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return Run.open(path)


@functools.cache
def files_of_a_run() -> dict[Path, bytes]:
    with scratch() as folder:
        command = train_command("gan", folder / "run", evaluate_every=4, evaluate_n=600)
        code, said = call(command)
        if code:
            raise RuntimeError(said)
        files = [p for p in folder.rglob("*") if p.is_file() and p.suffix not in (".png", ".gif", ".npz")]
        return {p.relative_to(folder / "run"): p.read_bytes() for p in files}


def renamed(arrays: bytes, rng) -> bytes:
    """The safetensors file without one of its arrays, or with one of another name, shape, dtype or value."""
    content = load(arrays)
    name = list(content)[rng.integers(len(content))]
    a = content.pop(name)
    change = rng.integers(6)
    if change == 1:
        content[f"{name}.more"] = a
    elif change > 1:
        spoilt = a * np.float32(np.nan), a.reshape(-1)[:1], a.astype(np.float64), a.astype(np.int16)
        content[name] = spoilt[change - 2]
    return save(content)


def signed(text: bytes, arrays: bytes) -> bytes:
    """The description with the checksums that belong to it, if it is one."""

    with contextlib.suppress(ValueError, RecursionError):
        description = json.loads(text)
        if isinstance(description, dict):
            description["sha256"] = hashlib.sha256(arrays).hexdigest()
            description["checksum"] = checksum(description)
            return json.dumps(description).encode()
    return text
