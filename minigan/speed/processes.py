"""The other end of `serve.py`: the processes of sides, and what they can be asked."""

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from minigan.errors import MiniganError

SERVE = Path(__file__).with_name("serve.py")
THREADS = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("NUMBA_NUM_THREADS", "MINIGAN_NUM_THREADS"),
)


@dataclass(frozen=True)
class Side:
    """Who does the work: a file (see `serve.py`), and how, in words that are added to each job."""

    name: str
    file: Path
    options: dict = field(default_factory=dict, hash=False)


def no_limit() -> float:
    """The seconds that a request may take where nothing limits them."""
    return threading.TIMEOUT_MAX


class Worker:
    """A process of `side` with `threads` threads; ends with the `with` block.

    limit: the seconds that the next request may take.
    MiniganError if it ends before, takes too long, or works with another number of threads.
    """

    def __init__(self, side: Side, threads: int, limit: Callable[[], float] = no_limit):
        self.side, self.threads, self.limit = side, threads, limit

    def __enter__(self):
        self.process = subprocess.Popen(
            # -P: the files beside serve.py are no modules of the side's.
            [sys.executable, "-P", str(SERVE), str(self.side.file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | dict.fromkeys(THREADS, str(self.threads)),
        )
        try:
            self.about = self._ask("about")
            if self.about["threads"] != self.threads:
                raise MiniganError(
                    f"{self.side.name} works with {self.about['threads']} threads, not {self.threads}"
                )
            self.memory_at_start = self.peak_memory()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        self.process.kill()  # it has nothing to save
        self.process.wait()
        self.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):  # the rest of a request that nobody reads
            self.process.stdin.close()

    def variants(self, job) -> list[dict]:
        """The ways of doing the job to choose from."""
        return self._ask("variants", job | self.side.options)

    def prepare(self, job):
        """Make ready to take the job's steps."""
        self._ask("prepare", job | self.side.options)

    def take(self, n: int) -> list:
        """The results of the next n steps."""
        return self._ask("take", n)

    def time(self, warm_up: float, seconds: float, least: int, bundle: int = 1) -> list[float]:
        """Seconds of a step, again and again for about `seconds` after `warm_up`: each time the mean of a
        bundle, which waits for the device once."""
        return self._ask("time", warm_up, seconds, least, bundle)

    def peak_memory(self) -> int | None:
        """Bytes."""
        return self._ask("peak_memory")

    def _ask(self, name, *arguments):
        seconds = self.limit()
        with killed_after(seconds, self.process) as late:
            try:
                pickle.dump((name, arguments), self.process.stdin)
                self.process.stdin.flush()
                kind, reply = pickle.load(self.process.stdout)
            except (EOFError, OSError, pickle.UnpicklingError) as error:
                code = self.process.wait()
                what = f"took more than {seconds:.0f} s" if late.is_set() else f"ended, with exit code {code}"
                raise MiniganError(f"the process of {self.side.name} {what}") from error
        if kind == "error":
            raise RuntimeError(f"{self.side.name}, {name}:\n{reply}")
        return reply


@contextlib.contextmanager
def killed_after(seconds: float, process: subprocess.Popen):
    """Kills the process if the block takes longer; the event that it gives tells whether that was so."""
    late = threading.Event()

    def end():
        late.set()
        process.kill()

    timer = threading.Timer(seconds, end)
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


class Processes:
    """A worker for each side, started when it is asked for. All end with the `with` block."""

    def __init__(self, threads: int, limit: Callable[[], float] = no_limit):
        self.threads, self.limit = threads, limit
        self.started = {}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for side in list(self.started):
            self.end(side)

    def of(self, side: Side) -> Worker:
        """The side's worker. MiniganError or RuntimeError where it does not start."""
        if side not in self.started:
            self.started[side] = Worker(side, self.threads, self.limit).__enter__()
        return self.started[side]

    def end(self, side: Side):
        """End the side's worker, if it was started; it is started anew when it is asked for."""
        worker = self.started.pop(side, None)
        if worker is not None:
            worker.__exit__()

    def versions(self) -> dict[str, str]:
        """The versions of the libraries, as the processes that run tell them."""
        return {k: v for worker in self.started.values() for k, v in worker.about["versions"].items()}
