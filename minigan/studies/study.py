"""A study: rows of settings, each trained with several seeds and evaluated; `minigan study FILE.toml`.

    title = "Ring of 8 and grid of 25"
    seeds = [0, 1, 2, 3, 4]
    metrics = ["modes"]         # as `minigan evaluate` calls them
    n = 2500                    # samples of an evaluation, and how often they are drawn;
    draws = 1                   # both may be left out

    [correlate]                 # may be left out: rank correlations over a run, of what is measured while it
    fcd = ["d_loss", "g_loss"]  # trains with what its steps say; every row then needs evaluate_every

    [base]                      # settings that all rows share; a row's own win
    model = "gan"
    steps = 40000

    [[rows]]
    name = "GAN, ring of 8"
    data = "ring8"
    lr = [1e-4, 2e-4]           # a list stands for a row for each of its values

    [[rows]]                    # another program, scored alike
    name = "PyTorch"
    command = ["{python}", "-m", "bench.studies.pytorch", "--steps", "{steps}", "--seed", "{seed}",
               "--out", "{out}"]
    data = "mnist"
    size = 32

    [[rows]]                    # what samples are asked for, as `minigan evaluate RUN --codes uniform` does
    name = "VQ-VAE, uniform codes"
    model = "vq-vae"
    data = "mnist"
    asked = {codes = "uniform"}

A setting is a flag of `minigan train MODEL`, with underscores. A command's words may name, in braces, the
seed, the folder `out` where it puts `samples.npz`, this Python, and any setting of its row or of the base.
"""

import itertools
import re
import typing
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from minigan.contents import Misfit, as_type, toml_of
from minigan.data import kind_of, load
from minigan.errors import MiniganError, did_you_mean
from minigan.files import text_of
from minigan.gans import model_named
from minigan.metrics import METRICS, EvaluationData, counts_of
from minigan.metrics.compared import OF_COMPARED, check_names
from minigan.random import Generator
from minigan.training import Options, Sampler
from minigan.training.evaluation import check_asked, vectors_of
from minigan.training.keep import BETTER

# What is to be known of a program's samples.
OF_SAMPLES = {"data": str, "size": int, "data_dir": Path, "channels": Literal[1, 3], "flip": bool}
IN_BRACES = re.compile(r"\{(\w+)\}")  # in a command's words
FILLED_IN = ("python", "seed", "out")  # there by the job


@dataclass(frozen=True)
class Row:
    """One line of the table: a model with its settings, or a command and what is known of its samples. asked:
    what a model's samples are asked for when they are measured."""

    name: str
    settings: dict
    model: str | None = None
    command: tuple[str, ...] = ()
    asked: dict = field(default_factory=dict)

    @property
    def slug(self) -> str:
        """The name as a part of a path."""
        return re.sub(r"[^a-z0-9.]+", "-", self.name.lower()).strip("-.")

    @property
    def data(self) -> str:
        """What it learns from."""
        return self.settings.get("data") or model_named(self.model).data

    def training(self) -> dict:
        """All that decides how its samples come out, but for the seed."""
        made_by = {"command": list(self.command)} if self.command else {"model": self.model}
        return made_by | self.settings

    def judged(self) -> tuple:
        """What the samples of a row are judged by: the first arguments of `EvaluationData.load`."""
        data, folder, size, channels = (
            self.settings.get(key) for key in ("data", "data_dir", "size", "channels")
        )
        flip, samples = self.settings.get("flip", False), self.settings.get("samples")
        if self.command:
            return data, size, folder, False, channels, flip
        model, _, cfg = self.beginning()
        return self.data, cfg.size, folder, model.is_conditional(cfg), channels, flip, samples

    def beginning(self) -> tuple:
        """(the model, what it learns, its `Config`) of a row that trains one."""
        model, settings = model_named(self.model), self.settings
        known = {field.name for field in fields(model.Config)}
        cfg = model.Config(**{key: value for key, value in settings.items() if key in known})
        told = {key: settings[key] for key in ("data_dir", "channels", "flip", "samples") if key in settings}
        return model, *Options(data=self.data, **told).data_for(model, cfg)

    def encoder(self):
        """What gives codes as vectors (`vectors_of`), of a model that has learned nothing; or None."""
        if self.command or not model_named(self.model).has("encode"):
            return None
        model, dataset, cfg = self.beginning()
        parts = model.parts(cfg, dataset.fields, Generator(0))
        return vectors_of(Sampler(model, cfg, parts, dataset.fields))


@dataclass(frozen=True)
class Study:
    """What a study file says."""

    path: Path
    title: str
    seeds: tuple[int, ...]
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    n: int | None = None
    draws: int | None = None
    correlate: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Study":
        """The study in the file `path`. MiniganError, with the key, for what it cannot be told."""
        try:
            content = toml_of(text_of(path))
            return cls(path, **{"title": path.stem} | _checked(content))
        except FileNotFoundError:
            raise MiniganError(f"there is no study {path}") from None
        except (OSError, ValueError, MiniganError) as error:
            raise MiniganError(f"{path}: {error}") from error

    def evaluation(self) -> dict:
        """All that decides how samples are judged."""
        return {"metrics": list(self.metrics), "n": self.n, "draws": self.draws}

    def check_data(self):
        """MiniganError if a row's data are not there, cannot be learned or cannot be judged by the metrics:
        better told before the hours that its training takes."""
        paired = [row for row in self.rows if row.model and model_named(row.model).makes]
        try:
            for row in paired:
                check_names(
                    self.metrics, load(row.data, row.settings.get("size"), row.settings.get("data_dir"))
                )
            known = cache(EvaluationData.load)
            for row in self.rows:
                if row not in paired:
                    data = known(*row.judged())
                    if data.test.factors is not None:
                        data = replace(data, encode=row.encoder())
                    counts_of(self.metrics, data, self.n)
        except MiniganError as error:
            raise MiniganError(f"{self.path}: {error}") from error


