"""The doctor of a run: when it looks, and all that it sees in one look."""

import contextlib
from collections import deque

import numpy as np

from minigan.autograd import Tensor
from minigan.gans.settings import packs_of
from minigan.graph import graphs
from minigan.random import Generator

from .critic import steepest
from .look import judged, look, rounded, total
from .samples import KINDS, SAMPLES, Reference
from .verdict import verdict

LOOKS = 50  # of a run
LEAST = 25  # steps from one look to the next, whatever the run's length: a look may cost most of a step
WINDOW = 10  # looks whose steps tell of oscillation
BLOCKS = 50  # that the losses of a window are averaged in


def every_by_default(steps: int) -> int:
    """Steps from one look to the next, of a run of `steps`."""
    return max(steps // LOOKS, LEAST)


class Doctor:
    """Looks at the training of a session now and then, and changes nothing.

    session: a `training.Session`. sampler: a `training.Sampler` of its parts, not of an average of them.
    every: steps from one look to the next.

    Each step is taken within `watching()`, and `note` is called after it. A look has what holds of any
    network (see `look`), what judges said (see `judged`), and what samples show (see `Reference`) where they
    are made from noise.

    Its random numbers are its own, and a function of the seed and the step alone, so that a resumed run sees
    the same.
    """

    def __init__(self, session, sampler, every: int):
        self.session, self.sampler, self.every = session, sampler, every
        self.key = Generator(session.options.seed).spawn().spawn().key
        self.dataset, self.seen = session.dataset, None
        comparable = self.dataset.kind in KINDS and not sampler.from_data
        self.reference = Reference(self.dataset, self.random(0)) if comparable else None
        self.looks, self.losses = [], {}

    def remember(self, looks: list[dict], metrics: list[dict]):
        """Go on from what a run has recorded before."""
        self.looks = list(looks)
        for record in metrics:  # all: a loss may be rare
            self._remember(record)

    def _remember(self, metrics):
        for name, value in metrics.items():
            if name.endswith("loss") and value is not None:
                self.losses.setdefault(name, deque(maxlen=WINDOW * self.every)).append(value)

    def verdict(self) -> dict | None:
        """On all that was seen so far: see `verdict`."""
        return verdict(self.looks)

    def note(self, metrics: dict) -> dict | None:
        """Take note of the step that was taken; the whole look, if it was looked at."""
        self._remember(metrics)
        if self.seen is None:
            return None
        for judge, found in self.seen["judges"].items():
            found["oscillation"] = self.oscillation(f"{judge}_loss")
        losses = {name: self.size_of(name) for name in self.losses}
        self.looks.append({"step": self.session.step, "losses": losses, **self.seen})
        return self.looks[-1]

    def size_of(self, loss: str) -> float | None:
        """The mean |loss| of the last `every` that came."""
        return rounded(float(np.mean(np.abs(list(self.losses[loss])[-self.every :]))))

    def oscillation(self, loss: str) -> float | None:
        """The deviation of a loss, averaged over blocks of a fiftieth of the window; None before that is
        full."""
        x = np.array(self.losses.get(loss, ()))
        if len(x) < WINDOW * self.every:
            return None
        blocks = min(BLOCKS, len(x))
        return rounded(float(x[: len(x) // blocks * blocks].reshape(blocks, -1).mean(axis=1).std()))

    def due(self, step: int) -> bool:
        """Whether to look at the step that comes to be number `step`, counted from 1."""
        return step == 1 or step % self.every == 0

    @contextlib.contextmanager
    def watching(self):
        """Inside the block the session takes one step, which is looked at if it is time to."""
        s, self.seen = self.session, None
        if not self.due(s.step + 1):
            yield
            return
        with s.device.active():
            with look(s.parts) as found, graphs(False):
                yield
            norms = found["gradient_norm"]
            makers = {name: total(norms[name]) for name in s.model.makers(s.parts) if name in norms}
            judges = judged(s.said, s.critic)
            self.seen = {"judges": judges, "makers": makers, **found, **self.at_samples()}

    def at_samples(self) -> dict:
        """What the samples show that the networks make now; and how steep a critic is between them and real
        ones."""
        if self.reference is None:
            return {}
        s, rng = self.session, self.random(self.session.step)
        chosen = rng.integers(0, len(self.dataset), SAMPLES)
        labels = self.dataset.labels[chosen] if self.sampler.conditional else None
        asked = {} if labels is None else {"label": labels}
        made, *_ = self.sampler.make(self.sampler.inputs(SAMPLES, rng, **asked)).values()
        found = self.reference.examine(made, labels)
        if s.model.slope and not self.sampler.conditional:
            found["lipschitz"] = self.slope(made, chosen, rng)
        return found

    def slope(self, made, chosen, rng) -> float | None:
        """A lower bound of the critic's slope."""
        s, pack = self.session, packs_of(self.session.cfg)
        packs = min(s.cfg.batch_size, SAMPLES // pack)
        n = packs * pack
        real, fake = (Tensor(s.device.put(x)) for x in (self.dataset.batch(chosen[:n]), made[:n]))
        u = rng.uniform((packs, *(1,) * (made.ndim - 1)))

        def judge(x):
            return s.model.call("judge", **s.parts, x=x, cfg=s.cfg)

        return rounded(steepest(judge, real, fake, u, pack))

    def random(self, step):
        rng = Generator(self.key)
        rng.state = self.key, step << 32  # no two steps share any
        return rng
