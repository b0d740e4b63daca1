"""The results of a study: a table of rows by quantities, mean ± standard error over the seeds."""

import json
import math
import shlex
from dataclasses import asdict
from statistics import fmean, stdev

from minigan.errors import MiniganError
from minigan.files import write_atomically
from minigan.gans import model_named
from minigan.training import Options

from .jobs import Job
from .study import Study

FAILED, MISSING = "failed", "–"


def results(study: Study, jobs: list[Job]) -> dict:
    """All that is known of a study so far: of every job its values, of every row their means.

    MiniganError for an evaluation that cannot be read.
    """
    finished = {job: evaluation for job in jobs if (evaluation := job.evaluation()) is not None}
    records = [job.record() for job in finished]
    return {
        "title": study.title,
        "command": f"minigan study {study.path.name if study.path.is_absolute() else study.path}",
        "seeds": list(study.seeds),
        "evaluation": study.evaluation(),
        **{key: sorted({record[key] for record in records}) for key in ("minigan", "machine", "threads")},
        "date": max((record["date"] for record in records), default=None),
        "rows": [_row(row, [job for job in jobs if job.row == row], finished) for row in study.rows],
        "real": _real(finished),
    }


def save_results(study: Study, jobs: list[Job]) -> str:
    """Write results.md and results.json in the folder of the jobs, and if no job is left to run, the same
    as FILE.md and FILE.json beside FILE.toml; return the table. MiniganError if they cannot be written.
    """
    found = results(study, jobs)
    texts = {".md": markdown(found), ".json": json.dumps(found, indent=1, ensure_ascii=False) + "\n"}
    places = [jobs[0].out / "results"]
    over = all(len(row["seeds"]) + row["failed"] == len(study.seeds) for row in found["rows"])
    if over and any(row["seeds"] for row in found["rows"]):
        places.append(study.path.with_suffix(""))
    for place in places:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            for suffix, text in texts.items():
                write_atomically(
                    place.with_name(place.name + suffix), text.encode("utf-8", "surrogateescape")
                )
        except OSError as error:
            raise MiniganError(f"cannot write {place}.md: {error.strerror or error}") from error
    return table(found)


def markdown(found: dict) -> str:
    """The page: title, where the numbers come from, the table, the settings of each row."""
    seeds = ", ".join(map(str, found["seeds"]))
    made = f"Made by `{found['command']}`"
    if found["date"]:
        versions, machines = ", ".join(found["minigan"]), "; ".join(found["machine"])
        threads = " or ".join(map(str, found["threads"]))
        made += f", {found['date']}, with minigan {versions} on {machines}, threads of a job: {threads}"
    return "\n".join(
        [
            f"# {found['title']}\n",
            f"{made}.\n",
            f"Mean ± standard error over the seeds {seeds}." if len(found["seeds"]) > 1 else f"Seed {seeds}.",
            *_evaluated(found),
            "",
            table(found),
            *_seed_by_seed(found),
            "The settings; all others are the model's defaults.\n",
            *(f"- {row['name']}: {_in_words(row['settings'])}" for row in found["rows"]),
            "",
        ]
    )


def table(found: dict) -> str:
    """Rows by quantities, in Markdown."""
    quantities = list(dict.fromkeys(name for row in found["rows"] for name in row["means"]))
    lines = [["", *quantities, "seeds"]]
    for row in found["rows"]:
        empty = FAILED if row["failed"] and not row["seeds"] else MISSING
        cells = [_mean(row, q) if q in row["means"] else empty for q in quantities]
        lines.append([row["name"], *cells, _counted(row, found["seeds"])])
    for data, floors in found["real"].items():
        lines.append(
            [f"real data, {data}", *(number(floors[q]) if q in floors else MISSING for q in quantities), ""]
        )
    lines = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    return "".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |\n"
        for line in lines
    )


def mean_and_error(values: list[float | None]) -> dict:
    """The mean, and its standard error s/√n, where s² has n - 1 below; that of a single value is None.

    Both are None if a value is: so an evaluation writes infinity.
    """
    if None in values:
        return {"mean": None, "error": None}
    n = len(values)
    error = stdev(values) / math.sqrt(n) if n > 1 else None
    return {"mean": fmean(values), "error": error}


def with_error(mean: float | None, error: float | None) -> str:
    """mean ± error, to the second digit of the error."""
    if mean is None:
        return "∞"
    if error is None:
        return number(mean)
    if error == 0:
        return f"{number(mean)} ± 0"
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{mean:.{decimals}f} ± {error:.{decimals}f}"


def number(value: float) -> str:
    """The number as text, to four digits."""
    return f"{value:.4g}"


def _mean(row, quantity):
    """The mean of a quantity as text; of how many seeds, where not of all of the row's."""
    values = _values(row, quantity)
    few = f" ({len(values)} of {len(row['seeds'])})" if len(values) < len(row["seeds"]) else ""
    return with_error(**row["means"][quantity]) + few


