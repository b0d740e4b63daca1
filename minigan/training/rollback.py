"""Back to an earlier checkpoint: what came after is kept in a folder of the run, and the run can branch."""

import os
from collections.abc import Callable
from pathlib import Path

from minigan.errors import MiniganError
from minigan.files import remove_leftovers, sync_folder, write_atomically

from .records import lines_after
from .run import Run, unused


def rollback(path: Path, step: int, say: Callable[[str], None] = print) -> Path:
    """Take the run in the folder `path` back to its checkpoint of `step`; the folder with what came after.

    That is after-STEP in the run folder: checkpoints, samples, the later lines of the files of JSON lines,
    and what shows the run as a whole. If the process is killed, the run can be resumed as before, and the
    same call completes what it began.

    say: is told about locks, see `alone_in`.
    MiniganError if there is no good checkpoint of `step`, nothing after it, another process trains in the
    folder, or the disk does not take it.
    """
    run = Run.open(path)
    with run.alone(say):
        _check(run, step)
        try:
            return _taken_back(run, step)
        except OSError as error:
            raise MiniganError(
                f"cannot write to {path}: {error.strerror or error}; the same command completes the rollback"
            ) from error


def _check(run, step):
    steps = run.checkpoint_steps()
    if not steps:
        run.latest_checkpoint()  # which says that there is none
    if step not in steps:
        nearest = min(steps, key=lambda other: abs(other - step))
        raise MiniganError(
            f"{run.path} has no checkpoint of step {step}; the nearest is {nearest}, of "
            f"{', '.join(map(str, steps))}"
        )
    run.checkpoint(step)
    later = run.files_after(step) or any(lines_after(file, step) for file in run.records)
    if not later and not _unfinished(run, step).exists():
        raise MiniganError(f"{run.path} is at step {step} already: nothing came after")


def _taken_back(run, step):
    """Copies first, checkpoints next, the newest first, and what resuming would drop last: whenever it is
    killed, the newest checkpoint that is left has all of its past beside it."""
    run.clear()
    aside = _unfinished(run, step)
    for folder in (aside, aside / run.checkpoints.name, aside / run.samples.name):
        folder.mkdir(exist_ok=True)
    remove_leftovers(aside)
    for file in run.records:
        if lines := lines_after(file, step):
            write_atomically(aside / file.name, lines)
    later = run.files_after(step)
    samples, checkpoints = (
        [f for f in later if f.parent == folder] for folder in (run.samples, run.checkpoints)
    )
    for file in (*samples, *checkpoints, *(file for file in run.summaries if file.exists())):
        os.replace(file, aside / file.relative_to(run.path))
    for folder in (
        run.samples,
        run.checkpoints,
        aside / run.samples.name,
        aside / run.checkpoints.name,
        aside,
    ):
        sync_folder(folder)
    run.forget_after(step)
    kept = unused(run.path / f"after-{step:06d}")
    os.replace(aside, kept)
    sync_folder(run.path)
    return kept


def _unfinished(run, step):
    """The name of the folder while the rollback goes on."""
    return run.path / f"after-{step:06d}.unfinished"
