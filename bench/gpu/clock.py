"""The time there is, and what goes on in it."""

import sys
import time


class Clock:
    """Counts from now to `seconds`; the last moment of a part is a share of that."""

    def __init__(self, seconds: float):
        self.seconds, self._began = seconds, time.monotonic()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def left(self, share: float = 1.0) -> float:
        """Seconds until that share of the whole time is over; 0 afterwards."""
        return max(share * self.seconds - self.elapsed, 0.0)

    def say(self, what: str):
        """A line of progress."""
        print(f"[{self.elapsed:4.0f} s] {what}", file=sys.stderr, flush=True)
