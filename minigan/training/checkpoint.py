"""Checkpoints: all that a run needs to go on, in two files that anyone can read.

step-001000.safetensors   the arrays, under names such as "G.1.weight" and "opt_g.exp_avg.0", in PyTorch's
                          layouts; the library `safetensors` reads it alone
step-001000.json          what they are: the format, the versions that wrote it, the model, the step, the
                          settings that decide the bits of the run, the state (random numbers, place in the
                          data, the parts' numbers), the SHA-256 of the safetensors file, and a checksum of
                          all this

Both are written aside and brought to disk, then renamed, the JSON last: a checkpoint counts where both stand
and the checksums hold, so a kill at any moment leaves a whole one or none. (Written over a former one of the
same step it mostly has the same bytes; if not, a kill between the two renames leaves one that is named as
damaged.) Reading one executes no code.
"""

import hashlib
import json
import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from minigan import __version__
from minigan.backend import is_array
from minigan.errors import MiniganError
from minigan.files import write_together

from . import former

FORMAT = 2  # of format 1 is what `former` reads
FIELDS = {"format": int, "model": str, "step": int, "settings": dict, "state": dict, "sha256": str}

STATE = {"step": int, "parts": dict, "random": dict, "data": dict}


class DamagedCheckpoint(MiniganError):
    """A checkpoint that is not what was written: cut off, changed, or without its other file."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a run was at the end of a step.

    model: its name. settings: those that decide the bits of the run. arrays: weights and optimiser states by
    name. state: all else that changes, JSON-able. path: of its safetensors file, where it was read.
    """

    model: str
    step: int
    settings: dict
    arrays: dict[str, np.ndarray]
    state: dict
    path: Path | None = None


def save_checkpoint(path: Path, checkpoint: Checkpoint):
    """Write `checkpoint` to `path`, a .safetensors, and the .json beside it. OSError if the disk does not
    take it; then what was there is as it was."""
    arrays = save({name: np.ascontiguousarray(a) for name, a in checkpoint.arrays.items()})
    description = {
        "format": FORMAT,
        "minigan": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "model": checkpoint.model,
        "step": checkpoint.step,
        "settings": checkpoint.settings,
        "state": checkpoint.state,
        "sha256": hashlib.sha256(arrays).hexdigest(),
    }
    description["checksum"] = checksum(description)
    write_together({path: arrays, path.with_suffix(".json"): json.dumps(description, indent=1).encode()})


def load_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint at `path`, a .safetensors.

    DamagedCheckpoint if either file is not as it was written; MiniganError if there is none, or one of a
    newer format, or with values that are not finite.
    """
    description = _description(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DamagedCheckpoint(f"{path} cannot be read: {error.strerror or error}") from error
    if hashlib.sha256(content).hexdigest() != description["sha256"]:
        raise DamagedCheckpoint(f"{path} is damaged: it has not the checksum that its .json says")
    try:
        arrays = load(content)
    except (SafetensorError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise MiniganError(f"{path} is not a safetensors file of numpy arrays: {error}") from error
    for name, a in arrays.items():
        if a.dtype.kind not in "biuf" or not np.isfinite(a).all():
            raise MiniganError(f"{path} cannot be used: {name} has values that are not finite numbers")
    fields, state = (description[name] for name in ("model", "step", "settings")), description["state"]
    if description["format"] == 1:
        arrays, state = former.checkpoint(arrays, state)
    for name, kind in STATE.items():
        if type(state.get(name)) is not kind:
            raise MiniganError(f"{path} cannot be used: its state has no {name}")
    return Checkpoint(*fields, arrays, state, path)


def part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint under "prefix.", by the rest of their names."""
    return {k.removeprefix(f"{prefix}."): a for k, a in arrays.items() if k.startswith(f"{prefix}.")}


def misfits(owner, state: dict) -> list[str]:
    """What hinders a part from going on with its state of a checkpoint, a sentence each, as far as it can
    tell before. Unlike `load_state_dict` this wants the very dtypes: of others it would not go on to the same
    bits."""
    if not hasattr(owner, "misfits"):
        return []
    own = owner.state_dict()
    found = {name: (a.dtype, own[name].dtype) for name, a in state.items() if name in own and is_array(a)}
    other = [f"{name} is {given}, expected {own}" for name, (given, own) in found.items() if given != own]
    return owner.misfits(state) or other


def checksum(description: dict) -> str:
    """SHA-256 of the JSON of all fields but "checksum" itself, whatever the format."""
    fields = {name: value for name, value in description.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _description(path):
    """The content of the .json, which is whole and of this format."""
    file = path.with_suffix(".json")
    try:
        description = json.loads(file.read_bytes())
        whole = isinstance(description, dict) and description.get("checksum") == checksum(description)
    except FileNotFoundError:
        raise _incomplete(path, file) from None
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedCheckpoint(f"{file} is damaged: {error}") from error
    if not whole:
        raise DamagedCheckpoint(f"{file} is damaged: it has not the checksum that it says")
    newest = description.get("format")
    if type(newest) is int and newest > FORMAT:
        raise MiniganError(
            f"{path} was written by minigan {description.get('minigan')} in format {newest}; this is "
            f"{__version__}, which reads format {FORMAT}"
        )
    for name, kind in FIELDS.items():
        if type(description.get(name)) is not kind:
            raise MiniganError(f"{file} is no description of a checkpoint: {name} is not a {kind.__name__}")
    if path.stem != f"step-{description['step']:06d}":
        raise MiniganError(f"{path} is misnamed: it is of step {description['step']}")
    return description


def _incomplete(path, file):
    """The error for a checkpoint without its .json."""
    if not path.exists():
        return MiniganError(f"there is no checkpoint {path}")
    return DamagedCheckpoint(
        f"{path} is not whole: there is no {file.name} beside it, as after a kill while it was written, or "
        "in a run of a minigan before checkpoints had one"
    )
