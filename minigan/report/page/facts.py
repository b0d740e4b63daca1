"""What a run folder says: what is missing is empty or None, what is damaged is a MiniganError."""

import dataclasses
import shlex

from minigan.data.kinds import has_size

from .checks import checked_evaluation, checked_records, checked_verdict


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
        self.model, self.fields = run.model(), run.fields()
        self.critic, self.images = self.model.is_critic(self.cfg), has_size(self.fields.kind)
        self.metrics, self.evaluations, self.looks = map(checked_records, run.records.lines)
        self.verdict = checked_verdict(run.records)
        self.evaluation = checked_evaluation(run.evaluation_path)
        self.sheets, self.real = run.sheets.all(), run.sheets.real
        frames = {step: run.sheets.frame(step) for step in self.sheets}
        self.frames = {step: path for step, path in frames.items() if path.exists()}

    @property
    def sheet(self) -> list[str]:
        """What the samples of a sheet are made up of, by name, side by side."""
        if self.model.shows:
            return [*self.model.shows]
        made = [*self.model.makes] or ["samples"]
        given = [name for name in self.model.names("make") if name in self.fields.seen]
        return [*given, *made, *self.model.makes.values()]

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
        done = f"{steps:,}" if self.step >= steps else f"{self.step:,} of {steps:,}"
        return f"{done} step{'s' if steps > 1 else ''}"

    def files(self) -> list[tuple[str, str]]:
        """(name in the run folder, size) of what the page is made of; sheets together, and frames."""
        run = self.run
        lines = [lines.path for lines in run.records.lines]
        alone = run.path / "config.toml", *lines, run.records.verdict_path, run.evaluation_path, self.real
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


def size_of(paths) -> str:
    return f"{sum(path.stat().st_size for path in paths):,} bytes"
