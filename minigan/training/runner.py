"""The runner: drives a model's loop, and does between two steps what every run needs."""

import contextlib
import shlex
import signal
import threading
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console

from minigan import backend, report
from minigan.autograd import detect_anomaly
from minigan.errors import DeviceError, MiniganError, NonFiniteError
from minigan.files import write_npz
from minigan.gans import Model, model_named
from minigan_kernels import compile_ahead

from .bedside import Bedside
from .checkpoint import save_checkpoint
from .config import decisive
from .evaluation import Examiner
from .fitting import Checkpoint, check_fields
from .frame import frame
from .options import Options
from .page import write_page
from .progress import show_compiling, show_progress
from .records import alike
from .run import Run
from .session import Session
from .tensorboard import TensorBoard, check_log


def train(
    model: str | Model, options: Options, cfg, out: Path | None = None, console: Console | None = None
) -> Run:
    """Train `model` from the beginning, in the new run folder `out`; return the run.

    Ctrl-C or SIGTERM ends the run after the step, with a checkpoint to go on from. MiniganError for
    what the user can mend, NonFiniteError for a loss or weights that are not finite: then the last
    checkpoint is good.
    """
    options, console = options.of(model_named(model)).resolved(), console or Console()
    check_log(options)
    session = Session(model, options, cfg)
    examiner = _examiner(session, console)  # which may refuse, before there is a folder
    run = Run.create(out, session.model, options, session.cfg, session.fields)
    with run.alone():
        _compile_ahead(session, examiner, console)
        runner = Runner(run, session, console, examiner)
        columns = session.sampler.columns()
        runner.write(report.save_shown, run.sheets.real, session.real, session.fields.first, columns)
        runner.sample()
        runner.go()
    return run


def resume(
    path: Path, steps: int | None = None, device: str | None = None, console: Console | None = None
) -> Run:
    """Go on with the run in the folder `path`, from its newest good checkpoint, to the same bits as a
    run that was never stopped. `steps`: how many in all, by default as many as at first. `device`:
    where, by default where it was; on another kind of device the bits differ.

    MiniganError if that checkpoint does not fit the run, the folder cannot be written, or another process
    trains in it."""
    run, console = Run.open(path), console or Console()
    check_log(run.options())
    with run.alone():
        _resumed(run, steps, device, console).go()
    return run


def _resumed(run, steps, device, console):
    """The runner of a run that goes on, its files as they were at its newest good checkpoint; at the very
    beginning, if none was saved yet."""
    if steps is not None:
        run.config["hyperparameters"]["steps"] = steps
    run.config["run"]["device"] = _place_to_resume(run, device)
    session = Session(run.config["model"], run.options(), run.hyperparameters())
    check_fields(run, session.fields)
    if run.saved_nothing_yet():
        _speaker(console)(f"{run.path} had no checkpoint yet: it begins anew, to the same bits")
    else:
        session.restore(run.checkpoint(say=_speaker(console)))
    if session.cfg.steps < session.step:
        raise MiniganError(
            f"{run.path} has taken {session.step} steps already, more than {session.cfg.steps}"
        )
    examiner = _examiner(session, console)
    _compile_ahead(session, examiner, console)
    runner = Runner(run, session, console, examiner)
    runner.write(run.clear)
    if steps is not None or device is not None:
        runner.write(run.save_config)  # now that the run is known to go on
    runner.write(run.forget_after, session.step)
    if not run.sheets.paths():
        runner.write(run.sheets.folder.mkdir, 0o777, True, True)
        runner.sample()
    return runner


def _examiner(session, console):
    options = session.options
    return Examiner(session, options.evaluate_n, _speaker(console)) if options.evaluate_every else None


def _speaker(console):
    """Prints text to the console as it is."""
    return partial(console.print, highlight=False, markup=False, soft_wrap=True)


def _place_to_resume(run, device):
    """The name of the device to go on with. DeviceError if it is not there."""
    before = run.options().device
    try:
        return str(backend.device(device or before))
    except DeviceError as error:
        if device is not None:
            raise
        raise DeviceError(
            f"{run.path} was trained on {before}; --device cpu goes on without: {error}"
        ) from error


