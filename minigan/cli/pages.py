"""Pages to look at runs with: `minigan report`, `compare`."""

import webbrowser
from pathlib import Path

from .app import app


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


def _written(path, open):
    print(path)
    if open:
        webbrowser.open(path.resolve().as_uri())
