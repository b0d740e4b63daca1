"""checkpoints/ of a run folder: see `Checkpoints`."""

import bisect
import sys
from pathlib import Path

from minigan.errors import MiniganError

from .by_step import by_step, of_step
from .checkpoint import load_checkpoint
from .fitting import Checkpoint, DamagedCheckpoint
from .keep import Keep


class Checkpoints:
    """Checkpoints by their steps, each of two files: step-001000.safetensors and .json, see `checkpoint`."""

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, step: int) -> Path:
        """Where the arrays of that step's checkpoint are, or are to be; its .json is beside them."""
        return of_step(self.folder, step, ".safetensors")

    def steps(self) -> list[int]:
        """The steps that a checkpoint was saved at, in order."""
        return [step for step, _ in by_step(self.folder, ".json") if self.path(step).exists()]

    def latest(self) -> Path:
        """The newest checkpoint. MiniganError if there is none yet."""
        steps = self.steps()
        if not steps:
            raise self._none_yet()
        return self.path(steps[-1])

    def load(self, step: int | None = None, say=None) -> Checkpoint:
        """The checkpoint of `step`, by default the newest good one.

        say: is told which newer ones are damaged; by default the standard error is.
        MiniganError if there is none, or it is damaged, or cannot be used.
        """
        if step is not None:
            if not self.path(step).exists():
                raise MiniganError(
                    f"{self.folder.parent} has no checkpoint of step {step}; it has {self.steps()}"
                )
            return load_checkpoint(self.path(step))
        damaged = []
        for step in sorted({step for step, _ in by_step(self.folder)}, reverse=True):
            try:
                found = load_checkpoint(self.path(step))
            except DamagedCheckpoint as error:
                damaged.append(str(error))
                continue
            for sentence in damaged:
                (say or _warn)(f"{sentence}; the checkpoint of step {found.step} is taken instead")
            return found
        if damaged:
            raise MiniganError(f"{self.folder.parent} has no good checkpoint: {damaged[0]}")
        raise self._none_yet()

    def prune(self, keep: Keep, saved: int, evaluations: list[dict], doubtful: int | None = None):
        """Delete the checkpoints before that of step `saved` which `keep` does not want. Those from step
        `doubtful` on stay, and the newest before it: --stop-on may find that it is the last good one.

        evaluations: the records of evaluations.jsonl.
        """
        steps = [step for step in self.steps() if step <= saved]
        wanted = keep.chosen(steps, evaluations)
        if doubtful is not None:
            wanted |= {*steps[max(bisect.bisect_left(steps, doubtful) - 1, 0) :]}
        for step, path in by_step(self.folder):  # of a checkpoint the .json first: then it counts no more
            if step < saved and step not in wanted:
                path.unlink()

    def _none_yet(self):
        return MiniganError(f"{self.folder.parent} has no checkpoint yet")


def _warn(text):
    print(text, file=sys.stderr)
