"""The errors a user can cause. The command line prints them as one sentence, without a traceback."""

import contextlib
import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path


class MiniganError(Exception):
    """Something the user gave cannot be used; the message says what was given and what was expected."""


class DeviceError(MiniganError, RuntimeError):
    """Arrays of two devices met in one op, or a device cannot be used; the message names the devices."""


class NonFiniteError(MiniganError, ArithmeticError):
    """A value or a gradient became NaN or infinite; the message names the first op that made it."""


def require(settings: object, *names: str, at_least: float = 0, below: float = float("inf")) -> None:
    """Raise MiniganError unless each named attribute of `settings` lies in [at_least, below), or is None."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not value >= at_least:
            raise MiniganError(f"{name} must be at least {at_least}, got {value}")
        if value is not None and not value < below:
            raise MiniganError(f"{name} must be below {below}, got {value}")


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """A closing clause for an error: the nearest known name, or all of them when none is near."""
    known = sorted(known)
    in_lower_case = {name.lower(): name for name in known}
    near = difflib.get_close_matches(given.lower(), in_lower_case, n=1)
    return f"did you mean {in_lower_case[near[0]]!r}?" if near else f"there are: {', '.join(known)}"


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Inside the block, a file that cannot be written is told in one sentence."""
    try:
        yield
    except OSError as error:
        raise MiniganError(f"cannot write {path}: {error.strerror or error}") from error
