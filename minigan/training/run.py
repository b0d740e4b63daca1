"""A run is a folder. Everything in it can be read without minigan.

config.toml       the model, the data, every setting
metrics.jsonl     one line a step: {"step": 1, "d_loss": ..., ...}
evaluations.jsonl what the quick metrics said while training, with --evaluate-every
diagnostics.jsonl what the doctor saw, a line a look: see `minigan.diagnostics`
verdict.json      what it makes of that: {"step", "verdict", "findings"}
evaluation.json   what `minigan evaluate` said last
samples/          pictures of the same noise through training, and of real data; of a run in the plane a frame
                  beside each, a .npz: see `frame.py`
checkpoints/      step-001000.safetensors: all that is needed to go on
samples.gif       the samples as a film
losses.png        the losses as curves
report.html       all of this on a page
tensorboard/      all of this as event files for TensorBoard, with --log tensorboard
"""

import json
import re
import time
import tomllib
import typing
from dataclasses import asdict
from pathlib import Path

import tomli_w

from minigan import __version__
from minigan.errors import MiniganError
from minigan.files import write_atomically
from minigan.gans import model_named

from .options import Options


class Run:
    """A run folder. `Run.create` makes a new one, `Run.open` an existing one.

    stopped_on: what the doctor found and the run was told to stop on, while it was driven by this object.
    """

    stopped_on: str | None = None

    def __init__(self, path: Path, config: dict):
        self.path, self.config = path, config
        self.metrics_path, self.evaluations_path = path / "metrics.jsonl", path / "evaluations.jsonl"
        self.diagnostics_path, self.verdict_path = path / "diagnostics.jsonl", path / "verdict.json"
        self.samples = path / "samples"
        self.checkpoints = path / "checkpoints"
        self.gif, self.losses = path / "samples.gif", path / "losses.png"
        self.page = path / "report.html"

    @classmethod
    def create(cls, path: Path | None, model: str, options, cfg, shape) -> "Run":
        """A new folder at `path`, by default runs/<model>-<data>-<time>.

        MiniganError if there is a run already, or if the folder cannot be written.
        """
        data = options.data.partition(":")[0]
        if path is None:
            path = _unused(Path("runs") / f"{model}-{data}-{time.strftime('%Y%m%d-%H%M%S')}")
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise MiniganError(f"{path} exists and is not an empty folder; choose another with --out")
        config = {
            "minigan": __version__,
            "model": model,
            "shape": list(shape),
            "run": _as_toml(options),
            "hyperparameters": _as_toml(cfg),
        }
        run = cls(path, config)
        try:
            run.samples.mkdir(parents=True, exist_ok=True)
            run.checkpoints.mkdir(exist_ok=True)
            run.save_config()
        except OSError as error:
            raise MiniganError(f"cannot write the run folder {path}: {error.strerror}") from error
        return run

    @classmethod
    def open(cls, path: Path) -> "Run":
        """The run at `path`. MiniganError if it is no run folder, or its config cannot be read."""
        file = Path(path) / "config.toml"
        try:
            config = tomllib.loads(file.read_text())
        except (FileNotFoundError, NotADirectoryError):
            raise MiniganError(f"{path} is not a run folder: it has no config.toml") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise MiniganError(f"{file} cannot be read: {error}") from error
        made_by = config.get("minigan", "")
        if _version(made_by) > _version(__version__):
            raise MiniganError(
                f"{path} was made by minigan {made_by}; this is {__version__}, which may not understand it"
            )
        for name, kind in (("model", str), ("shape", list), ("run", dict), ("hyperparameters", dict)):
            if name not in config:
                raise MiniganError(f"{file} cannot be read: it has no {name}")
            if not isinstance(config[name], kind):
                raise MiniganError(f"{file}: {name} is not a {kind.__name__}")
        return cls(Path(path), config)

    def model(self):
        """The module of the run's model."""
        return model_named(self.config["model"])

    def options(self) -> Options:
        return self._settings(Options, "run")

    def hyperparameters(self):
        """The `Config` of the run's model."""
        return self._settings(self.model().Config, "hyperparameters")

    def _settings(self, kind, section):
        hints, values = typing.get_type_hints(kind), self.config[section]
        for name, value in values.items():
            if name not in hints or not is_a(value, hints[name]):
                raise MiniganError(f"{self.path}/config.toml: {name} = {value!r} does not fit")
        return kind(**{k: Path(v) if Path in typing.get_args(hints[k]) else v for k, v in values.items()})

    def finished(self) -> bool:
        """Whether there is a checkpoint of the last step."""
        return self.checkpoint_path(self.hyperparameters().steps).exists()

    def save_config(self):
        """Write config.toml. OSError if the disk does not take it."""
        write_atomically(self.path / "config.toml", tomli_w.dumps(self.config).encode())

    # Metrics

    def log(self, step: int, metrics: dict[str, float]):
        """Add a line to metrics.jsonl."""
        _add_line(self.metrics_path, step, metrics)

    def log_evaluation(self, step: int, found: dict[str, float | None]):
        """Add a line to evaluations.jsonl."""
        _add_line(self.evaluations_path, step, found)

    def metrics(self) -> list[dict]:
        """The lines of metrics.jsonl; a last one that was cut off is left out."""
        return _lines(self.metrics_path)

    def evaluations(self) -> list[dict]:
        """Those of evaluations.jsonl."""
        return _lines(self.evaluations_path)

    def log_diagnostics(self, step: int, look: dict):
        """Add a line to diagnostics.jsonl."""
        _add_line(self.diagnostics_path, step, look)

    def diagnostics(self) -> list[dict]:
        """Those of diagnostics.jsonl."""
        return _lines(self.diagnostics_path)

    def save_verdict(self, verdict: dict | None):
        """Write verdict.json; remove it where there is no verdict."""
        if verdict is None:
            self.verdict_path.unlink(missing_ok=True)
        else:
            write_atomically(self.verdict_path, json.dumps(verdict, indent=1).encode())

    def verdict(self) -> dict | None:
        """That of verdict.json; None where there is none, or it cannot be read."""
        try:
            content = json.loads(self.verdict_path.read_bytes())
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) and "verdict" in content else None

    def forget_after(self, step: int):
        """Drop the metrics, evaluations and samples of later steps: those that a resumed run makes again."""
        for path in (self.metrics_path, self.evaluations_path, self.diagnostics_path):
            if path.exists():
                kept = [json.dumps(record) + "\n" for record in _lines(path) if record["step"] <= step]
                write_atomically(path, "".join(kept).encode())
        for picture in self.sample_paths():
            if _step_of(picture) > step:
                picture.unlink()
                self.frame_path(_step_of(picture)).unlink(missing_ok=True)

    # Samples and checkpoints

    def sample_path(self, step: int) -> Path:
        return self.samples / f"step-{step:06d}.png"

    def frame_path(self, step: int) -> Path:
        """What belongs to that picture in a run in the plane."""
        return self.sample_path(step).with_suffix(".npz")

    def sample_paths(self) -> list[Path]:
        return sorted((p for p in self.samples.glob("step-*.png") if _step_of(p) >= 0), key=_step_of)

    def checkpoint_path(self, step: int) -> Path:
        return self.checkpoints / f"step-{step:06d}.safetensors"

    def checkpoint_steps(self) -> list[int]:
        """The steps that a checkpoint was saved at, in order."""
        steps = (_step_of(path) for path in self.checkpoints.glob("step-*.safetensors"))
        return sorted(step for step in steps if step >= 0)

    def latest_checkpoint(self) -> Path:
        """The newest checkpoint. MiniganError if there is none yet."""
        steps = self.checkpoint_steps()
        if not steps:
            raise MiniganError(f"{self.path} has no checkpoint yet")
        return self.checkpoint_path(steps[-1])


