"""What is read from the files of a run is what minigan writes, or a MiniganError says which is not."""

from pathlib import Path

from minigan.contents import LARGEST, Misfit
from minigan.errors import MiniganError
from minigan.metrics import read_evaluation


def checked_records(lines) -> list[dict]:
    """The records of a file, `training.records.Lines`, all of which can be read but for a last one that was
    cut off."""
    path, records = lines.path, lines.read()
    *whole, _ = path.read_bytes().split(b"\n") if path.exists() else [b""]
    written = sum(bool(line) for line in whole)
    if len(records) < written:
        raise MiniganError(f"{path} is damaged: {written - len(records)} of its lines cannot be read")
    return records


def checked_verdict(records) -> dict | None:
    """The verdict among the `training.records.Records`, None where there is none."""
    verdict = records.verdict()
    if verdict is None and records.verdict_path.exists():
        raise MiniganError(f"{records.verdict_path} is damaged: it is not a verdict of the doctor")
    return verdict


def checked_evaluation(path: Path) -> dict | None:
    """The evaluation in a file, None if there is no file."""
    try:
        return read_evaluation(path)
    except Misfit as misfit:
        raise MiniganError(
            f"{path} is damaged: it {misfit}, and is not an evaluation; `minigan evaluate` writes a new one"
        ) from None


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
    return value if abs(value) <= LARGEST else None  # NaN, and integers that no float holds


def damaged(record, keys, value):
    return MiniganError(f"step {record['step']}: {'.'.join(keys)} is {value!r}, where numbers were expected")
