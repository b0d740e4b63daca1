"""What to do with a trained model: `minigan sample`, `interpolate`, `evaluate`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import CoercionError, Parameter, convert
from cyclopts.validators import Number
from rich.console import Console

from minigan.errors import MiniganError, writing
from minigan.gans import model_named, model_names
from minigan.gans.settings import literals
from minigan.random import Generator

from .app import FILES, SEED, TRAINED, Trained, app, several


def sample(
    run: Path,
    *,
    files: FILES = None,
    n: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    seed: SEED = 0,
    trained: TRAINED = Trained(),  # noqa: B008
    out: Path | None = None,
    **asked: str,
):
    """Draw samples from a trained model, or have it translate pictures of your own.

    Parameters
    ----------
    run
        A run folder.
    files
        Pictures to translate, of any size: --input a.jpg b.png. They keep their size, or are enlarged by a
        model that enlarges.
    n
        How many samples; by default 64, or a sheet with a column a class; fewer of clips, sounds, melodies
        and texts. With --input, how many of each picture, the second with the noise of the next seed; by
        default 1.
    seed
        Seed of the noise.
    out
        What to write: a .png, which is a sheet; of clips a .gif, of sounds a .wav, of melodies a .mid or a
        .wav, of texts a .txt, each of them with all in it; a .npz of the array `samples`, float32
        (n, *shape), images in [-1, 1], or numbers of words, and of `labels`; or a folder, for a file each. By
        default samples-SEED.png in the run folder, and a file beside it to see move, to hear or to read. With
        --input a .png, or a folder, for a PNG each, by its file's name; by default the folder translated in
        the run folder.
    asked
        What else the run's model can be asked for:
    """
    _, sampler = trained.of(run)
    if files is not None:
        out = out or run / "translated"
        asked = given(asked, sampler.model.asks_of_pictures)
        with writing(out):
            _save_translated(out, sampler, files, n or 1, seed, asked)
        return
    asked = given(asked, sampler.model.asks)
    first = run / f"samples-{seed}.png"
    for path in [out] if out else [first, *map(first.with_suffix, endings(sampler)[:1])]:
        with writing(path):
            _save_drawn(path, sampler, n, seed, asked)
        print(path)


def _told_of_asked() -> str:
    """A line for each thing that a model can be asked for."""
    lines = {}
    for name in model_names():
        model = model_named(name)
        for asked in (*model.asks.values(), *model.asks_of_pictures.values()):
            lines.setdefault((asked.name, asked.help), []).append(name)
    return " ".join(f"--{name} ({', '.join(of)}): {told}." for (name, told), of in lines.items())


sample.__doc__ = sample.__doc__.replace("can be asked for:", f"can be asked for. {_told_of_asked()}")
app.command(sample)


def given(words, asks):
    """What was typed for things that a model can be asked for, as the types that these have there."""
    return {name: _value_of(name, word, asks) for name, word in words.items()}


def _value_of(name, word, asks):
    asked = asks.get(name.replace("-", "_"))
    if asked is None:
        return word  # which the model refuses
    try:
        return convert(asked.kind, [word])
    except CoercionError:
        kind = " or ".join(getattr(kind, "__name__", str(kind)) for kind in asked.kinds)
        wanted = " or ".join(map(repr, literals(asked.kind))) or f"a value of the kind {kind}"
        raise MiniganError(f"--{name} takes {wanted}, got {word!r}") from None


def _save_translated(out, sampler, files, n, seed, asked):
    """A PNG of what is made of each picture; of several things by name, the others beside it."""
    from minigan.data.pictures import read_picture
    from minigan.data.waiting import counted
    from minigan.report.drawing import save_picture
    from minigan.training import check_translates, tiles_of, translate

    check_translates(sampler.model)
    channels, reach = sampler.fields.shape[0], sampler.model.reach(sampler.cfg)
    for file, path in _paths(out, files, n):
        pixels, notes = read_picture(file, channels=channels)
        for note in sorted(notes):
            print(f"{file} has {note}", file=sys.stderr)
        tiles = len(tiles_of(*pixels.shape[1:], reach))
        for i in range(n):
            numbered = path.with_stem(f"{path.stem}-{i + 1}") if n > 1 else path
            with counted(f"tiles of {file}", tiles, shown=tiles > 1) as report:
                made = translate(sampler, pixels, seed + i, report, **asked)
            for k, (name, picture) in enumerate(made.items()):
                beside = numbered.with_stem(f"{numbered.stem}-{name}") if k else numbered
                beside.parent.mkdir(parents=True, exist_ok=True)
                save_picture(beside, picture)
                print(beside)


def _paths(out, files, n):
    """(picture, the .png for what is made of it) of each. MiniganError where one would overwrite another."""
    kind = out.suffix.lower()
    if kind not in (".png", "") and not out.is_dir():
        raise MiniganError(f"pictures are written to a .png or into a folder, not to {out}")
    if not files:
        raise MiniganError("--input names the pictures to translate, got none")
    if kind == ".png" and not out.is_dir():
        if len(files) > 1:
            raise MiniganError(f"--input names {len(files)} pictures, which {out} cannot hold; give a folder")
        pairs = [(files[0], out)]
    else:
        pairs = [(file, out / f"{file.stem}.png") for file in files]
    taken = {}
    for file, path in pairs:
        if path.resolve() == file.resolve():
            raise MiniganError(f"{file} would be overwritten by what is made of it; choose another --out")
        if path in taken:
            raise MiniganError(f"{taken[path]} and {file} would both be written to {path}; rename one")
        taken[path] = file
    return pairs


def endings(sampler) -> list[str]:
    """The endings of files that hold all samples, beside .png and .npz: the first is the usual one."""
    from minigan.report import SHOWN

    return [*SHOWN[sampler.fields.kind].files]


def _save_drawn(out, sampler, n, seed, asked):
    from minigan import report
    from minigan.files import write_npz

    field, ending = sampler.fields.first, out.suffix.lower()
    n = n or (report.SHOWN[field.kind].many if "label" in asked else sampler.sheet_size())
    known = ".png", *endings(sampler), ".npz"
    if ending not in (*known, ""):
        wanted = ", ".join(f"a {one}" for one in known)
        raise MiniganError(f"samples are written to {wanted} or a folder, not to {out}")
    if not ending and out.is_dir() and any(out.glob(f"*{report.SHOWN[field.kind].each[0]}")):
        raise MiniganError(f"{out} has samples already, which the new ones would be mixed with")
    inputs = sampler.inputs(n, Generator(seed), **asked)
    if ending == ".png":
        columns = None if "label" in asked else sampler.columns()
        report.save_shown(out, sampler.shown(inputs), field, columns)
        return
    samples, *_ = sampler.make(inputs).values()
    if ending == ".npz":
        labels = {"labels": inputs["labels"]} if sampler.conditional else {}
        write_npz(out, samples=np.ascontiguousarray(samples), **labels)
    elif ending:
        report.save_all(out, samples, field)
    else:
        report.save_each(out, samples, field)


@app.command
def interpolate(
    run: Path,
    *,
    files: FILES = None,
    resize: bool = False,
    n: Annotated[int, Parameter(validator=Number(gte=1))] = 8,
    steps: Annotated[int, Parameter(validator=Number(gte=2))] = 10,
    kind: Literal["spherical", "linear"] | None = None,
    label: several(int) = None,
    seed: SEED = 0,
    trained: TRAINED = Trained(),  # noqa: B008
    out: Path | None = None,
):
    """Walk from sample to sample, through the noise or from class to class; or between pictures of your own.

    Parameters
    ----------
    run
        A run folder.
    files
        Pictures to walk between, from each to the next: --input a.png b.png. Each walk begins and ends with
        the pictures themselves, beside what the model makes of their codes: see `minigan encode`.
    resize
        Take of pictures of another size than the model's the centred square, resized.
    n
        How many walks.
    steps
        Samples of a walk, both ends among them.
    kind
        How to go from one noise vector to another, by default spherical; of stylegan by default straight from
        one w to another. From class to class the way is straight.
    label
        Of a conditional model: walk through these classes, --label 3,8, with the noise standing still. With
        one, all walks are of this class; without any, each keeps a class of its own.
    seed
        Seed of the noise.
    out
        What to write: a .png, a walk a row, or a .gif. By default walk-SEED.png in the run folder.
    """
    from minigan import report, training

    out = out or run / f"walk-{seed}.png"
    if out.suffix.lower() not in (".png", ".gif"):
        raise MiniganError(f"walks are written to a .png or a .gif, not to {out}")
    _, sampler = trained.of(run)
    if files is None:
        walks = training.interpolate(sampler, n, steps, seed, kind, label)
    else:
        if label is not None:
            raise MiniganError("--label is for walks from class to class, --input for those between pictures")
        walks = _between(sampler, files, resize, steps, kind, seed)
    with writing(out):
        report.save_walks(out, walks, sampler.fields.first)
    print(out)


def _between(sampler, files, resize, steps, kind, seed):
    """Walks from picture to picture, these at their ends."""
    from minigan.control import encode, read_pictures, walk_between

    if len(files) < 2:
        raise MiniganError(f"a walk goes from one picture to another, --input names {len(files)}")
    x = read_pictures(sampler, files, resize)
    codes, _ = encode(sampler, x, seed=seed)
    walks = walk_between(sampler, codes, steps, kind)
    return np.concatenate([x[:-1, None], walks, x[1:, None]], axis=1)


@app.command
def evaluate(
    run: Path,
    *,
    metrics: several(str) = None,
    n: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    draws: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    seed: SEED = 0,
    trained: TRAINED = Trained(),  # noqa: B008
    data: str | None = None,
    size: int | None = None,
    channels: Literal[1, 3] | None = None,
    flip: bool = False,
    data_dir: Path | None = None,
    **asked: str,
):
    """Measure a trained model; the table is written to evaluation.json in the run folder, too.

    Images are compared with real ones by the features of a classifier that is trained on the data first, and
    kept. Each number stands beside its error and beside what real data get.

    Parameters
    ----------
    run
        A run folder; or a .npz of `samples`, of any program, with --data. The table of FILE.npz is written to
        FILE.evaluation.json.
    metrics
        Which: --metrics fcd,parzen. By default all that make sense for the data.
    n
        Samples of a draw; by default 10,000, or what a metric's protocol says.
    draws
        How many times to draw, for the error; by default 3 times, from a .npz once.
    seed
        Seed of all that is drawn.
    data
        The data to compare a .npz with; a run has its own.
    size
        Pixels a side of the images in a .npz.
    channels
        Of the images in a .npz, to be compared with those of a folder: 1 makes these grey, 3 colour.
    flip
        The program that made a .npz learned from mirrored images, too.
    data_dir
        Folder with the files of mnist or fashion-mnist; otherwise where the run found them, or where
        training would look for them.
    asked
        What the samples are to be, as `minigan sample` takes it: --codes uniform.
    """
    from minigan.training import Run, evaluate_archive, evaluate_run

    console = Console(highlight=False, markup=False, soft_wrap=True)
    how = {"names": metrics, "n": n, "seed": seed, "say": console.print}
    how |= {} if draws is None else {"draws": draws}
    archive = run.suffix.lower() == ".npz"
    if not archive and (data is not None or size is not None or channels is not None or flip):
        raise MiniganError(
            "--data, --size, --channels and --flip are for a .npz; a run is compared with its own data"
        )
    if archive and asked:
        first = next(iter(asked))
        raise MiniganError(f"--{first} asks a model for something, and a .npz has its samples already")
    with console.status("reading") as status:
        how["progress"] = status.update
        if archive:
            result, path = evaluate_archive(run, data, size, data_dir, channels, flip, **how)
        else:
            opened = Run.open(run, data_dir)
            how["asked"] = given(asked, opened.model().asks)
            result, path = evaluate_run(opened, trained.step, trained.device, trained.ema, **how)
    _print_table(console, result)
    print(path)


def _print_table(console, result):
    from minigan.metrics import table

    rows = table(result)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for quantity, *numbers in rows:
        cells = (f"{number:>{width}}" for number, width in zip(numbers, widths[1:], strict=True))
        console.print(f"{quantity:{widths[0]}}  {'  '.join(cells)}")
    if facts := result["classifier"]:
        console.print(
            f"classifier {facts['hash']} of {facts['data']}, right on {facts['accuracy']:.2%} of test images"
        )


@app.command
def diagnose(run: Path):
    """Say how the training of a run went: the doctor's verdict, its evidence, and what to try.

    Parameters
    ----------
    run
        A run folder that has a diagnostics.jsonl: any but one that was trained with --diagnose-every 0.
    """
    from minigan.diagnostics import verdict
    from minigan.training import Run
    from minigan.training.records import alike

    folder = Run.open(run)
    looks = alike(folder.records.diagnostics.read())
    found = folder.records.verdict() or verdict(looks)
    if found is None:
        raise MiniganError(f"{run} has {len(looks)} looks of the doctor, too few for a verdict")
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"{found['verdict']}, at step {found['step']}, after {len(looks)} looks")
    for finding in found["findings"]:
        console.print(f"  {finding['name']}, since step {finding['since']}: {finding['evidence']}")
        console.print(f"    {finding['advice']}")
