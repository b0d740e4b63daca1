"""The processes that touch the GPU: each can be ended, and is started anew when something broke in it."""

import contextlib
import re
import threading
from collections.abc import Callable

from minigan.bench.worker import Side, Worker
from minigan.errors import MiniganError

FAILURES = MiniganError, RuntimeError  # the process ended; or it told of an error
BROKEN = re.compile(r"CUDA[ _]?(Driver)?Error|out of memory", re.IGNORECASE)  # everything later may fail too


class Bounded(Worker):
    """A worker that is ended when a request takes more than `seconds()`."""

    def __init__(self, side: Side, threads: int, seconds: Callable[[], float]):
        super().__init__(side, threads)
        self.seconds = seconds

    def _ask(self, name, *arguments):
        late, seconds = threading.Event(), self.seconds()

        def end():
            late.set()
            self.process.kill()

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            return super()._ask(name, *arguments)
        except MiniganError as error:
            if late.is_set():
                raise MiniganError(f"{self.side.name} took more than {seconds:.0f} s") from error
            raise
        finally:
            timer.cancel()


class Processes:
    """A worker for each side, started when it is asked for. All end with the `with` block."""

    def __init__(self, threads: int, seconds: Callable[[], float]):
        self.threads, self.seconds = threads, seconds
        self._started, self._broken = {}, {}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for side in list(self._started):
            self.end(side)

    def of(self, side: Side) -> Bounded:
        """The side's worker. MiniganError or RuntimeError where it does not start."""
        if side in self._broken:  # it will not start the next time either
            raise self._broken[side]
        if side not in self._started:
            try:
                self._started[side] = Bounded(side, self.threads, self.seconds).__enter__()
            except FAILURES as error:
                self._broken[side] = error
                raise
        return self._started[side]

    def versions(self) -> dict[str, str]:
        """Of the libraries, as the processes that run tell them."""
        return {k: v for worker in self._started.values() for k, v in worker.about["versions"].items()}

    def end(self, side: Side):
        worker = self._started.pop(side, None)
        if worker is not None:
            worker.__exit__()

    @contextlib.contextmanager
    def recorded(self, side: Side, errors: dict[str, str]):
        """What fails inside goes to `errors` under the side's name, in a sentence. After a fault of the
        GPU the process ends, and the next request gets a new one."""
        try:
            yield
        except FAILURES as error:
            errors[side.name] = sentence(error)
            if isinstance(error, MiniganError) or BROKEN.search(str(error)):
                self.end(side)


def sentence(error: Exception) -> str:
    """The last line that says something: of a traceback, the error's own."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