class Runner:
    """One session of a run, as it goes: its steps, and the pictures, measurements, checkpoints and page
    between them and at the end."""

    def __init__(self, run: Run, session: Session, console: Console, examiner: Examiner | None = None):
        self.run, self.session, self.console, self.examiner = run, session, console, examiner
        self.total, self.say = session.cfg.steps, _speaker(console)
        self.sample_every = session.options.sample_every or max(self.total // 50, 1)
        self.bedside = Bedside(run, session, self.say)
        self.saved = session.step  # the step of the newest checkpoint; 0 for none

    def go(self):
        """Train to the last step, or until the user asks to stop."""
        self.say(f"run folder: {self.run.path}")
        progress = show_progress(self.console, self.session.step, self.total)
        with _stop_requested(self.say) as stop, progress as bar, TensorBoard(self.run) as board:
            while self.session.step < self.total and not stop.is_set():
                metrics = self.one_step()
                step = self.session.step
                self.write(self.run.records.metrics.add, step, metrics)
                self.write(self.bedside.note, metrics)
                bar.update(step, metrics, self.bedside.name())
                if step % self.sample_every == 0 or step == self.total:
                    self.sample()
                if self.examiner and (step % self.session.options.evaluate_every == 0 or step == self.total):
                    self.evaluate()  # before the checkpoint, after which nothing of this step is made again
                if step % self.session.options.checkpoint_every == 0 or step == self.total:
                    self.save()
                self.write(board.follow)
                if self.run.stopped_on:
                    break
        self.write(self.bedside.leave)
        if not self.saved or self.saved < self.session.step:
            self.save()
        self.write(report.save_losses, self.run.losses, alike(self.run.records.metrics.read()))
        self.film()
        self.page()
        self.tell()

    def one_step(self):
        """A step of the model, watched by the doctor; its metrics. NonFiniteError ends the run."""
        try:
            with detect_anomaly(every_op=self.session.options.detect_anomaly), self.bedside.watching():
                return self.session.next_step()
        except NonFiniteError as error:
            raise self.lost(self.session.step + 1, str(error)) from error

    def lost(self, step, why) -> NonFiniteError:
        """The error that ends a run whose numbers are not finite; its verdict and page are written first."""
        self.write(self.bedside.lost, step, why)
        self.page()
        kept = f" The checkpoint of step {self.saved} is kept." if self.saved else ""
        return NonFiniteError(
            f"step {step}: {why}.{kept} Going on would repeat this: begin a new run "
            f"with another --lr or --seed"
        )

    def sample(self):
        """Save the sheet of samples of this step; in the plane a frame beside it."""
        path, session = self.run.sheets.path(self.session.step), self.session
        how = session.fields.first, session.sampler.columns(), next(iter(session.real.values()))
        self.write(report.save_shown, path, session.shown(), *how)
        if session.fields.kind == "point":
            self.write(partial(write_npz, self.run.sheets.frame(session.step), **frame(session)))

    def evaluate(self):
        """Measure the model by the quick metrics; write and say what they found."""
        self.finite_arrays()  # samples that are not numbers would be refused, and say less
        found = self.examiner.evaluate()
        self.write(self.run.records.evaluations.add, self.session.step, found)
        values = (f"{name} {'∞' if value is None else f'{value:.4g}'}" for name, value in found.items())
        self.say(f"step {self.session.step}: {'  '.join(values)}")

    def save(self):
        """Save a checkpoint of this step, and prune those that `--keep` does not want."""
        path, arrays = self.run.checkpoints.path(self.session.step), self.finite_arrays()
        now = (self.session.step, decisive(self.run.config), arrays, self.session.state())
        self.write(self.run.records.sync)
        self.write(save_checkpoint, path, Checkpoint(self.session.model.name, *now))
        self.saved = self.session.step
        if keep := self.session.options.kept():
            evaluations = alike(self.run.records.evaluations.read())
            doubtful = self.bedside.doubtful_from()
            self.write(self.run.checkpoints.prune, keep, self.saved, evaluations, doubtful)

    def finite_arrays(self):
        """All weights and optimiser states, on the CPU; the run ends here if one of them is not finite."""
        arrays = self.session.arrays()
        if not all(np.isfinite(a).all() for a in arrays.values()):
            raise self.lost(self.session.step, "the weights are not finite, so they are not saved")
        return arrays

    def write(self, what, *args):
        """Call what(*args), which writes a file; make a sentence of it if the disk does not take it."""
        try:
            what(*args)
        except OSError as error:
            raise MiniganError(
                f"step {self.session.step}: cannot write to {self.run.path}: {error.strerror or error}. "
                f"{self.last_checkpoint()}"
            ) from error

    def last_checkpoint(self):
        """A sentence on the newest checkpoint, and how to go on from it."""
        if not self.saved:
            return "There is no checkpoint yet."
        return f"The checkpoint of step {self.saved} is good; go on with {self.run.resume_command()}"

    def film(self):
        """Make samples.gif of all sheets that can be read."""
        pictures, damaged = report.readable(self.run.sheets.paths())
        for path in damaged:
            self.say(f"{path} is damaged, and left out of the film")
        if pictures:
            self.write(report.save_gif, self.run.gif, pictures)

    def page(self):
        """The run's page; the run has gone well without it, too."""
        try:
            write_page(self.run, dataset=self.session.dataset)
        except (MiniganError, OSError, MemoryError) as error:
            self.say(f"The page of the run is not written: {error}")

    def tell(self):
        """Say how it ended, and where to look."""
        done = self.session.step >= self.total
        sample = f"minigan sample {shlex.quote(str(self.run.path))}"
        lines = [
            f"{'Done' if done else 'Stopped'} after {self.session.step} steps.",
            f"  samples     {self.run.sheets.paths()[-1]}",
            f"  film        {self.run.gif}",
            f"  losses      {self.run.losses}",
            f"  page        {self.run.page}",
            f"  checkpoint  {self.run.checkpoints.path(self.saved)}",
        ]
        if done:
            lines.append(f"More samples: {sample}")
        elif not self.run.stopped_on:  # which would go on from an ill state
            lines.append(f"Go on with: {self.run.resume_command()}")
        self.say("\n".join(lines))


def _compile_ahead(session, examiner, console):
    """The first run of all waits for the compiler: at once, for all kernels, on all processors. On a GPU only
    evaluations have any to wait for."""

    def rehearse():
        if examiner:
            examiner.rehearse()
        if session.device.kind == "cpu":
            session.rehearse()

    if examiner or session.device.kind == "cpu":
        with show_compiling(console) as report:
            compile_ahead(rehearse, report)


@contextlib.contextmanager
def _stop_requested(say):
    """An Event that Ctrl-C and SIGTERM set, so that a step is never cut in two.

    A second Ctrl-C interrupts at once. Only the main thread can receive signals; elsewhere the event
    is never set.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def on_signal(number, frame):
        stop.set()
        say("stopping after this step; Ctrl-C again stops at once, without saving")
        signal.signal(signal.SIGINT, before[signal.SIGINT])

    before = {n: signal.signal(n, on_signal) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
