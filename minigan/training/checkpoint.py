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
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from minigan import __version__
from minigan.contents import json_of
from minigan.errors import MiniganError
from minigan.files import write_together

from .fitting import FORMAT, Checkpoint, DamagedCheckpoint, check_description, understood


def save_checkpoint(path: Path, checkpoint: Checkpoint):
    """Write `checkpoint` to `path`, a .safetensors, and the .json beside it. OSError if the disk does not
    take it; then what was there is as it was."""
    arrays = save({name: np.asarray(a, order="C") for name, a in checkpoint.arrays.items()})
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

    DamagedCheckpoint if either file is not as it was written; MiniganError if there is none, or one that
    cannot be used, see `fitting`.
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
    return understood(path, description, arrays)


def checksum(description: dict) -> str:
    """SHA-256 of the JSON of all fields but "checksum" itself, whatever the format."""
    fields = {name: value for name, value in description.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _description(path):
    """The content of the .json, which is whole and of this format."""
    file = path.with_suffix(".json")
    try:
        description = json_of(file.read_bytes())
        whole = isinstance(description, dict) and description.get("checksum") == checksum(description)
    except FileNotFoundError:
        raise _incomplete(path, file) from None
    except (OSError, ValueError, RecursionError) as error:  # the last of the checksum
        raise DamagedCheckpoint(f"{file} is damaged: {error}") from error
    if not whole:
        raise DamagedCheckpoint(f"{file} is damaged: it has not the checksum that it says")
    check_description(path, description)
    return description


def _incomplete(path, file):
    """The error for a checkpoint without its .json."""
    if not path.exists():
        return MiniganError(f"there is no checkpoint {path}")
    return DamagedCheckpoint(
        f"{path} is not whole: there is no {file.name} beside it, as after a kill while it was written, or "
        "in a run of a minigan before checkpoints had one"
    )
