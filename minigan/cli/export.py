"""`minigan export RUN`: a trained network for other programs."""

from pathlib import Path
from typing import Literal

from .app import app


@app.command
def export(
    run: Path,
    *,
    to: Literal["onnx", "safetensors"],
    part: Literal["generator", "discriminator", "both"] = "generator",
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
        written; it takes z, or images (of a plane, points), and int64 labels if the model is conditional. Or
        safetensors: the weights alone, under PyTorch's names and in its layouts.
    part
        Which network, or both.
    step
        Take the checkpoint of this step; by default the newest.
    ema
        Take the moving average of the generator's weights, if the run has one.
    out
        The file to write, or a folder; by default the run folder, with a file generator.onnx, say.
    """
    from minigan.export import export
    from minigan.training import Run

    for path, told in export(Run.open(run), to, part, step, ema, out):
        print(f"{path}: {told}")
