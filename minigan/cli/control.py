"""What a trained model is made to do: `minigan steer`, `encode`."""

import json
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.table import Table

from minigan import __version__
from minigan.errors import MiniganError, writing

from .app import FILES, SEED, TRAINED, Trained, app
from .trained import given

FRAMES, ROWS, CAPTIONED = 16, 8, 48  # of the film; walks of the strip; pairs of the sheet


@app.command
def steer(
    run: Path,
    *,
    towards: str,
    by: float | None = None,
    keep: Annotated[float, Parameter(validator=Number(gte=0))] = 1.0,
    sure: float = 0.999,
    along: Literal["gradient", "plain", "direction", "line"] = "gradient",
    through: Literal["z", "code"] = "z",
    n: Annotated[int, Parameter(validator=Number(gte=1))] = 64,
    seed: SEED = 0,
    trained: TRAINED = Trained(),  # noqa: B008
    data_dir: Path | None = None,
    out: Path | None = None,
    **asked: str,
):
    """Move the noise of samples until a feature is there, and say what else has changed.

    Weights stay: the gradient of a classifier, which minigan trains on the run's data and keeps, moves the
    noise alone, to the nearest that has the feature. Another classifier says whether a class is reached.

    Parameters
    ----------
    run
        A run folder, of a model that makes pictures from noise z.
    towards
        A class of the data, 7; or what can be measured of a picture: ink, slant or width.
    by
        How many deviations of the real data an attribute is to rise, or to fall below 0; by default 1.5.
    keep
        The weight of the penalty on what else changes: other attributes, and of an attribute the class; 0
        for none.
    sure
        The probability of the class that the steering classifier has to give.
    along
        The way whose pictures are written. The table has all: gradient, with the penalty; plain, without;
        direction, along that of a linear fit to the classifier's answers, or to the attribute; line, towards
        a random sample that has the feature.
    through
        What is moved: the noise z, or of stylegan the code w that it makes of z.
    n
        How many samples.
    seed
        Seed of the noise.
    data_dir
        Folder with the files of mnist or fashion-mnist; otherwise where the run found them, or where
        training would look for them.
    out
        The sheet of samples before and after, a .png, with what the other classifier says of each. Beside it
        are written STEM-way.png, a way a row, STEM.gif, a film of it, and STEM.json, the table. By default
        steer-TOWARDS-SEED.png in the run folder.
    asked
        What the run's model can be asked for, as by `minigan sample`; --label, say.
    """
    from minigan import report
    from minigan.control import eyes_of
    from minigan.control import steer as steered_by
    from minigan.files import write_atomically

    out = out or run / f"steer-{towards}-{seed}.png"
    if out.suffix.lower() != ".png":
        raise MiniganError(f"samples before and after are written to a .png, not to {out}")
    console = Console(highlight=False, markup=False, soft_wrap=True)
    opened, sampler = trained.of(run, data_dir)
    asked = given(asked, sampler.model.asks)
    eyes, judge = eyes_of(opened, sampler, console.print)
    how = {"by": by, "keep": keep, "sure": sure, "along": along, "through": through, "n": n, "seed": seed}
    with console.status("steering") as status:
        found = steered_by(sampler, eyes, towards, judge=judge, say=status.update, **how, **asked)
        film = found.film(FRAMES)
    table = {
        "minigan": __version__,
        "checkpoint": sampler.checkpoint.name,
        "towards": towards,
        **how,
        "attributes": {name: {"mean": m, "deviation": s} for name, (m, s) in eyes.scale.items()},
        "steered_by": None if judge is None else eyes.classifier.facts,
        "judged_by": None if judge is None else judge.facts,
        "ways": found.rows,
    }
    paths = out, out.with_stem(f"{out.stem}-way"), out.with_suffix(".gif"), out.with_suffix(".json")
    with writing(out):
        few = slice(CAPTIONED)
        report.save_captioned(paths[0], [found.before[few], found.after[few]], _captions(found)[few])
        report.save_walks(paths[1], film[:ROWS], sampler.fields.first)
        report.save_walks(paths[2], film, sampler.fields.first)
        write_atomically(paths[3], json.dumps(table, indent=1).encode())
    _print(console, found, eyes, judge)
    for path in paths:
        print(path)


def _captions(found):
    """What the judge says of each sample before and after; without one, numbers."""
    if found.judged is None:
        return [str(i) for i in range(len(found.before))]
    (was, _), (now, sure) = found.judged
    return [f"{a} to {b}, {p:.2f}" for a, b, p in zip(was, now, sure, strict=True)]


