"""What a run writes down as it goes: files of JSON lines, a record a step, and the doctor's verdict."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypedDict

from msgspec import Meta

from minigan.contents import Misfit, as_type, json_of
from minigan.diagnostics.verdict import Verdict
from minigan.files import sync_file, write_atomically

from . import former


class Records:
    """What the run in `folder` wrote down.

    metrics: metrics.jsonl. evaluations: evaluations.jsonl. diagnostics: diagnostics.jsonl. lines: all three.
    """

    def __init__(self, folder: Path):
        self.metrics = Lines(folder / "metrics.jsonl")
        self.evaluations = Lines(folder / "evaluations.jsonl")
        self.diagnostics = Lines(folder / "diagnostics.jsonl", former.look)
        self.lines = self.metrics, self.evaluations, self.diagnostics
        self.verdict_path = folder / "verdict.json"

    def forget_after(self, step: int):
        """Drop the lines of later steps: those that a resumed run makes again."""
        for lines in self.lines:
            lines.cut_after(step)

    def sync(self):
        """Bring all lines to disk: then those up to a checkpoint outlast a power cut if it does."""
        for lines in self.lines:
            if lines.path.exists():
                sync_file(lines.path)

    def save_verdict(self, verdict: dict | None):
        """Write verdict.json; remove it where there is no verdict."""
        if verdict is None:
            self.verdict_path.unlink(missing_ok=True)
        else:
            write_atomically(self.verdict_path, json.dumps(verdict, indent=1).encode())

    def verdict(self) -> dict | None:
        """What verdict.json says; None where there is none, or it cannot be read."""
        try:
            as_type(content := json_of(self.verdict_path.read_bytes()), Verdict)
        except (OSError, ValueError, Misfit):
            return None
        return content


class Lines:
    """A file of JSON lines, a record a step: {"step": 1, "d_loss": 0.7, ...}.

    A line that cannot be read, such as the last one of a killed process or one that the disk has spoilt, is
    passed over, and the others stand. now: makes of a record, which an earlier version may have written, one
    as this version writes it.
    """

    def __init__(self, path: Path, now: Callable[[dict], dict] = lambda record: record):
        self.path, self.now = path, now

    def add(self, step: int, record: dict):
        """Add a line. OSError if the disk does not take it."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **record}) + "\n")

    def read(self, start: int = 0) -> list[dict]:
        """The records from byte `start` on, none if there is no file."""
        return [self.now(record) for _, record in self._lines(start) if record is not None]

    def up_to(self, step: int) -> bytes:
        """The lines that are of no later step, as they are; without those that cannot be read."""
        whole = ((line, record) for line, record in self._lines() if record is not None)
        return b"".join(line for line, record in whole if record["step"] <= step)

    def cut_after(self, step: int):
        """Take the lines of later steps out of the file, if there is one, and those that cannot be read."""
        if self.path.exists():
            write_atomically(self.path, self.up_to(step))

    def _lines(self, start=0):
        """Each line with its record, None if it is none."""
        if not self.path.exists():
            return []
        with open(self.path, "rb") as file:
            file.seek(start)
            lines = file.read().split(b"\n")
        return [(line + b"\n", _record(line)) for line in lines if line]


class OfAStep(TypedDict):
    """What all records hold."""

    step: Annotated[int, Meta(ge=0, lt=2**53)]


def _record(line):
    try:
        as_type(record := json_of(line), OfAStep)
    except (ValueError, Misfit):
        return None
    return record


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
