"""Files of JSON lines, a record a step: {"step": 1, "d_loss": 0.7, ...}.

A line that cannot be read, such as the last one of a killed process or one that the disk has spoilt, is
passed over, and the others stand.
"""

import json
from collections import Counter
from pathlib import Path

from minigan.files import write_atomically


def add_record(path: Path, step: int, record: dict):
    """Add a line to the file. OSError if the disk does not take it."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step, **record}) + "\n")


def read_records(path: Path, start: int = 0) -> list[dict]:
    """The records of a file from byte `start` on, none if there is no file."""
    return [record for _, record in _lines(path, start) if record is not None]


def alike(records: list[dict]) -> list[dict]:
    """Those of them that can be computed with like most: numbers, None, lists and dicts of them, under the
    same names in each."""
    forms = [_form(record) for record in records]
    usual = Counter(form for form in forms if form is not None).most_common(1)
    return [record for record, form in zip(records, forms, strict=True) if usual and form == usual[0][0]]


def lines_after(path: Path, step: int) -> bytes:
    """The lines of the file that are of later steps, as they are."""
    return b"".join(line for line, record in _lines(path) if record is not None and record["step"] > step)


def cut_after(path: Path, step: int):
    """Take the lines of later steps out of the file, if there is one, and those that cannot be read."""
    if path.exists():
        kept = [line for line, record in _lines(path) if record is not None and record["step"] <= step]
        write_atomically(path, b"".join(kept))


def _lines(path, start=0):
    """Each line with its record, None if it is none."""
    if not path.exists():
        return []
    with open(path, "rb") as file:
        file.seek(start)
        lines = file.read().split(b"\n")
    return [(line + b"\n", _record(line)) for line in lines if line]


def _record(line):
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(record, dict) and type(record.get("step")) is int and 0 <= record["step"] < 2**53
    return record if whole else None


def _form(value):
    """What is of the same form can be computed with in the same way; None for what no record holds."""
    if value is None or type(value) is float or (type(value) is int and abs(value) < 2**63):
        return "number"
    if isinstance(value, dict):
        forms = [(name, _form(part)) for name, part in sorted(value.items())]
        return None if any(form is None for _, form in forms) else ("names", *forms)
    if isinstance(value, list):
        forms = [_form(part) for part in value]
        return None if None in forms else ("list", *forms)
    return None
