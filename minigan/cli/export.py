"""`minigan export RUN`: a trained network for other programs."""

from pathlib import Path
from typing import Literal

from .app import app


@app.command
def export(
    run: Path,
    *,
    to: Literal["onnx", "safetensors"],
    part: str = "samples",
    step: int | None = None,
    ema: bool = True,
    out: Path | None = None,
):
    """Write a trained network for other programs.

    Parameters
    ----------
    run
        A run folder.
    to
        onnx: a graph with its weights, for batches of any size, that is compared with minigan before it is
        written; it takes what samples are made of, or what is judged, by name. Or safetensors: the weights of
        a network, under PyTorch's names and in its layouts.
    part
        samples: what makes these. As a graph also judge, as weights any network by its name, such as D; or
        all.
    step
        Take the checkpoint of this step; by default the newest.
    ema
        Take the moving average of the weights that make samples, if the run has one.
    out
        The file to write, or a folder; by default the run folder, with a file samples.onnx or G.safetensors,
        say.
    """
    from minigan.export import export
    from minigan.training import Run

    for path, told in export(Run.open(run), to, part, step, ema, out):
        print(f"{path}: {told}")
