"""`minigan train MODEL`: a command a model, its flags made from the model's Config."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter, Token

from minigan.errors import MiniganError
from minigan.gans import MODELS
from minigan.training.options import Options

from .app import app


def _note_given(app, commands, arguments):
    """Put the names of the flags that were typed into the hidden parameter `given`."""
    typed = [argument.name for argument in arguments if argument.tokens]
    for argument in arguments:
        if argument.name == "--given":
            for name in typed:
                argument.append(Token(keyword=argument.name, value=name))


train_app = App(
    name="train", help="Train a model; `minigan train MODEL --help` lists its flags.", config=_note_given
)
app.command(train_app)


def summary(module) -> str:
    """The first line of a model file."""
    return module.__doc__.partition("\n")[0]


def _train_command(name, module):
    def train(
        *,
        options: Annotated[Options, Parameter(name="*", group="Run")] = Options(),  # noqa: B008
        cfg: Annotated[module.Config, Parameter(name="*", group="Hyper-parameters")] = module.Config(),  # noqa: B008
        out: Annotated[Path | None, OUT] = None,
        resume: Annotated[Path | None, RESUME] = None,
        given: Annotated[tuple[str, ...], Parameter(show=False)] = (),
    ):
        from minigan import training

        if resume is None:
            run = training.train(name, options, cfg, out)
        else:
            run = training.resume(resume, **_changes(name, resume, options, cfg, given))
        return 3 if run.stopped_on else 0 if run.finished() else 130

    train.__doc__ = summary(module)
    return train


OUT = Parameter(group="Run", help="The run folder to make; by default runs/MODEL-DATA-TIME.")
RESUME = Parameter(
    group="Run", help="Go on with the run in this folder. Of the other flags, only --steps and --device."
)


def _changes(name, path, options, cfg, given):
    """What a resumed run is to do otherwise: the --steps and the --device that were typed, None if they
    were not. MiniganError if any other setting was."""
    from minigan.training import Run

    run = Run.open(path)
    if run.config["model"] != name:
        raise MiniganError(f"{path} is a run of {run.config['model']}, not of {name}")
    others = [flag for flag in given if flag not in ("--resume", "--steps", "--device")]
    if others:
        raise MiniganError(
            f"a resumed run keeps its settings, only --steps and --device may be given; "
            f"got {', '.join(others)}"
        )
    return {
        "steps": cfg.steps if "--steps" in given else None,
        "device": options.device if "--device" in given else None,
    }


for _name, _module in MODELS.items():
    train_app.command(_train_command(_name, _module), name=_name)
