"""--log tensorboard: a run folder as TensorBoard shows it, in the event files of RUN/tensorboard.

They are made from the other files of the folder: a line of metrics.jsonl, evaluations.jsonl or
diagnostics.jsonl is an event with its numbers, a sample sheet an image, config.toml and the verdict a text.
A run that goes on writes them anew: so no step is there twice, and none is missing that was not on disk when
the run was killed.
"""

import io
import json
import time
from pathlib import Path

from PIL import Image

from minigan.errors import MiniganError
from minigan.extras import needs

from .options import Options
from .records import Lines, alike
from .run import Run


def check_log(options: Options):
    """MiniganError, with the line that installs it, if TensorBoard is wanted and its package is missing."""
    if options.log == "tensorboard":
        needs("--log tensorboard", "tensorboard")


class TensorBoard:
    """Keeps the event files up with a run folder; does nothing for a run that is not to be logged so.

    A context manager, which at the end writes and closes what is open.
    """

    def __init__(self, run: Run):
        self.run, self.folder = run, run.path / "tensorboard"
        self.wanted = run.options().log == "tensorboard"
        self.writer = self.verdict = None
        self.tails = {lines.path.stem: Tail(lines) for lines in run.records.lines}

    def __enter__(self):
        return self

    def __exit__(self, kind, *error):
        try:
            self.follow()
            if self.writer:
                self.add_verdict()
        except OSError as failed:
            if kind is None:  # else the run ends by another error, or by this one, which is told already
                raise MiniganError(f"cannot write to {self.folder}: {failed.strerror or failed}") from failed
        finally:
            if self.writer:
                self.writer.close()

    def follow(self):
        """Write what has come to the folder since the last call. OSError if the disk does not take it."""
        if not self.wanted:
            return
        if self.writer is None:
            self.begin()
        for name, tail in self.tails.items():
            for line in tail.new():
                step = line.pop("step")
                self.add(step, value=[{"tag": t, "simple_value": v} for t, v in scalars(name, line)])
                if name == "metrics":
                    self.add_image(step, "samples", self.run.sheets.path(step))
                if name == "diagnostics":
                    self.add_verdict()

    def begin(self):
        """Begin an event file, in the place of those that are there."""
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        self.folder.mkdir(exist_ok=True)
        for path in self.folder.glob("events.out.tfevents.*"):
            path.write_bytes(b"")  # removed, it would hold up a page that is reading it
        name = f"events.out.tfevents.{time.time_ns() // 1000}"  # TensorBoard reads the files by their names
        self.writer = RecordWriter(io.FileIO(self.folder / name, "w"))
        self.write(0, file_version="brain.Event:2")
        self.write(0, session_log=SessionLog(status=SessionLog.START))  # a page that is open forgets the rest
        self.add_text(0, "config", (self.run.path / "config.toml").read_text(encoding="utf-8"))
        self.add_image(0, "real", self.run.sheets.real)
        self.add_image(0, "samples", self.run.sheets.path(0))

    def add(self, step, **summary):
        """Write a summary of a step, of the fields that it has in TensorBoard."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        self.write(step, summary=Summary(**summary))

    def add_image(self, step, tag, path: Path):
        """The PNG at `path`, if there is one."""
        if path.exists():
            with Image.open(path) as picture:
                size = {"width": picture.width, "height": picture.height, "colorspace": 3}
            self.add(step, value=[{"tag": tag, "image": {**size, "encoded_image_string": path.read_bytes()}}])

    def add_verdict(self):
        """Add the verdict of verdict.json, if it has changed."""
        verdict = self.run.records.verdict()
        if verdict and verdict != self.verdict:
            self.verdict = verdict
            self.add_text(verdict["step"], "verdict", json.dumps(verdict, indent=1, ensure_ascii=False))

    def add_text(self, step, tag, text):
        """A text as it is; TensorBoard would take it for Markdown."""
        from tensorboard.plugins.text.summary_v2 import text_pb

        self.write(step, summary=text_pb(tag, "".join(f"    {line}\n" for line in text.splitlines())))

    def write(self, step, **content):
        """Write an event of a step."""
        from tensorboard.compat.proto.event_pb2 import Event

        self.writer.write(Event(wall_time=time.time(), step=step, **content).SerializeToString())


class Tail:
    """The records of a file of JSON lines that is only added to."""

    def __init__(self, lines: Lines):
        self.lines, self.read = lines, 0

    def new(self):
        """The records that came since the last call."""
        path, start = self.lines.path, self.read
        self.read = path.stat().st_size if path.exists() else 0
        return alike(self.lines.read(start)) if self.read > start else []


def scalars(name, value):
    """The numbers in a record, with the way to each: ("diagnostics/accuracy/real", 0.9)."""
    if isinstance(value, dict | list):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in parts:
            yield from scalars(f"{name}/{key}", part)
    elif value is not None:  # infinite, or not to be told
        yield name, value
