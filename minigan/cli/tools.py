"""The other commands: `minigan gradcheck`, `bench`, `models`, `doctor`, `study`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console

from minigan.gans import model_named, model_names

from .app import app


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
    from minigan.speed.short import bench

    bench(steps, threads, seconds, Console(highlight=False, soft_wrap=True))


@app.command
def models():
    """List the models and the datasets."""
    from minigan.data import NAMES

    console = Console(highlight=False, soft_wrap=True)
    width = max(map(len, [*model_names(), *NAMES]))
    console.print("Models: minigan train MODEL")
    for name in model_names():
        console.print(f"  {name:{width}}  {model_named(name).summary}")
    console.print("\nData: --data NAME")
    for name, description in NAMES.items():
        console.print(f"  {name:{width}}  {description}")


@app.command
def doctor():
    """Say what minigan runs on: versions, engines, threads, GPU, data."""
    from minigan.environment import findings

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
        The study, a TOML file: title, seeds, metrics, [base] settings, [[rows]], and [correlate], which may
        be left out.
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
    if not table:
        plan.check_data()
    stopped = not table and not run_jobs(jobs, workers, console.print)
    console.print(save_results(plan, jobs))
    if stopped:
        console.print("Stopped; the same command goes on.")
        return 130
    return 1 if any(job.record().get("failed") for job in jobs) else 0
