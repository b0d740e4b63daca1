"""config.toml of a run folder: the model, the data, every setting."""

import re
import typing
from dataclasses import asdict, fields
from pathlib import Path
from typing import TypedDict

import tomli_w

from minigan import __version__
from minigan.contents import Misfit, as_type, toml_of
from minigan.data import Fields
from minigan.errors import MiniganError, did_you_mean
from minigan.files import bytes_of, text_of, write_atomically

from . import former
from .options import Options

DECISIVE = "seed", "ema", "flip", "samples"  # options that, like hyper-parameters, decide the bits


class Sections(TypedDict):
    """What config.toml holds, beside the version that wrote it."""

    model: str
    fields: dict[str, dict]
    run: dict
    hyperparameters: dict


def new_config(model: str, options: Options, cfg, fields: Fields) -> dict:
    """The content of config.toml; cfg: the `Config` of the model, fields: of the data. MiniganError for the
    name of a folder that UTF-8 has no text for, and for hyper-parameters that could not be read back."""
    config = {
        "minigan": __version__,
        "model": model,
        "fields": fields.to_dict(),
        "run": _as_toml(options),
        "hyperparameters": _as_toml(cfg),
    }
    _encoded(config)
    try:
        settings_of(type(cfg), config["hyperparameters"], Path("config.toml"))
    except TypeError as error:
        raise MiniganError(f"{model}: its Config could not be read back from config.toml: {error}") from error
    return config


def read_config(folder: Path) -> dict:
    """The content of the file in a run folder. MiniganError if there is none, it cannot be read, or it is of
    a newer minigan."""
    file = folder / "config.toml"
    try:
        config = toml_of(text_of(file))
    except (FileNotFoundError, NotADirectoryError):
        raise MiniganError(f"{folder} is not a run folder: it has no config.toml") from None
    except (OSError, ValueError) as error:
        raise MiniganError(f"{file} cannot be read: {error}") from error
    config, made_by = former.config(config), config.get("minigan", "")
    if _version(made_by) > _version(__version__):
        raise MiniganError(
            f"{folder} was made by minigan {made_by}; this is {__version__}, which may not understand it"
        )
    try:
        as_type(config, Sections)
        Fields.from_dict(config["fields"])
    except Misfit as misfit:
        raise MiniganError(f"{file} cannot be read: it {misfit}") from None
    except (MiniganError, TypeError, ValueError) as error:
        raise MiniganError(f"{file} cannot be read: {error}") from error
    return config


def write_config(folder: Path, config: dict):
    """Write the file, in UTF-8. OSError if the disk does not take it."""
    write_atomically(folder / "config.toml", _encoded(config))


def _encoded(config):
    try:
        return bytes_of(tomli_w.dumps(config))
    except UnicodeEncodeError:
        names = ", ".join(repr(config["run"][name]) for name in ("data", "data_dir") if name in config["run"])
        raise MiniganError(
            f"config.toml is UTF-8, and cannot hold the name of the folder in {names}"
        ) from None


def settings_of(kind, values: dict, file: Path):
    """The dataclass `kind` with what a section of the file says. MiniganError for what does not fit it.

    None is not written, so what may be None and is not there is None, whatever the default is by now.
    """
    hints, given = typing.get_type_hints(kind), {}
    for name, value in values.items():
        if name not in hints:
            raise MiniganError(f"{file}: {name} = {value!r} does not fit; {did_you_mean(name, hints)}")
        try:
            given[name] = as_type(value, hints[name])
        except Misfit as misfit:
            raise MiniganError(f"{file}: {name} = {value!r} does not fit; {misfit.wanted}") from None
    absent = {f.name: None for f in fields(kind) if f.init and type(None) in typing.get_args(hints[f.name])}
    return kind(**absent | given)


def decisive(config: dict) -> dict:
    """What decides the bits of a run, but for its model: the shape, the data, the seed, and the
    hyper-parameters but for the number of steps."""
    options = config["run"]
    hyperparameters = {k: v for k, v in config["hyperparameters"].items() if k != "steps"}
    return {
        "shape": list(Fields.from_dict(config["fields"]).shape),
        "data": options.get("data", "digits").partition(":")[0],  # a folder may have been moved
        **{name: options.get(name, getattr(Options, name)) for name in DECISIVE},
        **hyperparameters,
    }


def _as_toml(dataclass):
    """The fields as TOML can hold them: without those that are None."""
    values = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(dataclass).items()}
    return {k: v for k, v in values.items() if v is not None}


def _version(text):
    """ "0.1.0" as (0, 1, 0), to be compared; what is no version is older than all."""
    return tuple(int(part) for part in re.findall(r"\d+", str(text)))
