"""A run is a folder: see `Run`."""

import contextlib
import shlex
import time
from dataclasses import replace
from pathlib import Path

from minigan.data import Dataset, Fields
from minigan.errors import MiniganError
from minigan.files import remove_leftovers
from minigan.gans import Model, model_named

from .checkpoints import Checkpoints
from .config import new_config, read_config, settings_of, write_config
from .fitting import Checkpoint, check_fields, check_run
from .lock import alone_in
from .options import Options
from .records import Records
from .sheets import Sheets


class Run:
    """A run folder. `Run.create` makes a new one, `Run.open` an existing one.

    Everything in it can be read without minigan, and it can be moved:

    config.toml       the model, the data, every setting
    metrics.jsonl     one line a step: {"step": 1, "d_loss": ..., ...}
    evaluations.jsonl what the quick metrics said while training, with --evaluate-every
    diagnostics.jsonl what the doctor saw, a line a look: see `minigan.diagnostics`
    verdict.json      what it makes of that: {"step", "verdict", "findings"}
    evaluation.json   what `minigan evaluate` said last
    samples/          pictures of what is made of the same inputs through training, and of real data; of a run
                      in the plane a frame beside each, a .npz: see `frame`
    checkpoints/      step-001000.safetensors and .json: all that is needed to go on, see `checkpoint`
    samples.gif       the samples as a film
    losses.png        the losses as curves
    report.html       all of this on a page
    tensorboard/      all of this as event files, with --log tensorboard
    lock              the process id of the last process that trained in it

    records: the .jsonl files and verdict.json. sheets: samples/. checkpoints: checkpoints/.
    stopped_on: what the doctor found and the run was told to stop on, while it was driven by this object.
    data_dir: where the data are now, None for where they were when the run began.
    """

    stopped_on: str | None = None
    _model: Model | None = None  # where it is at hand

    def __init__(self, path: Path, config: dict, data_dir: Path | None = None):
        self.path, self.config, self.data_dir = path, config, data_dir
        self.records, self.sheets = Records(path), Sheets(path / "samples")
        self.checkpoints = Checkpoints(path / "checkpoints")
        self.evaluation_path = path / "evaluation.json"
        self.gif, self.losses, self.page = path / "samples.gif", path / "losses.png", path / "report.html"

    @classmethod
    def create(cls, path: Path | None, model: Model, options, cfg, fields: Fields) -> "Run":
        """A new folder at `path`, by default runs/<model>-<data>-<time>.

        MiniganError if there is a run already, or if the folder cannot be written.
        """
        data = options.data.partition(":")[0]
        if path is None:
            path = unused(Path("runs") / f"{model.name}-{data}-{time.strftime('%Y%m%d-%H%M%S')}")
        check_free(path)
        run = cls(path, new_config(model.source, options, cfg, fields))
        run._model = model
        try:
            run.sheets.folder.mkdir(parents=True, exist_ok=True)
            run.checkpoints.folder.mkdir()  # an error for the second of two processes that come here at once
            run.save_config()
        except OSError as error:
            raise MiniganError(f"cannot write the run folder {path}: {error.strerror}") from error
        return run

    @classmethod
    def open(cls, path: Path, data_dir: Path | None = None) -> "Run":
        """The run at `path`. MiniganError if it is no run folder, or its config cannot be read."""
        return cls(Path(path), read_config(Path(path)), data_dir)

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

    def model(self) -> Model:
        """The run's model."""
        return self._model or model_named(self.config["model"])

    def fields(self) -> Fields:
        """The fields of the data that the run learned from."""
        return Fields.from_dict(self.config["fields"])

    def dataset(self) -> Dataset:
        """The data that the run learns from; MiniganError if they cannot be read, or have samples of other
        shapes than when the run began."""
        return self._checked(self.options().dataset(self.hyperparameters().size))

    def held_out(self) -> Dataset:
        """The held-out data that belong to what it learned from; MiniganError as of `dataset`."""
        return self._checked(self.options().held_out(self.hyperparameters().size))

    def _checked(self, data):
        check_fields(self, data.fields)
        return data

    def options(self) -> Options:
        """What the run was told. The images of a folder stay grey or in colour, as they were."""
        options = settings_of(Options, self.config["run"], self.path / "config.toml").of(self.model())
        options = replace(options, data_dir=self.data_dir or options.data_dir)
        if options.data.startswith(("folder:", "patches:")) and options.channels is None:
            return replace(options, channels=self.fields().shape[0])
        return options

    def hyperparameters(self):
        """The `Config` of the run's model."""
        kind, values = self.model().Config, self.config["hyperparameters"]
        return settings_of(kind, values, self.path / "config.toml")

    def finished(self) -> bool:
        """Whether there is a checkpoint of the last step."""
        return self.hyperparameters().steps in self.checkpoints.steps()

    def save_config(self):
        """Write config.toml. OSError if the disk does not take it."""
        write_config(self.path, self.config)

    def resume_command(self) -> str:
        """What to type to go on."""
        return shlex.join(["minigan", "train", self.config["model"], "--resume", str(self.path)])

    def checkpoint(self, step: int | None = None, say=None) -> Checkpoint:
        """The checkpoint of `step`, by default the newest good one.

        say: is told which newer ones are damaged; by default the standard error is.
        MiniganError if there is none, it is damaged, or it is of another model or other settings.
        """
        found = self.checkpoints.load(step, say)
        check_run(found, self)
        return found

    def saved_nothing_yet(self) -> bool:
        """Whether the run ended before its first checkpoint was due, and has none, be it damaged."""
        taken = max((record["step"] for record in self.records.metrics.read()), default=0)
        return not any(self.checkpoints.folder.glob("step-*")) and taken < self.options().checkpoint_every

    def forget_after(self, step: int):
        """Drop what the records and sheets have of later steps: a resumed run makes that again."""
        self.records.forget_after(step)
        self.sheets.forget_after(step)

    def clear(self):
        """Remove what a killed process did not finish writing."""
        for folder in (self.path, self.sheets.folder, self.checkpoints.folder):
            remove_leftovers(folder)


def check_free(path: Path):
    """MiniganError if a new run cannot be at `path`: there is something, and not an empty folder."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise MiniganError(f"{path} exists and is not an empty folder; choose another with --out")


def unused(path: Path) -> Path:
    """`path`, or with a number behind it if there is one of that name."""
    candidates = [path, *(path.with_name(f"{path.name}-{i}") for i in range(2, 1000))]
    return next(p for p in candidates if not p.exists())
