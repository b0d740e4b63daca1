"""The other end of `serve.py`: a side's process, and what it can be asked."""

import contextlib
import os
import pickle
import subprocess
import sys
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


class Worker:
    """A process of `side` with `threads` threads; ends with the `with` block.

    MiniganError if it ends before, or works with another number of threads.
    """

    def __init__(self, side: Side, threads: int):
        self.side, self.threads = side, threads

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

    def time(self, warm_up: float, seconds: float, least: int) -> list[float]:
        """Seconds of each step, for about `seconds` after `warm_up`."""
        return self._ask("time", warm_up, seconds, least)

    def peak_memory(self) -> int | None:
        """Bytes."""
        return self._ask("peak_memory")

    def _ask(self, name, *arguments):
        try:
            pickle.dump((name, arguments), self.process.stdin)
            self.process.stdin.flush()
            kind, reply = pickle.load(self.process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            code = self.process.wait()
            raise MiniganError(f"the process of {self.side.name} ended, with exit code {code}") from error
        if kind == "error":
            raise RuntimeError(f"{self.side.name}, {name}:\n{reply}")
        return reply
