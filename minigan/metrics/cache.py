"""Classifiers in the user's cache: each is trained once, and read from then on.

MINIGAN_CACHE_DIR may name another folder than the system's for caches. A file is safetensors, with what is
known of the classifier as JSON in its metadata under "minigan".
"""

import hashlib
import json
from pathlib import Path
from typing import TypedDict

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from minigan.contents import Finite, Misfit, as_type, json_of
from minigan.data import Dataset, has_test, load
from minigan.data.held import hold_out
from minigan.data.kinds import plural
from minigan.files import cache_folder, write_atomically

from .classifier import SETTINGS, Classifier, Settings, build, description, train_classifier


class Known(TypedDict):
    """What is known of a classifier, beside its weights: the arguments of `Classifier`, and its hash."""

    data: str
    shape: list[int]
    classes: int
    lowest: Finite
    accuracy: Finite
    hash: str


def classifier_for(
    train: Dataset,
    test: Dataset,
    settings: Settings = SETTINGS,
    say=print,
    progress=None,
) -> Classifier:
    """The classifier of `train`, from the cache or trained now; `say` gets a line where it is trained.

    Found by a hash of the samples and labels of both sets, the architecture and the settings. A damaged file
    is replaced; a cache that cannot be written costs the training each time, and a line. progress, by
    default a line at each quarter, and MiniganError: see train_classifier.
    """
    build(train, settings)  # refuses unfit data before anything is said
    path, facts = place_of(train, test, settings)
    if path.exists():
        try:
            return _read(path, train, settings)
        except (SafetensorError, KeyError, TypeError, ValueError, OSError, Misfit) as error:
            say(f"the classifier in {path} is damaged ({error}); it is trained anew")
    shape = "x".join(map(str, train.shape))
    these = f"{len(train):,} {plural(train.kind)} of {shape}"
    say(f"training a classifier of {train.name}, {these}; it is then kept")
    classifier = train_classifier(train, test, settings, progress or _in_quarters(say))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, classifier, facts)
    except OSError as error:
        say(f"the classifier cannot be kept in {path}, and will be trained again: {error}")
    say(f"the classifier is right on {classifier.accuracy:.2%} of {len(test):,} test {plural(test.kind)}")
    return classifier


def place_of(train: Dataset, test: Dataset, settings: Settings = SETTINGS) -> tuple[Path, dict]:
    """(where the classifier of `train` is kept, by what it is found)."""
    facts = {"train": digest(train), "test": digest(test), "settings": description(settings, train.kind)}
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    return classifiers_folder() / f"{_file_name(train.name)}-{key}.safetensors", facts


def _in_quarters(say):
    """A progress that says so at each quarter of the way."""

    def progress(step, steps):
        if step < steps and step % max(steps // 4, 1) == 0:
            say(f"  {step:,} of {steps:,} steps")

    return progress


def classifiers_folder() -> Path:
    """Where classifiers are kept."""
    return cache_folder() / "classifiers"


def digest(data: Dataset) -> str:
    """16 hex digits of a dataset's samples and labels, and of whether the samples may be mirrored."""
    h = hashlib.sha256(repr((len(data), *data.shape)).encode())
    for block in data.blocks():
        h.update(np.ascontiguousarray(block))
    if data.labels is not None:
        h.update(np.ascontiguousarray(data.labels))
    if data.flip:
        h.update(b"flip")
    return h.hexdigest()[:16]


def splits(name: str, size: int | None = None, data_dir=None, **how) -> tuple[Dataset, Dataset]:
    """(train, test) of the dataset `name`; where it has no test split, every fifth sample is held out.
    how: the other arguments of `minigan.data.load`."""
    if has_test(name):
        return load(name, size, data_dir, **how), load(name, size, data_dir, split="test", **how)
    return hold_out(load(name, size, data_dir, **how))


def _write(path, classifier, facts):
    known = {name: getattr(classifier, name) for name in ("data", "classes", "lowest", "accuracy", "hash")}
    state = {**known, "shape": list(classifier.shape), **facts}
    write_atomically(path, save(classifier.network.state_dict(), metadata={"minigan": json.dumps(state)}))


def _read(path, data, settings):
    with safe_open(path, framework="numpy") as file:
        known = as_type(json_of((file.metadata() or {})["minigan"]), Known)
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    network = build(data, settings)
    network.load_state_dict(arrays)
    told = known.pop("hash")
    classifier = Classifier(network, **known)
    if classifier.hash != told:
        raise ValueError(f"its weights have the hash {classifier.hash}, not {told}")
    return classifier


def _file_name(name):
    """A dataset's name as a part of a file's: folder:/home/me/Cats -> folder-Cats."""
    kind, _, path = name.partition(":")
    tail = "".join(c for c in Path(path).name if c.isascii() and (c.isalnum() or c in "-_"))[:40]
    return f"{kind}-{tail}" if tail else kind
