"""What is read from the files of a run is what minigan writes, or a MiniganError says which is not."""

import json
import sys
from pathlib import Path

from minigan.errors import MiniganError

LARGEST = sys.float_info.max


def checked_records(path: Path, lines: list[dict]) -> list[dict]:
    """`lines`, those that could be read of the file at `path`: all but a last one that was cut off."""
    *whole, _ = path.read_bytes().split(b"\n") if path.exists() else [b""]
    written = sum(bool(line) for line in whole)
    if len(lines) < written:
        raise MiniganError(f"{path} is damaged: {written - len(lines)} of its lines cannot be read")
    return lines


def checked_verdict(path: Path, verdict: dict | None) -> dict | None:
    if verdict is None and path.exists():
        raise MiniganError(f"{path} is damaged: it is not a verdict of the doctor")
    return verdict


def checked_evaluation(path: Path) -> dict | None:
    content = parsed(path)
    if content is not None and not (
        has(content, metrics=dict) and all(is_quantity(row) for row in content["metrics"].values())
    ):
        raise MiniganError(f"{path} is damaged: it is not an evaluation; `minigan evaluate` writes a new one")
    return content


def number(record: dict, *keys: str) -> float | None:
    """The number in a line under these keys; None if there is none, or it is not finite.

    MiniganError if it is anything else.
    """
    return finite(record, keys, under(record, keys))


def numbers(record: dict, *keys: str) -> list[float | None]:
    """The list of numbers in a line under these keys, None for what is not finite; empty if there is none."""
    values = under(record, keys)
    if not isinstance(values, list | None):
        raise damaged(record, keys, values)
    return [finite(record, keys, value) for value in values or []]


def names(record: dict, *keys: str) -> list[str]:
    """The keys of what is in a line under these keys; empty if there is nothing."""
    values = under(record, keys)
    if not isinstance(values, dict | None):
        raise damaged(record, keys, values)
    return list(values or {})


def under(record, keys):
    value = record
    for key in keys:
        if value is None:
            return None
        if not isinstance(value, dict):
            raise damaged(record, keys, value)
        value = value.get(key)
    return value


def finite(record, keys, value):
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise damaged(record, keys, value)
    return value if is_finite(value) else None


def damaged(record, keys, value):
    return MiniganError(f"step {record['step']}: {'.'.join(keys)} is {value!r}, where numbers were expected")


def is_quantity(row) -> bool:
    return has(row, n=int) and all(
        row.get(key, "missing") is None or is_finite(row.get(key)) for key in ("value", "error", "floor")
    )


def is_finite(value) -> bool:
    """Whether it is a number that a float can hold: JSON knows larger ones, and Python's knows NaN."""
    return isinstance(value, int | float) and abs(value) <= LARGEST


def has(content, **kinds) -> bool:
    """Whether `content` is a dict with values of these types."""
    return isinstance(content, dict) and all(isinstance(content.get(k), kind) for k, kind in kinds.items())


def parsed(path: Path):
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError, OSError) as error:
        raise MiniganError(f"{path} cannot be read: {error}") from error
