"""The command line: `minigan train`, `sample`, `interpolate`, `evaluate`, `study` and the rest.

What a library module raises as MiniganError is printed as one sentence, with exit code 2. Libraries
that draw or train are imported by the command that needs them, so that help comes at once.
"""

import contextlib
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter, Token
from cyclopts.validators import Number
from rich.console import Console

from minigan import __version__
from minigan.backend import require_engine
from minigan.errors import MiniganError
from minigan.gans import MODELS
from minigan.training.options import Options
from minigan_kernels import num_threads
from minigan_kernels.engines import requested_threads
from minigan_kernels.precisions import precision_name

app = App(
    name="minigan",
    version=__version__,
    help="Train GANs on a from-scratch autograd engine.\n\nStart with: minigan train dcgan",
)


def _note_given(app, commands, arguments):
    """Put the names of the flags that were typed into the hidden parameter `given`."""
    typed = [argument.name for argument in arguments if argument.tokens]
    for argument in arguments:
        if argument.name == "--given":
            for name in typed:
                argument.append(Token(keyword=argument.name, value=name))


train_app = App(
    name="train", help="Train a model; `minigan train MODEL --help` lists its flags.", config=_note_given
)
app.command(train_app)


def main(tokens: list[str] | None = None) -> int:
    """Run the command line; the exit code: 0, 1 for a wrong gradient, 2 for bad input, 130 if stopped."""
    return call(app, tokens)


