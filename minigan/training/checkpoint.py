"""Checkpoints: all that a run needs to go on, in one safetensors file.

The arrays have names such as "generator.1.weight" and "opt_g.exp_avg.0"; everything else is JSON
in the file's metadata under "minigan". Reading one executes no code.
"""

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from minigan.errors import MiniganError
from minigan.files import write_atomically


def save_checkpoint(path: Path, arrays: dict[str, np.ndarray], state: dict):
    """Write `arrays` and the JSON-able `state` to `path`. OSError if the disk does not take it."""
    contiguous = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
    write_atomically(path, save(contiguous, metadata={"minigan": json.dumps(state)}))


def load_checkpoint(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """(arrays, state) of the checkpoint at `path`. MiniganError if it is not there or damaged."""
    try:
        with safe_open(path, framework="numpy") as file:
            state = json.loads((file.metadata() or {})["minigan"])
            return {name: file.get_tensor(name) for name in file.keys()}, state  # noqa: SIM118
    except FileNotFoundError:
        raise MiniganError(f"there is no checkpoint {path}") from None
    except (SafetensorError, KeyError, json.JSONDecodeError, OSError) as error:
        raise MiniganError(f"{path} is not a checkpoint of minigan, or it is damaged: {error}") from error