def _values(row, quantity):
    """{seed: the value} of a quantity, of the seeds that have it."""
    found = {seed: of["metrics"] | of.get("correlations", {}) for seed, of in row["seeds"].items()}
    values = {seed: of[quantity] for seed, of in found.items() if quantity in of}
    return {seed: of["value"] if isinstance(of, dict) else of for seed, of in values.items()}


def _seed_by_seed(found):
    """Every value behind the means, and how long training took."""
    if len(found["seeds"]) < 2:
        return
    yield "Seed by seed:\n"
    for row in found["rows"]:
        told = []
        for quantity in row["means"]:
            values = ("∞" if value is None else number(value) for value in _values(row, quantity).values())
            told.append(f"{quantity} {', '.join(values)}")
        if told:
            took = ", ".join(f"{of['seconds']:,.0f}" for of in row["seeds"].values())
            yield f"- {row['name']}: {'; '.join(told)}; seconds of training {took}"
    yield ""


def _row(row, jobs, finished):
    seeds = {
        job.seed: finished[job]
        | {"seconds": job.record()["seconds"]}
        | ({"correlations": job.correlations()} if job.study.correlate else {})
        for job in jobs
        if job in finished
    }
    values = {}
    for evaluation in seeds.values():
        for quantity, found in evaluation["metrics"].items():
            values.setdefault(quantity, []).append(found["value"])
        for pair, found in evaluation.get("correlations", {}).items():
            values.setdefault(pair, []).append(found)
    return {
        "name": row.name,
        "settings": _stated(row),
        "means": {quantity: mean_and_error(of_seeds) for quantity, of_seeds in values.items()},
        "failed": sum(bool(job.record().get("failed")) for job in jobs if job not in finished),
        "seeds": seeds,
    }


def _stated(row):
    """The row's settings but for the model's defaults; its steps, widths and data even if they are those. And
    what its samples are asked for."""
    if row.command:
        return row.training()
    defaults = asdict(Options(data=row.data)) | asdict(model_named(row.model).Config())
    stated = {
        key: row.settings.get(key, default)
        for key, default in defaults.items()
        if key in ("steps", "data") or "width" in key or row.settings.get(key, default) != default
    }
    return {"model": row.model} | stated | {f"asked for {name}": value for name, value in row.asked.items()}


def _evaluated(found):
    """How the rows were judged: draws, their samples, and through which classifiers."""
    evaluations = [evaluation for row in found["rows"] for evaluation in row["seeds"].values()]
    counts = {}
    for evaluation in evaluations:
        for quantity, of in evaluation["metrics"].items():
            counts.setdefault(of["n"], {})[quantity] = None
    samples = [f"{n:,} samples" + f" ({', '.join(of)})" * (len(counts) > 1) for n, of in counts.items()]
    for draws in sorted({evaluation["draws"] for evaluation in evaluations}):
        yield f"An evaluation: {draws} draw{'s' * (draws != 1)} of {' and '.join(samples)}."
    if any("correlations" in evaluation for evaluation in evaluations):
        yield (
            "A ~ B: Spearman's rank correlation over a run, of B whenever it was measured while training, "
            "and the mean of what steps said of A since the time before."
        )
    eyes, used = {}, {}
    for row in found["rows"]:
        for evaluation in row["seeds"].values():
            if of := evaluation["classifier"]:
                eyes[of["hash"]] = of
                used.setdefault(of["hash"], {})[row["name"]] = None
    alike = [of["data"] for of in eyes.values()]
    for name, of in eyes.items():
        rows = f" It reads {', '.join(used[name])}." if alike.count(of["data"]) > 1 else ""
        yield f"Classifier {name} of {of['data']}, right on {of['accuracy']:.2%} of test images.{rows}"


def _in_words(settings):
    words = dict(settings)
    made_by = f"`{shlex.join(words.pop('command'))}`" if "command" in words else words.pop("model")
    return ", ".join([made_by, *(f"{key} {value}" for key, value in words.items())])


def _counted(row, seeds):
    """How many seeds stand behind a row's means."""
    count = str(len(seeds)) if len(row["seeds"]) == len(seeds) else f"{len(row['seeds'])} of {len(seeds)}"
    return count + (f", {row['failed']} failed" if row["failed"] else "")


def _real(finished):
    """What real samples get in place of generated ones, of each data and by each classifier: the mean over
    the evaluations of the one by the other."""
    floors = {}
    for job, evaluation in finished.items():
        data, size = job.row.data, job.row.settings.get("size")
        eye = evaluation["classifier"] and evaluation["classifier"]["hash"]
        of_data = floors.setdefault((f"{data} {size}x{size}" if size else data, eye), {})
        for quantity, found in evaluation["metrics"].items():
            if found.get("floor") is not None:
                of_data.setdefault(quantity, []).append(found["floor"])
    seen = [data for (data, _), of_data in floors.items() if of_data]
    return {
        f"{data}, by {eye}" if seen.count(data) > 1 and eye else data: {
            quantity: fmean(values) for quantity, values in of_data.items()
        }
        for (data, eye), of_data in floors.items()
        if of_data
    }
