"""Evaluations of a run, or of samples that another program made: `minigan.metrics`, and where they go."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from minigan import __version__
from minigan.errors import MiniganError, writing
from minigan.files import read_npz, write_atomically
from minigan.metrics import (
    EvaluationData,
    counts_of,
    evaluate,
    evaluate_domains,
    evaluate_pairs,
    metrics_for,
    names_for,
    rehearse,
)
from minigan.metrics.measures import without_classifier
from minigan.random import Generator

from .fitting import check_fields
from .keep import QUICK
from .run import Run
from .sampler import CHUNK, Sampler

NUMBER = "number."  # begins the name of a number in an archive


def evaluate_run(
    run: Run, step=None, place="cpu", average=True, say=print, asked: dict | None = None, **how
) -> tuple[dict, Path]:
    """(evaluation, the path of evaluation.json in the run folder) of what the run's model makes.

    step, place, average: see `Sampler.of`. asked: what the model's `inputs` may be asked for, see
    `Model.asks`. how: those of `minigan.metrics.evaluate`.
    MiniganError for data of another shape than the run's, what the model cannot be asked for, or what cannot
    be measured.
    """
    sampler, options, asked = Sampler.of(run, step, place, average), run.options(), asked or {}
    check_asked(sampler.model, asked)
    facts = {
        "checkpoint": sampler.checkpoint.name,
        "ema": bool(average and options.ema),
        "data": options.data,
        **({"asked": asked} if asked else {}),
    }
    if sampler.model.makes:
        train = replace(options, samples=None).dataset(sampler.cfg.size)
        check_fields(run, train.fields)
        result = _compared(sampler, train, say, asked, **how)
        named = sampler.model.has("numbers") and "classifier" in sampler.model.names("numbers")
        known = evaluation_data(sampler, options, say) if named else None
        result["metrics"] |= _own_numbers(sampler, how.get("seed", 0), known)
        if known is not None:
            result["classifier"] = known.classifier_facts()
        return _written(run.evaluation_path, result, facts, how)
    data = evaluation_data(sampler, options, say)
    check_fields(run, data.train.fields)
    result = evaluate(_drawer(sampler, data, **asked), data, say=say, **how)
    result["metrics"] |= _own_numbers(sampler, how.get("seed", 0), data)
    return _written(run.evaluation_path, result, facts, how)


def check_asked(model, asked: dict):
    """MiniganError for what a model's samples, when they are measured, cannot be asked for: names that its
    `inputs` has not, and a label."""
    model.check_asked(asked, model.asks)
    if "label" in asked:
        raise MiniganError("samples that are measured have labels as the data have them; ask for no label")


def _compared(sampler, train, say, asked=None, **how):
    """The samples of a model beside what each is to be compared with. train: all data that are not held
    out."""
    if train.kind == "domains":
        return evaluate_domains(sampler.make, train, sampler.data(), say=say, **how)
    return evaluate_pairs(partial(_pairs, sampler, asked or {}), train, sampler.data(), say=say, **how)


def _rehearsed(sampler, n):
    """Samples such as are to be compared."""
    return sampler.make(sampler.inputs(n, Generator(0)))


def _pairs(sampler, asked, n, seed):
    """(inputs, samples, truths)."""
    (name, truth), *_ = sampler.model.makes.items()
    inputs = sampler.inputs(n, Generator(seed), **asked)
    return inputs["x"], sampler.make(inputs)[name], inputs[truth]


def _own_numbers(sampler, seed, compared=None):
    """What the model's `numbers` say of the held-out data, as rows of an evaluation. They get a `rng` that
    draws where the networks lie. compared: the EvaluationData, whose classifier they may ask for."""
    if not sampler.model.has("numbers"):
        return {}
    given = {"data": sampler.data()}
    if "classifier" in sampler.model.names("numbers"):
        known = compared is not None and without_classifier(compared) is None
        given["classifier"] = compared.classifier if known else None
    found = sampler.call("numbers", seed, **given)
    return _rows({k: v if isinstance(v, tuple) else (v, len(given["data"])) for k, v in found.items()})


def _rows(numbers):
    """Rows of an evaluation of numbers by name, each with how many samples it is of."""
    return {name: {"value": v, "error": None, "floor": None, "n": n} for name, (v, n) in numbers.items()}


def evaluate_archive(
    path: Path,
    name: str | None,
    size=None,
    data_dir=None,
    channels=None,
    flip=False,
    say=print,
    n=None,
    draws=1,
    **how,
) -> tuple[dict, Path]:
    """(evaluation, its path) of the samples in the file `path` (see `Archive`) against the dataset `name`,
    its arguments as of `minigan.data.load`; written to STEM.evaluation.json beside it. The draws share no
    samples: by default they have all of them."""
    if name is None:
        raise MiniganError(f"say with --data what the samples in {path} are to be compared with")
    archive = Archive(path, how.get("seed", 0))
    data = EvaluationData.load(name, size, data_dir, archive.labels is not None, channels, flip, say=say)
    shape, dtype = archive.samples.shape[1:], archive.samples.dtype
    if dtype.kind != "f" and not data.train.words:
        raise MiniganError(f"{path} has samples of dtype {dtype}, expected floats")
    if shape != data.train.shape:
        raise MiniganError(
            f"{path} has samples of shape {shape}, {name} has {data.train.shape}; --size, and of a "
            "folder --channels, set that of images"
        )
    how |= {"n": n or len(archive.samples) // draws, "draws": draws}
    result = evaluate(archive, data, say=say, **how)
    result["metrics"] |= _rows(archive.numbers)
    facts = {"samples": path.name, "data": name, "size": size, "channels": channels, "flip": flip}
    return _written(path.with_name(f"{path.stem}.evaluation.json"), result, facts, how)


def evaluation_data(sampler: Sampler, options, say=print) -> EvaluationData:
    """What the samples of a run with these options are compared with: the data that it learns from."""
    what, size, folder = options.data, sampler.cfg.size, options.data_dir
    how = options.channels, options.flip, options.samples
    data = EvaluationData.load(what, size, folder, sampler.conditional, *how, say)
    data = replace(data, told=sampler.model.told)
    return data if data.test.factors is None else replace(data, encode=vectors_of(sampler))


def vectors_of(sampler: Sampler) -> Callable[[np.ndarray], np.ndarray] | None:
    """What gives the codes of samples, (n, *shape), as vectors (n, d): the first such that the model encodes
    them as. None for a model that has none."""
    if not sampler.model.has("encode"):
        return None
    found = sampler.encode(np.zeros((1, *sampler.fields.shape), np.float32))
    vectors = [name for name, code in found.items() if code.ndim == 2 and code.dtype.kind == "f"]
    return (lambda x: sampler.encode(x)[vectors[0]]) if vectors else None


class Examiner:
    """The quick metrics of a model in training: one draw, always of the same inputs and the same real data.

    n: samples. rehearse(): what an evaluation computes, for a dry call, that changes nothing.
    MiniganError if there are no such metrics of the data, n is too few for one of them, or
    checkpoints are to be kept by one that is not among them.
    """

    def __init__(self, session, n: int, say=print):
        sampler, options = session.sampler, session.options
        how = {"draws": 1, "say": lambda line: None}
        if sampler.model.makes:
            names = [name for name in names_for(session.dataset) if name in QUICK]
            self.measure = partial(_compared, sampler, session.dataset, names=names, n=n, **how)
            self.rehearse = partial(_rehearsed, sampler, min(n, CHUNK))
        else:
            data = evaluation_data(sampler, options, say)
            names = [name for name in metrics_for(data) if name in QUICK]
            if not names:
                raise MiniganError(
                    f"nothing can be measured while training on {options.data}: it has no labels"
                )
            counts_of(names, data, n)
            drawer = _drawer(sampler, data)
            self.measure = partial(evaluate, drawer, data, names, n, floors=False, **how)
            self.rehearse = partial(rehearse, drawer, data, names, n, CHUNK)
        keep = options.kept()
        measured = [quantity for name in names for quantity in QUICK[name]]
        if keep and keep.best and keep.best not in measured:
            raise MiniganError(
                f"keep: {keep.best} is not measured on {options.data}; there are: {', '.join(measured)}"
            )

    def evaluate(self) -> dict[str, float | None]:
        """The quantities; None for one that is infinite."""
        found = self.measure()["metrics"]
        return {quantity: row["value"] for quantity, row in found.items()}


def _drawer(sampler, data, **asked):
    """What `evaluate` draws with: of a conditional model, classes as often as in the training data; of one
    that is told a text, texts of the held-out data. asked: what else samples are to be."""
    if not (data.conditional or data.told):
        return partial(sampler, **asked)

    def draw(n, seed):
        labels = {"label": data.labels_to_make(n, Generator(seed))} if data.conditional else {}
        inputs = sampler.inputs(n, Generator(seed), **labels, **asked)
        first, *_ = sampler.make(inputs).values()
        text = (inputs["text"],) if data.told else ()
        return np.ascontiguousarray(first), *labels.values(), *text

    return draw


class Archive:
    """Samples in a .npz, handed out in random order, each once, as if they were drawn.

    `samples`: floats (n, *shape), images in [-1, 1], or integers, the numbers of words. `labels`: integers
    (n,) that they were asked for by, or None. `numbers`: what the program measured itself, by name, each with
    how many samples it is of: arrays (2,) called `number.NAME`. MiniganError for a file that has no samples,
    or fewer than are asked for.
    """

    def __init__(self, path: Path, seed: int = 0):
        self.path = path
        try:
            arrays = read_npz(path)
        except FileNotFoundError:
            raise MiniganError(f"there is no file {path}") from None
        except (OSError, ValueError) as error:
            raise MiniganError(f"{path} is not a .npz with an array `samples`: {error}") from error
        if "samples" not in arrays:
            names = ", ".join(arrays) or "no array at all"
            raise MiniganError(f"{path} is not a .npz with an array `samples`: it has {names}")
        self.samples, self.labels = arrays["samples"], arrays.get("labels")
        if self.samples.dtype.kind not in "iuf":
            raise MiniganError(f"{path} has samples of dtype {self.samples.dtype}, expected numbers")
        if self.labels is not None and (
            self.labels.shape != self.samples.shape[:1] or self.labels.dtype.kind not in "iu"
        ):
            raise MiniganError(
                f"{path} has {len(self.samples)} samples, and labels of dtype {self.labels.dtype} and shape "
                f"{self.labels.shape}; expected an integer for each"
            )
        self.numbers = {}
        for name, array in arrays.items():
            if not name.startswith(NUMBER):
                continue
            if array.shape != (2,) or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
                raise MiniganError(
                    f"{path}: {name} should be a number and of how many samples it is, got {array.tolist()}"
                )
            self.numbers[name.removeprefix(NUMBER)] = float(array[0]), int(array[1])
        self.left = np.random.default_rng(seed).permutation(len(self.samples))

    def __call__(self, n, seed):
        if n > len(self.left):
            raise MiniganError(
                f"{self.path} has {len(self.samples)} samples, {len(self.left)} of them not drawn yet, and "
                f"{n} are needed: evaluate fewer with --n or --draws"
            )
        chosen, self.left = self.left[:n], self.left[n:]
        samples = self.samples[chosen]
        samples = samples.astype(np.float32 if samples.dtype.kind == "f" else np.int64)
        return samples if self.labels is None else (samples, self.labels[chosen].astype(np.int64))


def _written(path, result, facts, how):
    settings = {key: how.get(key) for key in ("n", "seed")}
    content = {"minigan": __version__, **facts, **settings, **result}
    with writing(path):
        write_atomically(path, json.dumps(content, indent=1).encode())
    return content, path
