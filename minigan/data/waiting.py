"""What there is to see while data are made ready: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

LINE_EVERY = 10.0  # seconds between two lines


@contextmanager
def counted(what: str, total: int, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """A function to be called with how many of `total` are done. shown: whether it shows anything."""
    if not shown:
        yield lambda done: None
    elif sys.stderr.isatty():
        with bar(what, "{task.completed:,} of {task.total:,}") as (progress, task):
            progress.update(task, total=total)
            yield lambda done: progress.update(task, completed=done)
    else:
        yield _lines(what, total)


@contextmanager
def bar(what: str, *columns: Any) -> Iterator[tuple[Any, Any]]:
    """(rich's Progress on the standard error, its only task): the name, a bar, `columns`, the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    inner = [TextColumn(column) if isinstance(column, str) else column for column in columns]
    row = [TextColumn("{task.description}"), BarColumn(), *inner, TimeRemainingColumn(compact=True)]
    with Progress(*row, console=Console(stderr=True)) as progress:
        yield progress, progress.add_task(what, total=None)


def _lines(what, total):
    began = printed = time.monotonic()
    print(f"{what}: {total:,}", file=sys.stderr)

    def report(done):
        nonlocal printed
        now = time.monotonic()
        if now - printed >= LINE_EVERY:
            printed = now
            left = round((now - began) / max(done, 1) * (total - done))
            print(f"{what}: {done:,} of {total:,}, {left // 60}:{left % 60:02d} left", file=sys.stderr)

    return report
