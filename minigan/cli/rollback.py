"""`minigan rollback RUN --to STEP`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console

from .app import app


@app.command
def rollback(run: Path, *, to: Annotated[int, Parameter(validator=Number(gte=0))]):
    """Take a run back to an earlier checkpoint, from where it can go on another way.

    What came after is kept in a folder of the run, after-STEP. If it is interrupted, the same command
    completes it.

    Parameters
    ----------
    run
        A run folder.
    to
        The step of the checkpoint.
    """
    from minigan import training

    console = Console(highlight=False, markup=False, soft_wrap=True)
    kept = training.rollback(run, to, console.print)
    console.print(f"{run} is at step {to} again; what came after is in {kept}")
    console.print(f"Go on with: {training.Run.open(run).resume_command()}")
