"""A run is a folder: see `Run`."""

import bisect
import contextlib
import json
import re
import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path

from minigan.data import Dataset, Fields
from minigan.errors import MiniganError
from minigan.files import remove_leftovers, sync_file, write_atomically
from minigan.gans import Model, model_named

from . import former
from .checkpoint import Checkpoint, DamagedCheckpoint, load_checkpoint
from .config import DECISIVE, decisive, new_config, read_config, settings_of, write_config
from .keep import Keep
from .lock import alone_in
from .options import Options
from .records import add_record, alike, cut_after, read_records

OF_A_STEP = re.compile(r"step-(\d+)\.\w+")


class Run:
    """A run folder. `Run.create` makes a new one, `Run.open` an existing one.

    Everything in it can be read without minigan, and it can be moved:

    config.toml       the model, the data, every setting
    metrics.jsonl     one line a step: {"step": 1, "d_loss": ..., ...}
    evaluations.jsonl what the quick metrics said while training, with --evaluate-every
    diagnostics.jsonl what the doctor saw, a line a look: see `minigan.diagnostics`
    verdict.json      what it makes of that: {"step", "verdict", "findings"}
    evaluation.json   what `minigan evaluate` said last
    samples/          pictures of the same noise through training, and of real data; of a run in the plane a
                      frame beside each, a .npz: see `frame`
    checkpoints/      step-001000.safetensors and .json: all that is needed to go on, see `checkpoint`
    samples.gif       the samples as a film
    losses.png        the losses as curves
    report.html       all of this on a page
    tensorboard/      all of this as event files, with --log tensorboard
    lock              the process id of the last process that trained in it

    stopped_on: what the doctor found and the run was told to stop on, while it was driven by this object.
    """

    stopped_on: str | None = None
    _model: Model | None = None  # where it is at hand

    def __init__(self, path: Path, config: dict):
        self.path, self.config = path, config
        self.metrics_path, self.evaluations_path = path / "metrics.jsonl", path / "evaluations.jsonl"
        self.diagnostics_path, self.verdict_path = path / "diagnostics.jsonl", path / "verdict.json"
        self.samples = path / "samples"
        self.checkpoints = path / "checkpoints"
        self.gif, self.losses = path / "samples.gif", path / "losses.png"
        self.page = path / "report.html"
        self.records = self.metrics_path, self.evaluations_path, self.diagnostics_path

    @classmethod
    def create(cls, path: Path | None, model: Model, options, cfg, fields: Fields) -> "Run":
        """A new folder at `path`, by default runs/<model>-<data>-<time>.

        MiniganError if there is a run already, or if the folder cannot be written.
        """
        data = options.data.partition(":")[0]
        if path is None:
            path = unused(Path("runs") / f"{model.name}-{data}-{time.strftime('%Y%m%d-%H%M%S')}")
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise MiniganError(f"{path} exists and is not an empty folder; choose another with --out")
        run = cls(path, new_config(model.source, options, cfg, fields))
        run._model = model
        try:
            run.samples.mkdir(parents=True, exist_ok=True)
            run.checkpoints.mkdir()  # an error for the second of two processes that come here at once
            run.save_config()
        except OSError as error:
            raise MiniganError(f"cannot write the run folder {path}: {error.strerror}") from error
        return run

    @classmethod
    def open(cls, path: Path) -> "Run":
        """The run at `path`. MiniganError if it is no run folder, or its config cannot be read."""
        return cls(Path(path), read_config(Path(path)))

    @contextlib.contextmanager
    def alone(self):
        """Inside the block no other process trains in the folder; see `alone_in`.

        MiniganError if one does, or the folder cannot be written.
        """
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(alone_in(self.path))
            except OSError as error:
                raise MiniganError(f"cannot write to {self.path}: {error.strerror or error}") from error
            yield

    def check_fields(self, fields: Fields):
        """MiniganError unless the data have samples of the shapes that they had when the run began."""
        before, now = (
            {name: [*f.shape] for name, f in of.items() if f.shape} for of in (self.fields(), fields)
        )
        if before != now:
            raise MiniganError(
                f"{self.path} was trained on samples of shape {_shapes(before)}, {self.options().data} has "
                f"{_shapes(now)} now"
            )

    def model(self) -> Model:
        """The run's model."""
        return self._model or model_named(self.config["model"])

    def fields(self) -> Fields:
        """The fields of the data that the run learned from."""
        return Fields.from_dict(self.config["fields"])

    def held_out(self) -> Dataset:
        """The held-out data that belong to what it learned from; MiniganError if they cannot be read."""
        data = self.options().held_out(self.hyperparameters().size)
        self.check_fields(data.fields)
        return data

    def options(self) -> Options:
        """What the run was told. The images of a folder stay grey or in colour, as they were."""
        options = settings_of(Options, self.config["run"], self.path / "config.toml")
        if options.data.startswith("folder:") and options.channels is None:
            return replace(options, channels=self.fields().shape[0])
        return options

    def hyperparameters(self):
        """The `Config` of the run's model."""
        kind, values = self.model().Config, self.config["hyperparameters"]
        return settings_of(kind, values, self.path / "config.toml")

    def finished(self) -> bool:
        """Whether there is a checkpoint of the last step."""
        return self.hyperparameters().steps in self.checkpoint_steps()

    def save_config(self):
        """Write config.toml. OSError if the disk does not take it."""
        write_config(self.path, self.config)

    def resume_command(self) -> str:
        """What to type to go on."""
        return shlex.join(["minigan", "train", self.config["model"], "--resume", str(self.path)])

    # Metrics

    def log(self, step: int, metrics: dict[str, float]):
        """Add a line to metrics.jsonl."""
        add_record(self.metrics_path, step, metrics)

    def log_evaluation(self, step: int, found: dict[str, float | None]):
        """Add a line to evaluations.jsonl."""
        add_record(self.evaluations_path, step, found)

    def metrics(self) -> list[dict]:
        """The lines of metrics.jsonl; those that cannot be read are left out."""
        return read_records(self.metrics_path)

    def evaluations(self) -> list[dict]:
        """The lines of evaluations.jsonl; those that cannot be read are left out."""
        return read_records(self.evaluations_path)

    def log_diagnostics(self, step: int, look: dict):
        """Add a line to diagnostics.jsonl."""
        add_record(self.diagnostics_path, step, look)

    def diagnostics(self) -> list[dict]:
        """The lines of diagnostics.jsonl; those that cannot be read are left out."""
        return [former.look(record) for record in read_records(self.diagnostics_path)]

    def save_verdict(self, verdict: dict | None):
        """Write verdict.json; remove it where there is no verdict."""
        if verdict is None:
            self.verdict_path.unlink(missing_ok=True)
        else:
            write_atomically(self.verdict_path, json.dumps(verdict, indent=1).encode())

    def verdict(self) -> dict | None:
        """What verdict.json says; None where there is none, or it cannot be read."""
        try:
            content = json.loads(self.verdict_path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        return content if _is_verdict(content) else None

    # What belongs to a step

    def samples_up_to(self, step: int) -> list[Path]:
        """The files in `samples` that are of no later step."""
        return [path for s, path in self._files_of_steps() if s <= step and path.parent == self.samples]

    def _files_of_steps(self):
        """All of them with their steps, in order."""
        found = [(_step_of(path), path) for path in (*self.checkpoints.glob("*"), *self.samples.glob("*"))]
        return sorted((s, path) for s, path in found if s >= 0)

    def forget_after(self, step: int):
        """Drop the metrics, evaluations, diagnostics and samples of later steps: those that a resumed run
        makes again."""
        for path in self.records:
            cut_after(path, step)
        for s, path in self._files_of_steps():
            if s > step and path.parent == self.samples:
                path.unlink()

    def sync(self):
        """Bring all lines to disk: then those up to a checkpoint outlast a power cut if it does."""
        for path in self.records:
            if path.exists():
                sync_file(path)

    def prune(self, keep: Keep, saved: int, doubtful: int | None = None):
        """Delete the checkpoints before that of step `saved` which `keep` does not want. Those from step
        `doubtful` on stay, and the newest before it: --stop-on may find that it is the last good one."""
        steps = [step for step in self.checkpoint_steps() if step <= saved]
        wanted = keep.chosen(steps, alike(self.evaluations()))
        if doubtful is not None:
            wanted |= {*steps[max(bisect.bisect_left(steps, doubtful) - 1, 0) :]}
        for step, path in self._files_of_steps():  # of a checkpoint the .json first: then it counts no more
            if path.parent == self.checkpoints and step < saved and step not in wanted:
                path.unlink()

    def clear(self):
        """Remove what a killed process did not finish writing."""
        for folder in (self.path, self.samples, self.checkpoints):
            remove_leftovers(folder)

    # Samples and checkpoints

    def sample_path(self, step: int) -> Path:
        return self.samples / f"step-{step:06d}.png"

    def frame_path(self, step: int) -> Path:
        """What belongs to that picture in a run in the plane."""
        return self.sample_path(step).with_suffix(".npz")

    def sheets(self) -> dict[int, Path]:
        """The sample pictures by their steps, in order."""
        found = {_step_of(path): path for path in self.samples.glob("step-*.png")}
        return {step: found[step] for step in sorted(found) if step >= 0}

    def sample_paths(self) -> list[Path]:
        return [*self.sheets().values()]

    def checkpoint_path(self, step: int) -> Path:
        return self.checkpoints / f"step-{step:06d}.safetensors"

    def checkpoint_steps(self) -> list[int]:
        """The steps that a checkpoint was saved at, in order."""
        steps = {_step_of(path) for path in self.checkpoints.glob("step-*.json")}
        return sorted(step for step in steps if step >= 0 and self.checkpoint_path(step).exists())

    def saved_nothing_yet(self) -> bool:
        """Whether the run ended before its first checkpoint was due, and has none, be it damaged."""
        taken = max((record["step"] for record in self.metrics()), default=0)
        return not any(self.checkpoints.glob("step-*")) and taken < self.options().checkpoint_every

    def latest_checkpoint(self) -> Path:
        """The newest checkpoint. MiniganError if there is none yet."""
        steps = self.checkpoint_steps()
        if not steps:
            raise MiniganError(f"{self.path} has no checkpoint yet")
        return self.checkpoint_path(steps[-1])

    def checkpoint(self, step: int | None = None, say=None) -> Checkpoint:
        """The checkpoint of `step`, by default the newest good one.

        say: is told which newer ones are damaged; by default the standard error is.
        MiniganError if there is none, it is damaged, or it is of another model or other settings.
        """
        if step is not None:
            if not self.checkpoint_path(step).exists():
                raise MiniganError(
                    f"{self.path} has no checkpoint of step {step}; it has {self.checkpoint_steps()}"
                )
            return self._checked(load_checkpoint(self.checkpoint_path(step)))
        damaged = []
        for step in sorted({_step_of(path) for path in self.checkpoints.glob("step-*")} - {-1}, reverse=True):
            try:
                found = load_checkpoint(self.checkpoint_path(step))
            except DamagedCheckpoint as error:
                damaged.append(str(error))
                continue
            for sentence in damaged:
                (say or _warn)(f"{sentence}; the checkpoint of step {found.step} is taken instead")
            return self._checked(found)
        if damaged:
            raise MiniganError(f"{self.path} has no good checkpoint: {damaged[0]}")
        raise MiniganError(f"{self.path} has no checkpoint yet")

    def _checked(self, checkpoint):
        model = self.model().name
        if checkpoint.model != model:
            raise MiniganError(f"{checkpoint.path} is of {checkpoint.model}; {self.path} is a run of {model}")
        # A checkpoint may be of before there was one of the options.
        then = {**{name: getattr(Options, name) for name in DECISIVE}, **checkpoint.settings}
        now = decisive(self.config)
        for name in {**then, **now}:
            if then.get(name) != now.get(name):
                raise MiniganError(
                    f"{checkpoint.path} does not fit this run: it was trained with {name} = "
                    f"{then.get(name)}, config.toml has {now.get(name)}"
                )
        return checkpoint


def _shapes(shapes):
    """A shape alone, or several with their names."""
    return next(iter(shapes.values())) if len(shapes) == 1 else shapes


def _is_verdict(content):
    return _has(content, {"step": int, "verdict": str, "findings": list}) and all(
        _has(finding, {"name": str, "since": int, "evidence": str, "advice": str})
        for finding in content["findings"]
    )


def _has(content, kinds):
    """Whether `content` is a dict with a value of each kind under each name."""
    return isinstance(content, dict) and all(type(content.get(name)) is kind for name, kind in kinds.items())


def _step_of(path: Path) -> int:
    name = OF_A_STEP.fullmatch(path.name)
    return int(name[1]) if name else -1


def _warn(text):
    print(text, file=sys.stderr)


def unused(path: Path) -> Path:
    """`path`, or with a number behind it if there is one of that name."""
    candidates = [path, *(path.with_name(f"{path.name}-{i}") for i in range(2, 1000))]
    return next(p for p in candidates if not p.exists())
