"""The application, and how it is called: what a library module raises as MiniganError is printed as one
sentence, with exit code 2."""

import contextlib
import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number
from rich.console import Console

from minigan import __version__
from minigan.backend import require_engine
from minigan.errors import MiniganError
from minigan_kernels import num_threads
from minigan_kernels.engines import requested_threads
from minigan_kernels.precisions import precision_name

app = App(
    name="minigan",
    version=__version__,
    help="Train GANs on a from-scratch autograd engine.\n\nStart with: minigan train dcgan",
)

FILES = Annotated[list[Path] | None, Parameter(name="--input", negative="", consume_multiple=True)]
SEED = Annotated[int, Parameter(validator=Number(gte=0, lt=2**64))]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Which weights of a run are taken, and where they work."""

    step: int | None = None
    """Take the checkpoint of this step; by default the newest."""
    ema: bool = True
    """Take the moving average of the weights, if the run has one."""
    device: str = "auto"
    """Where to draw: cpu, gpu, gpu:1 for the second one, or auto: a GPU if there is one."""

    def of(self, run: Path, data_dir: Path | None = None):
        """(the run, its sampler). data_dir: where its data are now."""
        from minigan.training import Run, Sampler

        opened = Run.open(run, data_dir)
        return opened, Sampler.of(opened, self.step, self.device, self.ema)


TRAINED = Annotated[Trained, Parameter(name="*")]

BEFORE = []  # what is called with the words of a command before it: it may add the command that they name


def several(kind):
    """The type of a flag of several `kind`s: --flag A,B or --flag A --flag B."""

    def values(_, tokens):
        words = [word.strip() for token in tokens for word in token.value.split(",")]
        try:
            return [kind(word) for word in words]
        except ValueError:
            raise ValueError(
                f"{','.join(words)} is not of the form A,B with an {kind.__name__} each"
            ) from None

    return Annotated[list[kind] | None, Parameter(negative="", converter=values)]


def main(tokens: list[str] | None = None) -> int:
    """Run the command line; the exit code: 0, 1 for a wrong gradient or a failed job of a study, 2 for
    bad input, 3 for a run that --stop-on ended, 130 if stopped."""
    return call(app, tokens)


def call(app: App, tokens: list[str] | None) -> int:
    """Run `app`; what goes wrong by a mistake of the user's is told in one sentence."""
    try:
        _check_environment()
        for prepare in BEFORE:
            prepare(sys.argv[1:] if tokens is None else tokens)
        return app(tokens, exit_on_error=False, print_error=False, result_action="return_value") or 0
    except (CycloptsError, MiniganError) as error:
        message = " ".join(str(error).split())
        Console(stderr=True).print(f"minigan: {message}", highlight=False, markup=False, soft_wrap=True)
        return 2
    except MemoryError as error:
        print(f"minigan: there is not enough memory: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # what concerns a file of a run is a MiniganError; the output itself is left
        with contextlib.suppress(OSError):
            print(f"minigan: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("minigan: interrupted", file=sys.stderr)
        return 130


def print_anything():
    """Have what a terminal or a file of another encoding has no letter for printed as an escape from here on,
    instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _check_environment():
    name = os.environ.get("MINIGAN_ENGINE")
    if name:
        try:
            require_engine(name)
        except MiniganError as error:
            raise MiniganError(f"MINIGAN_ENGINE: {error}") from error
    try:
        if requested_threads() is not None:
            num_threads()
        precision_name()
    except ValueError as error:
        raise MiniganError(str(error)) from error
