"""Files of JSON lines, a record a step: {"step": 1, "d_loss": 0.7, ...}.

A line that cannot be read, such as the last one of a killed process or one that the disk has spoilt, is
passed over, and the others stand.
"""

import json
from collections import Counter, defaultdict
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
    """The records that can be computed with: what stands under a name is numbers or None, lists of them or
    names in their turn, as in most records that have the name. A record need not have all names."""
    forms = [_forms(record) for record in records]
    seen = defaultdict(Counter)
    for form in forms:
        for name, of in form.items():
            seen[name][of] += 1
    usual = {name: counts.most_common(1)[0][0] for name, counts in seen.items()}
    return [
        record
        for record, form in zip(records, forms, strict=True)
        if all(of == usual[name] != "nothing" for name, of in form.items())
    ]


def lines_up_to(path: Path, step: int) -> bytes:
    """The lines of the file that are of no later step, as they are; without those that cannot be read."""
    return b"".join(line for line, record in _lines(path) if record is not None and record["step"] <= step)


def cut_after(path: Path, step: int):
    """Take the lines of later steps out of the file, if there is one, and those that cannot be read."""
    if path.exists():
        write_atomically(path, lines_up_to(path, step))


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


def _forms(value, name=""):
    """{name: form} of all that a record holds: "number", "names", "list", or "nothing" that a record
    holds."""
    if value is None or type(value) is float or (type(value) is int and abs(value) < 2**63):
        return {name: "number"}
    if isinstance(value, dict):
        inner = [_forms(part, f"{name}.{key}") for key, part in value.items()]
        return {name: "names"} | {n: form for forms in inner for n, form in forms.items()}
    if isinstance(value, list):
        inner = {form for part in value for form in _forms(part, name).values()}
        return {name: "list" if "nothing" not in inner else "nothing"}
    return {name: "nothing"}
