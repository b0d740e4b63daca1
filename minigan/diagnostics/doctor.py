"""The doctor of a run: when it looks, and all that it sees in one look."""

import contextlib
from collections import deque

import numpy as np

from minigan.autograd import Tensor
from minigan.gans import is_critic
from minigan.graph import graphs
from minigan.random import Generator

from .critic import steepest
from .look import look, rounded
from .samples import SAMPLES, Reference
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

    session: a `training.Session`. sampler: a `training.Sampler` of its G, not of an average of it.
    every: steps from one look to the next.

    Each step is taken within `watching()`, and `note` is called after it.

    Its random numbers are its own, and a function of the seed and the step alone, so that a resumed run sees
    the same.
    """

    def __init__(self, session, sampler, every: int):
        self.session, self.sampler, self.every = session, sampler, every
        self.critic, self.seen = is_critic(session.model), None
        self.key = Generator(session.options.seed).spawn().spawn().key
        self.dataset = session.batches.dataset
        self.reference = Reference(self.dataset, self.random(0))
        self.looks, self.losses = [], deque(maxlen=WINDOW * every)

    def remember(self, looks: list[dict], metrics: list[dict]):
        """Go on from what a run has recorded before."""
        self.looks = list(looks)
        self.losses.extend(record["d_loss"] for record in metrics[-self.losses.maxlen :])

    def verdict(self) -> dict | None:
        """On all that was seen so far: see `verdict`."""
        return verdict(self.looks)

    def note(self, metrics: dict) -> dict | None:
        """Take note of the step that was taken; the whole look, if it was looked at."""
        self.losses.append(metrics["d_loss"])
        if self.seen is None:
            return None
        since = min(self.every, len(self.losses))
        loss = rounded(float(np.mean(np.abs(list(self.losses)[-since:]))))
        step = {"step": self.session.step}
        self.looks.append({**step, **self.seen, "loss": loss, "oscillation": self.oscillation()})
        return self.looks[-1]

    def oscillation(self) -> float | None:
        """The deviation of D's loss, averaged over blocks of a fiftieth of the window; None before that is
        full."""
        if len(self.losses) < self.losses.maxlen:
            return None
        x = np.array(self.losses)
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
            with look(s.G, s.D, s.opt_g, s.opt_d, self.critic) as found, graphs(False):
                yield
            self.seen = found | self.at_samples()

    def at_samples(self) -> dict:
        """What the samples of G, as it is now, show; and how steep a critic is between them and real ones."""
        s, rng = self.session, self.random(self.session.step)
        n = SAMPLES
        chosen = rng.integers(0, len(self.dataset), n)
        labels = self.dataset.labels[chosen] if self.sampler.conditional else None
        made = self.sampler.make(*self.sampler.inputs(n, rng, labels))
        found = self.reference.examine(made, labels)
        if self.critic:
            packs = min(s.cfg.batch_size, n // s.cfg.pack)
            n = packs * s.cfg.pack
            real, fake = (Tensor(s.device.put(x)) for x in (self.dataset.batch(chosen[:n]), made[:n]))
            u = rng.uniform((packs, *(1,) * (made.ndim - 1)))
            found["lipschitz"] = rounded(steepest(s.D, real, fake, u, s.cfg.pack))
        return found

    def random(self, step):
        rng = Generator(self.key)
        rng.state = self.key, step << 32  # no two steps share any
        return rng