def _version(text) -> tuple[int, ...]:
    """ "0.1.0" as (0, 1, 0), to be compared; what is no version is older than all."""
    return tuple(int(part) for part in re.findall(r"\d+", str(text)))


def _add_line(path: Path, step: int, record: dict):
    with open(path, "a") as file:
        file.write(json.dumps({"step": step, **record}) + "\n")


def _lines(path: Path) -> list[dict]:
    """The records of a file of JSON lines, up to a first one that is none."""
    if not path.exists():
        return []
    records = []
    for line in path.read_bytes().splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            break
        if not (isinstance(record, dict) and isinstance(record.get("step"), int)):
            break
        records.append(record)
    return records


def _step_of(path: Path) -> int:
    digits = path.stem.partition("-")[2]
    return int(digits) if digits.isdigit() else -1


def is_a(value, hint) -> bool:
    """Whether a value read from TOML is one of the type `hint`."""
    if typing.get_origin(hint) is typing.Literal:
        return value in typing.get_args(hint)
    if typing.get_args(hint):
        return any(is_a(value, part) for part in typing.get_args(hint))
    return type(value) in {float: (float, int), Path: (str,)}.get(hint, (hint,))


def _as_toml(dataclass) -> dict:
    """The fields as TOML can hold them: without those that are None."""
    values = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(dataclass).items()}
    return {k: v for k, v in values.items() if v is not None}


def _unused(path: Path) -> Path:
    """`path`, or with a number behind it if two runs begin in one second."""
    candidates = [path, *(path.with_name(f"{path.name}-{i}") for i in range(2, 1000))]
    return next(p for p in candidates if not p.exists())
