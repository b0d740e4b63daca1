"""The jobs of a study: each row with each seed, by processes of their own.

Next to a job's folder FOLDER, which is its run, lie FOLDER.log, what its processes printed, and FOLDER.json,
the record of how far it is: with it a study that was stopped, or killed, goes on where it was.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypedDict

from msgspec import Meta

from minigan.contents import Misfit, as_type, json_of
from minigan.errors import MiniganError
from minigan.files import write_atomically
from minigan.metrics.evaluate import Evaluation, Eye, read_evaluation
from minigan.training.checkpoints import Checkpoints
from minigan.training.records import Records

from .correlation import correlations
from .study import IN_BRACES, OF_SAMPLES, Row, Study

MINIGAN = (sys.executable, "-m", "minigan")


Seconds = Annotated[float, Meta(ge=0, lt=1e9)]


class Begun(TypedDict, total=False):
    """What the record of a job may hold."""

    row: str
    seed: int
    training: dict
    trained: bool
    failed: bool
    seconds: Seconds


class Done(Begun):
    """What the record of a job that is done holds."""

    evaluated: dict
    seconds: Seconds
    threads: int
    machine: str
    minigan: str
    date: str


class Judged(Evaluation):
    """What the evaluation of a job holds."""

    draws: int | None
    classifier: Eye | None


@dataclass(frozen=True, eq=False)
class Job:
    """One row with one seed."""

    study: Study
    row: Row
    seed: int
    out: Path

    @property
    def folder(self) -> Path:
        """Where its run is, or its program's samples."""
        return self.out / f"{self.row.slug}-seed{self.seed}"

    def file(self, suffix: str) -> Path:
        """What lies next to the folder: ".log" or ".json"."""
        return self.folder.with_name(self.folder.name + suffix)

    def __str__(self):
        return f"{self.row.name}, seed {self.seed}"

    @property
    def checkpoints(self) -> Checkpoints:
        """The checkpoints of its run."""
        return Checkpoints(self.folder / "checkpoints")

    def record(self) -> dict:
        """How far it is; empty before it has begun. MiniganError for a record that cannot be read."""
        file = self.file(".json")
        try:
            content = json_of(file.read_bytes())
            as_type(content, Done if isinstance(content, dict) and "evaluated" in content else Begun)
        except FileNotFoundError:
            return {}
        except Misfit as misfit:
            raise MiniganError(f"{file} cannot be read: it {misfit}") from None
        except (OSError, ValueError) as error:
            raise MiniganError(f"{file} cannot be read: {error}") from error
        return content

    def note(self, **changes):
        """Write `changes` into the record. OSError if the disk does not take it."""
        write_atomically(self.file(".json"), json.dumps(self.record() | changes, indent=1).encode())

    def correlations(self) -> dict[str, float]:
        """The rank correlations that the study asks for, over the job's run; none of a program."""
        return {} if self.row.command else correlations(Records(self.folder), self.study.correlate)

    def judged(self) -> dict:
        """All that decides how its samples are drawn and judged."""
        return self.study.evaluation() | ({"asked": self.row.asked} if self.row.asked else {})

    def evaluation(self) -> dict | None:
        """What `minigan evaluate` wrote, None if it has not yet, or was to judge otherwise then."""
        if self.record().get("evaluated") != self.judged():
            return None
        name = "samples.evaluation.json" if self.row.command else "evaluation.json"
        path = self.folder / name
        try:
            content = read_evaluation(path)
            if content is not None:
                as_type(content, Judged)
            return content
        except Misfit as misfit:
            raise MiniganError(f"{path} cannot be read: it {misfit}") from None


def jobs_of(study: Study, out: Path) -> list[Job]:
    """All jobs of a study, in the order to run them: the first seed of every row comes first.

    MiniganError if one was begun with other settings than the study has now.
    """
    jobs = [Job(study, row, seed, out) for seed in study.seeds for row in study.rows]
    for job in jobs:
        then, now = job.record().get("training"), job.row.training()
        if then is not None and then != now:
            changed = [key for key in {**then, **now} if then.get(key) != now.get(key)]
            before = ", ".join(f"{key} = {then.get(key)!r}, now {now.get(key)!r}" for key in changed)
            raise MiniganError(
                f"{study.path}: {job} was begun with {before}; undo that, choose another folder with --out, "
                f"or remove {job.folder} and {job.file('.json').name}"
            )
    return jobs


# The commands of a job, as `minigan` and its flags


def commands(job: Job) -> Iterator[list[str]]:
    """What is left to run of a job, one after another; each is asked for when the one before succeeded."""
    if not (job.record().get("trained") and job.folder.exists()):
        yield sampling_command(job)
        job.note(trained=True)
    yield evaluate_command(job)


def sampling_command(job: Job) -> list[str]:
    """What makes the samples: training, from its newest checkpoint if there is one, or the row's program."""
    if job.row.command:
        words = {"python": sys.executable, "seed": job.seed, "out": job.folder, **job.row.settings}
        return [IN_BRACES.sub(lambda name: str(words[name[1]]), word) for word in job.row.command]
    if job.checkpoints.steps():
        return [*MINIGAN, "train", job.row.model, f"--resume={job.folder}"]
    return [
        *MINIGAN,
        "train",
        job.row.model,
        f"--out={job.folder}",
        f"--seed={job.seed}",
        *flags(job.row.settings),
    ]


def evaluate_command(job: Job) -> list[str]:
    """What measures the samples: `minigan evaluate`, of the run, or of the archive that a program wrote."""
    study = job.study
    metrics = [f"--metrics={metric}" for metric in study.metrics]
    how = flags({key: value for key, value in (("n", study.n), ("draws", study.draws)) if value is not None})
    if not job.row.command:
        return [*MINIGAN, "evaluate", str(job.folder), *metrics, *how, *flags(job.row.asked)]
    known = flags({key: value for key, value in job.row.settings.items() if key in OF_SAMPLES})
    return [*MINIGAN, "evaluate", str(job.folder / "samples.npz"), *known, *metrics, *how]


def flags(settings: dict) -> list[str]:
    """Settings as they are typed: {"lr": 0.1, "graph": False} is --lr=0.1 --no-graph."""
    words = []
    for key, value in settings.items():
        flag = key.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words.append(f"--{flag}={value}")
    return words
