"""A new run that begins where another one was at a step."""

import os
import shutil
from pathlib import Path

from minigan.errors import MiniganError
from minigan.files import sync_folder, write_atomically

from .run import Run, check_free, unused


def branch(origin: Path, step: int | None = None, out: Path | None = None) -> Run:
    """A run folder that is as that of `origin` was at `step`, by default at its newest good checkpoint; to go
    on with by `resume`. Nothing of `origin` is changed, and another process may train in it.

    out: the folder to make, or an empty one, by default ORIGIN-from-STEP beside it. It is made aside and
    renamed: a kill leaves a whole one or none.
    MiniganError if there is no good checkpoint of `step`, `out` is neither new nor empty, or the disk does
    not take it.
    """
    run = Run.open(origin)
    checkpoint = run.checkpoint(step)
    step = checkpoint.step
    folder = out or unused(run.path.with_name(f"{run.path.resolve().name}-from-{step}"))
    check_free(folder)
    place = folder.resolve()
    if place == Path.cwd():  # which a rename would take from under this process
        raise MiniganError(f"{folder} is the folder this is called in; choose another with --out")
    aside = place.with_name(f"{place.name}.unfinished")
    try:
        shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed
        for inner in (run.checkpoints.folder, run.sheets.folder):
            (aside / inner.name).mkdir(parents=True)
        for path in (checkpoint.path, checkpoint.path.with_suffix(".json")):
            write_atomically(aside / run.checkpoints.folder.name / path.name, path.read_bytes())
        for path in (run.sheets.real, *run.sheets.up_to(step)):
            if path.exists():
                shutil.copy2(path, aside / run.sheets.folder.name)
        for lines in run.records.lines:
            if lines.path.exists():
                write_atomically(aside / lines.path.name, lines.up_to(step))
        write_atomically(aside / "config.toml", (run.path / "config.toml").read_bytes())
        if place.exists():
            place.rmdir()  # only POSIX renames onto an empty folder
        os.replace(aside, place)
        sync_folder(place.parent)
    except OSError as error:
        raise MiniganError(f"cannot write {folder}: {error.strerror or error}") from error
    return Run.open(folder)
