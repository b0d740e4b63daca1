"""Progress while a model trains: a live bar on a terminal, a line now and then elsewhere."""

import contextlib
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

LINE_EVERY = 10.0  # seconds between two lines where there is no terminal
COMPILING = "compiling kernels for this machine, once"


def show_progress(console: Console, start: int, total: int):
    """A context manager with `update(step, metrics, verdict)`, for the steps from `start` to `total`.

    verdict: the name of the doctor's, "" for none yet.
    """
    return LiveBar(console, start, total) if console.is_terminal else Lines(console, total)


@contextlib.contextmanager
def show_compiling(console: Console):
    """A context manager that gives report(place, total, name), for each kernel that is about to be compiled.
    It shows nothing before the first."""
    bar = _CompilingBar(console) if console.is_terminal else _CompilingLine(console)
    try:
        yield bar.report
    finally:
        bar.end()


class _CompilingBar:
    """compiling kernels for this machine, once ━━━━━━━━ 12/25 to_tiles"""

    def __init__(self, console):
        columns = (
            TextColumn(COMPILING),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} {task.fields[name]}"),
        )
        self.progress = Progress(*columns, console=console, transient=True)
        self.task = None

    def report(self, place, total, name):
        if self.task is None:
            self.progress.start()
            self.task = self.progress.add_task("", total=total, name=name)
        self.progress.update(self.task, completed=place, name=name)

    def end(self):
        self.progress.stop()


class _CompilingLine:
    """compiling kernels for this machine, once: 25 of them"""

    def __init__(self, console):
        self.console, self.told = console, False

    def report(self, place, total, name):
        if not self.told:
            self.console.print(f"{COMPILING}: {total - place} of them", highlight=False, soft_wrap=True)
        self.told = True

    def end(self):
        pass


class LiveBar:
    """step 120/1500 ━━━━━━━━ 14.2 steps/s  1:37 left  d_loss 1.02  g_loss 1.54  healthy"""

    def __init__(self, console, start, total):
        self.progress = Progress(
            TextColumn("step {task.completed}/{task.total}", table_column=_one_line()),
            BarColumn(bar_width=None, table_column=Column(ratio=1)),  # what the others leave
            _Rate(table_column=_one_line()),
            TimeRemainingColumn(compact=True, table_column=_one_line()),
            TextColumn("left  {task.fields[state]}", table_column=_one_line()),
            console=console,
            expand=True,
        )
        self.start, self.total = start, total

    def __enter__(self):
        self.progress.start()
        self.task = self.progress.add_task("", completed=self.start, total=self.total, state="")
        return self

    def update(self, step, metrics, verdict=""):
        """Show how far it is and the latest numbers."""
        self.progress.update(self.task, completed=step, state=_state(metrics, verdict))

    def __exit__(self, *exc):
        self.progress.stop()


class Lines:
    """The progress of a run in plain lines: the first step, the last, and one every LINE_EVERY seconds."""

    def __init__(self, console, total):
        self.console, self.total = console, total

    def __enter__(self):
        self.first = None  # the step after which the clock runs: it may have waited for a compiler
        return self

    def update(self, step, metrics, verdict=""):
        """Print a line on how far it is, if the last one is a while ago."""
        now = time.monotonic()
        if self.first is None:
            self.first, self.began, self.printed = step, now, now
            pace = ""
        elif now - self.printed >= LINE_EVERY or step == self.total:
            self.printed = now
            rate = (step - self.first) / max(now - self.began, 1e-9)
            left = round((self.total - step) / rate)
            pace = f"  {rate:.1f} steps/s  {left // 60}:{left % 60:02d} left"
        else:
            return
        line = f"step {step}/{self.total}{pace}  {_state(metrics, verdict)}"
        self.console.print(line, highlight=False, soft_wrap=True)

    def __exit__(self, *exc):
        pass


class _Rate(ProgressColumn):
    def render(self, task):
        return Text(f"{task.speed:.1f} steps/s" if task.speed else "")


def _one_line():
    return Column(no_wrap=True)


def _state(metrics, verdict):
    losses = (f"{name} {value:.3f}" for name, value in metrics.items() if name.endswith("loss"))
    return "  ".join([*losses, verdict]).rstrip()
