"""The doctor of a run: when it looks, and all that it sees in one look."""

import contextlib

from minigan.autograd import Tensor
from minigan.graph import graphs
from minigan.random import Generator

from .critic import steepest
from .look import look, rounded
from .samples import Reference

LOOKS = 100  # of a run
LEAST = 25  # steps from one look to the next: a look costs up to three quarters of a step


def every_by_default(steps: int) -> int:
    """Steps from one look to the next, of a run of `steps`."""
    return max(steps // LOOKS, LEAST)


class Doctor:
    """Looks at the training of a session now and then, and changes nothing.

    session: a `training.Session`. sampler: a `training.Sampler` of its G, not of an average of it.
    critic: D is a critic. every: steps from one look to the next.

    Its random numbers are its own, and a function of the seed and the step alone, so that a resumed run sees
    the same.
    """

    def __init__(self, session, sampler, critic: bool, every: int):
        self.session, self.sampler, self.critic, self.every = session, sampler, critic, every
        self.key = Generator(session.options.seed).spawn().spawn().key
        self.dataset = session.batches.dataset
        self.reference = Reference(self.dataset, self.random(0))

    def due(self, step: int) -> bool:
        """Whether to look at the step that comes to be number `step`, counted from 1."""
        return step == 1 or step % self.every == 0

    @contextlib.contextmanager
    def looking(self):
        """Inside the block the session takes one step; the dict it gives has then all that was seen."""
        s = self.session
        with look(s.G, s.D, s.opt_g, s.opt_d, self.critic) as found, graphs(False):
            yield found
        found |= self.at_samples()

    def at_samples(self) -> dict:
        """What the samples of G, as it is now, show; and how steep a critic is between them and real ones."""
        s, rng = self.session, self.random(self.session.step)
        n = self.reference.n
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
