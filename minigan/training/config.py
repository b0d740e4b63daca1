"""config.toml of a run folder: the model, the data, every setting."""

import re
import tomllib
import typing
from dataclasses import asdict, fields
from pathlib import Path

import tomli_w

from minigan import __version__
from minigan.data import Fields
from minigan.errors import MiniganError
from minigan.files import bytes_of, text_of, write_atomically

from . import former
from .options import Options

SECTIONS = {"model": str, "fields": dict, "run": dict, "hyperparameters": dict}
DECISIVE = "seed", "ema", "flip"  # options that, like hyper-parameters, decide the bits


def new_config(model: str, options: Options, cfg, fields: Fields) -> dict:
    """The content of config.toml; cfg: the `Config` of the model, fields: of the data. MiniganError for the
    name of a folder that UTF-8 has no text for."""
    config = {
        "minigan": __version__,
        "model": model,
        "fields": fields.to_dict(),
        "run": _as_toml(options),
        "hyperparameters": _as_toml(cfg),
    }
    _encoded(config)
    return config


def read_config(folder: Path) -> dict:
    """The content of the file in a run folder. MiniganError if there is none, it cannot be read, or it is of
    a newer minigan."""
    file = folder / "config.toml"
    try:
        config = tomllib.loads(text_of(file))
    except (FileNotFoundError, NotADirectoryError):
        raise MiniganError(f"{folder} is not a run folder: it has no config.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise MiniganError(f"{file} cannot be read: {error}") from error
    config, made_by = former.config(config), config.get("minigan", "")
    if _version(made_by) > _version(__version__):
        raise MiniganError(
            f"{folder} was made by minigan {made_by}; this is {__version__}, which may not understand it"
        )
    for name, kind in SECTIONS.items():
        if name not in config:
            raise MiniganError(f"{file} cannot be read: it has no {name}")
        if not isinstance(config[name], kind):
            raise MiniganError(f"{file}: {name} is not a {kind.__name__}")
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
    hints = typing.get_type_hints(kind)
    for name, value in values.items():
        if name not in hints or not is_a(value, hints[name]):
            raise MiniganError(f"{file}: {name} = {value!r} does not fit")
    absent = {f.name: None for f in fields(kind) if f.init and type(None) in typing.get_args(hints[f.name])}
    given = {k: Path(v) if Path in typing.get_args(hints[k]) else v for k, v in values.items()}
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


def is_a(value, hint) -> bool:
    """Whether a value read from TOML is one of the type `hint`."""
    if typing.get_origin(hint) is typing.Literal:
        return value in typing.get_args(hint)
    if typing.get_args(hint):
        return any(is_a(value, part) for part in typing.get_args(hint))
    return type(value) in {float: (float, int), Path: (str,)}.get(hint, (hint,))


def _as_toml(dataclass):
    """The fields as TOML can hold them: without those that are None."""
    values = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(dataclass).items()}
    return {k: v for k, v in values.items() if v is not None}


def _version(text):
    """ "0.1.0" as (0, 1, 0), to be compared; what is no version is older than all."""
    return tuple(int(part) for part in re.findall(r"\d+", str(text)))