def call(app: App, tokens: list[str] | None) -> int:
    """Run `app`; what goes wrong by a mistake of the user's is told in one sentence."""
    try:
        _check_environment()
        return app(tokens, exit_on_error=False, print_error=False, result_action="return_value") or 0
    except (CycloptsError, MiniganError) as error:
        message = " ".join(str(error).split())
        Console(stderr=True).print(f"minigan: {message}", highlight=False, markup=False, soft_wrap=True)
        return 2
    except MemoryError as error:
        print(f"minigan: there is not enough memory: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("minigan: interrupted", file=sys.stderr)
        return 130


def _check_environment():
    name = os.environ.get("MINIGAN_ENGINE")
    if name:
        try:
            require_engine(name)
        except MiniganError as error:
            raise MiniganError(f"MINIGAN_ENGINE: {error}") from error
    try:
        if requested_threads() is not None:
            num_threads()
        precision_name()
    except ValueError as error:
        raise MiniganError(str(error)) from error


def summary(module) -> str:
    """The first line of a model file."""
    return module.__doc__.partition("\n")[0]


def _train_command(name, module):
    def train(
        *,
        options: Annotated[Options, Parameter(name="*", group="Run")] = Options(),  # noqa: B008
        cfg: Annotated[module.Config, Parameter(name="*", group="Hyper-parameters")] = module.Config(),  # noqa: B008
        out: Annotated[Path | None, OUT] = None,
        resume: Annotated[Path | None, RESUME] = None,
        given: Annotated[tuple[str, ...], Parameter(show=False)] = (),
    ):
        from minigan import training

        if resume is None:
            run = training.train(name, options, cfg, out)
        else:
            run = training.resume(resume, **_changes(name, resume, options, cfg, given))
        return 0 if run.finished() else 130

    train.__doc__ = summary(module)
    return train


OUT = Parameter(group="Run", help="The run folder to make; by default runs/MODEL-DATA-TIME.")
RESUME = Parameter(
    group="Run", help="Go on with the run in this folder. Of the other flags, only --steps and --device."
)


def _changes(name, path, options, cfg, given):
    """What a resumed run is to do otherwise: the --steps and the --device that were typed, None if they
    were not. MiniganError if any other setting was."""
    from minigan.training import Run

    run = Run.open(path)
    if run.config["model"] != name:
        raise MiniganError(f"{path} is a run of {run.config['model']}, not of {name}")
    others = [flag for flag in given if flag not in ("--resume", "--steps", "--device")]
    if others:
        raise MiniganError(
            f"a resumed run keeps its settings, only --steps and --device may be given; "
            f"got {', '.join(others)}"
        )
    return {
        "steps": cfg.steps if "--steps" in given else None,
        "device": options.device if "--device" in given else None,
    }


SEED = Annotated[int, Parameter(validator=Number(gte=0, lt=2**64))]

for _name, _module in MODELS.items():
    train_app.command(_train_command(_name, _module), name=_name)


@app.command
def sample(
    run: Path,
    *,
    n: Annotated[int, Parameter(validator=Number(gte=1))] = 64,
    label: int | None = None,
    seed: SEED = 0,
    truncation: float | None = None,
    step: int | None = None,
    ema: bool = True,
    device: str = "auto",
    out: Path | None = None,
):
    """Draw samples from a trained generator.

    Parameters
    ----------
    run
        A run folder.
    n
        How many samples.
    label
        Of a conditional model: the class to make; by default every class in turn.
    seed
        Seed of the noise.
    truncation
        Keep the noise within this distance of 0: below 2, say, samples are better and less diverse.
    step
        Take the checkpoint of this step; by default the newest.
    ema
        Take the moving average of the weights, if the run has one.
    device
        Where to draw: cpu, gpu, gpu:1 for the second one, or auto: a GPU if there is one.
    out
        What to write: a .png, which is a sheet; a .npz of the array `samples`, float32 (n, *shape),
        images in [-1, 1], and of `labels`; or a folder, for a PNG each. By default samples-SEED.png in
        the run folder.
    """
    from minigan.training import Run, Sampler

    sampler = Sampler.of(Run.open(run), step, device, ema)
    out = out or run / f"samples-{seed}.png"
    with _writing(out):
        _save_drawn(out, sampler, n, seed, label, truncation)
    print(out)


def _save_drawn(out, sampler, n, seed, label, truncation):
    from minigan import report
    from minigan.files import write_npz

    samples = sampler(n, seed, label, truncation)
    if out.suffix == ".npz":
        labels = {"labels": sampler.labels(n, label)} if sampler.conditional else {}
        write_npz(out, samples=samples, **labels)
    elif out.suffix == ".png":
        report.save_samples(out, samples, columns=sampler.columns() if label is None else None)
    elif out.suffix:
        raise MiniganError(f"samples are written to a .png, a .npz or a folder, not to {out}")
    elif samples.ndim != 4:
        raise MiniganError(f"a point is no picture to put into a folder {out}; write a .png or a .npz")
    else:
        report.save_each(out, samples)


@contextlib.contextmanager
def _writing(out):
    """Inside the block, a file that cannot be written is told in one sentence."""
    try:
        yield
    except OSError as error:
        raise MiniganError(f"cannot write {out}: {error.strerror or error}") from error


@app.command
def interpolate(
    run: Path,
    *,
    n: Annotated[int, Parameter(validator=Number(gte=1))] = 8,
    steps: Annotated[int, Parameter(validator=Number(gte=2))] = 10,
    kind: Literal["spherical", "linear"] = "spherical",
    label: list[int] | None = None,
    seed: SEED = 0,
    step: int | None = None,
    ema: bool = True,
    device: str = "auto",
    out: Path | None = None,
):
    """Walk from sample to sample, through the noise or from class to class.

    Parameters
    ----------
    run
        A run folder.
    n
        How many walks.
    steps
        Samples of a walk, both ends among them.
    kind
        How to go from one noise vector to another.
    label
        Of a conditional model: walk through these classes, --label 3 --label 8, with the noise standing
        still. Without any, each walk keeps a class.
    seed
        Seed of the noise.
    step
        Take the checkpoint of this step; by default the newest.
    ema
        Take the moving average of the weights, if the run has one.
    device
        Where to draw: cpu, gpu, gpu:1 for the second one, or auto: a GPU if there is one.
    out
        What to write: a .png, a walk a row, or a .gif. By default walk-SEED.png in the run folder.
    """
    from minigan import report, training

    out = out or run / f"walk-{seed}.png"
    if out.suffix not in (".png", ".gif"):
        raise MiniganError(f"walks are written to a .png or a .gif, not to {out}")
    sampler = training.Sampler.of(training.Run.open(run), step, device, ema)
    with _writing(out):
        report.save_walks(out, training.interpolate(sampler, n, steps, seed, kind, label))
    print(out)


@app.command
def evaluate(
    run: Path,
    *,
    metrics: list[str] | None = None,
    n: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    draws: Annotated[int, Parameter(validator=Number(gte=1))] = 3,
    seed: SEED = 0,
    step: int | None = None,
    ema: bool = True,
    device: str = "auto",
    data: str | None = None,
    size: int | None = None,
    data_dir: Path | None = None,
):
    """Measure a trained generator; the table is written to evaluation.json in the run folder, too.

    Images are compared with real ones by the features of a classifier that is trained on the data first, and
    kept. Each number stands beside its error and beside what real data get.

    Parameters
    ----------
    run
        A run folder; or a .npz of `samples`, of any program, with --data. Then evaluation.json is beside it.
    metrics
        Which, once each: --metrics fcd --metrics parzen. By default all that make sense for the data.
    n
        Samples of a draw; by default 10,000, or what a metric's protocol says.
    draws
        How many times to draw, for the error.
    seed
        Seed of all that is drawn.
    step
        Take the checkpoint of this step; by default the newest.
    ema
        Take the moving average of the weights, if the run has one.
    device
        Where to draw: cpu, gpu, gpu:1 for the second one, or auto: a GPU if there is one.
    data
        The data to compare a .npz with; a run has its own.
    size
        Pixels a side of the images in a .npz.
    data_dir
        Folder with the files of mnist or fashion-mnist; otherwise where the run found them.
    """
    from minigan.training import Run, evaluate_archive, evaluate_run

    console = Console(highlight=False, markup=False, soft_wrap=True)
    how = {"names": metrics, "n": n, "draws": draws, "seed": seed, "say": console.print}
    if run.suffix == ".npz":
        result, path = evaluate_archive(run, data, size, data_dir, **how)
    else:
        if data is not None or size is not None:
            raise MiniganError("--data and --size are for a .npz; a run is compared with its own data")
        result, path = evaluate_run(Run.open(run), step, device, ema, data_dir, **how)
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
def gradcheck(
    *ops: str,
    order: Annotated[int, Parameter(validator=Number(gte=1, lte=4))] = 2,
    engine: list[str] | None = None,
    examples: Annotated[int, Parameter(validator=Number(gte=1))] = 3,
):
    """Check the gradients of every op: in float64 against finite differences, and on an engine that
    takes float32 alone against those.

    Parameters
    ----------
    ops
        Which ops, by their names in minigan.functional; by default all.
    order
        Up to which derivative.
    engine
        On which kernel engine; by default on reference and cpu, and on cuda if there is a GPU.
    examples
        Random inputs of each form of an op.
    """
    from minigan.testing.gradcheck import gradcheck

    console = Console(highlight=False, soft_wrap=True)
    results = []
    for r in gradcheck(ops, order, engine or (), examples):
        if not results:
            console.print(f"{'op':34} {'engine':13} order  examples  worst relative error  seconds")
        results.append(r)
        row = f"{r.op:34} {r.engine:13} {r.order:5}  {r.examples:8}  {r.worst:20.1e}  {r.seconds:7.2f}"
        console.print(row + ("  [red]FAILED[/red]" if r.failure else ""))
    failed = [r for r in results if r.failure]
    for r in failed:
        console.print(f"{r.op} on {r.engine}: {r.failure}", markup=False)
    console.print(
        f"{len({r.op for r in results})} ops on {', '.join(dict.fromkeys(r.engine for r in results))}, "
        f"{sum(r.examples for r in results)} examples, worst relative error "
        f"{max(r.worst for r in results):.1e}, {len(failed)} failed"
    )
    return 1 if failed else 0


@app.command
def bench(
    *steps: str,
    threads: int | None = None,
    seconds: Annotated[float, Parameter(validator=Number(gt=0))] = 2.0,
):
    """Time the training steps, against PyTorch where it is installed.

    Parameters
    ----------
    steps
        Which of dcgan-32, dcgan-64, mlp, points, wgan-gp; by default all but the last.
    threads
        For each side; by default as many as there are processors.
    seconds
        How long to time each side of a step.
    """
    from minigan.bench.short import bench

    bench(steps, threads, seconds, Console(highlight=False, soft_wrap=True))


@app.command
def models():
    """List the models and the datasets."""
    from minigan.data import NAMES

    console = Console(highlight=False, soft_wrap=True)
    width = max(map(len, [*MODELS, *NAMES]))
    console.print("Models: minigan train MODEL")
    for name, module in MODELS.items():
        console.print(f"  {name:{width}}  {summary(module)}")
    console.print("\nData: --data NAME")
    for name, description in NAMES.items():
        console.print(f"  {name:{width}}  {description}")


@app.command
def doctor():
    """Say what minigan runs on: versions, engines, threads, GPU, data."""
    from minigan.doctor import findings

    rows = findings()
    width = max(len(name) for name, _ in rows)
    for name, finding in rows:
        print(f"{name:{width}}  {finding}")


@app.command
def study(
    file: Path,
    *,
    out: Path | None = None,
    workers: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    table: bool = False,
):
    """Train and evaluate rows of settings with several seeds; print the means with their errors.

    What was stopped goes on by the same command. The table is written to results.md and results.json in
    the folder OUT, and once no job is left as FILE.md and FILE.json beside FILE.toml.

    Parameters
    ----------
    file
        The study, a TOML file: title, seeds, metrics, [base] settings and [[rows]].
    out
        The folder of its runs; by default runs/FILE.
    workers
        How many jobs run at once; by default one a processor, or MINIGAN_NUM_THREADS if that is set. They
        share the processors.
    table
        Train nothing: the table of what is there already.
    """
    from minigan.studies import Study, jobs_of, run_jobs, save_results

    console = Console(highlight=False, markup=False, soft_wrap=True)
    plan = Study.read(file)
    jobs = jobs_of(plan, out or Path("runs") / file.stem)
    stopped = not table and not run_jobs(jobs, workers, console.print)
    console.print(save_results(plan, jobs))
    if stopped:
        console.print("Stopped; the same command goes on.")
        return 130
    return 1 if any(job.record().get("failed") for job in jobs) else 0


def run():
    """The entry point of the installed command."""
    sys.exit(main())