# Checking, from the whole to its parts

COUNT = Annotated[int, Meta(ge=1)]
WORDS = Annotated[list[str], Meta(min_length=1)]
KINDS = {
    **{"title": str, "seeds": list, "metrics": list[str], "n": COUNT, "draws": COUNT},
    **{"base": dict, "rows": list[dict], "correlate": dict[str, WORDS]},
}


def _checked(content: dict) -> dict:
    """What a study file holds, as the fields of a Study. MiniganError for what it cannot hold."""
    _check_kinds(content, KINDS)
    for key in ("seeds", "metrics", "rows"):
        if not content.get(key):
            raise MiniganError(f"{key}: a study needs at least one")
    seeds = content["seeds"]
    if not all(type(seed) is int and 0 <= seed < 2**64 for seed in seeds) or len(set(seeds)) < len(seeds):
        raise MiniganError(f"seeds: expected different whole numbers from 0 on, got {seeds}")
    for metric in content["metrics"]:
        if metric not in (known := {*METRICS, *OF_COMPARED}):
            raise MiniganError(f"metrics: unknown metric {metric!r}; {did_you_mean(metric, known)}")
    for quantity in content.get("correlate", {}):
        if quantity not in BETTER:
            raise MiniganError(
                f"correlate: {quantity!r} is not measured while training; {did_you_mean(quantity, BETTER)}"
            )
    base = content.get("base", {})
    rows = [row for table in content["rows"] for row in _rows(base, table)]
    for a, b in itertools.combinations(rows, 2):
        if a.slug == b.slug:
            raise MiniganError(f"rows {a.name!r} and {b.name!r}: the names are too much alike")
    if content.get("correlate") and (
        blind := [row.name for row in rows if row.model and not row.settings.get("evaluate_every")]
    ):
        raise MiniganError(f"correlate: row {blind[0]!r} is not measured while training; set evaluate_every")
    fields = {key: value for key, value in content.items() if key != "base"}
    return fields | {"seeds": tuple(seeds), "metrics": tuple(content["metrics"]), "rows": tuple(rows)}


def _rows(base, table):
    """The rows that one [[rows]] stands for: a list of values is a row for each."""
    name = table.get("name")
    if not isinstance(name, str) or not re.search("[a-zA-Z0-9]", name):
        raise MiniganError("rows: each needs a name with letters")
    own = {key: value for key, value in table.items() if key != "name"}
    try:
        if "command" in own:
            yield _command_row(name, base, own)
            return
        lists = {key: values for key, values in (base | own).items() if isinstance(values, list)}
        for key in [key for key, values in lists.items() if not values]:
            raise MiniganError(f"{key}: the list is empty")
        for values in itertools.product(*lists.values()):
            chosen = dict(zip(lists, values, strict=True))
            full_name = ", ".join([name, *(f"{key} {value}" for key, value in chosen.items())])
            yield _model_row(full_name, base | own | chosen)
    except MiniganError as error:
        raise MiniganError(f"row {name!r}: {error}") from error


def _model_row(name, settings):
    model, asked = settings.pop("model", None), settings.pop("asked", {})
    if not isinstance(model, str):
        raise MiniganError("model: expected the name of a model" + (f", got {model!r}" if model else ""))
    if not isinstance(asked, dict):
        raise MiniganError(f"asked: expected a table, got {asked!r}")
    check_asked(model_named(model), asked)
    _check_kinds(asked, {name: ask.kind for name, ask in model_named(model).asks.items()})
    config = model_named(model).Config
    of_config, of_options = typing.get_type_hints(config), typing.get_type_hints(Options)
    if "seed" in settings:
        raise MiniganError("seed: the seeds are those of the whole study")
    _check_kinds(settings, {key: kind for key, kind in (of_options | of_config).items() if key != "seed"})
    _check_data(settings)
    config(**{key: value for key, value in settings.items() if key in of_config})
    Options(**{key: value for key, value in settings.items() if key not in of_config})
    return Row(name, settings, model, asked=asked)


def _command_row(name, base, own):
    command = own.pop("command")
    try:
        as_type(command, WORDS)
    except Misfit:
        raise MiniganError(f"command: expected a list of words, got {command!r}") from None
    named = {name for word in command for name in IN_BRACES.findall(word)}
    known = {**base, **own}
    for word in sorted(named - {*known, *FILLED_IN}):
        raise MiniganError(f"command: {{{word}}} is unknown; {did_you_mean(word, {*known, *FILLED_IN})}")
    for key in sorted(own.keys() - named - {*OF_SAMPLES}):
        raise MiniganError(f"{key}: no word of the command names it")
    settings = {key: value for key, value in known.items() if key in named or key in OF_SAMPLES}
    _check_kinds({key: settings[key] for key in OF_SAMPLES if key in settings}, OF_SAMPLES)
    if "data" not in settings:
        raise MiniganError("data: say what its samples are of")
    _check_data(settings)
    return Row(name, settings, command=tuple(command))


def _check_data(settings):
    if "data" in settings:
        try:
            kind_of(settings["data"])
        except MiniganError as error:
            raise MiniganError(f"data: {error}") from error


def _check_kinds(settings, kinds):
    """MiniganError unless every key is known and its value is of that kind."""
    for key, value in settings.items():
        if key not in kinds:
            raise MiniganError(f"{key} is unknown; {did_you_mean(key, kinds)}")
        try:
            as_type(value, kinds[key])
        except Misfit as misfit:
            raise MiniganError(f"{key}: {misfit.wanted}, got {value!r}") from None
