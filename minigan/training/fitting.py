"""What a checkpoint is, and which is refused: nothing else decides whether one can be gone on from.

Its files must be what was written (`DamagedCheckpoint`, of which `checkpoint` knows); of a format that is
read here, and hold what it is to hold (`check_description`, `understood`); be of the run's model, data and
settings (`check_run`); and have for each part all that it needs, and nothing else (`states_for`,
`check_part`). So must the data still be what they were (`check_fields`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np

from minigan import __version__
from minigan.backend import is_array
from minigan.contents import Misfit, as_type
from minigan.data import Fields
from minigan.errors import MiniganError

from . import former
from .config import DECISIVE, decisive
from .options import Options

FORMAT = 2  # of format 1 is what `former` reads


class Description(TypedDict):
    """What the .json of a checkpoint holds, among others."""

    format: int
    model: str
    step: int
    settings: dict
    state: dict
    sha256: str


class State(TypedDict):
    """What the state of a checkpoint holds: numbers by part, words of random generators by name, the place in
    the data."""

    step: int
    parts: dict[str, dict]
    random: dict[str, list]
    data: dict


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

    def arrays_of(self, name: str) -> dict[str, np.ndarray]:
        """The arrays of one part, by the rest of their names."""
        return {k.removeprefix(f"{name}."): a for k, a in self.arrays.items() if k.startswith(f"{name}.")}

    def unfit(self, why) -> MiniganError:
        """The error for a run that cannot go on from it."""
        return MiniganError(f"{self.path} does not fit this run: {why}")


class DamagedCheckpoint(MiniganError):
    """A checkpoint that is not what was written: cut off, changed, or without its other file."""


def check_description(path: Path, description: dict):
    """MiniganError for the content of a .json that is of a newer format, no description of a checkpoint, or
    of one of another name than `path`, a .safetensors."""
    newest = description.get("format")
    if type(newest) is int and newest > FORMAT:
        raise MiniganError(
            f"{path} was written by minigan {description.get('minigan')} in format {newest}; this is "
            f"{__version__}, which reads format {FORMAT}"
        )
    try:
        as_type(description, Description)
    except Misfit as misfit:
        raise MiniganError(
            f"{path.with_suffix('.json')} is no description of a checkpoint: it {misfit}"
        ) from None
    if path.stem != f"step-{description['step']:06d}":
        raise MiniganError(f"{path} is misnamed: it is of step {description['step']}")


def understood(path: Path, description: dict, arrays: dict[str, np.ndarray]) -> Checkpoint:
    """The checkpoint of such a description and the arrays of the file `path`. MiniganError for values that
    are not finite, or a state that lacks something."""
    for name, a in arrays.items():
        if a.dtype.kind not in "biuf" or not np.isfinite(a).all():
            raise MiniganError(f"{path} cannot be used: {name} has values that are not finite numbers")
    state = description["state"]
    if description["format"] == 1:
        arrays, state = former.checkpoint(arrays, state)
    try:
        as_type(state, State)
    except Misfit as misfit:
        raise MiniganError(f"{path} cannot be used: its state {misfit}") from None
    fields = (description[name] for name in ("model", "step", "settings"))
    return Checkpoint(*fields, arrays, state, path)


def check_run(checkpoint: Checkpoint, run):
    """MiniganError for a checkpoint of another model than the run's, or trained with other settings."""
    model = run.model().name
    if checkpoint.model != model:
        raise MiniganError(f"{checkpoint.path} is of {checkpoint.model}; {run.path} is a run of {model}")
    # A checkpoint may be of before there was one of the options.
    then = {**{name: getattr(Options, name) for name in DECISIVE}, **checkpoint.settings}
    now = decisive(run.config)
    for name in {**then, **now}:
        if then.get(name) != now.get(name):
            raise checkpoint.unfit(
                f"it was trained with {name} = {then.get(name)}, config.toml has {now.get(name)}"
            )


def check_part(checkpoint: Checkpoint, name: str, part, state: dict):
    """MiniganError for what hinders a part from going on with `state`, as far as it can tell before. Unlike
    `load_state_dict` this wants the very dtypes: of others it would not go on to the same bits."""
    if not hasattr(part, "misfits"):
        return
    own = part.state_dict()
    dtypes = {k: (a.dtype, own[k].dtype) for k, a in state.items() if k in own and is_array(a)}
    other = [f"{k} is {given}, expected {wanted}" for k, (given, wanted) in dtypes.items() if given != wanted]
    if problems := part.misfits(state) or other:
        raise checkpoint.unfit(f"{name}.{problems[0]}")


def states_for(checkpoint: Checkpoint, parts: dict, generators: dict) -> dict[str, dict]:
    """What each of the parts of a session goes on with, by name. MiniganError for a checkpoint with anything
    else for them or for the generators, or without something that they need."""
    state = checkpoint.state
    strange = [name for name in checkpoint.arrays if not any(name.startswith(f"{part}.") for part in parts)]
    strange += [name for name in state["parts"] if name not in parts]
    strange += [f"random.{name}" for name in state["random"] if name not in generators]
    if strange:
        raise checkpoint.unfit(f"{strange[0]} is unexpected")
    if "rng" not in state["random"]:
        raise checkpoint.unfit("random.rng is missing")
    if state["step"] != checkpoint.step:
        raise checkpoint.unfit(f"its state is of step {state['step']}")
    given = {name: {**checkpoint.arrays_of(name), **state["parts"].get(name, {})} for name in parts}
    for name, part in parts.items():
        check_part(checkpoint, name, part, given[name])
    return given


def check_fields(run, fields: Fields):
    """MiniganError unless data have samples of the shapes that those of the run had when it began."""
    before, now = ({name: [*f.shape] for name, f in of.items() if f.shape} for of in (run.fields(), fields))
    if before != now:
        raise MiniganError(
            f"{run.path} was trained on samples of shape {_shapes(before)}, {run.options().data} has "
            f"{_shapes(now)} now"
        )


def _shapes(shapes):
    """A shape alone, or several with their names."""
    return next(iter(shapes.values())) if len(shapes) == 1 else shapes
