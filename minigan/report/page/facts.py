"""What a run folder says, checked: what is missing is empty or None, what is damaged is a MiniganError."""

import dataclasses
import json
import shlex
import sys
from pathlib import Path

from minigan.errors import MiniganError
from minigan.gans import is_critic

LARGEST = sys.float_info.max


class Facts:
    """All that a page tells of `run`, a `training.Run`, and is read from its files.

    metrics, evaluations, looks: the lines of metrics.jsonl, evaluations.jsonl and diagnostics.jsonl.
    verdict, evaluation: verdict.json and evaluation.json, None where there is none.
    sheets: {step: path} of the sample pictures. frames: {step: path} of those of a run in the plane.
    MiniganError if one of them is not what minigan writes.
    """

    def __init__(self, run):
        self.run, self.name = run, run.path.resolve().name
        self.options, self.cfg = run.options(), run.hyperparameters()
        self.critic, self.images = is_critic(run.model()), len(run.config["shape"]) == 3
        self.metrics = records(run.metrics_path, run.metrics())
        self.evaluations = records(run.evaluations_path, run.evaluations())
        self.looks = records(run.diagnostics_path, run.diagnostics())
        self.verdict = checked_verdict(run.verdict_path, run.verdict())
        self.evaluation_path = run.path / "evaluation.json"
        self.evaluation = checked_evaluation(self.evaluation_path)
        self.sheets = {step_of(path): path for path in run.sample_paths()}
        self.frames = {step: run.frame_path(step) for step in self.sheets if run.frame_path(step).exists()}
        self.real = run.samples / "real.png"

    @property
    def step(self) -> int:
        """How many steps were taken."""
        return self.metrics[-1]["step"] if self.metrics else 0

    @property
    def title(self) -> str:
        return f"{self.run.config['model']} on {self.options.data}"

    @property
    def state(self) -> str:
        """What the verdict says in a word: well, ill or unknown."""
        if not self.verdict:
            return "unknown"
        return "ill" if self.verdict["findings"] else "well"

    @property
    def progress(self) -> str:
        steps = self.cfg.steps
        if not self.step:
            return f"only just begun: none of {steps:,} steps is taken"
        return f"{steps:,} steps" if self.step >= steps else f"{self.step:,} of {steps:,} steps"

    def files(self) -> list[tuple[str, str]]:
        """(name in the run folder, size) of what the page is made of; sheets together, and frames."""
        run = self.run
        lines = run.metrics_path, run.evaluations_path, run.diagnostics_path
        alone = run.path / "config.toml", *lines, run.verdict_path, self.evaluation_path, self.real
        many = {"samples/step-*.png": self.sheets, "samples/step-*.npz": self.frames}
        return [
            *((str(path.relative_to(run.path)), size_of([path])) for path in alone if path.exists()),
            *(
                (f"{name}, {len(paths)} files", size_of(paths.values()))
                for name, paths in many.items()
                if paths
            ),
        ]

    def settings(self) -> dict[str, object]:
        """All settings of the run by their names, as config.toml has them."""
        config = self.run.config
        return {"model": config["model"], **config["run"], **config["hyperparameters"]}

    def command(self) -> str:
        """The shell command that trains the same again: a flag for each setting that is not the default."""
        words = ["minigan", "train", self.run.config["model"]]
        for settings in (self.options, self.cfg):
            for field in dataclasses.fields(settings):
                value = getattr(settings, field.name)
                if value != field.default:
                    words += flag(field.name.replace("_", "-"), value)
        return shlex.join(words)


def flag(name, value) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", str(value)]


def records(path: Path, lines: list[dict]) -> list[dict]:
    """`lines`, those that could be read of the file at `path`: all but a last one that was cut off."""
    *whole, _ = path.read_bytes().split(b"\n") if path.exists() else [b""]
    written = sum(bool(line) for line in whole)
    if len(lines) < written:
        raise MiniganError(f"{path} is damaged: {written - len(lines)} of its lines cannot be read")
    return lines


def number(record: dict, *keys: str) -> float | None:
    """The number in a line under these keys; None if there is none, or it is not finite.

    MiniganError if it is anything else.
    """
    return finite(record, keys, under(record, keys))


def numbers(record: dict, *keys: str) -> list[float | None]:
    """The same of a list of numbers; empty if there is none."""
    values = under(record, keys)
    if not isinstance(values, list | None):
        raise damaged(record, keys, values)
    return [finite(record, keys, value) for value in values or []]


def names(record: dict, *keys: str) -> list[str]:
    """The keys of what is in a line under these keys; empty if there is nothing."""
    values = under(record, keys)
    if not isinstance(values, dict | None):
        raise damaged(record, keys, values)
    return list(values or {})


def under(record, keys):
    value = record
    for key in keys:
        if value is None:
            return None
        if not isinstance(value, dict):
            raise damaged(record, keys, value)
        value = value.get(key)
    return value


def finite(record, keys, value):
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise damaged(record, keys, value)
    return value if is_finite(value) else None


def damaged(record, keys, value):
    return MiniganError(f"step {record['step']}: {'.'.join(keys)} is {value!r}, where numbers were expected")


def checked_verdict(path: Path, verdict: dict | None) -> dict | None:
    if verdict is None and path.exists():
        raise MiniganError(f"{path} is damaged: it is not a verdict of the doctor")
    return verdict


def checked_evaluation(path: Path) -> dict | None:
    content = parsed(path)
    if content is not None and not (
        has(content, metrics=dict) and all(is_quantity(row) for row in content["metrics"].values())
    ):
        raise MiniganError(f"{path} is damaged: it is not an evaluation; `minigan evaluate` writes a new one")
    return content


def is_quantity(row) -> bool:
    return has(row, n=int) and all(
        row.get(key, "missing") is None or is_finite(row.get(key)) for key in ("value", "error", "floor")
    )


def is_finite(value) -> bool:
    """Whether it is a number that a float can hold: JSON knows larger ones, and Python's knows NaN."""
    return isinstance(value, int | float) and abs(value) <= LARGEST


def has(content, **kinds) -> bool:
    """Whether `content` is a dict with values of these types."""
    return isinstance(content, dict) and all(isinstance(content.get(k), kind) for k, kind in kinds.items())


def parsed(path: Path):
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError, OSError) as error:
        raise MiniganError(f"{path} cannot be read: {error}") from error


def size_of(paths) -> str:
    return f"{sum(path.stat().st_size for path in paths):,} bytes"


def step_of(path: Path) -> int:
    """The step in the name of a file such as step-000500.png."""
    return int(path.stem.partition("-")[2])
