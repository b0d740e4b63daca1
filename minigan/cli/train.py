"""`minigan train MODEL`: a command a model, its flags made from the model's Config."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter, Token

from minigan.errors import MiniganError
from minigan.gans import Model, model_named, model_names
from minigan.training.options import Options

from .app import BEFORE, app


def _note_given(app, commands, arguments):
    """Put the names of the flags that were typed into the hidden parameter `given`."""
    typed = [argument.name for argument in arguments if argument.tokens]
    for argument in arguments:
        if argument.name == "--given":
            for name in typed:
                argument.append(Token(keyword=argument.name, value=name))


train_app = App(
    name="train",
    help="Train a model; `minigan train MODEL --help` lists its flags. MODEL may be the path of a file.",
    config=_note_given,
)
app.command(train_app)


def train_command(model: Model):
    """The command that trains a model."""

    def train(
        *,
        options: Annotated[Options, Parameter(name="*", group="Run")] = Options(),  # noqa: B008
        cfg: Annotated[model.Config, Parameter(name="*", group="Hyper-parameters")] = model.Config(),  # noqa: B008
        out: Annotated[Path | None, OUT] = None,
        resume: Annotated[Path | None, RESUME] = None,
        from_: Annotated[str | None, FROM] = None,
        given: Annotated[tuple[str, ...], Parameter(show=False)] = (),
    ):
        from minigan import training

        if from_ is not None:
            origin, step = _place(from_)
            given = [flag for flag in given if flag not in ("--from", "--out")]
            changes = _changes(model, origin, options, cfg, given)
            run = training.resume(training.branch(origin, step, out).path, **changes)
        elif resume is None:
            run = training.train(model.source, options, cfg, out)
        else:
            run = training.resume(resume, **_changes(model, resume, options, cfg, given))
        return 3 if run.stopped_on else 0 if run.finished() else 130

    train.__doc__ = model.summary
    return train


OUT = Parameter(group="Run", help="The run folder to make; by default runs/MODEL-DATA-TIME.")
RESUME = Parameter(
    group="Run", help="Go on with the run in this folder. Of the other flags, only --steps and --device."
)
FROM = Parameter(
    name="--from",
    group="Run",
    help="Begin a new run where another one was, RUN:STEP, or where it is now, RUN; that one stays. Of "
    "the other flags, only --out, --steps and --device.",
)


def _place(text) -> tuple[Path, int | None]:
    """A run folder and a step of "RUN:STEP"; no step where only a folder is named."""
    folder, colon, step = text.rpartition(":")
    return (Path(folder), int(step)) if colon and step.isdecimal() else (Path(text), None)


def _changes(model, path, options, cfg, given):
    """What a resumed run is to do otherwise: the --steps and the --device that were typed, None if they
    were not. MiniganError if any other setting was."""
    from minigan.training import Run

    run = Run.open(path)
    if run.config["model"] != model.source:
        raise MiniganError(f"{path} is a run of {run.config['model']}, not of {model.source}")
    others = [flag for flag in given if flag not in ("--resume", "--steps", "--device")]
    if others:
        raise MiniganError(
            f"a run that goes on keeps its settings, only --steps and --device may be given; "
            f"got {', '.join(others)}"
        )
    return {
        "steps": cfg.steps if "--steps" in given else None,
        "device": options.device if "--device" in given else None,
    }


for _name in model_names():
    train_app.command(train_command(model_named(_name)), name=_name)


def know_model_file(tokens: list[str]):
    """Let `train path/to/model.py` be a command, too, where that is what is called."""
    if tokens[:1] == ["train"] and len(tokens) > 1 and tokens[1].endswith(".py"):
        command = train_command(model_named(tokens[1]))
        if tokens[1] in train_app:  # as the file was before, in a process of several commands
            del train_app[tokens[1]]
        train_app.command(command, name=tokens[1])


BEFORE.append(know_model_file)
