"""The jobs of a study: each row with each seed, by processes of their own.

Next to a job's folder FOLDER, which is its run, lie FOLDER.log, what its processes printed, and FOLDER.json,
the record of how far it is: with it a study that was stopped, or killed, goes on where it was.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from minigan.errors import MiniganError
from minigan.files import write_atomically
from minigan.training import Run

from .study import IN_BRACES, OF_SAMPLES, Row, Study

MINIGAN = (sys.executable, "-m", "minigan")


@dataclass(frozen=True, eq=False)
class Job:
    """One row with one seed."""

    study: Study
    row: Row
    seed: int
    out: Path

    @property
    def folder(self) -> Path:
        return self.out / f"{self.row.slug}-seed{self.seed}"

    def file(self, suffix: str) -> Path:
        """What lies next to the folder: ".log" or ".json"."""
        return self.folder.with_name(self.folder.name + suffix)

    def __str__(self):
        return f"{self.row.name}, seed {self.seed}"

    def record(self) -> dict:
        """How far it is; empty before it has begun. MiniganError for a record that cannot be read."""
        return _object_in(self.file(".json")) or {}

    def note(self, **changes):
        """Write `changes` into the record. OSError if the disk does not take it."""
        write_atomically(self.file(".json"), json.dumps(self.record() | changes, indent=1).encode())

    def evaluation(self) -> dict | None:
        """What `minigan evaluate` wrote, None if it has not yet, or was to judge otherwise then."""
        if self.record().get("evaluated") != self.study.evaluation():
            return None
        name = "samples.evaluation.json" if self.row.command else "evaluation.json"
        return _object_in(self.folder / name)


def _object_in(path: Path) -> dict | None:
    """The JSON object in a file, None if there is no file. MiniganError for a file without one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise MiniganError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise MiniganError(f"{path} cannot be read: it holds no JSON object")
    return content


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
    if Run(job.folder, {}).checkpoint_steps():
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
    study = job.study
    metrics = [f"--metrics={metric}" for metric in study.metrics]
    how = flags({key: value for key, value in (("n", study.n), ("draws", study.draws)) if value is not None})
    if not job.row.command:
        return [*MINIGAN, "evaluate", str(job.folder), *metrics, *how]
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