def _print(console, found, eyes, judge):
    """The table of all ways."""
    asked = found.towards if found.towards in eyes.names else f"class {found.towards}"
    table = Table(title=f"towards {asked}", title_justify="left")
    table.add_column("")
    for way in found.rows:
        table.add_column(way, justify="right")
    rows = [*found.rows.values()]

    def add(name, cells):
        table.add_row(name, *("-" if cell is None else cell for cell in cells))

    def shares(key):
        return [None if row[key] is None else f"{row[key]:.0%}" for row in rows]

    add("not there at first", [str(row["n"]) for row in rows])
    judged = judge is not None and found.towards not in eyes.names
    add("arrived, for the judge" if judged else "arrived", shares("reached"))
    if judged:
        add("and for what steered", shares("steered"))
    for key, name in (("distance", "‖z - z0‖ / ‖z0‖"), ("length", "‖z‖ / ‖z0‖")):
        add(name, [None if row[key] is None else f"{row[key]:.2f}" for row in rows])
    for name in eyes.names:
        cells = [row["changes"][name] for row in rows]
        add(f"{name}: mean, size", [None if c is None else _change(c) for c in cells])
    add("other attributes changed", shares("changed"))
    if found.towards in eyes.names and judge is not None:
        add("class kept", shares("class_kept"))
    console.print(table)
    console.print(
        "changes in deviations of the real data, mean and mean size; changed: by more than half "
        "a deviation; lengths and changes are of those that arrived"
    )


def _change(pair):
    mean, size = pair
    return None if mean is None else f"{mean:+.2f}  {size:.2f}"


@app.command
def encode(
    run: Path,
    *,
    files: FILES = None,
    resize: bool = False,
    starts: Annotated[int, Parameter(validator=Number(gte=1))] = 10,
    features: Annotated[float, Parameter(validator=Number(gte=0))] = 0.0,
    seed: SEED = 0,
    trained: TRAINED = Trained(),  # noqa: B008
    data_dir: Path | None = None,
    out: Path | None = None,
):
    """Give the codes of pictures of your own, and what a trained model makes of these.

    A model with an encoder has it say the codes. Of others they are searched for: the gradient of how far
    what is made lies from the picture moves the code alone, from several starts.

    Parameters
    ----------
    run
        A run folder.
    files
        The pictures: --input a.png b.png, of the size of the model's.
    resize
        Take of pictures of another size the centred square, resized.
    starts
        Of a search: how many random codes it starts from; of a conditional model one a class at least.
    features
        Of a search: weight of the distance between the features of a classifier of the run's data, which is
        trained first, and kept; by default pixels alone count.
    seed
        Of a search: seed of its starts.
    data_dir
        Folder with the files of mnist or fashion-mnist, that a classifier learns from; as of `minigan steer`.
    out
        The codes, a .npz with the arrays that samples are made of, by name, and `files`. Beside it is written
        STEM.png: each picture, and what is made of its code. By default codes.npz in the run folder.
    """
    from minigan import report
    from minigan.control import encode as encoded
    from minigan.control import read_pictures
    from minigan.files import write_npz
    from minigan.training.evaluation import evaluation_data

    out = out or run / "codes.npz"
    if out.suffix.lower() != ".npz":
        raise MiniganError(f"codes are written to a .npz, not to {out}")
    opened, sampler = trained.of(run, data_dir)
    x = read_pictures(sampler, files or [], resize)
    classifier = None
    if features:
        if sampler.model.has("encode"):
            raise MiniganError(f"{sampler.model.name} has an encoder; --features is for a search")
        classifier = evaluation_data(sampler, opened.options()).classifier
    codes, how = encoded(sampler, x, starts=starts, seed=seed, classifier=classifier, weight=features)
    made, *_ = sampler.make(codes).values()
    errors = np.sqrt(((made - x) ** 2).mean(axis=(1, 2, 3)))
    with writing(out):
        write_npz(out, **codes, files=np.array([str(file) for file in files]))
        report.save_shown(out.with_suffix(".png"), {"x": x, "made": made}, sampler.fields.first)
    print(f"codes by {how}: {', '.join(f'{name} {a.shape}' for name, a in codes.items())}")
    for file, error in zip(files, errors, strict=True):
        print(f"{file}: root mean square error {error:.3f}, of pixels in [-1, 1]")
    for path in (out, out.with_suffix(".png")):
        print(path)
