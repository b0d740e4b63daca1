"""The doctor at the bedside of a run: looks, writes down what it sees, and tells when the verdict changes."""

import contextlib
import shlex

from minigan.diagnostics import STOPS, Doctor, diverged, every_by_default
from minigan.diagnostics.verdict import PERSIST

from .records import alike
from .run import Run
from .session import Session


class Bedside:
    """What the runner asks of the doctor, and nothing where that is never to look.

    A run that goes on remembers what diagnostics.jsonl and metrics.jsonl say up to the session's step; a
    finding of before does not stop it again.
    """

    def __init__(self, run: Run, session: Session, say):
        self.run, self.session, self.say = run, session, say
        every = session.options.diagnose_every
        every = every_by_default(session.cfg.steps) if every is None else every
        self.doctor = Doctor(session, session.sampler_of(session.parts), every) if every else None
        self.verdict = None
        if self.doctor:
            self.doctor.remember(*past(run, session.step))
            self.verdict = self.doctor.verdict()

    def watching(self):
        """A context manager around one step of the session."""
        return self.doctor.watching() if self.doctor else contextlib.nullcontext()

    def note(self, metrics: dict):
        """After that step. OSError if the disk does not take what was seen."""
        look = self.doctor and self.doctor.note(metrics)
        if not look:
            return
        self.run.records.diagnostics.add(look["step"], {k: v for k, v in look.items() if k != "step"})
        before, self.verdict = self.verdict, self.doctor.verdict()
        if self.verdict and _names(before) != _names(self.verdict):
            self.run.records.save_verdict(self.verdict)
            self.say(f"step {look['step']}: {sentence(self.verdict)}")
        self.stop(_names(self.verdict) - _names(before))

    def stop(self, begun):
        """End the run if it is to stop on a verdict of `begun`; name the last good checkpoint."""
        for name in self.session.options.stops():
            if STOPS[name] in begun:
                self.run.stopped_on = STOPS[name]
                since = self.doubtful_from()
                good = [step for step in self.run.checkpoints.steps() if step < since]
                last = "there is no checkpoint from before that"
                if good:
                    origin = shlex.quote(f"{self.run.path}:{good[-1]}")
                    begin = f"minigan train {self.run.config['model']} --from {origin}"
                    last = f"the last good checkpoint is that of step {good[-1]}: {begin}"
                self.say(f"Stopping on {name}: it began at step {since}; {last}")
                return

    def name(self) -> str:
        """The name of the verdict; "" before there is one."""
        return self.verdict["verdict"] if self.verdict else ""

    def doubtful_from(self) -> int | None:
        """The step from which on a checkpoint may turn out to be of an ill run, that is to be stopped; None
        where none is. A run that was stopped was ill since that finding began."""
        if self.run.stopped_on:
            return min(f["since"] for f in self.verdict["findings"] if f["name"] == self.run.stopped_on)
        if not (self.doctor and self.session.options.stops()):
            return None
        return self.session.step - 2 * PERSIST * self.doctor.every  # every other look may be passed over

    def leave(self):
        """At the end of the run."""
        if self.doctor:
            self.run.records.save_verdict(self.verdict and {**self.verdict, "step": self.session.step})
            if self.verdict:
                self.say(f"The doctor's verdict: {sentence(self.verdict)}")

    def lost(self, step: int, why: str):
        """At `step` the loss or the weights were not finite, and the run ends by that."""
        if self.doctor:
            self.run.records.save_verdict(diverged(step, why))


def past(run: Run, step: int) -> tuple[list[dict], list[dict]]:
    """(looks, metrics) of the run up to `step`; without lines that were damaged."""
    looks, metrics = (
        alike([record for record in lines.read() if record["step"] <= step])
        for lines in (run.records.diagnostics, run.records.metrics)
    )
    return looks, metrics


def _names(verdict):
    return {finding["name"] for finding in verdict["findings"]} if verdict else {None}


def sentence(verdict: dict) -> str:
    """A verdict in a line: its name, the evidence, what to try."""
    if not verdict["findings"]:
        return verdict["verdict"]
    first = verdict["findings"][0]
    return f"{first['name']}, since step {first['since']}: {first['evidence']}. {first['advice']}"
