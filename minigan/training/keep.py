"""Which checkpoints to keep, where not all are."""

from collections.abc import Sequence
from dataclasses import dataclass

from minigan.data.captions import ATTRIBUTES
from minigan.errors import MiniganError, did_you_mean

# What is measured while training: the metrics, and of each quantity whether more or less is better.
QUICK = {
    "fcd": {"fcd": min},
    "precision-recall": {"precision": max, "recall": max, "density": max, "coverage": max},
    "label-accuracy": {"label-accuracy": max},
    "captions": {
        f"{these}-{attribute}": max for these in ("caption", "unseen") for attribute in (*ATTRIBUTES, "all")
    },
    "stacked-modes": {"stacked-modes": max, "stacked-kl": min},
    "modes": {"modes": max, "high-quality": max, "reverse-kl": min},
    "chimes": {"in-tune": max, "notes": max},
    "two-futures": {"decided": max},
    "identity": {"identity": max},
    "distance": {"L1": min},
    "psnr": {"PSNR": max},
    "ssim": {"SSIM": max},
    "cycle": {"L1 of F(G(x))": min, "L1 of G(F(y))": min},
    "coats": {"striped G(x)": max, "brown F(y)": max, "brown F(G(x))": max, "striped G(F(y))": max},
    "meadow": {"meadow's change in G(x)": min, "meadow's change in F(y)": min},
    "pose": {"overlap of G(x)": max, "overlap of F(y)": max},
}
BETTER = {quantity: better for quantities in QUICK.values() for quantity, better in quantities.items()}


@dataclass(frozen=True)
class Keep:
    """last: so many of the newest, at least one. every: those of the steps that it divides. best: of the
    checkpoints that were evaluated, the best by this quantity of evaluations.jsonl."""

    last: int = 1
    every: int | None = None
    best: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Keep":
        """What "last=3,every=10000,best=fcd" says, or some of it. MiniganError for anything else."""
        given = {}
        for part in text.split(","):
            name, _, value = (word.strip() for word in part.partition("="))
            if name not in ("last", "every", "best") or not value:
                raise MiniganError(f"keep: {part!r} is none of last=N, every=STEPS, best=METRIC")
            if name in given:
                raise MiniganError(f"keep: {name} is given twice")
            given[name] = value if name == "best" else _whole_number(name, value)
        if "best" in given and given["best"] not in BETTER:
            raise MiniganError(
                f"keep: {given['best']!r} is not measured while training; "
                f"{did_you_mean(given['best'], BETTER)}"
            )
        return cls(**given)

    def chosen(self, steps: Sequence[int], evaluations: Sequence[dict]) -> set[int]:
        """The ones of `steps`, which are in order, to keep checkpoints of; the last of them always.

        evaluations: the records of evaluations.jsonl.
        """
        kept = {*steps[-self.last :]}
        if self.every:
            kept |= {step for step in steps if step % self.every == 0}
        values = (
            {e["step"]: e[self.best] for e in evaluations if e.get(self.best) is not None}
            if self.best
            else {}
        )
        evaluated = [step for step in steps if step in values]
        return kept | ({BETTER[self.best](evaluated, key=values.get)} if evaluated else set())


def _whole_number(name, value):
    if not value.isascii() or not value.isdigit() or not int(value):
        raise MiniganError(f"keep: {name} must be a whole number above 0, got {value!r}")
    return int(value)
