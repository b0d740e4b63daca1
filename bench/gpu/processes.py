"""The processes that touch the GPU: each can be ended, and is started anew when something broke in it."""

import contextlib
import re

from minigan.errors import MiniganError
from minigan.speed.processes import Processes, Side, Worker

FAILURES = MiniganError, RuntimeError  # the process ended; or it told of an error
BROKEN = re.compile(r"CUDA[ _]?(Driver)?Error|out of memory", re.IGNORECASE)  # everything later may fail too


class GpuProcesses(Processes):
    """What fails in one loses nothing of what the others do."""

    def __init__(self, *settings):
        super().__init__(*settings)
        self.unable = {}

    def of(self, side: Side) -> Worker:
        if side in self.unable:  # it will not start the next time either
            raise self.unable[side]
        try:
            return super().of(side)
        except FAILURES as error:
            self.unable[side] = error
            raise

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
