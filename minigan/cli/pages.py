"""Pages to look at runs with: `minigan report`, `compare`, and to use a model by hand: `play`."""

import webbrowser
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from .app import TRAINED, Trained, app


@app.command
def report(run: Path, *, out: Path | None = None, open: bool = False):
    """Write the page of a run: one HTML file with all there is to know of it, that needs nothing else.

    Parameters
    ----------
    run
        A run folder; the run may still be going on.
    out
        The file to write; by default report.html in the run folder.
    open
        Show it in the browser.
    """
    from minigan.training import Run, write_page

    _written(write_page(Run.open(run), out), open)


@app.command
def compare(*runs: Path, out: Path = Path("compare.html"), open: bool = False):
    """Write a page of runs beside each other: samples, losses, verdicts, metrics, the settings that differ.

    Parameters
    ----------
    runs
        Two run folders or more.
    out
        The file to write.
    open
        Show it in the browser.
    """
    from minigan.training import Run, write_comparison

    _written(write_comparison([Run.open(run) for run in runs], out), open)


@app.command
def play(
    run: Path,
    *,
    port: Annotated[int, Parameter(validator=Number(gte=1, lt=2**16))] = 8080,
    trained: TRAINED = Trained(),  # noqa: B008
    open: bool = True,
):
    """Use a trained model by hand, on a page in the browser that this machine alone is served.

    A model from noise has sliders: the seed, what it may be asked for, the directions in which its samples
    differ most, and the way between two samples that are pinned. A model of pictures is drawn for, or given a
    picture.

    Parameters
    ----------
    run
        A run folder.
    port
        Where the page is, on this machine: http://127.0.0.1:PORT.
    open
        Show it in the browser.
    """
    from minigan.extras import needs

    needs("minigan play", "nicegui", "'minigan[play]'")
    from minigan.play import serve

    serve(*trained.of(run), port, open)


def _written(path, open):
    print(path)
    if open:
        webbrowser.open(path.resolve().as_uri())
